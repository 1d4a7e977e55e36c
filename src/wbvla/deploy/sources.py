"""Where action chunks come from: the protocol of a source, and a driver asked in the loop's own process."""

import math
from collections import deque
from typing import Protocol, runtime_checkable

from wbvla.core.errors import ConfigError
from wbvla.core.interfaces import Driver, Policy
from wbvla.core.records import Action, Observation

CONTROL_HZ = 50.0
"""rate at which `latest` is called: the whole project's control rate [Hz]"""
Latest = tuple[Action, int, float]
"""chunk, sequence of the observation it answers, time of that observation [s]"""


@runtime_checkable
class Source(Protocol):
    """Someone who is offered observations and has, at some time, a newest action chunk. Never blocks real time."""

    @property
    def rate_hz(self) -> float:
        """Observations per second it wants [Hz]."""
        ...

    @property
    def finished(self) -> bool:
        """True when no action will come any more (the demonstration is over)."""
        ...

    def reset(self) -> None:
        """Forget the past; called once when a run begins."""
        ...

    def offer(self, observation: Observation) -> None:
        """Hand over an observation."""
        ...

    def latest(self) -> Latest | None:
        """The newest chunk; called once per control tick."""
        ...


class DelayLine:
    """Holds chunks back for a number of control ticks, so that lock-step runs can feel a latency."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Latest]] = deque()
        self._tick = 0
        self._newest: Latest | None = None

    def put(self, item: Latest, latency_ticks: int) -> None:
        """Release `item` `latency_ticks` ticks from now (0 = at this tick)."""
        self._waiting.append((self._tick + latency_ticks, item))

    def step(self) -> Latest | None:
        """The newest released chunk at this tick; moves on by one tick."""
        while self._waiting and self._waiting[0][0] <= self._tick:
            self._newest = self._waiting.popleft()[1]
        self._tick += 1
        return self._newest


class LocalSource:
    """A driver or policy called in the loop's own process: expert, teleoperator, random. For lock-step bodies.

    A latency of n control ticks makes each chunk appear that much later than its observation.
    """

    def __init__(self, driver: Driver | Policy, latency_ticks: int = 0, rate_hz: float = 10.0) -> None:
        if latency_ticks < 0:
            raise ConfigError(f"latency must be 0 or more control ticks, not {latency_ticks}")
        self.driver, self.rate_hz, self._latency = driver, rate_hz, latency_ticks
        self.finished = False
        self._line = DelayLine()

    def reset(self) -> None:
        """Forget the past, the driver's too."""
        self.driver.reset()
        self.finished, self._line = False, DelayLine()

    def offer(self, observation: Observation) -> None:
        """Ask the driver now; None from it means that the demonstration is over."""
        action = self.driver.act(observation)
        if action is None:
            self.finished = True
        else:
            self._line.put((action, observation.sequence, observation.state.time_s), self._latency)

    def latest(self) -> Latest | None:
        """The newest chunk whose latency is over."""
        return self._line.step()


@runtime_checkable
class Remote(Protocol):
    """A link that can be waited for (`deploy.link.Link`)."""

    rate_hz: float

    def reset(self) -> None:
        """Begin a new episode."""
        ...

    def ask(self, observation: Observation, timeout_s: float) -> Latest:
        """The answer to this observation."""
        ...

    def last_rtt_s(self) -> float:
        """Round trip of the last answer [s]."""
        ...


class LockstepSource:
    """A server asked by a body that does not run in real time: waits for each answer, then lets the latency pass.

    `latency_ticks` control ticks pass before a chunk takes effect: the same trial always feels the same latency.
    With `measured` the round trip of each answer counts instead where it is longer.
    """

    finished = False

    def __init__(self, link: Remote, latency_ticks: int = 0, measured: bool = False, timeout_s: float = 60.0) -> None:
        if latency_ticks < 0:
            raise ConfigError(f"latency must be 0 or more control ticks, not {latency_ticks}")
        self.rate_hz, self._link, self._timeout_s = link.rate_hz, link, timeout_s
        self._latency, self._measured = latency_ticks, measured
        self._line = DelayLine()

    def reset(self) -> None:
        """Begin a new episode on the server too."""
        self._link.reset()
        self._line = DelayLine()

    def offer(self, observation: Observation) -> None:
        """Ask and wait; raises LinkError when the server gives no answer in time."""
        answer = self._link.ask(observation, self._timeout_s)
        ticks = math.ceil(self._link.last_rtt_s() * CONTROL_HZ) if self._measured else 0
        self._line.put(answer, max(self._latency, ticks))

    def latest(self) -> Latest | None:
        """The newest chunk whose latency is over."""
        return self._line.step()
