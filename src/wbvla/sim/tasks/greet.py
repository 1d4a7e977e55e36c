"""Greet: walk up to a person, stop before them at the distance of a talk, face them and wave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wbvla.sim.person import REST, WAVE
from wbvla.sim.scene import World
from wbvla.sim.tasks.social import SocialConfig, SocialTask, Waving, person_of
from wbvla.sim.tasks.start import StartConfig
from wbvla.sim.tasks.task import Task, tasks

TRAIN = (
    "greet the person",
    "walk to the person and greet them",
    "go to the person and wave hello",
    "say hello to the person over there",
    "walk up to the person, face them and wave",
    "go and greet our visitor",
    "approach the person and greet them with a wave",
    "welcome the guest",
    "walk over to the visitor and wave to them",
    "please go to the person and say hello with your hand",
    "stop in front of the person and greet them",
    "come up to the guest and wave",
    "meet the person and wave hello",
    "greet whoever stands in the room",
)
TEST = (
    "there is a guest, give them a proper welcome",
    "could you walk over and say hello to that person",
    "go stand before the visitor and wave your hand",
    "welcome the person who has come in",
    "step up to the person and greet them kindly",
)


@dataclass(frozen=True, kw_only=True)
class GreetConfig(SocialConfig):
    """What counts as greeting."""

    start: StartConfig = field(default_factory=lambda: StartConfig(distance_m=(1.9, 3.2), difficulty=1.0))
    """where the robot starts before the person: further away than it may greet from"""
    distance_m: tuple[float, float] = (1.0, 1.5)
    """robot to person while it greets"""
    before_rad: float = float(np.pi / 4)
    """a robot within this of where the person looks stands before them"""
    swing_m: float = 0.08
    """a hand swings when it moves so far to and so far fro across the body"""
    swing_s: float = 1.2
    """and takes no longer than this for each of the two"""
    swings: float = 3.0
    """swings to and fro in a row that make a greeting [-]"""


class Greet(SocialTask):
    """Done after three swings in a row before the person, 1.0 to 1.5 m away. The robot's neck is not commanded, so it
    cannot nod."""

    name = "greet"
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("near", "facing", "raised", "greeted")
    time_limit_s = 45.0
    config: GreetConfig

    def __init__(self, config: GreetConfig | None = None) -> None:
        super().__init__(config or GreetConfig())
        self._waving = Waving(self.config.swing_m, self.config.swing_s)
        self._greeted = False

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """The person waits, and waves back once greeted."""
        self._waving.reset()
        self._greeted = False
        person_of(world).plan = lambda world: WAVE if self._greeted else REST

    def progress(self, world: World) -> Mapping[str, bool]:
        """`near`: stands at the right distance; `facing`: before the person, who is faced; `raised`: a hand is up;
        `greeted`: it has waved."""
        near = self.near(world)
        facing = near and self.meets(world, self.config.distance_m)
        up, swings = self._waving.see(world, facing)
        self._greeted |= swings >= self.config.swings
        return {"near": near, "facing": facing, "raised": up, "greeted": swings >= self.config.swings}

    def near(self, world: World) -> bool:
        """Whether the robot is as far away as people who talk are."""
        at = person_of(world).facing(world)[0]
        near, far = self.config.distance_m
        return near <= float(np.linalg.norm(world.root_pose()[0][:2] - at)) <= far

    def success(self, world: World) -> bool:
        """The robot stands before the person and has greeted them."""
        return self.progress(world)["greeted"]


@tasks.register("greet")
def greet() -> Task:
    """Greet with its default geometry, the person in view at the start."""
    return Greet()
