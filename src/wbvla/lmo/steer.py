"""From keys to commands: which are held, what was pressed once, and standing still when nobody holds the wheel."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from wbvla.core.command import Command
from wbvla.core.errors import ConfigError
from wbvla.robots.description import RobotSpec

MOTION = {
    "w": (1, 0, 0), "s": (-1, 0, 0), "a": (0, 1, 0), "d": (0, -1, 0), "q": (0, 0, 1), "e": (0, 0, -1),
}  # fmt: skip
"""held: forward, back, left, right, turn left, turn right"""
LIFT = {"r": 1.0, "f": -1.0}
"""held: stand higher, lower"""
STOP = " "
"""held: no motion, whatever else is held"""
HELD = frozenset((*MOTION, *LIFT, STOP))
PRESSES = ("push", "arms", "reset")
"""asked for once: a push, arms on or off, back to the start"""
MAX_WAITING = 8


@dataclass(frozen=True, kw_only=True)
class SteerConfig:
    """How keys act."""

    dead_man_s: float = 0.5
    """the robot stands when the keys have not been confirmed for this long [s]"""
    height_rate_mps: float = 0.12
    """how fast a held key moves the stance height [m/s]"""


class Steering:
    """Written by a window or a server, read by the loop; any thread."""

    def __init__(self, spec: RobotSpec, config: SteerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock, self._lock = config, clock, threading.Lock()
        self._range, self._nominal = spec.height_range_m, spec.nominal_height_m
        self._keys: frozenset[str] = frozenset()
        self._confirmed_s, self._height = -np.inf, spec.nominal_height_m
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)

    def hold(self, keys: Iterable[str]) -> None:
        """These keys are down now; to be repeated before `dead_man_s` is over. Raises ConfigError on others."""
        held = frozenset(keys)
        if not held <= HELD:
            raise ConfigError(f"no such keys {sorted(held - HELD)}; there are {sorted(HELD)}")
        with self._lock:
            self._keys, self._confirmed_s = held, self._clock()

    def press(self, name: str) -> None:
        """Ask for something once. Raises ConfigError when there is no such thing."""
        if name not in PRESSES:
            raise ConfigError(f"nothing is called {name!r}; there are {', '.join(PRESSES)}")
        with self._lock:
            self._waiting.append(name)

    def let_go(self) -> None:
        """Nobody steers any more: stand."""
        with self._lock:
            self._keys, self._confirmed_s = frozenset(), -np.inf

    @property
    def is_held(self) -> bool:
        """Whether somebody has confirmed the keys lately."""
        return self._clock() - self._confirmed_s <= self._config.dead_man_s

    def take(self) -> list[str]:
        """What was pressed since the last call."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken

    def level(self) -> None:
        """Back to the nominal height."""
        with self._lock:
            self._height = self._nominal

    def command(self, dt_s: float) -> Command:
        """What the keys ask for now; held heights move by their rate times `dt_s`."""
        with self._lock:
            keys = self._keys if self.is_held else frozenset()
            lift = sum(LIFT[k] for k in keys if k in LIFT)
            step = lift * self._config.height_rate_mps * dt_s
            self._height = float(np.clip(self._height + step, *self._range))
            total = np.sum([MOTION[k] for k in keys if k in MOTION] or [(0, 0, 0)], axis=0)
            x, y, psi = (0, 0, 0) if STOP in keys else (int(v) for v in np.sign(total))
            return Command(s_x=x, s_y=y, s_psi=psi, height_m=self._height)
