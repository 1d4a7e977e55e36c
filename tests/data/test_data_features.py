"""Recorded channels are named in the order in which the records are written; the contract says what they mean."""

import json

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.core.records import Action, BodyState, Image, Observation
from wbvla.core.rotation import quat_rotate
from wbvla.data.features import (
    ACTION,
    EE_POSE,
    IMAGE,
    IMU,
    PRIMITIVE,
    STAMPS,
    STATE,
    SUCCESS,
    TARGET,
    Recording,
    contract_for,
    ee_pose_names,
    ee_pose_of,
    features_for,
    imu_names,
    imu_vector,
    pinhole,
    recorded_features,
    stamps_of,
    state_names,
    state_vector,
)
from wbvla.data.format import Feature
from wbvla.data.journal import as_json
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK
from wbvla.robots.platforms import load_robot
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene

X2 = load_robot("agibot_x2")
WORLD = World(X2, build_scene(X2, MjcfOptions(), RoomConfig()))


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_names_and_vectors_have_one_order(robot):
    spec = load_robot(robot)
    joints, arms = len(spec.joint_names), len(spec.arm_joints)
    features = features_for(spec, ("head", "left_hand"), height=120, width=160)
    assert features[IMAGE + "head"].shape == (120, 160, 3)
    assert features[STATE].shape == (2 * joints + 8,)
    assert features[ACTION].shape == (arms + 6,)
    state = BodyState(
        time_s=0.0,
        q=np.arange(joints) * 1.0,
        dq=np.arange(joints) + 100.0,
        torque=np.zeros(joints),
        gripper=np.array([0.2, 0.4]),
        gyro_b=np.array([7.0, 8.0, 9.0]),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )
    named = dict(zip(state_names(spec), state_vector(state)))
    assert named[f"{spec.joint_names[3]}.q_rad"] == 3.0
    assert named[f"{spec.joint_names[3]}.dq_radps"] == 103.0
    assert named["right_gripper.opening"] == pytest.approx(0.4)
    assert (named["gyro_y.radps"], named["gravity_z"]) == (8.0, -1.0)
    action = Action(
        rate_hz=10.0,
        arm_targets=np.arange(arms, dtype=np.float64)[None],
        grippers=np.array([[0.1, 0.9]]),
        flags=np.array([[1, -1, 0]]),
        height_m=np.array([0.6]),
    )
    named = dict(zip(features[ACTION].names or (), action.vectors()[0]))
    assert named[f"{spec.arm_joints[5]}.target_rad"] == 5.0
    assert (named["s_x"], named["s_y"], named["s_psi"], named["height_m"]) == (1.0, -1.0, 0.0, 0.6)
    assert named["left_gripper.opening"] == 0.1
    assert b"joint_names" in as_json(contract_for(spec))


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_every_kind_of_dataset_is_one_description(robot):
    """A robot's recording has everything, action-free video nothing of a robot; every feature survives info.json."""
    spec = load_robot(robot)
    whole = recorded_features(
        Recording(cameras=spec.camera_names, depths=spec.camera_names[:1], acceleration=True, primitive=True), spec
    )
    cameras = [k for k in whole if k.startswith(IMAGE)]
    assert len(cameras) == len(spec.camera_names) + 1 >= 4
    rows = [STATE, IMU, EE_POSE, TARGET, ACTION, SUCCESS, PRIMITIVE, STAMPS, SUBTASK, SKILL, LANGUAGE]
    assert list(whole) == [*cameras, *rows]
    assert whole[TARGET].shape == (len(spec.joint_names),)
    assert (whole[STAMPS].dtype, whole[STAMPS].shape) == ("float64", (len(spec.camera_names) + 2,))
    for name, feature in whole.items():
        assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature, name
        assert feature.is_picture or feature.dtype in ("string", "language") or feature.names or feature.shape == (1,)
    video = recorded_features(Recording(cameras=("head",), robot=False, success=False, primitive=True))
    assert list(video) == [IMAGE + "head", PRIMITIVE, STAMPS, SUBTASK, SKILL, LANGUAGE]
    least = features_for(spec, ("head",), 24, 32)
    assert list(least) == [IMAGE + "head", STATE, ACTION, SUCCESS]


def test_impossible_recordings_are_refused():
    with pytest.raises(ConfigError, match="depth of"):
        Recording(cameras=("head",), depths=("hand",))
    with pytest.raises(ConfigError, match="robot=False"):
        recorded_features(Recording(cameras=("head",)))


