"""Arms of a person: where they hang and swing, what a hand can reach, and the elbow between shoulder and wrist."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbvla.collect.ego.person import Person
from wbvla.core.rotation import quat_from_rpy, quat_rotate

FULL = 0.985
"""a reaching arm is never straighter than this share of its length [-]"""
TOUCH_CURL, REST_CURL, READY_CURL = 0.12, 0.75, 0.35
"""how far the fingers bend at the knuckles [rad]"""
BENDS = np.linspace(0.0, 0.95, 20)
"""bends of the trunk that are tried for a reach, smallest first [rad]"""
SINKS = (0.0, 0.2, 0.35, 0.5)
"""and depths of a squat [m]"""


@dataclass(frozen=True, kw_only=True)
class Solid:
    """A thing that can be touched: a box, or an ellipsoid, that stands upright."""

    xyz: tuple[float, float, float]
    """its middle [m]"""
    half: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """half sizes along its own axes [m]"""
    yaw: float = 0.0
    """of its axes [rad]"""
    round: bool = False
    """an ellipsoid"""

    def _turn(self, sign: float) -> Float[np.ndarray, "4"]:
        return quat_from_rpy(np.array([0.0, 0.0, sign * self.yaw]))

    def nearest(self, point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """The point of the box nearest to one outside; of an ellipsoid, the one towards it [m]."""
        own = quat_rotate(self._turn(-1.0), point - np.array(self.xyz))
        half = np.array(self.half)
        if self.round:
            touch = own / max(float(np.linalg.norm(own / half)), 1e-9)
        else:
            touch = np.clip(own, -half, half)
        return np.array(self.xyz) + quat_rotate(self._turn(1.0), touch)

    def gap(self, xy: Float[np.ndarray, "2"]) -> tuple[float, float]:
        """Distance on the ground from a point to the thing [m], and the bearing of its middle in the world [rad]."""
        # In plain numbers: it is asked several times in each tick of a walk.
        dx, dy = float(xy[0]) - self.xyz[0], float(xy[1]) - self.xyz[1]
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        x, y, (half_x, half_y, _) = abs(cos * dx + sin * dy), abs(cos * dy - sin * dx), self.half
        if self.round:
            distance = math.hypot(x, y) * (1.0 - 1.0 / max(math.hypot(x / half_x, y / half_y), 1.0))
        else:
            distance = math.hypot(max(x - half_x, 0.0), max(y - half_y, 0.0))
        return distance, math.atan2(-dy, -dx)


def rotated(vector: tuple[float, float, float], yaw: float) -> Float[np.ndarray, "3"]:
    """A vector turned about the vertical."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]])


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Where a person's trunk is."""

    xy: Float[np.ndarray, "2"]
    """of the upright head [m]"""
    yaw: float
    """[rad]"""
    sunk: float = 0.0
    """in a squat [m]"""
    bend: float = 0.0
    """about the hips, forwards [rad]"""
    shake: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """of the gait, in the world [m]"""

    def place(self, person: Person, point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """A point given from the upright eyes, in the axes of the trunk, in the world [m]."""
        # In plain numbers: it is asked in each tick of a reach.
        drop, cos, sin = person.hip_drop, math.cos(self.bend), math.sin(self.bend)
        x, y, z = float(point[0]), float(point[1]), float(point[2]) + drop
        # one who bends keeps the feet under the body: the hips go back by a part of it
        ahead, up = cos * x + sin * z - 0.35 * drop * sin, cos * z - sin * x
        shift = rotated((ahead, y, up), self.yaw)
        base = np.array([*self.xy, person.height - self.sunk - drop])
        return base + shift + np.array(self.shake)

    def shoulder(self, person: Person, sign: float) -> Float[np.ndarray, "3"]:
        """Left (1) or right (-1) shoulder in the world [m]."""
        return self.place(person, person.shoulder * np.array([1.0, sign, 1.0]))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a person will touch a thing."""

    sign: float
    """1: with the left hand, -1: with the right"""
    point: Float[np.ndarray, "3"]
    """where the fingertip comes to rest [m]"""
    sunk: float
    """[m]"""
    bend: float
    """[rad]"""


def plan_reach(person: Person, trunk: Trunk, solid: Solid) -> Reach | None:
    """The least squat and bend from which a hand reaches a thing; None when none does."""
    offset = np.array(solid.xyz[:2]) - trunk.xy
    left = -np.sin(trunk.yaw) * offset[0] + np.cos(trunk.yaw) * offset[1]
    sign, length = (1.0 if left > 0 else -1.0), person.upper_arm + person.forearm
    for sunk in SINKS:
        for bend in BENDS:
            posture = Trunk(xy=trunk.xy, yaw=trunk.yaw, sunk=sunk, bend=float(bend))
            shoulder = posture.shoulder(person, sign)
            point = solid.nearest(shoulder)
            wrist, _ = hand_at(person, shoulder, point, trunk.yaw)
            if np.linalg.norm(wrist - shoulder) < FULL * length:
                return Reach(sign=sign, point=point, sunk=sunk, bend=float(bend))
    return None


def hand_at(
    person: Person, shoulder: Float[np.ndarray, "3"], point: Float[np.ndarray, "3"], yaw: float
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "4"]]:
    """Wrist [m] and `quat_wxyz` of the palm when the middle finger's tip touches a point, back of the hand upwards."""
    towards = point - shoulder
    along = np.arctan2(towards[1], towards[0]) if np.hypot(towards[0], towards[1]) > 0.02 else yaw
    down = np.arctan2(-towards[2], np.hypot(towards[0], towards[1]))
    quat = quat_from_rpy(np.array([0.0, 0.75 * float(down), float(along)]))
    return point - quat_rotate(quat, person.fingertip(TOUCH_CURL)), quat


def hanging(person: Person, raised: float, swing: float, sign: float) -> tuple[float, float, float]:
    """Wrist from its shoulder in the axes of the trunk: swinging beside the body, or raised in front of it [m].

    `raised` goes from 0 (carried while walking) to 1 (ready); `swing` is the angle of the upper arm forwards [rad].
    """
    upper = 0.08 + 0.6 * raised + swing
    flexed = upper + person.carriage + (1.42 - person.carriage) * raised + 0.35 * swing
    inward = 0.10 + 0.22 * raised
    x = person.upper_arm * np.sin(upper) + person.forearm * np.sin(flexed) * np.cos(inward)
    z = -person.upper_arm * np.cos(upper) - person.forearm * np.cos(flexed)
    y = 0.03 - person.forearm * np.sin(flexed) * np.sin(inward)
    return float(x), float(sign * y), float(z)


def elbows_of(
    person: Person,
    shoulders: Float[np.ndarray, "*b 3"],
    wrists: Float[np.ndarray, "*b 3"],
    outward: Float[np.ndarray, "*b 3"],
) -> Float[np.ndarray, "*b 3"]:
    """The elbows, swivelled towards a direction (law of cosines) [m]."""
    line = wrists - shoulders
    distance = np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-6)
    axis, a, b = line / distance, person.upper_arm, person.forearm
    reach = np.minimum(distance, (a + b) * 0.9999)
    along = (a * a - b * b + reach * reach) / (2.0 * reach)
    side = outward - axis * (outward * axis).sum(axis=-1, keepdims=True)
    side = side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    return shoulders + axis * along + side * np.sqrt(np.maximum(a * a - along * along, 0.0))


def quat_between(start: Float[np.ndarray, "*b 3"], end: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 4"]:
    """`quat_wxyz` of a limb whose x axis points from one place to another, without roll."""
    x, y, z = np.moveaxis(end - start, -1, 0)
    return quat_from_rpy(np.stack([np.zeros_like(x), np.arctan2(-z, np.hypot(x, y)), np.arctan2(y, x)], axis=-1))
