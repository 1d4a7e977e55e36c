"""The simulated body: lock-step and real time behave alike, bad writes are refused, closing leaves it damped."""

import time
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import ConfigError, RobotError
from wbvla.core.interfaces import Body
from wbvla.core.records import JointTarget
from wbvla.robots.platforms import load_robot
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene

X2 = load_robot("agibot_x2")
BLIND = SimBodyConfig(cameras=())


def target(**changes: np.ndarray) -> JointTarget:
    fields = {"q": X2.column("default"), "kp": X2.column("kp"), "kd": X2.column("kd"), "gripper": np.ones(2)}
    return JointTarget(**{**fields, **changes})


@pytest.fixture(scope="module")
def world() -> World:
    return World(X2, build_scene(X2, MjcfOptions(), RoomConfig()))


@pytest.fixture
def body(world: World):
    world.reset()
    made = SimBody(world, BLIND)
    yield made
    made.close()


def test_it_is_a_body_and_starts_upright(body: SimBody) -> None:
    assert isinstance(body, Body)
    assert tuple(body.joint_names) == X2.joint_names
    state = body.read()
    np.testing.assert_allclose(state.q, X2.column("default"))
    np.testing.assert_allclose(state.gravity_b, (0, 0, -1), atol=1e-6)
    np.testing.assert_allclose(state.gripper, 1.0)


def test_a_tick_is_20_ms_of_physics(body: SimBody) -> None:
    body.write(target())
    assert [round(body.tick(), 6) for _ in range(3)] == [0.02, 0.04, 0.06]
    assert body.read().time_s == pytest.approx(0.06)


def test_targets_gains_and_grippers_reach_the_joints(body: SimBody) -> None:
    elbow = X2.joint_names.index("left_elbow_joint")
    q = X2.column("default")
    q[elbow] = -1.2
    for _ in range(30):
        body.write(target(q=q, gripper=np.array([0.0, 1.0])))
        body.tick()
    state = body.read()
    assert state.q[elbow] == pytest.approx(-1.2, abs=0.12)
    np.testing.assert_allclose(state.gripper, (0.0, 1.0), atol=0.05)
    body.write(target(kp=np.zeros(31), kd=np.zeros(31)))
    body.tick()
    np.testing.assert_allclose(body.read().torque, 0.0, atol=1e-9)


def test_torque_follows_the_pd_law_within_its_limit(body: SimBody) -> None:
    q = X2.column("default") + 0.02
    body.write(target(q=q))
    body.world.step(1)
    data = body.world.data
    assert (np.abs(body.read().torque) <= X2.column("effort") + 1e-9).all()
    body.write(target(q=X2.column("default") + 10.0))
    body.tick()
    np.testing.assert_allclose(np.abs(data.actuator_force[body.world.ctrl]), X2.column("effort"), rtol=1e-6)


@pytest.mark.parametrize("name", ["q", "kp", "kd"])
def test_bad_targets_are_refused_and_not_sent(body: SimBody, name: str) -> None:
    body.write(target())
    sent = body.world.data.ctrl.copy()
    bad = target()
    getattr(bad, name)[3] = np.nan
    with pytest.raises(RobotError, match=name):
        body.write(bad)
    short = JointTarget(q=np.zeros(5), kp=np.zeros(5), kd=np.zeros(5), gripper=np.zeros(2))
    with pytest.raises(RobotError, match=r"shape \(5,\)"):
        body.write(short)
    with pytest.raises(RobotError, match="negative"):
        body.write(target(kp=-np.ones(31)))
    np.testing.assert_array_equal(body.world.data.ctrl, sent)


def test_same_writes_same_states(world: World) -> None:
    runs = []
    for _ in range(2):
        world.reset()
        body = SimBody(world, BLIND)
        for tick in range(15):
            body.write(target(q=X2.column("default") + 0.05 * np.sin(tick)))
            body.tick()
        runs.append(body.read())
        body.close()
    np.testing.assert_array_equal(runs[0].q, runs[1].q)
    np.testing.assert_array_equal(runs[0].dq, runs[1].dq)


def test_images_come_at_their_own_rate(world: World) -> None:
    world.reset()
    body = SimBody(world, SimBodyConfig(image_width=32, image_height=24, cameras=("policy", "view")))
    stamps = []
    for _ in range(11):
        images = body.images()
        stamps.append(round(images["head"].time_s, 3))
        body.write(target())
        body.tick()
    assert set(images) == {"head", "left_hand", "right_hand", "view"}
    assert images["view"].rgb.shape == (24, 32, 3)
    assert stamps == [0.0] * 5 + [0.1] * 5 + [0.2]
    body.close()