@given(st.integers(0, 2**31))
def test_hand_poses_are_those_of_the_simulated_body(seed):
    """Forward kinematics of the description against MuJoCo's, at random joint angles within the limits."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(X2.column("lower"), X2.column("upper"))
    data, model = WORLD.data, WORLD.model
    data.qpos[:] = model.qpos0
    data.qpos[WORLD.qpos] = q
    mujoco.mj_kinematics(model, data)
    pose = ee_pose_of(X2, q).astype(np.float64)
    root = data.body(X2.root_link)
    for hand, row in zip(X2.hands, (pose[:7], pose[7:])):
        link = data.body(hand.link)
        palm_w = link.xpos + link.xmat.reshape(3, 3) @ np.array(hand.palm_xyz)
        np.testing.assert_allclose(row[:3], root.xmat.reshape(3, 3).T @ (palm_w - root.xpos), atol=1e-5)
        assert np.linalg.norm(row[3:]) == pytest.approx(1.0, abs=1e-6)
        # the hand's x-axis lies along the fingers, which point from the last link to the palm
        along = quat_rotate(row[3:], np.array([1.0, 0.0, 0.0]))
        away = root.xmat.reshape(3, 3).T @ (palm_w - link.xpos)
        assert along @ away / np.linalg.norm(away) == pytest.approx(1.0, abs=1e-3)


def test_hand_poses_come_in_batches_and_are_named():
    q = np.stack([X2.column("default"), X2.column("lower")])
    both = ee_pose_of(X2, q)
    assert (both.shape, both.dtype) == ((2, 14), np.float32)
    np.testing.assert_array_equal(both[1], ee_pose_of(X2, q[1]))
    names = ee_pose_names()
    assert names[:4] == ("left_hand.x_m", "left_hand.y_m", "left_hand.z_m", "left_hand.qw")
    assert names[7] == "right_hand.x_m"
    assert both[0, 1] == pytest.approx(-both[0, 8], abs=1e-3), "the default pose is nearly its own mirror image"


def test_imu_and_stamps_are_what_was_measured_when():
    joints = len(X2.joint_names)
    fields = {"q": np.zeros(joints), "dq": np.zeros(joints), "torque": np.zeros(joints), "gripper": np.zeros(2)}
    axes = {"gyro_b": np.array([1.0, 2.0, 3.0]), "gravity_b": np.array([0.0, 0.0, -1.0])}
    plain = BodyState(time_s=5.0, **fields, **axes)
    felt = BodyState(time_s=5.0, **fields, **axes, accel_b=np.array([0.0, 0.1, 9.8]))
    assert imu_vector(plain).tolist() == [1.0, 2.0, 3.0]
    assert dict(zip(imu_names(True), imu_vector(felt)))["accel_z.mps2"] == np.float32(9.8)
    assert len(imu_names(False)) == 3
    picture = np.zeros((4, 4, 3), np.uint8)
    images = {"head": Image(rgb=picture, time_s=4.9), "hand": Image(rgb=picture, time_s=4.8)}
    seen = Observation(sequence=0, state=felt, images=images, instruction="")
    recording = Recording(cameras=("hand", "head"), depths=("head",))
    assert dict(zip(recording.stamp_names, stamps_of(seen, recording))) == {
        "body": 5.0,
        "hand": 4.8,
        "head": 4.9,
        "head_depth": 4.9,
    }
    assert stamps_of(seen, Recording(cameras=("head",), robot=False)).tolist() == [4.9]


def test_intrinsics_project_onto_the_drawn_picture():
    """A point seen by the simulated head camera falls on the pixel that the contract's numbers say."""
    size = RenderConfig(width=160, height=120)
    renderer = Renderer(WORLD.model, ("head",), size)
    WORLD.reset()
    depth = renderer.render_depth(WORLD.data)["head"].astype(np.float64)
    renderer.close()
    facts = contract_for(X2, Recording(cameras=("head",), height=120, width=160))["cameras"]["head"]
    assert facts["link"] == next(c.link for c in X2.cameras if c.name == "head")
    rows, columns = np.mgrid[0:120, 0:160] + 0.5
    x = (columns - facts["cx"]) / facts["fx"] * depth
    y = (rows - facts["cy"]) / facts["fy"] * depth
    camera = WORLD.data.camera("head")
    points = np.stack([x, -y, -depth], axis=-1) @ camera.xmat.reshape(3, 3).T + camera.xpos
    floor = np.abs(points[..., 2]) < 0.01
    assert floor.mean() > 0.02, "the floor, drawn as depth, lies at height 0 when taken back to the world"


def test_intrinsics_scale_with_the_picture():
    small, large = pinhole(60.0, 120, 160), pinhole(60.0, 480, 640)
    assert large["fx"] == pytest.approx(4 * small["fx"])
    assert (small["cx"], small["cy"]) == (80.0, 60.0)
    assert small["fy"] == pytest.approx(60.0 / np.tan(np.radians(30.0)))


def test_contract_says_what_the_columns_mean():
    recording = Recording(cameras=("head",), depths=("head",))
    contract = contract_for(X2, recording, {"body": 50.0, "head": 10.0}, clock="monotonic")
    assert contract["joint_names"] == list(X2.joint_names)
    assert (contract["robot"], contract["robot_version"], contract["clock"]) == (X2.name, X2.version, "monotonic")
    assert contract["rates_hz"] == {"body": 50.0, "head": 10.0}
    assert list(contract["cameras"]) == ["head"]
    assert contract["schema"] >= 2
    assert set(contract["hands"]) == {"left", "right"}
    assert json.loads(as_json(contract)) == contract
    assert set(contract_for(X2)["cameras"]) == set(X2.camera_names)
