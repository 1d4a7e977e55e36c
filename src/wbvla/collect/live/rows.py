"""Which frames belong together: rows of a lead camera's frames, the others' nearest in time, and the control ticks."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from wbvla.collect.live.ring import FrameRing, Header, TickRing

WINDOW_S = 10.0
"""over which the shortest way from device to host is looked for [s]"""
MAX_PAIR = 0.5
"""frames further apart than this share of a period do not belong together [-]"""
WAIT_S = 0.25
"""how long a row waits for the other cameras and the next control tick [s]"""


class ClockMap:
    """A device's clock on this computer's: the smallest difference seen lately, since arrival is never early.

    Two half windows, so that a device whose clock runs slower is followed.
    """

    def __init__(self) -> None:
        self._session, self._since_s = -1, 0.0
        self._before = self._now = float("inf")

    def take(self, header: Header) -> None:
        """Learn from a frame."""
        if header.session != self._session:
            self._session, self._before, self._now = header.session, float("inf"), float("inf")
            self._since_s = header.host_s
        if header.host_s - self._since_s > 0.5 * WINDOW_S:
            self._before, self._now, self._since_s = self._now, float("inf"), header.host_s
        self._now = min(self._now, header.host_s - header.device_s)

    @property
    def offset_s(self) -> float:
        """Host time less device time [s]."""
        return min(self._before, self._now)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A frame that waits in its slot."""

    slot: int
    header: Header
    offset_s: float
    """host less device time when it came [s]"""

    @property
    def time_s(self) -> float:
        """Capture time on the host's clock, as known when it came [s]."""
        return self.header.device_s + self.offset_s


@dataclass(frozen=True, kw_only=True)
class Row:
    """Frames of all cameras that belong together."""

    frames: Mapping[str, Held]
    lead: str

    @property
    def time_s(self) -> float:
        """Of the lead camera's frame [s]."""
        return self.frames[self.lead].time_s


class Pairing:
    """Waiting frames by camera, and the rows they make.

    With fewer rows than frames per second, the deadlines lie on a fixed grid and each takes the first lead frame that
    is not more than half a frame early; `late` counts rows that came more than half a row late, `missed` deadlines
    without a row.
    """

    def __init__(self, rings: Mapping[str, FrameRing], lead: str, fps: int) -> None:
        self._rings, self._lead, self._fps = dict(rings), lead, fps
        self._waiting: dict[str, deque[Held]] = {name: deque() for name in rings}
        self._clocks = {name: ClockMap() for name in rings}
        rate = rings[lead].config.fps
        self._thin = fps < 0.75 * rate
        self._early_s = 0.5 / rate
        self._due_s: float | None = None
        self.unpaired = dict.fromkeys(rings, 0)
        """frames since `restart` that found no partners"""
        self.late = self.missed = 0

    def restart(self) -> None:
        """A clip begins: the grid of deadlines and the counters begin anew."""
        self._due_s, self.late, self.missed = None, 0, 0
        self.unpaired = dict.fromkeys(self._rings, 0)

    def put(self, camera: str, slot: int) -> None:
        """A frame has come."""
        header = self._rings[camera].header(slot)
        self._clocks[camera].take(header)
        self._waiting[camera].append(Held(slot=slot, header=header, offset_s=self._clocks[camera].offset_s))

    def let_go(self, before_s: float = float("inf")) -> None:
        """Give back the waiting frames captured before a time [s]."""
        for name, waiting in self._waiting.items():
            while waiting and waiting[0].time_s < before_s:
                self._rings[name].let_go(waiting.popleft().slot)

    def next(self, now_s: float, until_s: float = float("inf"), last: bool = False) -> Row | None:
        """The next row, when its frames have come; None when there is none to be had now.

        Args:
            until_s: frames captured later do not belong to the clip [s].
            last: nothing more will come: take what there is.
        """
        while (head := self._head(until_s)) is not None:
            others = [n for n in self._rings if n != self._lead]
            whole = all(self._waiting[n] and self._waiting[n][-1].time_s >= head.time_s for n in others)
            if not (whole or last or now_s - head.header.host_s > WAIT_S):
                return None
            frames = {self._lead: head} | {n: f for n in others if (f := self._nearest(n, head.time_s)) is not None}
            self._waiting[self._lead].popleft()
            if len(frames) == len(self._rings):
                self._use(frames)
                return Row(frames=frames, lead=self._lead)
            self.unpaired[self._lead] += 1
            self._rings[self._lead].let_go(head.slot)
        return None

    def _head(self, until_s: float) -> Held | None:
        """The lead frame of the next row; frames between deadlines are let go."""
        waiting = self._waiting[self._lead]
        while waiting and waiting[0].time_s <= until_s:
            head = waiting[0]
            if self._due_s is None:
                self._due_s = head.time_s
            if not self._thin or head.time_s >= self._due_s - self._early_s:
                return head
            self._rings[self._lead].let_go(waiting.popleft().slot)
        return None

    def _nearest(self, camera: str, time_s: float) -> Held | None:
        """The frame of another camera that belongs to a time; None when it has none near enough."""
        limit = MAX_PAIR / self._rings[camera].config.fps * (1.0 + 1e-6)
        near = [f for f in self._waiting[camera] if abs(f.time_s - time_s) <= limit]
        return min(near, key=lambda f: abs(f.time_s - time_s), default=None)

    def _use(self, frames: Mapping[str, Held]) -> None:
        """Take the frames of a row out of the waiting; what lies before them has no partner any more."""
        for name, frame in frames.items():
            waiting = self._waiting[name]
            while waiting and waiting[0].header.device_s <= frame.header.device_s and name != self._lead:
                passed = waiting.popleft()
                if passed.slot != frame.slot:
                    self.unpaired[name] += not self._thin
                    self._rings[name].let_go(passed.slot)
        assert self._due_s is not None
        period = 1.0 / self._fps
        if self._thin:
            behind = frames[self._lead].time_s - self._due_s
            self.late += behind > 0.5 * period
            skipped = max(0, int(np.floor(behind / period + 1e-6)))
            self.missed += skipped
            self._due_s += (1 + skipped) * period


class Ticks:
    """The control ticks that the writer has seen, oldest first; column 0 is the time of the state [s]."""

    def __init__(self, ring: TickRing, keep: int = 1024) -> None:
        self._ring, self._count = ring, 0
        self._rows: deque[Float64[np.ndarray, " number"]] = deque(maxlen=keep)

    def drain(self) -> None:
        """Take in what was published."""
        self._count, rows = self._ring.since(self._count)
        self._rows.extend(rows)

    def forget(self) -> None:
        """Leave what was published so far."""
        self.drain()
        self._rows.clear()

    @property
    def newest_s(self) -> float:
        """Time of the newest tick [s]."""
        return float(self._rows[-1][0]) if self._rows else float("-inf")

    def at(self, time_s: float) -> Float[np.ndarray, " number"] | None:
        """The tick nearest to a time."""
        if not self._rows:
            return None
        times = np.array([r[0] for r in self._rows])
        return self._rows[int(np.abs(times - time_s).argmin())]

    def before(self, time_s: float) -> Float[np.ndarray, " number"] | None:
        """The last tick whose state was read before a time."""
        for row in reversed(self._rows):
            if row[0] < time_s - 1e-9:
                return row
        return None
