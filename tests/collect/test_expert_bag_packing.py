"""The expert of bag-packing packs the bag over the shipped controller, and takes it again when it was lost."""

from collections.abc import Iterator

import numpy as np
import pytest

from wbvla.collect.experts.bag_packing import BagPackingExpert
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.records import Tick
from wbvla.sim.tasks.bag_packing import BAG, BagPacking, inside_carton


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(StageConfig(task="bag-packing"))
    yield stage
    stage.close()


class Follower:
    """Keeps what the expert did, tick by tick."""

    def __init__(self, stage: Stage) -> None:
        self.phases: list[str] = []
        self.flags: list[tuple[int, ...]] = []
        self.heights: list[float] = []
        self._stage = stage

    def observe(self, tick: Tick) -> None:
        phase = self._stage.expert.phase
        if phase and (not self.phases or self.phases[-1] != phase):
            self.phases.append(phase)
        self.flags.append(tick.command.flags)
        self.heights.append(float(self._stage.world.root_pose()[0][2]))


def test_packs_the_bag_by_side_stepping_and_squatting(stage: Stage) -> None:
    follower = Follower(stage)
    outcome = stage.run(1, [follower])
    assert outcome.success, outcome
    assert isinstance(stage.expert, BagPackingExpert)
    assert outcome.instruction in BagPacking.train_instructions
    times = {goal: time for goal, time in outcome.subgoals_s.items() if time is not None}
    assert set(times) == set(BagPacking.subgoals), outcome.subgoals_s
    order = [times[goal] for goal in ("reached", "grasped", "lifted", "at_carton", "placed", "released")]
    assert order == sorted(order)
    walks = [p for p in follower.phases if p in ("walk", "back_off", "side_step", "step_up", "lower")]
    assert walks == ["walk", "back_off", "side_step", "step_up", "lower"]
    assert {abs(f[1]) for f in follower.flags} == {0, 1}
    assert min(follower.heights) < stage.task.config.squat_m  # type: ignore[attr-defined]
    assert inside_carton(stage.world)


def test_a_bag_taken_out_of_its_hands_is_fetched_again(stage: Stage) -> None:
    class Thief:
        """Puts the bag back on the table while it is carried, once."""

        done = False
        start: tuple[np.ndarray, float] | None = None

        def observe(self, tick: Tick) -> None:
            if self.start is None:
                self.start = stage.world.body_pose(BAG)[0], 0.0
            if stage.expert.phase == "side_step" and stage.expert.phase_s > 0.5 and not self.done:
                self.done = True
                stage.world.place(BAG, *self.start)

    thief = Thief()
    outcome = stage.run(3, [thief])
    assert thief.done
    assert outcome.attempts >= 2
    assert outcome.success, (outcome, stage.expert.lapses)
