"""Wave: a person waves; turn to them, come near enough if need be, and wave back with a hand above the shoulder."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wbvla.sim.person import WAVE
from wbvla.sim.scene import World
from wbvla.sim.tasks.social import SocialConfig, SocialTask, Waving, person_of
from wbvla.sim.tasks.task import Task, tasks

TRAIN = (
    "wave back",
    "wave back to the person",
    "the person is waving, wave back",
    "answer the wave",
    "wave at the person who waves at you",
    "turn to the person and wave",
    "raise a hand and wave back",
    "somebody waves, wave to them too",
    "return the wave of the person in the room",
    "look at the person and wave with one hand",
    "please wave back at them",
    "face the person and wave your hand",
    "give the person a wave",
    "wave hello to the one who is waving",
)
TEST = (
    "they are waving at you, do the same",
    "could you wave back to whoever is waving",
    "respond to the greeting with a wave of your hand",
    "turn around to the waving person and wave as well",
    "lift your hand and wave to the person over there",
)


@dataclass(frozen=True, kw_only=True)
class WaveConfig(SocialConfig):
    """What counts as waving back."""

    distance_m: tuple[float, float] = (1.0, 2.6)
    """robot to person: a social distance (Hall, The Hidden Dimension, 1966: 1.2 to 3.7 m) from which a robot of 1.3 m
    with short arms is seen to wave"""
    swing_m: float = 0.08
    """a hand swings when it moves so far to and so far fro across the body"""
    swing_s: float = 1.2
    """and takes no longer than this for each of the two"""
    swings: float = 3.0
    """swings to and fro in a row that make a wave [-]"""


class Wave(SocialTask):
    """Done after three swings in a row, the hand above its shoulder, the person faced all the while."""

    name = "wave"
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("raised", "waving", "waved")
    time_limit_s = 40.0
    config: WaveConfig

    def __init__(self, config: WaveConfig | None = None) -> None:
        super().__init__(config or WaveConfig())
        self._waving = Waving(self.config.swing_m, self.config.swing_s)

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """The person begins to wave after a moment, and does not stop."""
        self._waving.reset()
        from_s = float(rng.uniform(0.0, 1.0))
        person = person_of(world)
        person.plan = lambda world: WAVE if world.time_s >= from_s else person.gesture

    def progress(self, world: World) -> Mapping[str, bool]:
        """`raised`: a hand is up before the person; `waving`: it has swung once; `waved`: three times."""
        meets = self.meets(world, self.config.distance_m)
        up, swings = self._waving.see(world, meets)
        return {"raised": up, "waving": swings >= 1.0, "waved": swings >= self.config.swings}

    def success(self, world: World) -> bool:
        """The robot faces the person and has waved."""
        return self.progress(world)["waved"]


@tasks.register("wave")
def wave() -> Task:
    """Wave with its default geometry, the person in view at the start."""
    return Wave()
