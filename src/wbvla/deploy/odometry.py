"""Where the robot is beside its intended way, from joints and IMU alone: leg odometry for many robots at once."""

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.course import (
    CourseConfig,
    advance_course,
    average_drift,
    keeps_stepping,
    level_feet,
    limit_course,
    yaw_rate,
)
from wbvla.core.rotation import cross
from wbvla.deploy.gyro_bias import GyroBias
from wbvla.robots.description import RobotSpec
from wbvla.robots.kinematics import SoleChain

GRAVITY_BLEND = 0.05
"""share of the measured gravity per tick; the rest follows the gyro"""


class Odometry:
    """Keeps the error against the integrated command. A tick with NaN in it is passed over; `reset` starts anew."""

    def __init__(self, spec: RobotSpec, config: CourseConfig, num_robots: int, rate_hz: float) -> None:
        self._soles, self._config, self._dt_s = SoleChain(spec), config, 1.0 / rate_hz
        self._num = num_robots
        self.reset()

    def reset(self) -> None:
        """Every robot is on its way, and nothing is known of its gyro: a run does not depend on the one before."""
        self.bias = GyroBias(self._num)
        self.course: Float[np.ndarray, "world 3"] = np.zeros((self._num, 3))
        """off the intended way: x, y [m] in the heading frame, heading [rad]"""
        self._gravity: Float[np.ndarray, "world 3"] | None = None
        self._feet: Float[np.ndarray, "world point 3"] | None = None
        self.drift: Float[np.ndarray, "world 2"] = np.zeros((self._num, 2))
        """velocity off the intended way: x, y [m/s] in the heading frame"""
        self._walking: Bool[np.ndarray, " world"] = np.zeros(self._num, dtype=bool)
        self._standing: Bool[np.ndarray, " world"] = np.zeros(self._num, dtype=bool)

    def advance(
        self,
        walking: Bool[np.ndarray, " world"],
        reference: Float[np.ndarray, "world 3"],
        gyro_b: Float[np.ndarray, "world 3"],
        gravity_b: Float[np.ndarray, "world 3"],
        q: Float[np.ndarray, "world lmo"],
    ) -> None:
        """One control tick; a walk that begins starts a new way from where the robot is."""
        if not (np.isfinite(gyro_b).all() and np.isfinite(gravity_b).all() and np.isfinite(q).all()):
            return
        known = gravity_b if self._gravity is None else self._gravity
        carried = known + cross(known, gyro_b) * self._dt_s
        blend = carried + GRAVITY_BLEND * (gravity_b - carried)
        gravity = self._gravity = blend / np.linalg.norm(blend, axis=-1, keepdims=True)
        soles = self._soles(q)
        feet = level_feet(soles.reshape(self._num, -1, 3), gravity)
        before = feet if self._feet is None else self._feet
        rate = yaw_rate(gyro_b, gravity)
        self.bias.advance(self._standing & ~walking, rate, feet.reshape(soles.shape).mean(axis=2), self._dt_s)
        turn = (rate - self.bias.value, reference)
        course = advance_course(self.course, feet, before, turn, self._dt_s)
        self.drift = average_drift(self.drift, course, self.course, self._dt_s)
        course = limit_course(course, self._config)
        fresh = walking & ~self._walking
        self.course = np.where(fresh[:, None], np.zeros_like(course), course)
        self._feet, self._walking = feet, walking

    def off_place(
        self, moving: Bool[np.ndarray, " world"], keeps: Float[np.ndarray, "3"]
    ) -> Bool[np.ndarray, " world"]:
        """Which standing robots should step back to their place; those that stay are the ones that stand."""
        stepping = np.asarray(keeps_stepping(self.course * keeps, self.drift * keeps[:2], moving, self._config))
        self._standing = ~stepping & ~self._walking
        return stepping
