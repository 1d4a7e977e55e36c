"""Watches a control loop and keeps what the measurements need: numbers of every tick, no images."""

from collections import Counter

import numpy as np
from jaxtyping import Float

from wbvla.core.records import Tick


class TickLog:
    """An Observer. Arrays have one row per control tick, in order of time."""

    def __init__(self, control_hz: float) -> None:
        self.control_hz = control_hz
        self.events: Counter[str] = Counter()
        """how many ticks each rule of the safety layer acted in"""
        self._columns: dict[str, list[np.ndarray]] = {}

    def observe(self, tick: Tick) -> None:
        """Keep the numbers of one tick."""
        self.events.update(tick.events)
        state = tick.state
        row = {
            "time_s": np.float64(state.time_s),
            "q": state.q,
            "dq": state.dq,
            "torque": state.torque,
            "gravity_b": state.gravity_b,
            "command": tick.command.vector(),
            "arm_target": tick.arm_target,
            "age_s": np.float64(tick.chunk_age_s),
            "period_s": np.float64(tick.period_s),
        }
        for name, value in row.items():
            self._columns.setdefault(name, []).append(np.array(value, dtype=np.float64))

    def __len__(self) -> int:
        return len(self._columns.get("time_s", ()))

    def column(self, name: str) -> Float[np.ndarray, "tick ..."]:
        """time_s, q, dq, torque, gravity_b, command, arm_target, age_s or period_s; empty before the first tick."""
        return np.array(self._columns.get(name, []), dtype=np.float64)

    @property
    def duration_s(self) -> float:
        """Control time that was watched [s]."""
        return len(self) / self.control_hz

    def tilt_rad(self) -> Float[np.ndarray, " tick"]:
        """Angle between the pelvis and the vertical [rad]."""
        gravity = self.column("gravity_b")
        if not len(gravity):
            return np.zeros(0)
        return np.arccos(np.clip(-gravity[:, 2], -1.0, 1.0))
