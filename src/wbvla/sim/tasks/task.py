"""What a task is: a world, words, a seeded start, and sub-goals and success as functions of the world's state."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.registry import Registry
from wbvla.core.rotation import projected_gravity
from wbvla.robots.description import RobotSpec
from wbvla.sim.person_contact import PersonContact
from wbvla.sim.scene import World

NAVIGATION, MANIPULATION, SOCIAL = "navigation", "manipulation", "social_interaction"
FAMILIES = (NAVIGATION, MANIPULATION, SOCIAL)
FALLEN_TILT = 0.5
"""a pelvis whose downward axis leans further than acos of this has fallen [-]"""
FALLEN_HEIGHT_M = 0.3
"""a pelvis below this has fallen [m]"""


class Task(ABC):
    """One task. It keeps the clocks of "held for 2 s", so use one object per world and call `progress` at every
    control tick (at least ten times per second); `reset` starts the clocks anew."""

    name: str
    family: str
    """one of `FAMILIES`"""
    train_instructions: tuple[str, ...]
    """phrasings that demonstrations use"""
    test_instructions: tuple[str, ...]
    """phrasings kept for evaluation; none of them is in `train_instructions`"""
    subgoals: tuple[str, ...]
    """names of the sub-goals in the order they are reached"""
    time_limit_s: float
    """a trial that is not done by then has failed [s]"""
    cameras: tuple[str, ...] = ()
    """cameras beside the policy's own without which what the task is about is not seen"""

    @abstractmethod
    def build(self, spec: RobotSpec) -> World:
        """A world for this task and robot, in the start of seed 0."""

    @abstractmethod
    def reset(self, world: World, seed: int) -> None:
        """Put the world into the start of this seed: the same seed, the same start. Sizes and colours change
        inside the model, so a body that draws in another process is made after this."""

    @abstractmethod
    def progress(self, world: World) -> Mapping[str, bool]:
        """Which sub-goals hold at this instant."""

    @abstractmethod
    def success(self, world: World) -> bool:
        """Whether the task is done at this instant."""

    def instruction(self, seed: int) -> str:
        """The train phrasing of a seed."""
        return self.train_instructions[seed % len(self.train_instructions)]

    def phrasings(self, seed: int) -> tuple[str, ...]:
        """Every train phrasing of what a seed asks for: all of them, unless the goal differs from seed to seed."""
        return self.train_instructions

    def person_contact(self, world: World) -> PersonContact | None:
        """What the person in the world has felt of the robot since the reset; None where there is no person."""
        return None


tasks: Registry[Task] = Registry("task")


def tasks_of(family: str) -> tuple[str, ...]:
    """Names of a family's tasks; raises ConfigError for an unknown family."""
    if family not in FAMILIES:
        raise ConfigError(f"unknown family of tasks {family!r}; known: {', '.join(FAMILIES)}")
    return tuple(name for name in tasks if tasks.build(name).family == family)


def has_fallen(world: World) -> bool:
    """Whether the robot's root is too low or leans too far to stand."""
    xyz, quat = world.root_pose()
    return bool(xyz[2] < FALLEN_HEIGHT_M or -projected_gravity(quat)[2] < FALLEN_TILT)


def contacts_of(world: World, name: str) -> set[str]:
    """Names of all bodies that touch a body now (`world` for floor)."""
    body = world.model.body(name).id
    pairs = world.model.geom_bodyid[world.data.contact.geom[world.data.contact.dist < 0.0]]
    others = {int(b if a == body else a) for a, b in pairs if body in (int(a), int(b))}
    return {world.model.body(i).name for i in others}


def hand_bodies(side: str) -> tuple[str, str, str]:
    """Bodies of one gripper: palm and fingers."""
    return (f"{side}_hand", f"{side}_finger", f"{side}_finger_follow")


def box_half(world: World, name: str) -> Float[np.ndarray, "3"]:
    """Half sizes of a box as it is now [m]."""
    return world.model.geom(name).size.copy()


def box_bottom_m(world: World, name: str) -> float:
    """Height of a box's lowest corner above the floor [m]."""
    pose = world.data.body(name)
    rotation = pose.xmat.reshape(3, 3)
    return float(pose.xpos[2] - np.abs(rotation[2]) @ box_half(world, name))


def resize_box(world: World, name: str, half: Float[np.ndarray, "3"], mass: float) -> None:
    """Give a box of `scene.add_box` another size [m] and mass [kg] without compiling again."""
    model, body = world.model, world.model.body(name)
    if (np.asarray(half) <= 0.0).any() or mass <= 0.0:
        raise ConfigError(f"box {name!r} needs positive half sizes and mass, not {list(half)} m and {mass} kg")
    built = world.nominal["geom_size"]
    factor = np.asarray(half) / built[model.geom(name).id]
    for geom in range(int(body.geomadr[0]), int(body.geomadr[0] + body.geomnum[0])):
        strip = geom != model.geom(name).id
        model.geom_size[geom] = built[geom] * factor if strip else half
        model.geom_rbound[geom] = float(np.linalg.norm(model.geom_size[geom]))
        model.geom_aabb[geom, 3:] = model.geom_size[geom]
    squares = np.square(half)
    model.body_mass[body.id] = mass
    model.body_inertia[body.id] = mass * (squares.sum() - squares) / 3.0
    mujoco.mj_setConst(model, world.data)
