"""The scripted teleoperator lifts the box over the shipped controller, the same way each time, recorded whole."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wbvla.collect.expert import ExpertConfig
from wbvla.collect.record import EpisodeRecorder, RecordConfig, read_attempts, record_expert
from wbvla.collect.stage import Stage, StageConfig, expert_for
from wbvla.core.errors import ContractMismatch, UnknownName
from wbvla.core.records import Action, Observation, Tick
from wbvla.data.features import ACTION, STATE, SUCCESS
from wbvla.data.reader import Dataset
from wbvla.sim.tasks.box_lift import BoxLift


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(StageConfig())
    yield stage
    stage.close()


class Listener:
    """Keeps every chunk that the expert sent, and stops the run after some time."""

    def __init__(self, stage: Stage, limit_s: float = 1e9) -> None:
        self.actions: list[Action] = []
        self._act, self._limit_s, self._stage = stage.expert.act, limit_s, stage

    def __enter__(self) -> "Listener":
        def act(observation: Observation) -> Action | None:
            action = self._act(observation) if observation.state.time_s < self._limit_s else None
            if action is not None:
                self.actions.append(action)
            return action

        self._stage.expert.act = act  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        del self._stage.expert.act


def test_lifts_the_box_within_what_a_policy_may_command(stage: Stage) -> None:
    spec, recorder = stage.spec, EpisodeRecorder()
    with Listener(stage) as listener:
        outcome = stage.run(11, [recorder])
    recorder.finish()
    assert outcome.success, outcome
    assert outcome.instruction in BoxLift.train_instructions
    assert list(outcome.subgoals_s) == list(BoxLift.subgoals)
    times = [t for t in outcome.subgoals_s.values() if t is not None]
    assert times == sorted(times)
    assert times[3] - times[2] >= 1.9
    arms = np.concatenate([a.arm_targets for a in listener.actions])
    rows = spec.indices(spec.arm_joints)
    assert (arms >= spec.column("lower")[rows]).all()
    assert (arms <= spec.column("upper")[rows]).all()
    heights = np.concatenate([a.height_m for a in listener.actions])
    assert spec.height_range_m[0] <= heights.min() < 0.55 < heights.max() <= spec.height_range_m[1]
    assert {0, 1} <= set(np.concatenate([a.flags for a in listener.actions]).ravel().tolist()) <= {-1, 0, 1}
    # What is recorded for an observation is the first step of the chunk that answered it, as it took effect.
    sent = np.stack([a.vectors()[0] for a in listener.actions])
    recorded = np.stack(recorder.actions)[: len(sent)]
    assert recorded.shape == (len(sent), 20)
    assert np.array_equal(recorded[:, 16:19], sent[:, 16:19].astype(np.float32))
    assert np.median(np.abs(recorded[:, :14] - sent[:, :14])) < 0.01
    assert len(recorder.states) == len(recorder.actions)


def test_same_seed_same_actions(stage: Stage) -> None:
    def rows(seed: int) -> np.ndarray:
        with Listener(stage, limit_s=3.0) as listener:
            stage.run(seed)
        return np.concatenate([a.vectors() for a in listener.actions])

    first = rows(4)
    assert np.array_equal(rows(4), first)
    assert not np.array_equal(rows(5), first)


def test_recovers_when_the_box_is_knocked_out_of_its_hands(stage: Stage) -> None:
    class Knock:
        done = False

        def observe(self, tick: Tick) -> None:
            world = stage.world
            if not self.done and stage.task.progress(world)["lifted"]:
                self.done = True
                place = world.body_pose("box")[0]
                place[2] = 0.62
                world.place("box", place)

    knock = Knock()
    outcome = stage.run(2, [knock])
    assert knock.done
    assert outcome.success or outcome.attempts > 1, outcome


def test_a_task_without_an_expert_is_named(stage: Stage) -> None:
    class Other(BoxLift):
        name = "fold-laundry"

    with pytest.raises(UnknownName, match="fold-laundry"):
        expert_for(Other(), stage.world)


SMALL = RecordConfig(width=32, height=24, processes=1, expert=ExpertConfig(perturbation=0.5))


def test_recording_goes_on_where_it_stopped_and_ends_the_same(tmp_path: Path) -> None:
    shown: list[tuple[float, float, str]] = []
    tally = record_expert(tmp_path / "a", "box-lift", 1, 3, lambda *row: shown.append(row), SMALL)
    assert tally.kept == 1
    assert shown[0][:2] == (0, 1)
    assert shown[-1][:2] == (1, 1)
    again = record_expert(tmp_path / "a", "box-lift", 2, 3, config=SMALL)
    whole = record_expert(tmp_path / "b", "box-lift", 2, 3, config=replace(SMALL, processes=2))
    assert again == whole
    first, second = Dataset(tmp_path / "a"), Dataset(tmp_path / "b")
    assert first.num_episodes == second.num_episodes == 2
    for index in range(2):
        ours, theirs = (d.columns(index, (STATE, ACTION, SUCCESS)) for d in (first, second))
        assert all(np.array_equal(ours[k], theirs[k]) for k in ours)
        assert ours[SUCCESS].all()
    with pytest.raises(ContractMismatch):
        record_expert(tmp_path / "a", "box-lift", 3, 3, config=replace(SMALL, width=64, height=48))
    with pytest.raises(ContractMismatch, match="seed"):
        record_expert(tmp_path / "a", "box-lift", 3, 4, config=SMALL)


def test_a_kill_between_an_episode_and_its_tally_repeats_no_attempt(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    np.savez(truth / "episode_000001.npz", seed=np.array(7), attempt=np.array(5))
    failures = [{"seed": 3, "reason": "slipped"}]
    (truth / "attempts.json").write_text(json.dumps({"attempts": 4, "failures": failures}))
    assert read_attempts(tmp_path, 2) == (failures, 5)
    assert read_attempts(tmp_path / "empty", 0) == ([], 0)
