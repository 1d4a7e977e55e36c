"""Walks to a place with three ternary flags: knows how far the robot coasts after a flag is released."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from wbvla.core.command import Shaping, shaped_velocity, smooth_flags
from wbvla.core.rotation import wrap_angle

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
        self._asked: np.ndarray | None = None
        self._lag = np.zeros(3)

    @property
    def lag(self) -> Float[np.ndarray, "3"]:
        """How far the robot is behind what it was told, in its heading frame [m, m, rad]."""
        return self._lag.copy()

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

    def see(self, pose: Float[np.ndarray, "3"]) -> None:
        """Where the robot is now: x, y [m], psi [rad] in the world; once per period, before the flags of the next.

        What the reference went in the last period and the robot did not is its lag. It is taken from the robot's own
        way, not from the error: places to walk to change and move. Without a call there is no lag.
        """
        before, asked, self._before, self._asked = self._before, self._asked, pose.copy(), None
        if before is None or asked is None or self.config.lag_s <= 0.0:
            self._lag = np.zeros(3)
            return
        went = pose - before
        went[PSI] = wrap_angle(went[PSI])
        self._lag = _turned(self._lag, -went[PSI]) + asked - _turned(went, -pose[PSI])
        if self._standing_s > 0.0:
            self._lag *= max(0.0, 1.0 - self.config.period_s / self.config.lag_s)

    def step(self, error: Float[np.ndarray, "3"]) -> Int[np.ndarray, "3"]:
        """Flags of the next period.

        Args:
            error: place to be minus place now in the robot's heading frame [m, m, rad].
        """
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
            self._lag = np.zeros(3)  # the controller starts a new course from where the robot is
        self._flags, asked = wanted.copy(), np.zeros(3)
        for _ in range(round(self.config.period_s / CONTROL_DT_S)):
            self._sbar = smooth_flags(self._sbar, wanted.astype(float), self._shaping)
            speed = shaped_velocity(wanted, self._sbar, self._goal_speed, self._shaping)
            asked += speed * CONTROL_DT_S
        self._asked = asked
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


def _turned(vector: Float[np.ndarray, "3"], angle: float) -> Float[np.ndarray, "3"]:
    """x and y turned left by an angle [rad]; psi stays."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * vector[X] - sin * vector[Y], sin * vector[X] + cos * vector[Y], vector[PSI]])


def coast_table(shaping: Shaping) -> tuple[Float[np.ndarray, " level"], Float[np.ndarray, " level"]]:
    """Smoothed flags, and for how long at goal speed the reference still travels from each after release [s]."""
    levels = np.linspace(0.0, 1.0, 41)
    sbar, seconds = levels.copy(), np.zeros_like(levels)
    for _ in range(150):
        sbar = smooth_flags(sbar, 0.0, shaping)
        seconds += shaped_velocity(0.0, sbar, 1.0, shaping) * CONTROL_DT_S
    return levels, seconds
