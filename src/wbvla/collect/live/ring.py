"""Frames in shared memory between processes: a bounded set of slots for each camera, and control ticks without locks.

A slot goes round: the camera's side fills it and sends its number to the writing process; that hands the number to
the encoder or lets go of it; the encoder lets go when the frame is encoded. Nobody waits for a slot unless he asks
to: a frame for which none is free is dropped, and the next frame says how many were before it. The memory has no name
in the file system, so that a kill leaves nothing behind.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8, UInt16

from wbvla.collect.cameras.device import MAX_MOTION, CameraConfig, Motion, Shot
from wbvla.core.errors import ConfigError

HEADER = np.dtype(
    [
        ("sequence", np.int64),
        ("session", np.int64),
        ("full", np.int64),
        ("gaps", np.int64),
        ("num_motion", np.int64),
        ("device_s", np.float64),
        ("host_s", np.float64),
    ]
)
FREE, TAKEN = 0, 1
POLL_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a frame besides its pixels."""

    sequence: int
    """the device's number"""
    session: int
    """how often the device was opened before: numbers of two sessions have nothing to do with each other"""
    full: int
    """frames dropped since the start, up to this one, because no slot was free"""
    gaps: int
    """frames that the device lost since the start, up to this one"""
    device_s: float
    """[s]"""
    host_s: float
    """[s]"""


class FrameRing:
    """The slots of one camera; made in the main process, given to capture, writer and encoder when they start."""

    def __init__(self, context: SpawnContext, config: CameraConfig, slots: int) -> None:
        if slots < 2:
            raise ConfigError(f"a camera needs at least two slots, not {slots}")
        self.config, self.slots = config, slots
        pixels = config.height * config.width
        self._rgb = context.RawArray("B", slots * pixels * 3)
        self._depth = context.RawArray("H", slots * pixels if config.depth else 1)
        self._motion = context.RawArray("d", slots * MAX_MOTION * 5 if config.motion else 1)
        self._headers = context.RawArray("B", slots * HEADER.itemsize)
        self._states = context.RawArray("B", slots)

    def header(self, slot: int) -> Header:
        """What is known of the frame in a slot."""
        row = self._header_rows()[slot]
        numbers = {name: int(row[name]) for name in ("sequence", "session", "full", "gaps")}
        return Header(**numbers, device_s=float(row["device_s"]), host_s=float(row["host_s"]))

    def rgb(self, slot: int) -> UInt8[np.ndarray, "height width 3"]:
        """The picture in a slot: a view, valid until it is let go."""
        shape = (self.slots, self.config.height, self.config.width, 3)
        return np.frombuffer(self._rgb, np.uint8).reshape(shape)[slot]

    def depth_mm(self, slot: int) -> UInt16[np.ndarray, "height width"]:
        """The depth map in a slot: a view."""
        shape = (self.slots, self.config.height, self.config.width)
        return np.frombuffer(self._depth, np.uint16).reshape(shape)[slot]

    def motion(self, slot: int) -> Motion:
        """The motion samples that came with the frame in a slot, copied."""
        if not self.config.motion:
            return np.zeros((0, 5))
        rows = np.frombuffer(self._motion, np.float64).reshape(self.slots, MAX_MOTION, 5)
        return rows[slot, : int(self._header_rows()[slot]["num_motion"])].copy()

    def let_go(self, slot: int) -> None:
        """Give a slot back to the camera's side."""
        self._states[slot] = FREE

    @property
    def num_free(self) -> int:
        """Slots that hold nothing."""
        return sum(state == FREE for state in self._states)

    def take(self) -> int | None:
        """A free slot for the camera's side; None when there is none."""
        for slot in range(self.slots):
            if self._states[slot] == FREE:
                self._states[slot] = TAKEN
                return slot
        return None

    def fill(self, slot: int, shot: Shot, session: int, full: int, gaps: int) -> None:
        """Copy a shot into a slot that was taken."""
        self.rgb(slot)[:] = shot.rgb
        if self.config.depth:
            assert shot.depth_mm is not None
            self.depth_mm(slot)[:] = shot.depth_mm
        count = min(len(shot.motion), MAX_MOTION) if self.config.motion else 0
        if count:
            np.frombuffer(self._motion, np.float64).reshape(self.slots, MAX_MOTION, 5)[slot, :count] = shot.motion[
                :count
            ]
        times = (shot.device_s, shot.host_s)
        self._header_rows()[slot] = (shot.sequence, session, full, gaps, count, *times)

    def _header_rows(self) -> np.ndarray:
        return np.frombuffer(self._headers, HEADER)


