"""Experts of the navigation tasks: plan a way around what stands in the room, walk it, stop with the right heading."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import UNREACHABLE, Expert, Lapse, Motion, Script, experts
from wbvla.collect.pursuit import PursuitConfig, pursue
from wbvla.collect.route import Block, Floor
from wbvla.core.errors import ConfigError
from wbvla.core.rotation import yaw_of
from wbvla.sim.interior import PIECES, front
from wbvla.sim.tasks.go_through import PANELS, GoThrough
from wbvla.sim.tasks.go_to_furniture import GOALS, OBSTACLE, OTHERS, GoToFurniture

PASSING = PursuitConfig(near_m=0.2, turn_rad=0.5, accept_rad=0.08)
"""on the way from corner to corner"""
ENOUGH = 1.6
"""multiple of the accepted errors with which a walk ends: it matters little where exactly [-]"""
TIGHT_M = 0.85
"""things nearer than this to the robot's middle are near [m]"""
BEFORE_M, PAST_M = 0.55, 0.75
"""the robot lines up so far before the middle of a doorway, and is through so far behind it [m]"""
NARROW = (0.06, 0.035, 0.07)
"""errors that are left alone in a doorway: x [m], y [m], psi [rad]"""


class NavigationExpert(Expert, ABC):
    """Plans again whenever it has not arrived in time."""

    phases: ClassVar = {
        "way": ("walk around what is in the way", "walk"),
        "last": ("walk up to the goal", "walk"),
        "stand": ("stop and stand at the goal", "stop"),
    }
    lost_as = "touched"

    def script(self) -> Script:
        """Walk from corner to corner, stop, stand; from the beginning when the robot is not where it should be."""
        self._floor = self.floor()
        while True:
            try:
                yield from self.approach_goal()
                yield from self.during("stand", self._walking, lambda: self.phase_s > 3.0)
                self.attempts += 1
            except Lapse as lapse:
                self.recover(lapse)

    def approach_goal(self) -> Script:
        """All of the way, and the last stop."""
        yield from self._go_to(*self.goal(), "last", ENOUGH)

    def _go_to(
        self, place: Float[np.ndarray, "2"], yaw: float, phase: str, enough: float, missed: bool = True
    ) -> Script:
        """Around what is in the way to a place, and stop there with a heading."""
        for corner in self._way(place)[:-1]:
            yield from pursue(self, "way", lambda: corner, self._walking, PASSING)  # noqa: B023
        yield from pursue(self, phase, lambda: place, self._walking)
        yield from self.walk(phase, lambda: self.error_to(place, yaw, missed), lambda error: self._walking(), enough)

    @abstractmethod
    def goal(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Where to stand [m] and where to look [rad]."""

    @abstractmethod
    def floor(self) -> Floor:
        """What stands in the room."""

    def _way(self, place: Float[np.ndarray, "2"]) -> list[Float[np.ndarray, "2"]]:
        try:
            return self._floor.way(self.world.root_pose()[0][:2], place)
        except ConfigError as error:
            raise Lapse(UNREACHABLE) from error

    def _walking(self) -> Motion:
        """Hands before the belly where it is tight: a robot with hanging arms is 0.87 m wide, then it is 0.61 m."""
        tight = float(self._floor.clearance_m(self.world.root_pose()[0][:2])) < TIGHT_M
        return Motion(arms=self.carry if tight else self.rest)


class GoToFurnitureExpert(NavigationExpert):
    """Walks to the front of the piece that is meant."""

    @property
    def _go(self) -> GoToFurniture:
        return cast(GoToFurniture, self.task)

    def is_lost(self) -> bool:
        """The robot has touched something."""
        return self._go.touched(self.world)

    def goal(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Before the piece's front."""
        return front(self.world, self._go.goal, self._go.config.stop_m)

    def floor(self) -> Floor:
        """All pieces, the obstacle too when it is there."""
        room, blocks = self._go.config.room, []
        for name in (*GOALS, *OTHERS, OBSTACLE):
            (xyz, quat), piece = self.world.body_pose(name), PIECES[name]
            if xyz[2] < -1.0:
                continue
            low, high, yaw = np.array(piece.low), np.array(piece.high), float(yaw_of(quat))
            centre = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]) @ ((low + high) / 2.0)
            blocks.append(Block(middle=xyz[:2] + centre, half=(high - low) / 2.0, yaw=yaw))
        return Floor((room.half_x, room.half_y), blocks)


class GoThroughExpert(NavigationExpert):
    """Lines up before the doorway and walks through its middle, keeping to it sideways."""

    phases: ClassVar = {
        "way": ("walk to the doorway", "walk"),
        "line_up": ("stop before the doorway", "walk"),
        "through": ("walk through the doorway", "walk"),
        "last": ("walk to the mat", "walk"),
        "stand": ("stop and stand on the mat", "stop"),
    }

    def approach_goal(self) -> Script:
        """To the doorway, through it, to the mat; a robot that is through already only walks to the mat."""
        door = self._go.door
        if self.world.root_pose()[0][0] < door[0] + PAST_M / 2.0:
            yield from self._go_to(door - np.array([BEFORE_M, 0.0]), 0.0, "line_up", 1.0, missed=False)
            before = self.approach.config
            self.approach.config = replace(before, accept=NARROW)
            try:
                beyond = door + np.array([PAST_M, 0.0])
                yield from self.walk(
                    "through", lambda: self.error_to(beyond, 0.0), lambda error: self._walking(), 4.0, passing=True
                )
            finally:
                self.approach.config = before
        yield from self._go_to(*self.goal(), "last", ENOUGH)

    @property
    def _go(self) -> GoThrough:
        return cast(GoThrough, self.task)

    def is_lost(self) -> bool:
        """The robot has touched something."""
        return self._go.touched(self.world)

    def goal(self) -> tuple[Float[np.ndarray, "2"], float]:
        """The mat, from the doorway straight ahead."""
        way = self._go.mat - self._go.door
        return self._go.mat, float(np.clip(np.arctan2(way[1], way[0]), -1.0, 1.0))

    def floor(self) -> Floor:
        """The two panels of the wall."""
        room, blocks = self._go.config.room, []
        for name in PANELS:
            half = self.world.model.geom(f"{name}.met").size[:2].copy()
            blocks.append(Block(middle=self.world.body_pose(name)[0][:2], half=half))
        return Floor((room.half_x, room.half_y), blocks)


@experts.register("go-to-furniture")
def go_to_furniture() -> type[GoToFurnitureExpert]:
    """Expert of go-to-furniture."""
    return GoToFurnitureExpert


@experts.register("go-through")
def go_through() -> type[GoThroughExpert]:
    """Expert of go-through."""
    return GoThroughExpert
