"""What the experts of social tasks share: coming before a person, and waving to them."""

from abc import ABC
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import STRAYED, Expert, Lapse, Motion, Script
from wbvla.collect.pursuit import pursue
from wbvla.core.rotation import wrap_angle
from wbvla.sim.person import Person
from wbvla.sim.tasks.social import person_of, sight

WAVING: Mapping[str, tuple[float, float, float, float]] = {
    "left": (0.0, 1.25, 1.57, -1.75),
    "right": (0.0, -1.25, -1.57, -1.75),
}
"""shoulder pitch, roll, yaw and elbow of an arm that is held up to wave [rad]"""
SWING_RAD, SWING_HZ, SWING_RADPS = 0.42, 0.8, 1.8
"""the elbow swings so far to each side, so often, at most so fast"""
SIDE_RAD = 0.6
"""the robot stops no further than this beside where the person looks [rad]"""
WAVES: Mapping[str, tuple[str, str]] = {
    "come": ("walk to the person", "walk"),
    "face": ("turn to the person", "walk"),
    "wave": ("wave to the person", "wave"),
}


class SocialExpert(Expert, ABC):
    """An expert with a person before it."""

    waves_with: ClassVar[str] = "right"

    @property
    def person(self) -> Person:
        """The one who stands there."""
        return person_of(self.world)

    def is_lost(self) -> bool:
        """A person can be met again and again."""
        return False

    def before(self, distance_m: float, side_rad: float = SIDE_RAD) -> tuple[Float[np.ndarray, "2"], float]:
        """A place so far before the person, on the robot's side of where they look, and the heading that faces them."""
        at, looks = self.person.facing(self.world)
        way = self.world.root_pose()[0][:2] - at
        off = float(wrap_angle(float(np.arctan2(way[1], way[0])) - looks))
        bearing = looks + float(np.clip(off, -side_rad, side_rad))
        return at + distance_m * np.array([np.cos(bearing), np.sin(bearing)]), bearing + np.pi

    def come(self, place: Callable[[], tuple[Float[np.ndarray, "2"], float]], motion: Callable[[], Motion]) -> Script:
        """Walk to a place, looking ahead on the way, and stop there with the right heading."""
        yield from pursue(self, "come", lambda: place()[0], motion)
        yield from self.walk("come", lambda: self.error_to(*place(), missed=True), lambda error: motion())

    def face(self) -> Script:
        """Turn to the person on the spot."""

        def aside() -> Float[np.ndarray, "3"]:
            return np.array([0.0, 0.0, sight(self.world)[1]])

        yield from self.walk("face", aside, lambda error: Motion(arms=self.rest))

    def wave(self, seconds: float, holds: Callable[[], bool]) -> Script:
        """Raise a hand and swing it; raises `STRAYED` when the person is not before the robot any more."""
        self.enter("wave")
        while self.phase_s < seconds:
            if not holds():
                raise Lapse(STRAYED)
            yield Motion(arms=self._swung(self.phase_s), speed_radps=SWING_RADPS)

    def _swung(self, since_s: float) -> Float[np.ndarray, " arm"]:
        """Joint angles of a waving robot: one arm up, its elbow to one side or the other."""
        names = self.world.spec.arm_joints
        arms, first = self.rest.copy(), next(i for i, n in enumerate(names) if n.startswith(self.waves_with))
        arms[first : first + 4] = WAVING[self.waves_with]
        arms[first + 3] += SWING_RAD * float(np.sign(np.sin(2.0 * np.pi * SWING_HZ * since_s)))
        return arms
