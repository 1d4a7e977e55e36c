"""Rollouts become episodes like any other, whatever came of them; the recorder neither holds up nor bends the loop."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wbvla.collect.frames import FrameCutter, frame_of, runs_of
from wbvla.collect.rollouts import RolloutConfig, RolloutRecorder, record_live, summary_of
from wbvla.core.command import Command
from wbvla.core.errors import ConfigError, DataError
from wbvla.core.records import BodyState, Image, JointTarget, Observation, Tick
from wbvla.data.check import check
from wbvla.data.features import (
    ACTION,
    EE_POSE,
    FAILED,
    IMAGE,
    STAMPS,
    STATE,
    SUCCEEDED,
    SUCCESS,
    TARGET,
    UNKNOWN,
    Recording,
    success_of,
)
from wbvla.data.reader import Dataset
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.sources import LocalSource
from wbvla.evaluate.random_policy import RandomPolicy
from wbvla.evaluate.rollout import Arena, Player, run_trials
from wbvla.evaluate.rollout import RolloutConfig as ArenaConfig
from wbvla.evaluate.trials import make_trials
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.tasks import tasks

X2 = load_robot("agibot_x2")


def ticks(count: int, every: int = 5, start: int = 0, size: tuple[int, int] = (16, 24)) -> Iterator[Tick]:
    """Control ticks at 50 Hz with an observation every `every`-th, and numbers that say which tick they are of."""
    joints = len(X2.joint_names)
    for i in range(start, start + count):
        state = BodyState(
            time_s=i / 50.0,
            q=X2.column("default") + i * 1e-4,
            dq=np.zeros(joints),
            torque=np.zeros(joints),
            gripper=np.array([0.25, 0.75]),
            gyro_b=np.full(3, i * 0.01),
            gravity_b=np.array([0.0, 0.0, -1.0]),
        )
        picture = Image(rgb=np.full((*size, 3), 3 * i % 250, np.uint8), time_s=i / 50.0 - 0.005)
        seen = Observation(sequence=i // every, state=state, images={"head": picture}, instruction="lift")
        target = JointTarget(q=X2.column("default") + i, kp=np.ones(joints), kd=np.ones(joints), gripper=np.ones(2))
        yield Tick(
            index=i,
            state=state,
            command=Command(s_x=1, height_m=0.6),
            target=target,
            arm_target=np.full(14, float(i)),
            chunk_age_s=0.0,
            period_s=0.02,
            observation=seen if i % every == 0 else None,
        )


def record(recorder: RolloutRecorder, count: int, success: bool | None, every: int = 5) -> None:
    recorder.begin("lift the box", policy="abc")
    for tick in ticks(count, every):
        recorder.observe(tick)
    recorder.end(success, seed=np.array(7))


def test_episodes_of_any_outcome_are_kept_with_their_notes(tmp_path: Path) -> None:
    with RolloutRecorder(tmp_path / "d", X2) as recorder:
        recorder.observe(next(ticks(1)))  # before an episode: ignored
        record(recorder, 50, True)
        record(recorder, 23, False)
        record(recorder, 30, None)
    assert summary_of(recorder, tmp_path / "d").startswith("3 episodes recorded")
    assert check(tmp_path / "d") == []
    data = Dataset(tmp_path / "d")
    assert [e.length for e in data.episodes] == [10, 5, 6]
    assert [success_of(data.columns(i, [SUCCESS])[SUCCESS]) for i in range(3)] == [SUCCEEDED, FAILED, UNKNOWN]
    assert data.notes(1) == {"policy": "abc"}
    assert int(data.truth(0)["seed"]) == 7
    assert data.instruction(0) == "lift the box"
    columns, first = data.columns(0), np.arange(0, 50, 5)
    # target, state and stamps are of the tick that observed; the action is the last one before the next observation
    np.testing.assert_allclose(columns[TARGET], X2.column("default") + first[:, None], rtol=1e-6)
    np.testing.assert_allclose(columns[STATE][:, 0], X2.column("default")[0] + first * 1e-4, atol=1e-6)
    np.testing.assert_array_equal(columns[ACTION][:, 0], first + 4)
    np.testing.assert_allclose(columns[STAMPS], np.stack([first / 50.0, first / 50.0 - 0.005], axis=1))
    assert columns[EE_POSE].shape == (10, 14)
    frames = data.frames(IMAGE + "head", 0, range(10))[:, 0, 0, 0]
    assert np.abs(frames.astype(int) - 3 * first % 250).max() <= 3


def test_a_dataset_is_continued_and_another_body_refused(tmp_path: Path) -> None:
    for _ in range(2):
        with RolloutRecorder(tmp_path / "d", X2) as recorder:
            record(recorder, 20, True)
    assert Dataset(tmp_path / "d").num_episodes == 2
    with RolloutRecorder(tmp_path / "d", X2) as recorder:
        recorder.begin("lift")
        for tick in ticks(20, size=(32, 32)):
            recorder.observe(tick)
        recorder.end(True)
    assert recorder.recorded.committed == 0
    assert "does not match" in recorder.recorded.refused[0] or "differ" in recorder.recorded.refused[0]
    assert Dataset(tmp_path / "d").num_episodes == 2


def test_in_real_time_a_full_queue_loses_the_episode_and_not_a_tick(tmp_path: Path) -> None:
    """The encoder stands still: the loop goes on at once, the episode is refused, the next one is whole again."""
    recorder = RolloutRecorder(tmp_path / "d", X2, RolloutConfig(realtime=True, max_waiting=3))
    gate = threading.Event()

    def stand_still() -> None:
        gate.wait(30)

    recorder._put(stand_still, wait=True)
    recorder.begin("lift")
    for tick in ticks(200):
        recorder.observe(tick)
    gate.set()
    recorder.end(True)
    recorder._put(lambda: None, wait=True)
    record_when_idle(recorder)
    recorder.close()
    assert recorder.recorded.committed == 1
    assert len(recorder.recorded.refused) == 1
    assert "39 frames came faster" in recorder.recorded.refused[0]
    assert [e.length for e in Dataset(tmp_path / "d").episodes] == [4]


def record_when_idle(recorder: RolloutRecorder) -> None:
    """An episode whose frames come no faster than they are encoded."""
    recorder.begin("lift")
    for tick in ticks(20):
        recorder.observe(tick)
        done = threading.Event()
        recorder._put(done.set, wait=True)
        assert done.wait(30)
    recorder.end(None)


def test_capture_times_that_do_not_fit_lose_only_their_episode(tmp_path: Path) -> None:
    with RolloutRecorder(tmp_path / "d", X2) as recorder:
        record(recorder, 40, True, every=2)  # 25 observations per second, declared 10
        record(recorder, 40, True)
    assert recorder.recorded.committed == 1
    assert "25.00 Hz" in recorder.recorded.refused[0]
    assert "not recorded" in summary_of(recorder, tmp_path)


def test_an_error_that_nobody_foresaw_is_raised_at_the_end_and_leaves_no_gap(tmp_path: Path) -> None:
    recorder = RolloutRecorder(tmp_path / "d", X2)
    recorder.begin("lift")
    for tick in ticks(40):
        if tick.index == 20:
            assert tick.observation is not None
            object.__setattr__(tick.observation.state, "gripper", None)
        recorder.observe(tick)
    recorder.end(True)
    with pytest.raises((TypeError, ValueError)):
        recorder.close()
    assert (recorder.recorded.committed, recorder.recorded.refused) == (0, ["a frame could not be added"])
    assert Dataset(tmp_path / "d").num_episodes == 0


def test_what_is_not_ended_leaves_nothing(tmp_path: Path) -> None:
    with RolloutRecorder(tmp_path / "d", X2) as recorder:
        record(recorder, 20, True)
        recorder.begin("lift")
        with pytest.raises(DataError, match="`end` it first"):
            recorder.begin("lift")
        for tick in ticks(20):
            recorder.observe(tick)
    recorder.close()
    assert Dataset(tmp_path / "d").num_episodes == 1
    with RolloutRecorder(tmp_path / "e", X2) as recorder:
        recorder.end(True)
        recorder.begin("lift")
        recorder.end(True)
    assert recorder.recorded.refused == ["it has no frame"]
    with pytest.raises(ConfigError, match="rollouts need"):
        RolloutConfig(fps=100)


def test_a_live_run_that_is_tripped_is_kept_with_unknown_success(tmp_path: Path) -> None:
    def run() -> None:
        with record_live(tmp_path / "d", X2, 50.0, "lift", {"vla": "v"}) as recorder:
            for tick in ticks(25):
                recorder.observe(tick)
            raise RuntimeError("tripped")

    with pytest.raises(RuntimeError, match="tripped"):
        run()
    data = Dataset(tmp_path / "d")
    assert success_of(data.columns(0, [SUCCESS])[SUCCESS]) == UNKNOWN
    assert data.contract["clock"].startswith("monotonic")
    assert data.notes(0) == {"vla": "v"}


def test_a_body_that_lacks_what_is_recorded_is_named() -> None:
    first, *_, last = ticks(5)
    with pytest.raises(DataError, match=r"lacks \['left_hand'\]"):
        frame_of(X2, Recording(cameras=("head", "left_hand")), first, last)
    with pytest.raises(DataError, match="depth of head"):
        frame_of(X2, Recording(cameras=("head",), depths=("head",)), first, last)
    with pytest.raises(DataError, match="linear acceleration"):
        frame_of(X2, Recording(cameras=("head",), acceleration=True), first, last)
    with pytest.raises(DataError, match="took an observation"):
        frame_of(X2, Recording(), last, last)


def test_frames_are_cut_at_observations() -> None:
    pairs: list[tuple[int, int]] = []
    cutter = FrameCutter(lambda opened, closed: pairs.append((opened.index, closed.index)))
    for tick in ticks(13, start=3):
        cutter.observe(tick)
    cutter.finish()
    cutter.finish()
    assert pairs == [(5, 9), (10, 14), (15, 15)]
    pairs.clear()
    cutter = FrameCutter(lambda opened, closed: pairs.append((opened.index, closed.index)), stride=5)
    for tick in ticks(30):
        cutter.observe(tick if tick.index < 10 else replace(tick, observation=None))
    cutter.finish()
    assert pairs == [(0, 4), (5, 9)], "what comes after the observations have ended is not part of the last frame"
    assert runs_of(["a", "a", "", "b", "a"]) == [(0, 2, "a"), (3, 4, "b"), (4, 5, "a")]
    assert runs_of([]) == []


def test_trials_of_an_evaluation_are_recorded_and_unchanged_by_it(tmp_path: Path) -> None:
    """The random policy's trials, real world and loop: the same results with and without a recorder."""
    task = tasks.build("box-lift")
    lmo = LmoController.load(shipped_lmo("agibot_x2"), X2)
    trials = make_trials(task.train_instructions, task.test_instructions, 2, "train", 5)
    player = Player(
        name="random",
        description="moves at random",
        make_source=lambda arena, trial: LocalSource(RandomPolicy(arena.spec, trial.seed)),
    )
    config = ArenaConfig(image_width=32, image_height=24, time_limit_s=2.0)
    with Arena(task, X2, lmo, config) as arena:
        plain = run_trials(arena, trials, player, films=0)
        with RolloutRecorder(tmp_path / "d", X2, facts={"vla": "digest"}) as recorder:
            recorded = run_trials(arena, trials, player, films=0, recorder=recorder)
    assert [r.efficiency for r in recorded.results] == [r.efficiency for r in plain.results]
    data = Dataset(tmp_path / "d")
    assert data.num_episodes == 2
    assert data.cameras == tuple(IMAGE + name for name in X2.camera_names)
    assert [int(data.truth(i)["seed"]) for i in range(2)] == [t.seed for t in trials]
    assert data.notes(0) == {"vla": "digest", "player": "random", "task": "box-lift"}
    assert [success_of(data.columns(i, [SUCCESS])[SUCCESS]) for i in range(2)] == [FAILED, FAILED]
    assert data.tasks == list(dict.fromkeys(t.instruction for t in trials))
