"""Where a robot is beside its intended way: leg odometry and gyro against the integrated command, in any array library.

A robot without any outer localisation knows this: the corner of a sole that stands on the ground does not move, so the
root moves against it.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Array = TypeVar("Array", bound=Any)
STANCE_SOFTNESS_M = 0.0015
"""a corner higher than the lowest by this counts 1/e of it: a foot that rolls turns about its edge [m]"""
DRIFT_SHARE = 0.2
"""of each tick's own drift in the average"""


@dataclass(frozen=True, kw_only=True)
class CourseConfig:
    """How the error against the intended way is kept and used."""

    limit: tuple[float, float, float] = (0.5, 0.5, 0.8)
    """the way is dragged along when the robot is farther off than this: x, y [m], heading [rad]"""
    gain_per_s: float = 1.5
    """the wanted velocity takes back this share of the error per second [1/s]"""
    correction: tuple[float, float, float] = (0.2, 0.2, 0.4)
    """largest velocity of taking back: x, y [m/s], heading [rad/s]"""
    start: tuple[float, float] = (0.10, 0.15)
    """a standing robot steps when it is, or is about to be, farther off than this: distance [m], heading [rad]"""
    stop: tuple[float, float] = (0.04, 0.06)
    """and stops stepping when it is nearer than this"""
    lead_s: float = 0.3
    """about to be: where it drifts to in this time, about that of the inverted pendulum, sqrt(height / g) [s]"""


def level_feet(feet_b: Array, gravity_b: Array, xp: Any = np) -> Array:
    """Points of the soles seen from the root in the level frame along the heading: (..., point, 3) [m], z up.

    Args:
        feet_b: the same points in the root's frame, (..., point, 3) [m].
        gravity_b: gravity in the root's frame, (..., 3), upright = (0, 0, -1).
    """
    up = -gravity_b / ((gravity_b**2).sum(-1) ** 0.5)[..., None]
    x, y, z = up[..., 0], up[..., 1], up[..., 2]
    flat = (1 - x * x) ** 0.5
    ahead = xp.stack([1 - x * x, -x * y, -x * z], -1) / flat[..., None]
    left = xp.stack([0 * x, z, -y], -1) / flat[..., None]
    return xp.stack([(feet_b * axis[..., None, :]).sum(-1) for axis in (ahead, left, up)], -1)


def yaw_rate(omega_b: Array, gravity_b: Array) -> Array:
    """Turning about the vertical [rad/s]: omega . up."""
    return -(omega_b * gravity_b).sum(-1) / ((gravity_b**2).sum(-1) ** 0.5)


def advance_course(
    course: Array, feet: Array, feet_before: Array, turn: tuple[Array, Array], dt_s: float, xp: Any = np
) -> Array:
    """One tick of the error against the intended way: (..., 3) = x, y in the heading frame [m], heading [rad].

    Args:
        feet, feet_before: level points of both soles now and one tick ago, (..., point, 3) [m].
        turn: yaw rate of the robot (...,) [rad/s] and the reference velocity (..., 3) [m/s, m/s, rad/s].
    """
    rate, reference = turn
    cos, sin = xp.cos(rate * dt_s), xp.sin(rate * dt_s)
    before = _turned_back(feet_before[..., 0], feet_before[..., 1], cos[..., None], sin[..., None])
    height = (feet[..., 2] + feet_before[..., 2]) / (2 * STANCE_SOFTNESS_M)
    weight = xp.exp(-(height - xp.amin(height, -1)[..., None]).clip(0, 30))
    weight = weight / weight.sum(-1)[..., None]
    moved = [(weight * (before[i] - feet[..., i])).sum(-1) for i in (0, 1)]
    return carry_course(course, (moved[0], moved[1], rate * dt_s), reference, dt_s, xp)


def carry_course(
    course: Array, moved: tuple[Array, Array, Array], reference: Array, dt_s: float, xp: Any = np
) -> Array:
    """The error after the root moved by (x, y [m] in the heading frame it has now, turn [rad]) in one tick."""
    x, y, turned = moved
    cos, sin = xp.cos(turned), xp.sin(turned)
    error = _turned_back(course[..., 0], course[..., 1], cos, sin)
    heading = course[..., 2] + turned - reference[..., 2] * dt_s
    cos, sin = xp.cos(heading), xp.sin(heading)
    wanted = _turned_back(reference[..., 0], reference[..., 1], cos, sin)
    return xp.stack([error[0] + x - wanted[0] * dt_s, error[1] + y - wanted[1] * dt_s, heading], -1)


def limit_course(course: Array, config: CourseConfig, xp: Any = np) -> Array:
    """Drag the intended way along where the robot is too far off."""
    return xp.stack([course[..., i].clip(-limit, limit) for i, limit in enumerate(config.limit)], -1)


def corrected(reference: Array, course: Array, config: CourseConfig, xp: Any = np) -> Array:
    """Velocity that follows the reference and takes the error back [m/s, m/s, rad/s], in the heading frame."""
    cos, sin = xp.cos(course[..., 2]), xp.sin(course[..., 2])
    wanted = _turned_back(reference[..., 0], reference[..., 1], cos, sin)
    parts = (wanted[0], wanted[1], reference[..., 2])
    back = [(-config.gain_per_s * course[..., i]).clip(-c, c) for i, c in enumerate(config.correction)]
    return xp.stack([part + take for part, take in zip(parts, back)], -1)


def average_drift(drift: Array, course: Array, course_before: Array, dt_s: float) -> Array:
    """Velocity away from the intended way, (..., 2) [m/s]: a moving average, so that encoder noise does not count."""
    return drift + DRIFT_SHARE * ((course - course_before)[..., :2] / dt_s - drift)


def keeps_stepping(course: Array, drift: Array, moving: Array, config: CourseConfig) -> Array:
    """Whether a robot told to stand should step: from `start` on, seen ahead by its drift, until within `stop`."""
    distance = (course[..., 0] ** 2 + course[..., 1] ** 2) ** 0.5
    x, y = (course[..., i] + config.lead_s * drift[..., i] for i in (0, 1))
    ahead = (x * x + y * y) ** 0.5
    heading = (course[..., 2] ** 2) ** 0.5
    far = (distance > config.start[0]) | (ahead > config.start[0]) | (heading > config.start[1])
    near = (distance < config.stop[0]) & (heading < config.stop[1])
    return far | (moving & ~near)


def _turned_back(x: Array, y: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    """A plane vector seen from a frame that has turned by the angle of cos, sin."""
    return cos * x + sin * y, cos * y - sin * x
