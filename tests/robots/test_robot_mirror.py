"""Mirrored channels are the mirror image of the robot: forward kinematics says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.data.features import action_names, state_names
from wbvla.robots.kinematics import link_poses
from wbvla.robots.mirror import mirror_channels, swap_sides
from wbvla.robots.platforms import load_robot

ROBOTS = ("agibot_x2", "unitree_g1")


@pytest.mark.parametrize("robot", ROBOTS)
def test_mirrored_arm_targets_put_the_hands_where_the_mirror_shows_them(robot):
    """Positions reflect at y = 0, quaternions about the same plane; the vendor's X2 is symmetric to a millimetre."""
    spec = load_robot(robot)
    rng = np.random.default_rng(0)
    actions = np.zeros((64, len(action_names(spec))), np.float32)
    arms = spec.indices(spec.arm_joints)
    low, high = spec.column("lower")[arms], spec.column("upper")[arms]
    actions[:, :14] = rng.uniform(low, high, (64, 14))
    mirrored = mirror_channels(spec, action_names(spec))(actions)
    pose, image = (link_poses(spec, _whole(spec, a[:, :14])) for a in (actions, mirrored))
    for hand, other in (spec.hands, spec.hands[::-1]):
        here, there = pose[hand.link], image[other.link]
        points = here.apply(np.array(hand.palm_xyz)) * [1.0, -1.0, 1.0]
        np.testing.assert_allclose(there.apply(np.array(other.palm_xyz)), points, atol=2e-3)
        turned = here.quat_wxyz * [1.0, -1.0, 1.0, -1.0]
        np.testing.assert_allclose(np.abs((turned * there.quat_wxyz).sum(-1)), 1.0, atol=1e-6)


def _whole(spec, arms):
    q = np.tile(spec.column("default"), (len(arms), 1))
    q[:, spec.indices([*spec.waist_joints, *spec.head_joints])] = 0.0
    q[:, spec.indices(spec.arm_joints)] = arms
    return q


@pytest.mark.parametrize("robot", ROBOTS)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_twice_in_the_mirror_is_the_same(robot, seed):
    spec = load_robot(robot)
    for names in (
        state_names(spec),
        action_names(spec),
        ("left_hand.x_m", "left_hand.qw", "right_hand.x_m", "right_hand.qw"),
    ):
        x = np.random.default_rng(seed).normal(size=(3, len(names))).astype(np.float32)
        mirror = mirror_channels(spec, names)
        once = mirror(x)
        assert once.dtype == x.dtype
        assert not np.array_equal(once, x)
        np.testing.assert_array_equal(mirror(once), x)


def test_signs_of_what_is_not_a_joint():
    """Gravity reflects as an arrow, turning rates as turns, the command by its meaning."""
    spec = load_robot("agibot_x2")
    names = (*(f"gyro_{a}.radps" for a in "xyz"), *(f"gravity_{a}" for a in "xyz"), "s_x", "s_y", "s_psi", "height_m")
    mirrored = mirror_channels(spec, names)(np.ones(len(names)))
    assert mirrored.tolist() == [-1, 1, -1, 1, -1, 1, 1, -1, -1, 1]
    pose = tuple(
        f"{side}_hand.{c}" for side in ("left", "right") for c in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
    )
    values = np.arange(14.0) + 1
    there = mirror_channels(spec, pose)(values)
    assert there[:7].tolist() == [8, -9, 10, 11, -12, 13, -14]
    assert there[7:].tolist() == [1, -2, 3, 4, -5, 6, -7]


def test_a_turning_robot_in_the_mirror_turns_the_other_way():
    """Integrating (v_x, v_y, yaw rate) of mirrored flags gives the mirrored path."""
    spec = load_robot("agibot_x2")
    mirror = mirror_channels(spec, ("s_x", "s_y", "s_psi"))
    flags = np.random.default_rng(3).integers(-1, 2, (200, 3)).astype(float)
    ahead, image = _path(flags), _path(mirror(flags))
    np.testing.assert_allclose(image, ahead * [1, -1], atol=1e-9)
    assert np.abs(ahead[:, 1]).max() > 0.1


def _path(flags, dt=0.1):
    yaw = np.cumsum(flags[:, 2] * dt)
    x = np.cumsum((np.cos(yaw) * flags[:, 0] - np.sin(yaw) * flags[:, 1]) * dt)
    y = np.cumsum((np.sin(yaw) * flags[:, 0] + np.cos(yaw) * flags[:, 1]) * dt)
    return np.stack([x, y], axis=-1)


def test_unknown_and_lonely_channels_are_refused():
    spec = load_robot("agibot_x2")
    with pytest.raises(ConfigError, match="mystery"):
        mirror_channels(spec, ("mystery",))
    with pytest.raises(ConfigError, match=r"right_gripper\.opening"):
        mirror_channels(spec, ("left_gripper.opening",))


def test_sides_swap_as_whole_words_only():
    assert swap_sides("observation.images.left_hand") == "observation.images.right_hand"
    assert swap_sides("leftover.bright") == "leftover.bright"
