"""A mirrored window: pictures, cameras, arms, flags and words swap together; twice is the same as never."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.features import ACTION, EE_POSE, IMAGE, IMU, STATE, action_names, ee_pose_names, ee_pose_of, state_names
from wbvla.data.format import Feature, scalar, vector, video
from wbvla.data.mirror import WindowMirror
from wbvla.robots.mirror import mirror_channels
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
CAMERAS = ("head", "left_hand", "right_hand")
FEATURES: dict[str, Feature] = {
    **{IMAGE + c: video(16, 24) for c in CAMERAS},
    STATE: vector(state_names(SPEC)),
    ACTION: vector(action_names(SPEC)),
    EE_POSE: vector(ee_pose_names()),
    IMU: vector([f"gyro_{a}.radps" for a in "xyz"]),
    "latent.locomotion": Feature(dtype="int64", shape=(4,)),
    "primitive": scalar("int64"),
    "success": scalar("int64"),
    "subtask": scalar("string"),
}


def window(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    result: dict[str, np.ndarray] = {IMAGE + c: rng.integers(0, 255, (2, 16, 24, 3), dtype=np.uint8) for c in CAMERAS}
    result |= {f"{IMAGE}{c}_is_pad": rng.random(2) < 0.5 for c in CAMERAS}
    for name in (STATE, ACTION, EE_POSE, IMU):
        result[name] = rng.normal(size=(3, *FEATURES[name].shape)).astype(np.float32)
        result[f"{name}_is_pad"] = rng.random(3) < 0.5
    return result | {"success": np.array([1, 1]), "subtask": np.array(["reach left", "wait"], dtype=object)}


@given(seed=st.integers(0, 10**6), words=st.sampled_from(["turn left", "Take the right box with your LEFT hand"]))
@settings(max_examples=20, deadline=None)
def test_twice_is_the_same(seed: int, words: str) -> None:
    mirror, before = WindowMirror(FEATURES, SPEC), window(seed)
    once, said = mirror(before, words)
    assert said != words
    assert not np.array_equal(once[ACTION], before[ACTION])
    twice, again = mirror(once, said)
    assert again == words
    assert set(twice) == set(before)
    for name, value in before.items():
        np.testing.assert_array_equal(twice[name], value)


def test_cameras_swap_and_pictures_flip() -> None:
    before = window(0)
    once, _ = WindowMirror(FEATURES, SPEC)(before, "go")
    np.testing.assert_array_equal(once[IMAGE + "left_hand"], before[IMAGE + "right_hand"][:, :, ::-1])
    np.testing.assert_array_equal(once[IMAGE + "head"], before[IMAGE + "head"][:, :, ::-1])
    np.testing.assert_array_equal(once[f"{IMAGE}left_hand_is_pad"], before[f"{IMAGE}right_hand_is_pad"])
    np.testing.assert_array_equal(once[f"{ACTION}_is_pad"], before[f"{ACTION}_is_pad"])
    assert once["subtask"].tolist() == ["reach right", "wait"]


def test_action_swaps_arms_grippers_and_flags() -> None:
    names = list(action_names(SPEC))
    action = np.zeros((1, len(names)), np.float32)
    for name, value in (("left_gripper.opening", 1.0), ("s_x", 1.0), ("s_y", 1.0), ("s_psi", -1.0), ("height_m", 0.6)):
        action[0, names.index(name)] = value
    action[0, names.index("left_elbow_joint.target_rad")] = 0.5
    once, _ = WindowMirror(FEATURES, SPEC)({ACTION: action}, "go")
    found = dict(zip(names, once[ACTION][0].tolist()))
    assert found["right_gripper.opening"] == 1.0
    assert found["left_gripper.opening"] == 0.0
    assert (found["s_x"], found["s_y"], found["s_psi"]) == (1.0, -1.0, 1.0)
    assert found["height_m"] == pytest.approx(0.6)
    assert found["right_elbow_joint.target_rad"] == 0.5
    assert found["left_elbow_joint.target_rad"] == 0.0


def test_recorded_hand_poses_agree_with_the_kinematics_of_the_mirrored_joints() -> None:
    """The pose column mirrored = the pose column computed from mirrored joints."""
    rng = np.random.default_rng(1)
    q = rng.uniform(0.5 * SPEC.column("lower"), 0.5 * SPEC.column("upper"), (40, len(SPEC.joints)))
    index, sign = SPEC.mirror(SPEC.joint_names)
    here = mirror_channels(SPEC, ee_pose_names())(ee_pose_of(SPEC, q))
    there = ee_pose_of(SPEC, q[:, index] * sign)
    for hand in (slice(0, 7), slice(7, 14)):
        ours, theirs = here[:, hand], there[:, hand]
        np.testing.assert_allclose(ours[:, :3], theirs[:, :3], atol=2e-3)
        np.testing.assert_allclose(np.abs((ours[:, 3:] * theirs[:, 3:]).sum(1)), 1.0, atol=1e-5)


def test_codes_and_numbers_without_a_mirror_image_are_refused() -> None:
    mirror = WindowMirror(FEATURES, SPEC)
    for name in ("latent.locomotion", "primitive"):
        with pytest.raises(DataError, match=name):
            mirror({name: np.zeros((2, 4), np.int64)}, "go")


def test_what_cannot_be_mirrored_is_refused_beforehand() -> None:
    with pytest.raises(ConfigError, match="left_hand"):
        WindowMirror({IMAGE + "left_hand": video(16, 24)}, SPEC)
    with pytest.raises(ConfigError, match="description"):
        WindowMirror({ACTION: FEATURES[ACTION]})
    with pytest.raises(ConfigError, match="elbow"):
        WindowMirror({STATE: vector(["elbow", "knee"])}, SPEC)
    WindowMirror({IMAGE + "head": video(16, 24), "primitive": scalar("int64")})
