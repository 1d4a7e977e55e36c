"""Slices of state and action for GR00T: every channel in exactly one, arms, grippers and command by their names."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.data.features import ACTION, STATE, Recording, contract_for, recorded_features
from wbvla.data.format import OWN_FEATURES, Feature, Info, scalar, vector
from wbvla.data.groot import group_of, modality_of
from wbvla.robots.platforms import load_robot


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_a_robots_recording(robot):
    spec = load_robot(robot)
    features = recorded_features(Recording(cameras=("head",), acceleration=True), spec)
    found = modality_of(Info(fps=10, robot=robot, features={**features, **OWN_FEATURES}), contract_for(spec))
    action = found["action"]
    assert [action[k] for k in ("left_gripper", "right_gripper", "command")] == [
        {"start": 14, "end": 15},
        {"start": 15, "end": 16},
        {"start": 16, "end": 20},
    ]
    names = features[ACTION].names or ()
    for side in ("left", "right"):
        part = action[f"{side}_arm"]
        assert part["end"] - part["start"] == 7
        assert all(side in n for n in names[part["start"] : part["end"]])
    state = found["state"]
    assert state["imu_gyro"]["original_key"] == "observation.imu"
    assert state["ee_pose_left_hand_pose"] == {"start": 0, "end": 7, "original_key": "observation.ee_pose"}
    assert {"left_arm", "left_arm_velocity", "right_gripper", "gravity"} <= set(state)
    covered = sorted((s["start"], s["end"]) for s in state.values() if "original_key" not in s)
    assert covered[0][0] == 0
    assert covered[-1][1] == features[STATE].shape[0]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(covered))


def test_other_datasets():
    features = {
        "observation.state": Feature(dtype="float32", shape=(5,)),
        "observation.grid": Feature(dtype="float32", shape=(2, 2)),
        "action": vector(["shoulder_pan", "shoulder_lift", "elbow", "gripper"]),
        "action.extra": vector(["left_hip.q", "odd"]),
        "done": scalar("bool"),
        "note": scalar("string"),
    }
    found = modality_of(Info(fps=10, robot="r", features=features), {})
    assert found["state"] == {"state": {"start": 0, "end": 5}}
    assert found["action"] == {
        "arm": {"start": 0, "end": 3},
        "gripper": {"start": 3, "end": 4},
        "action_extra_left_leg": {"start": 0, "end": 1, "original_key": "action.extra"},
        "action_extra_joints": {"start": 1, "end": 2, "original_key": "action.extra"},
    }
    assert found["video"] == {}


@given(names=st.lists(st.sampled_from(["left_elbow.q_rad", "hip.q_rad", "s_x", "gyro_x.radps", "odd", ""]), min_size=1))
def test_every_channel_is_in_one_slice(names):
    """However the channels are mixed: no gap, no overlap, no key twice."""
    features = {"action": vector(names), "target": vector(names)}
    found = modality_of(Info(fps=10, robot="r", features=features), {})["action"]
    for key in ("action", "target"):
        own = sorted((s["start"], s["end"]) for s in found.values() if s.get("original_key", "action") == key)
        assert [n for a, b in own for n in range(a, b)] == list(range(len(names)))


def test_groups():
    assert group_of("odd_joint.q_rad", frozenset({"odd_joint"})) == "arm"
    assert group_of("waist_yaw.dq_radps") == "waist_velocity"
    assert group_of("right_hand.qw") == "right_hand_pose"
