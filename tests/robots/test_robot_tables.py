"""Every registered robot: complete groups, sane figures, mirror, shipped policy or a clear refusal."""

import dataclasses

import numpy as np
import pytest

from wbvla.core.errors import ArtefactError, ConfigError, UnknownName
from wbvla.robots.description import RobotSpec, robots
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.robots.table import read_table

NAMES = ["agibot_x2", "unitree_g1"]


@pytest.fixture(params=NAMES)
def spec(request: pytest.FixtureRequest) -> RobotSpec:
    return load_robot(request.param)


def test_both_platforms_are_registered() -> None:
    assert set(NAMES) <= set(robots)


def test_groups_partition_the_joints(spec: RobotSpec) -> None:
    groups = (*spec.leg_joints, *spec.waist_joints, *spec.arm_joints, *spec.head_joints)
    assert sorted(groups) == sorted(spec.joint_names)
    assert (len(spec.leg_joints), len(spec.arm_joints), len(spec.lmo_joints)) == (12, 14, 13)


def test_tree_hangs_together(spec: RobotSpec) -> None:
    children = [joint.child for joint in spec.joints]
    assert len(set(children)) == len(children)
    assert {link.name for link in spec.links} == {spec.root_link, *children}
    seen = {spec.root_link}
    for joint in spec.joints:
        assert joint.parent in seen, "joints must come after their parents"
        seen.add(joint.child)


def test_inertias_are_physical(spec: RobotSpec) -> None:
    for link in spec.links:
        xx, yy, zz, xy, xz, yz = link.inertia
        moments = np.linalg.eigvalsh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        assert moments[0] > 0, link.name
        assert moments[2] <= (moments[0] + moments[1]) * 1.001, f"{link.name} breaks the triangle inequality"


def test_drives_are_complete(spec: RobotSpec) -> None:
    lower, upper, default = (spec.column(name) for name in ("lower", "upper", "default"))
    assert (lower < upper).all()
    assert ((default >= lower) & (default <= upper)).all()
    for name in ("effort", "velocity", "kp", "kd", "armature"):
        assert (spec.column(name) > 0).all(), name


def test_mirror_swaps_sides_and_is_its_own_inverse(spec: RobotSpec) -> None:
    index, sign = spec.mirror(spec.joint_names)
    q = np.random.default_rng(0).normal(size=len(spec.joints))
    once = sign * q[index]
    np.testing.assert_array_equal(sign * once[index], q)
    default = spec.column("default")
    np.testing.assert_allclose(sign * default[index], default, err_msg="the default pose is symmetric")
    np.testing.assert_allclose(spec.column("kp")[index], spec.column("kp"))


def test_x2_masses_and_waist_are_those_of_the_sources() -> None:
    x2 = load_robot("agibot_x2")
    assert sum(link.mass for link in x2.links) == pytest.approx(44.80, abs=0.01)
    waist = x2.joints[x2.joint_names.index("waist_pitch_joint")]
    assert waist.effort == 24.0, "the torque measured on a robot, not the vendor's 36"


def test_g1_legs_hold_as_public_controllers_do_and_its_arms_by_the_motor_rule() -> None:
    g1 = load_robot("unitree_g1")
    by_name = {joint.name: joint for joint in g1.joints}
    for name in g1.arm_joints:
        assert by_name[name].kp == pytest.approx(by_name[name].armature * (2 * np.pi * 10) ** 2, rel=1e-3), name
    stiffness = {"hip_pitch": 150, "hip_roll": 150, "hip_yaw": 150, "knee": 200, "ankle_pitch": 40, "ankle_roll": 40}
    for kind, kp in stiffness.items():
        assert by_name[f"left_{kind}_joint"].kp == by_name[f"right_{kind}_joint"].kp == kp
    for name in ("waist_roll_joint", "waist_pitch_joint"):
        assert by_name[name].damping >= 10.0, "without passive damping the held waist chatters at its torque limit"


def test_unknown_robot_is_answered_with_the_closest() -> None:
    with pytest.raises(UnknownName, match="agibot_x2"):
        load_robot("agibot_x3")


def test_missing_policy_says_how_to_get_one() -> None:
    with pytest.raises(ArtefactError, match="wbvla lmo export"):
        shipped_lmo("no_such_robot")


def test_a_joint_without_drive_is_refused() -> None:
    with pytest.raises(ConfigError, match="left_hip_pitch_joint"):
        read_table("agibot_x2").joints({}, {})


def test_unknown_link_is_refused(spec: RobotSpec) -> None:
    with pytest.raises(ConfigError, match="left_flipper"):
        dataclasses.replace(spec, foot_links=("left_flipper", spec.foot_links[1]))
