"""The expert of box-loading loads the box over the shipped controller, and takes it again when it was lost."""

from collections.abc import Iterator

import numpy as np
import pytest

from wbvla.collect.expert import SLIPPED
from wbvla.collect.experts import BoxLoadingExpert
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.records import Observation, Tick
from wbvla.sim.tasks.box_loading import BOX, TABLE, TROLLEY, BoxLoading, on_bed
from wbvla.sim.tasks.task import contacts_of, hand_bodies

HANDS = {name for side in ("left", "right") for name in hand_bodies(side)}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(StageConfig(task="box-loading"))
    yield stage
    stage.close()


class Follower:
    """Keeps what the expert did and what touched the box, tick by tick."""

    def __init__(self, stage: Stage) -> None:
        self.phases: list[str] = []
        self.heights: list[float] = []
        self.touching: set[str] = set()
        self._stage = stage

    def observe(self, tick: Tick) -> None:
        phase = self._stage.expert.phase
        if phase and (not self.phases or self.phases[-1] != phase):
            self.phases.append(phase)
        self.heights.append(tick.command.height_m)
        self.touching |= contacts_of(self._stage.world, BOX)


def test_loads_the_box_with_nothing_but_its_hands(stage: Stage) -> None:
    follower = Follower(stage)
    outcome = stage.run(4, [follower])
    assert outcome.success, outcome
    assert outcome.instruction in BoxLoading.train_instructions
    times = [time_s for time_s in outcome.subgoals_s.values() if time_s is not None]
    assert len(times) == len(BoxLoading.subgoals)
    assert times == sorted(times)
    steps = ["walk", "spread", "ready", "close", "squeeze", "lift", "back", "turn", "carry", "place", "release"]
    assert follower.phases[: len(steps)] == steps
    assert min(follower.heights) >= stage.expert.config.lowest_m
    assert min(follower.heights) < stage.task.config.squat_m  # type: ignore[attr-defined]
    assert follower.touching <= HANDS | {TABLE, TROLLEY}
    assert on_bed(stage.world)


def test_a_box_taken_out_of_its_hands_is_fetched_again(stage: Stage) -> None:
    class Thief:
        """Puts the box back on the table while it is carried, once."""

        done = False
        start: np.ndarray | None = None

        def observe(self, tick: Tick) -> None:
            if self.start is None:
                self.start = stage.world.body_pose(BOX)[0]
            if stage.expert.phase == "turn" and stage.expert.phase_s > 1.0 and not self.done:
                self.done = True
                stage.world.place(BOX, self.start, 0.0)

    thief = Thief()
    outcome = stage.run(2, [thief])
    assert thief.done
    assert outcome.attempts >= 2
    assert outcome.success, (outcome, stage.expert.lapses)


def test_gives_up_a_box_on_the_floor(stage: Stage) -> None:
    expert, world = stage.expert, stage.world
    assert isinstance(expert, BoxLoadingExpert)
    stage.task.reset(world, 4)
    stage.body.reset()
    expert.reset()
    seen = Observation(sequence=0, state=stage.body.read(), images={}, instruction="")
    assert expert.act(seen) is not None
    world.place(BOX, np.array([-1.0, 1.0, 0.12]), 0.0)
    assert expert.act(seen) is None
    assert expert.failure == SLIPPED