def test_closing_leaves_every_joint_damped(body: SimBody) -> None:
    body.write(target())
    body.close()
    model, rows = body.world.model, body.world.ctrl
    np.testing.assert_array_equal(model.actuator_gainprm[rows, 0], 0.0)
    np.testing.assert_array_equal(-model.actuator_biasprm[rows, 2], X2.column("kd"))


def test_a_diverged_simulation_is_reported(body: SimBody, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log file where it stands
    body.write(target())
    body.world.data.qpos[2] = np.nan
    with pytest.raises(RobotError, match="diverged"):
        body.tick()


def test_a_time_step_that_does_not_fit_is_refused() -> None:
    odd = World(X2, build_scene(X2, MjcfOptions(timestep=0.003, visuals=False), RoomConfig()))
    with pytest.raises(ConfigError, match="20 ms"):
        SimBody(odd, BLIND)


def test_real_time_keeps_the_clock_and_draws_elsewhere(world: World) -> None:
    world.reset()
    config = SimBodyConfig(realtime=True, image_width=32, image_height=24, cameras=("head",))
    body = SimBody(world, config)
    body.reset()
    began, stamps, waits = time.monotonic(), set(), []
    for _ in range(50):
        body.write(target())
        asked = time.monotonic()
        image = body.images()["head"]
        waits.append(time.monotonic() - asked)
        stamps.add(image.time_s)
        assert image.time_s <= body.read().time_s + 1e-6
        body.tick()
    elapsed = time.monotonic() - began
    assert elapsed > 0.97, "faster than real time"
    assert len(stamps) >= 2, "images never changed"
    assert np.median(waits) < 0.01, "images() waited for a camera"
    child = body._process._child if body._process else None
    body.close()
    body.close()
    assert child is not None
    assert child.poll() is not None, "the drawing process lives on"


def test_the_imu_feels_gravity_when_it_stands(body: SimBody) -> None:
    for _ in range(25):
        body.write(target())
        body.tick()
    accel = body.read().accel_b
    assert accel is not None
    assert np.linalg.norm(accel) == pytest.approx(9.81, rel=0.15)
    assert accel[2] > 9.0


def test_depth_comes_with_its_picture_in_millimetres(world: World) -> None:
    world.reset()
    config = SimBodyConfig(cameras=("head", "left_hand"), depths=("head",), image_width=64, image_height=48)
    body = SimBody(world, config)
    images = body.images()
    depth = images["head"].depth_mm
    assert depth is not None
    assert images["left_hand"].depth_mm is None
    assert (depth.shape, depth.dtype) == ((48, 64), np.uint16)
    assert body._renderer is not None
    metres = body._renderer.render_depth(world.data)["head"]
    seen = depth > 0
    assert seen.mean() > 0.5
    assert np.abs(depth[seen] / 1000.0 - metres[seen]).max() <= 0.00051
    body.close()
    with pytest.raises(ConfigError, match="lock-step"):
        SimBody(world, SimBodyConfig(cameras=("head",), depths=("head",), realtime=True))
    with pytest.raises(ConfigError, match="depth of"):
        SimBody(world, SimBodyConfig(cameras=("head",), depths=("left_hand",)))


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_an_imu_in_the_torso_tells_what_one_in_the_pelvis_would(robot: str) -> None:
    """The waist moves in all its joints; both IMUs are read through the body and must agree."""
    spec = load_robot(robot)
    world = World(spec, build_scene(spec, MjcfOptions(), RoomConfig()))
    bodies = [SimBody(world, replace(BLIND, imu=name)) for name in ("pelvis", "torso")]
    waist, q = spec.indices(spec.waist_joints), spec.column("default").copy()
    apart, twisted = [], []
    for tick in range(40):
        q[waist] = 0.25 * np.sin(0.4 * tick + np.arange(len(waist)))
        bodies[0].write(JointTarget(q=q, kp=spec.column("kp"), kd=spec.column("kd"), gripper=np.ones(2)))
        bodies[0].tick()
        mujoco.mj_forward(world.model, world.data)  # sensors are one physics step older than joints otherwise
        one, other = (body.read() for body in bodies)
        apart.append(np.abs(one.gravity_b - other.gravity_b).max())
        assert np.abs(one.gyro_b - other.gyro_b).max() < 1e-6
        twisted.append(np.abs(bodies[1]._sensed(bodies[1]._gyro) - one.gyro_b).max())
    assert max(apart) < 1e-6
    assert max(twisted) > 0.5  # without the waist's part the two would differ by this


def test_an_unknown_imu_is_refused_by_name(world: World) -> None:
    with pytest.raises(ConfigError, match="no IMU 'head'; known: pelvis, torso"):
        SimBody(world, replace(BLIND, imu="head"))
