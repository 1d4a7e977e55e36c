"""Walks to a place with three ternary flags: knows how far the robot coasts after a flag is released."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from wbvla.core.command import Shaping, shaped_velocity, smooth_flags

CONTROL_DT_S = 0.02
"""the flags are smoothed at the control rate [s]"""
X, Y, PSI = 0, 1, 2
STANDING = 0.2
"""a robot whose smoothed flags are below this has ended its course (`GaitConfig.active_above`) [-]"""


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
    lag_s: float = 1.5
    """a robot that is behind its commands makes up for it; what it has not made up after standing this long is not
    counted any more: the legs' odometry has lost it; 0 = lag is never counted [s]"""


class Approach:
    """Errors in, flags out, ten times per second. At most two axes move at once, the heading first.

    The controller keeps its course: a robot that lags behind the reference is where it was sent a second later. So
    flags are released when the reference, not the robot, would coast to the place.
    """

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
        self._before: np.ndarray | None = None
        self._lag, self._asked = np.zeros(3), np.zeros(3)

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
        self._count_lag(error)
        wanted = self._wanted(error - self._lag)
        if not self._flags.any() and not self.settled and self._standing_s > 0.0:
            wanted[:] = 0
        return self.follow(wanted)

    def hold(self) -> Int[np.ndarray, "3"]:
        """Flags of a period in which the robot shall stand."""
        return self.follow(np.zeros(3, dtype=np.int64))

    def follow(self, wanted: Int[np.ndarray, "3"]) -> Int[np.ndarray, "3"]:
        """The same flags back, kept in mind as those of the next period: for strides that end by another rule."""
        if wanted.any() and not self._flags.any() and bool((np.abs(self._sbar) < STANDING).all()):
            self._lag[:] = 0.0  # the controller starts a new course from where the robot is
        self._flags, self._asked = wanted.copy(), np.zeros(3)
        for _ in range(round(self.config.period_s / CONTROL_DT_S)):
            self._sbar = smooth_flags(self._sbar, wanted.astype(float), self._shaping)
            speed = shaped_velocity(wanted, self._sbar, self._goal_speed, self._shaping)
            self._asked += speed * CONTROL_DT_S
        still = not wanted.any() and bool((np.abs(self._sbar) < self.config.still).all())
        self._standing_s = self._standing_s + self.config.period_s if still else 0.0
        return wanted.copy()

    def coast(self) -> Float[np.ndarray, "3"]:
        """How far each axis still travels when its flag is released now (signed) [m, m, rad]."""
        share = np.array(self.config.coast_ahead)
        share[X] = share[X] if self._sbar[X] >= 0.0 else self.config.coast_back
        seconds = np.interp(np.abs(self._sbar), self._levels, self._coast_s)
        return np.sign(self._sbar) * seconds * self._goal_speed * share

    def _count_lag(self, error: Float[np.ndarray, "3"]) -> None:
        """What the reference went in the last period and the robot did not, in the robot's heading frame."""
        if self.config.lag_s <= 0.0:
            return
        if self._before is not None:
            turned = self._before[PSI] - error[PSI]
            turn = np.array([[np.cos(turned), np.sin(turned), 0], [-np.sin(turned), np.cos(turned), 0], [0, 0, 1]])
            went = turn @ self._before - error
            self._lag = turn @ self._lag + self._asked - went
            if self._standing_s > 0.0:
                self._lag *= max(0.0, 1.0 - self.config.period_s / self.config.lag_s)
        self._before = error.copy()

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