class Feeder:
    """The camera's side of a ring: puts shots in, counts what is lost, keeps the status that others read."""

    def __init__(self, ring: FrameRing, status: "Status", notices: Connection) -> None:
        self._ring, self._status, self._notices = ring, status, notices
        self._last: tuple[int, float] | None = None
        self._session = -1

    def opened(self) -> None:
        """The device was opened: its numbers begin anew."""
        self._session, self._last = self._session + 1, None

    def put(self, shot: Shot, wait: Callable[[], bool] | None = None) -> bool:
        """Hand over a shot; False when it was dropped, and counted, because no slot is free.

        Args:
            wait: asked again and again, while no slot is free, whether to go on waiting; None: do not wait.
        """
        status = self._status
        if self._last is not None:
            status.add("gaps", max(0, shot.sequence - self._last[0] - 1))
        self._last = (shot.sequence, shot.device_s)
        status.add("captured", 1)
        status.set("last_us", round(shot.host_s * 1e6))
        slot = self._ring.take()
        while slot is None and wait is not None and wait():
            time.sleep(POLL_S)
            slot = self._ring.take()
        if slot is None:
            status.add("full", 1)
            return False
        self._ring.fill(slot, shot, self._session, status.get("full"), status.get("gaps"))
        self._notices.send(slot)
        return True


OPENING, STREAMING, LOST, ENDED, FAILED = range(5)
STATES = ("opening", "streaming", "lost", "ended", "failed")


class Status:
    """What a camera's side says to everybody: counters and state; only that side writes."""

    FIELDS = ("state", "captured", "full", "gaps", "last_us", "losses")
    """`losses`: how often the device went away"""

    def __init__(self, context: SpawnContext) -> None:
        self._numbers = context.RawArray("q", len(self.FIELDS))
        self._text = context.RawArray("c", 1024)

    def get(self, field: str) -> int:
        """One number."""
        return int(self._numbers[self.FIELDS.index(field)])

    def set(self, field: str, value: int) -> None:
        """Write one number."""
        self._numbers[self.FIELDS.index(field)] = value

    def add(self, field: str, more: int) -> None:
        """Raise one number."""
        self._numbers[self.FIELDS.index(field)] += more

    def say(self, text: str) -> None:
        """Why the camera is not streaming."""
        self._text.value = text.encode()[:1000]  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def text(self) -> str:
        """What was said last."""
        return bytes(self._text.value).decode(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]

    def as_dict(self) -> dict[str, Any]:
        """For people."""
        return {**{f: self.get(f) for f in self.FIELDS}, "state": STATES[self.get("state")], "text": self.text}


class TickRing:
    """The newest rows of numbers of the control loop: one writer that never waits, one reader."""

    def __init__(self, context: SpawnContext, width: int, rows: int = 512) -> None:
        self.width, self.rows = width, rows
        self._numbers = context.RawArray("d", rows * width)
        self._count = context.RawValue("q", 0)

    def put(self, row: Float64[np.ndarray, " number"]) -> None:
        """Publish one row."""
        self._table()[self._count.value % self.rows] = row
        self._count.value += 1

    def since(self, count: int) -> tuple[int, Float64[np.ndarray, "row number"]]:
        """How many rows there are by now, and those after the first `count` that were not overwritten."""
        newest = int(self._count.value)
        first = max(count, newest - self.rows + 16)
        return newest, self._table()[np.arange(first, newest) % self.rows]

    def _table(self) -> Float64[np.ndarray, "row number"]:
        return np.frombuffer(self._numbers, np.float64).reshape(self.rows, self.width)
