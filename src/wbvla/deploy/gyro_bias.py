"""Finds the gyro's bias about the vertical while a robot stands: its planted feet know that it does not turn."""

import numpy as np
from jaxtyping import Bool, Float

PRIOR = 0.003
"""deviation of the bias before anything is known [rad/s]"""
FLOOR = 2e-4
"""the bias is never known better than this: it drifts [rad/s]"""
ANGLE_NOISE = 0.015
"""deviation of the turn that the feet tell, per tick [rad]"""
LIMIT = 0.02
"""largest bias that is believed [rad/s]"""
OUTLIER = 0.06
"""a turn that is off by more than this was a slip: what this stand has told so far is dropped [rad]"""


class GyroBias:
    """Bayesian straight line, one per robot: integrated gyro minus turn by the feet = bias * time + offset + noise.

    While both feet are planted the line between the soles turns, seen from the root, against the root's own turning.
    Each stand gives a slope of precision S_tt / noise^2; it is joined with what earlier stands have told.
    """

    def __init__(self, num_robots: int) -> None:
        self._known: Float[np.ndarray, " world"] = np.zeros(num_robots)
        self._sharp: Float[np.ndarray, " world"] = np.full(num_robots, PRIOR**-2)
        self._sums: Float[np.ndarray, "5 world"] = np.zeros((5, num_robots))
        self._turned: Float[np.ndarray, " world"] = np.zeros(num_robots)
        self._start: Float[np.ndarray, " world"] = np.zeros(num_robots)
        self.value: Float[np.ndarray, " world"] = np.zeros(num_robots)
        """what to take off the yaw rate [rad/s]"""

    def advance(
        self,
        standing: Bool[np.ndarray, " world"],
        rate: Float[np.ndarray, " world"],
        feet: Float[np.ndarray, "world 2 3"],
        dt_s: float,
    ) -> None:
        """One tick: yaw rate by the gyro [rad/s] and soles in the level frame along the heading [m]."""
        apart = feet[:, 0] - feet[:, 1]
        angle = np.arctan2(apart[:, 1], apart[:, 0])
        count = self._sums[0]
        begins = count == 0
        self._start = np.where(begins, angle, self._start)
        self._turned = np.where(begins, 0.0, self._turned + rate * dt_s)
        off = self._turned + np.remainder(angle - self._start + np.pi, 2 * np.pi) - np.pi
        now = np.where(begins, 0.0, count * dt_s)
        slipped = np.abs(off - self.value * now) > OUTLIER
        keep = standing & ~slipped
        row = np.stack([np.ones_like(off), now, now * now, off, now * off])
        over = ~standing & (count > 0)
        if over.any():
            self._remember(over)
        self._sums = np.where(keep, self._sums + row, 0.0)
        self.value = np.clip(self._joined()[0], -LIMIT, LIMIT)

    def _joined(self) -> tuple[Float[np.ndarray, " world"], Float[np.ndarray, " world"]]:
        """Mean and precision with what the present stand has told."""
        count, time, time_2, off, cross = self._sums
        spread = time_2 - time**2 / np.maximum(count, 1.0)
        slope = (cross - time * off / np.maximum(count, 1.0)) / np.maximum(spread, 1e-9)
        told = np.where(count > 2, spread / ANGLE_NOISE**2, 0.0)
        sharp = self._sharp + told
        return (self._known * self._sharp + slope * told) / sharp, sharp

    def _remember(self, over: Bool[np.ndarray, " world"]) -> None:
        """A stand has ended: what it told is known from now on."""
        mean, sharp = self._joined()
        self._known = np.where(over, np.clip(mean, -LIMIT, LIMIT), self._known)
        self._sharp = np.where(over, np.minimum(sharp, FLOOR**-2), self._sharp)
