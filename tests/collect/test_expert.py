"""The scripted teleoperator lifts the box over the shipped controller, the same way each time, recorded whole."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wbvla.collect.expert import ExpertConfig
from wbvla.collect.frames import EpisodeRecorder, Frame, runs_of
from wbvla.collect.record import RecordConfig, open_stage, perform, read_attempts, record_expert, recording_of
from wbvla.collect.stage import Stage, StageConfig, expert_for
from wbvla.core.errors import ConfigError, ContractMismatch, UnknownName
from wbvla.core.records import Action, Observation, Tick
from wbvla.data.check import check
from wbvla.data.features import (
    ACTION,
    EE_POSE,
    IMAGE,
    IMU,
    STAMPS,
    STATE,
    SUCCEEDED,
    SUCCESS,
    TARGET,
    Recording,
    ee_pose_of,
    state_names,
    success_of,
)
from wbvla.data.reader import Dataset
from wbvla.data.words import SKILL, SUBTASK
from wbvla.robots.description import RobotSpec
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
    spec, recording = stage.spec, Recording(acceleration=True)
    recorder = EpisodeRecorder(spec, recording, lambda: stage.expert.phase)
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
    recorded = np.stack([f[ACTION] for f in recorder.frames])[: len(sent)]
    assert recorded.shape == (len(sent), 20)
    assert np.array_equal(recorded[:, 16:19], sent[:, 16:19].astype(np.float32))
    assert np.median(np.abs(recorded[:, :14] - sent[:, :14])) < 0.01
    assert len(recorder.frames) == len(recorder.doing)
    phases = [phase for _, _, phase in runs_of(recorder.doing)]
    assert phases[0] == "walk"
    assert phases[-3:] == ["close", "squeeze", "lift"]
    require_truth_of_columns(spec, recorder.frames)


def require_truth_of_columns(spec: RobotSpec, frames: list[Frame]) -> None:
    """Every column of a recorded attempt agrees with the others where physics says it must."""
    state, target, imu, poses = (np.stack([f[k] for f in frames]) for k in (STATE, TARGET, IMU, EE_POSE))
    joints, names = len(spec.joint_names), state_names(spec)
    # measured and commanded are apart, and the drives keep the one near the other
    assert target.shape == (len(frames), joints)
    assert 0.001 < np.median(np.abs(target - state[:, :joints])) < 0.1
    gyro = state[:, [names.index(f"gyro_{a}.radps") for a in "xyz"]]
    np.testing.assert_array_equal(imu[:, :3], gyro)
    assert np.median(np.linalg.norm(imu[:, 3:], axis=1)) == pytest.approx(9.81, rel=0.2)
    np.testing.assert_allclose(poses, ee_pose_of(spec, state[:, :joints].astype(np.float64)), atol=1e-5)
    for side in (poses[:, 3:7], poses[:, 10:14]):
        np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1.0, atol=1e-6)
    times = np.stack([f[STAMPS] for f in frames])
    assert times.shape == (len(frames), 1)
    np.testing.assert_allclose(np.diff(times[:, 0]), 0.1, atol=1e-6)


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
        ours, theirs = (d.columns(index) for d in (first, second))
        assert {STATE, IMU, EE_POSE, TARGET, ACTION, SUCCESS, STAMPS, SUBTASK, SKILL} <= set(ours)
        assert all(np.array_equal(ours[k], theirs[k]) for k in ours)
        assert success_of(ours[SUCCESS]) == SUCCEEDED
        assert set(ours[SKILL]) >= {"walk", "reach", "grasp", "lift"}
        assert "" not in ours[SUBTASK]
    require_same_bytes(tmp_path / "a", tmp_path / "b")
    assert check(tmp_path / "a") == []
    with pytest.raises(ContractMismatch):
        record_expert(tmp_path / "a", "box-lift", 3, 3, config=replace(SMALL, width=64, height=48))
    with pytest.raises(ContractMismatch, match="seed"):
        record_expert(tmp_path / "a", "box-lift", 3, 4, config=SMALL)


def require_same_bytes(first: Path, second: Path) -> None:
    """Every file of an episode is the same to the byte, whoever was interrupted or worked in parallel."""
    names = sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file() and ".staging" not in p.parts)
    assert names == sorted(
        str(p.relative_to(second)) for p in second.rglob("*") if p.is_file() and ".staging" not in p.parts
    )
    assert any(name.endswith(".mp4") for name in names)
    for name in names:
        if name.split("/")[0] in ("data", "videos", "depth", "notes", "truth"):
            assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_depth_of_the_head_is_kept_exactly_and_the_contract_names_the_camera(tmp_path: Path) -> None:
    config = replace(SMALL, depth=True)
    record_expert(tmp_path / "d", "box-lift", 1, 3, config=config)
    data = Dataset(tmp_path / "d")
    name = IMAGE + "head_depth"
    assert data.depths == (name,)
    depth = data.depth(name, 0, range(5))
    assert (depth.shape, depth.dtype) == ((5, 24, 32), np.uint16)
    with closing(Stage(StageConfig(cameras=("head",), depths=("head",), width=32, height=24))) as stage:
        stage.task.reset(stage.world, int(data.truth(0)["seed"]))
        stage.body.reset()
        drawn = stage.body.images()["head"].depth_mm
    np.testing.assert_array_equal(depth[0], drawn)
    camera = data.contract["cameras"]["head"]
    assert (camera["cx"], camera["cy"], camera["fx"]) == (16.0, 12.0, camera["fy"])
    assert camera["fx"] == pytest.approx(12.0 / np.tan(np.radians(camera["fovy_deg"] / 2)))
    seen = (*data.contract["cameras"], "head_depth")
    assert data.contract["rates_hz"] == {"body": 50.0} | dict.fromkeys(seen, 10.0)
    assert data.segments(0)[0].skill == "walk"
    assert set(data.phrasings(0)) == set(BoxLift.train_instructions)
    assert data.notes(0)["consent"].startswith("none needed")


def test_a_kill_between_an_episode_and_its_tally_repeats_no_attempt(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    np.savez(truth / "episode_000001.npz", seed=np.array(7), attempt=np.array(5))
    failures = [{"seed": 3, "reason": "slipped"}]
    (truth / "attempts.json").write_text(json.dumps({"attempts": 4, "failures": failures}))
    assert read_attempts(tmp_path, 2) == (failures, 5)
    assert read_attempts(tmp_path / "empty", 0) == ([], 0)


def test_an_attempt_whose_physics_diverges_is_a_failed_one_and_leaves_nothing_behind() -> None:
    with closing(open_stage("box-lift", SMALL)) as stage:
        recording = recording_of(stage.spec, SMALL, "box-lift")
        before = perform(stage, recording, 5)
        act = stage.expert.act

        def explode(observation: Observation) -> Action | None:
            if observation.sequence == 3:
                stage.world.data.qvel[:] = 1e12
            return act(observation)

        stage.expert.act = explode  # type: ignore[method-assign]
        broken = perform(stage, recording, 6)
        del stage.expert.act
        assert not broken.success
        assert "diverged" in broken.reason
        after = perform(stage, recording, 5)
    assert before.success
    assert len(after.frames) == len(before.frames)
    for ours, theirs in zip(after.frames, before.frames):
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_seeds_of_evaluation_are_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 to 99"):
        record_expert(tmp_path / "e", "box-lift", 1, 100, config=SMALL)
    assert not (tmp_path / "e").exists()
