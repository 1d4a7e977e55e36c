"""The collector on the simulated robot: every column is what the body said, nothing is overwritten or swallowed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from wbvla.collect.collector import Collector, CollectorConfig, Deadlines, lockstep
from wbvla.collect.simulated import PrimitiveDriver, SimFilmConfig, record_sim
from wbvla.core.errors import CameraError, ConfigError, DataError
from wbvla.core.interfaces import Body, Observer
from wbvla.core.records import Image, Tick
from wbvla.data.check import check
from wbvla.data.features import (
    ACTION,
    EE_POSE,
    FAILED,
    IMAGE,
    IMU,
    STAMPS,
    STATE,
    SUCCEEDED,
    SUCCESS,
    TARGET,
    action_of,
    ee_pose_of,
    imu_vector,
    state_vector,
    success_of,
)
from wbvla.data.reader import Dataset
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.tasks import tasks

X2 = load_robot("agibot_x2")
FPS, SIZE = 25, (48, 64)


class Witness:
    """An observer that remembers what the loop did and what the body showed."""

    def __init__(self, body: SimBody) -> None:
        self.ticks: list[Tick] = []
        self.images: list[dict[str, Image]] = []
        self._body = body

    def observe(self, tick: Tick) -> None:
        self.ticks.append(tick)
        self.images.append(dict(self._body.images()))


@pytest.fixture
def body() -> Iterator[SimBody]:
    task = tasks.build("box-lift")
    world = task.build(X2)
    task.reset(world, 3)
    size = {"image_height": SIZE[0], "image_width": SIZE[1]}
    made = SimBody(world, SimBodyConfig(**size, image_hz=float(FPS), depths=X2.camera_names[:1]))
    yield made
    made.close()


def restart(body: SimBody, seed: int) -> None:
    """The world of another seed, its clock at nought."""
    tasks.build("box-lift").reset(body.world, seed)
    body.reset()


def run(body: SimBody, observers: list[Observer], ticks: int) -> None:
    lmo = LmoController.load(shipped_lmo("agibot_x2"), X2)
    source = LocalSource(PrimitiveDriver(X2, "advance", 60.0))
    RobotLoop(body, X2, lmo, source, SafetyLayer(X2), observers).run(ticks, "walk")


def test_every_column_is_what_the_body_said(tmp_path: Path, body: SimBody) -> None:
    assert isinstance(body, Body)
    witness, again = Witness(body), Witness(body)
    with Collector(tmp_path / "d", body, X2, lockstep(CollectorConfig(fps=FPS))) as collector:
        with pytest.raises(DataError, match="start first"):
            collector.mark(True)
        collector.start("walk forward", "advance", {"operator": "test"})
        with pytest.raises(DataError, match="end or discard it first"):
            collector.start("walk forward")
        run(body, [witness, collector], 60)
        collector.mark(False)
        collector.mark(True)
        first = collector.stop(truth={"seed": np.array(3)})
        restart(body, 3)
        collector.start("walk forward")
        run(body, [collector], 20)
        assert collector.discard()["kind"] == "discarded"
        restart(body, 4)
        collector.start("stand")
        run(body, [again, collector], 20)
        collector.mark(False)
        second = collector.stop()
    assert (first["kind"], second["kind"]) == ("committed", "committed"), (first, second)
    assert check(tmp_path / "d", deep=True) == []
    data = Dataset(tmp_path / "d")
    assert [e.length for e in data.episodes] == [30, 10], "the second did not overwrite the first"
    assert [success_of(data.columns(i, [SUCCESS])[SUCCESS]) for i in range(2)] == [SUCCEEDED, FAILED]
    assert data.instruction(1) == "stand"
    assert data.notes(0)["deadlines"] == {"late": 0, "missed": 0}
    assert int(data.truth(0)["seed"]) == 3
    for episode, ticks in enumerate((witness.ticks, again.ticks)):
        columns = data.columns(episode)
        for row, (seen, last) in enumerate(zip(ticks[::2], ticks[1::2], strict=True)):
            np.testing.assert_array_equal(columns[STATE][row], state_vector(seen.state), f"{episode}, {row}")
            np.testing.assert_array_equal(columns[IMU][row], imu_vector(seen.state))
            np.testing.assert_array_equal(columns[EE_POSE][row], ee_pose_of(X2, seen.state.q))
            np.testing.assert_array_equal(columns[TARGET][row], seen.target.q.astype(np.float32))
            np.testing.assert_array_equal(columns[ACTION][row], action_of(last))
            assert columns[STAMPS][row, 0] == seen.state.time_s
    columns = data.columns(0)
    quats = columns[EE_POSE].reshape(30, 2, 7)[:, :, 3:]
    np.testing.assert_allclose(np.linalg.norm(quats, axis=-1), 1.0, rtol=1e-5)
    for name in X2.camera_names:
        true = np.stack([shown[name].rgb for shown in witness.images[::2]])
        frames = data.frames(IMAGE + name, 0, range(30))
        assert np.abs(frames.astype(int) - true).mean() < 6
    head = X2.camera_names[0]
    maps = data.depth(IMAGE + head + "_depth", 0, range(30))
    for row, shown in enumerate(witness.images[::2]):
        np.testing.assert_array_equal(maps[row], shown[head].depth_mm)


class Blind:
    """The body, whose left hand camera goes away."""

    def __init__(self, body: SimBody) -> None:
        self._body, self.is_blind = body, False

    def images(self) -> dict[str, Image]:
        images = dict(self._body.images())
        if self.is_blind:
            images.pop(X2.camera_names[1])
        return images

    def __getattr__(self, name: str) -> object:
        return getattr(self._body, name)


def test_a_fault_is_heard_and_loses_the_recording(tmp_path: Path, body: SimBody) -> None:
    blind = Blind(body)
    with Collector(tmp_path / "d", blind, X2, lockstep(CollectorConfig(fps=FPS))) as collector:  # pyright: ignore
        collector.start("walk forward")
        run(body, [collector], 10)
        blind.is_blind = True
        run(body, [collector], 10)
        with pytest.raises(CameraError, match="no picture of"):
            collector.stop()
        assert not collector.is_collecting
        blind.is_blind = False
        body.reset()
        collector.start("walk forward")
        run(body, [collector], 10)
        assert collector.stop()["kind"] == "committed"
    assert Dataset(tmp_path / "d").num_episodes == 1


def test_deadlines_are_absolute() -> None:
    """Late ones are counted, skipped ones too, and the grid does not drift."""
    grid = Deadlines(10.0, slack_s=0.01)
    times = np.arange(0, 100) * 0.02
    assert [round(t, 2) for t in times if grid.is_due(t)] == [round(0.1 * i, 2) for i in range(20)]
    assert (grid.late, grid.missed) == (0, 0)
    assert grid.is_due(2.06)
    assert not grid.is_due(2.08)
    assert grid.is_due(2.10), "the next is where it was"
    assert (grid.late, grid.missed) == (1, 0)
    assert grid.is_due(2.52)
    assert (grid.late, grid.missed) == (1, 3)
    assert grid.is_due(2.6)


def test_the_robot_shows_primitives(tmp_path: Path) -> None:
    config = SimFilmConfig(primitives=("turn_left", "squat_down"), clips=2, seconds=1.5, width=64, height=48)
    assert record_sim(tmp_path / "d", config) == {"kept": 2, "discarded": 0}
    assert check(tmp_path / "d", deep=True) == []
    data = Dataset(tmp_path / "d")
    assert [data.instruction(e) for e in range(2)] == ["turn left", "squat down"]
    turn, squat = (data.columns(e, [ACTION])[ACTION] for e in range(2))
    assert (turn[2:, -2] == 1).all()
    assert (squat[2:, -1] < X2.nominal_height_m - 0.05).all()
    with pytest.raises(ConfigError, match="approach"):
        SimFilmConfig(primitives=("approach_near",))
    with pytest.raises(ConfigError, match="10 and above"):
        CollectorConfig(fps=5)
