"""Walks to a place with three ternary flags: knows how far the robot coasts after a flag is released."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from wbvla.core.command import Shaping, shaped_velocity, smooth_flags

CONTROL_DT_S = 0.02
"""the flags are smoothed at the control rate [s]"""
X, Y, PSI = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class ApproachConfig:
    """When an axis starts and stops, and what counts as arrived; triples are x [m], y [m], psi [rad]."""

    accept: tuple[float, float, float] = (0.06, 0.06, 0.15)
    """errors within this, standing, are an arrival; a larger one starts its axis"""
    coast_ahead: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """share of the reference's coast that the robot really travels after s_x = 1, s_y, s_psi [-]"""
    coast_back: float = 1.0
    """the same after s_x = -1 [-]"""
    settle_s: float = 0.8
    """standing this long ends a walk [s]"""
    still: float = 0.12
    """a smoothed flag below this is standing [-]"""
    period_s: float = 0.1
    """time between two calls [s]"""


class Approach:
    """Errors in, flags out, ten times per second. At most two axes move at once, the heading first."""

    def __init__(self, shaping: Shaping, config: ApproachConfig | None = None) -> None:
        self.config, self._shaping = config or ApproachConfig(), shaping
        self._goal_speed = np.array(shaping.goal_speed)
        self._levels, self._coast_s = coast_table(shaping)
        self.reset()

    def reset(self) -> None:
        """Standing still, nothing commanded."""
        self._sbar = np.zeros(3)
        self._flags = np.zeros(3, dtype=np.int64)
        self._standing_s = 0.0

    @property
    def settled(self) -> bool:
        """Whether the robot has stood for `settle_s`."""
        return self._standing_s >= self.config.settle_s

    def near(self, error: Float[np.ndarray, "3"], factor: float = 1.0) -> bool:
        """Within a multiple of the accepted errors on every axis, standing or not."""
        return bool((np.abs(error) <= factor * np.array(self.config.accept)).all())

    def arrived(self, error: Float[np.ndarray, "3"], factor: float = 1.0) -> bool:
        """Standing, and near enough."""
        return self.settled and self.near(error, factor)

    def step(self, error: Float[np.ndarray, "3"]) -> Int[np.ndarray, "3"]:
        """Flags of the next period.

        Args:
            error: place to be minus place now in the robot's heading frame [m, m, rad].
        """
        wanted = self._wanted(error)
        if not self._flags.any() and not self.settled and self._standing_s > 0.0:
            wanted[:] = 0
        return self.follow(wanted)

    def hold(self) -> Int[np.ndarray, "3"]:
        """Flags of a period in which the robot shall stand."""
        return self.step(np.zeros(3))

    def follow(self, wanted: Int[np.ndarray, "3"]) -> Int[np.ndarray, "3"]:
        """The same flags back, kept in mind as those of the next period: for strides that end by another rule."""
        self._flags = wanted.copy()
        for _ in range(round(self.config.period_s / CONTROL_DT_S)):
            self._sbar = smooth_flags(self._sbar, wanted.astype(float), self._shaping)
        still = not wanted.any() and bool((np.abs(self._sbar) < self.config.still).all())
        self._standing_s = self._standing_s + self.config.period_s if still else 0.0
        return wanted.copy()

    def coast(self) -> Float[np.ndarray, "3"]:
        """How far each axis still travels when its flag is released now (signed) [m, m, rad]."""
        share = np.array(self.config.coast_ahead)
        share[X] = share[X] if self._sbar[X] >= 0.0 else self.config.coast_back
        seconds = np.interp(np.abs(self._sbar), self._levels, self._coast_s)
        return np.sign(self._sbar) * seconds * self._goal_speed * share

    def _wanted(self, error: Float[np.ndarray, "3"]) -> Int[np.ndarray, "3"]:
        """Per axis: go on while the coast would fall short, start when the error is large; then choose two."""
        coast, wanted = self.coast(), np.zeros(3, dtype=np.int64)
        for axis in (X, Y, PSI):
            sign, flag = int(np.sign(error[axis])), int(self._flags[axis])
            left = error[axis] - coast[axis]
            if flag:
                wanted[axis] = flag if left * flag > 0.0 else 0
            elif abs(left) > self.config.accept[axis] and (left > 0) == (sign > 0):
                wanted[axis] = sign
        if wanted.all():
            wanted[Y] = 0
        return wanted


def coast_table(shaping: Shaping) -> tuple[Float[np.ndarray, " level"], Float[np.ndarray, " level"]]:
    """Smoothed flags, and for how long at goal speed the reference still travels from each after release [s]."""
    levels = np.linspace(0.0, 1.0, 41)
    sbar, seconds = levels.copy(), np.zeros_like(levels)
    for _ in range(150):
        sbar = smooth_flags(sbar, 0.0, shaping)
        seconds += shaped_velocity(0.0, sbar, 1.0, shaping) * CONTROL_DT_S
    return levels, seconds
