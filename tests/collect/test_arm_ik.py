"""Inverse kinematics reaches, says what it cannot, and its forces agree with potential energy and virtual work."""

import numpy as np
import pytest

from wbvla.collect.arms import ArmMotion, Reach, carry_pose
from wbvla.collect.ik import ArmIk, HandPose
from wbvla.robots.kinematics import centre_of_mass
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
ARM = SPEC.indices(SPEC.arm_joints)


@pytest.fixture(scope="module")
def ik() -> ArmIk:
    return ArmIk(SPEC)


def both(x: float, y: float, z: float) -> dict[str, HandPose]:
    return {side: HandPose(xyz=np.array([x, sign * y, z])) for side, sign in (("left", 1.0), ("right", -1.0))}


def within_limits(q: np.ndarray) -> bool:
    return bool((q >= SPEC.column("lower")[ARM]).all() and (q <= SPEC.column("upper")[ARM]).all())


def test_palms_reach_the_sides_of_a_box(ik: ArmIk) -> None:
    goals = both(0.34, 0.14, -0.06)
    found = ik.solve(goals, ik.rest, ik.rest)
    found = ik.solve(goals, found.q, ik.rest)
    assert found.error_m.max() < 0.005
    assert found.tilt_rad.max() < 0.05
    assert within_limits(found.q)
    palms = ik.palms(found.q)
    assert np.allclose(palms["left"], goals["left"].xyz, atol=0.006)
    mirrored = palms["right"] * np.array([1.0, -1.0, 1.0])
    assert np.allclose(palms["left"], mirrored, atol=0.01)


def test_out_of_reach_is_said_and_stays_within_limits(ik: ArmIk) -> None:
    found = ik.solve(both(0.9, 0.1, -0.5), ik.rest, ik.rest)
    assert found.error_m.min() > 0.2
    assert within_limits(found.q)


def test_targets_carry_the_arms_weight(ik: ArmIk) -> None:
    """kp (target - q) is the slope of the potential energy, by an independent way: the centre of mass in numpy."""
    q = SPEC.column("default")
    offset = (ik.loaded(q[ARM], np.eye(3), {}) - q[ARM]) * SPEC.column("kp")[ARM]
    weight = 9.81 * (sum(link.mass for link in SPEC.links) + sum(hand.mass for hand in SPEC.hands))
    for row, joint in enumerate(ARM[:7]):
        up, down = q.copy(), q.copy()
        up[joint] += 1e-4
        down[joint] -= 1e-4
        slope = weight * (centre_of_mass(SPEC, up)[2] - centre_of_mass(SPEC, down)[2]) / 2e-4
        assert offset[row] == pytest.approx(slope, abs=0.12)


def test_targets_carry_a_force_by_virtual_work(ik: ArmIk) -> None:
    q, force = ik.rest, np.array([3.0, -15.0, 4.0])
    moved = ik.loaded(q, np.eye(3), {"left": force}) - ik.loaded(q, np.eye(3), {})
    for joint in range(7):
        step = np.zeros(14)
        step[joint] = 1e-4
        work = (ik.palms(q + step)["left"] - ik.palms(q - step)["left"]) @ force / 2e-4
        assert moved[joint] * SPEC.column("kp")[ARM][joint] == pytest.approx(work, abs=1e-3)
    assert np.allclose(moved[7:], 0.0)


def test_chunks_are_smooth_and_move_no_faster_than_asked(ik: ArmIk) -> None:
    arms = ArmMotion(ik)
    first = arms.joint_chunk(arms.posture, 1.2, np.eye(3))
    assert first.shape == (8, 14)
    assert np.abs(np.diff(first, axis=0)).max() < 0.13
    for _ in range(20):
        arms.joint_chunk(arms.posture, 1.2, np.eye(3))
    before = ik.palms(arms.q)
    rows = arms.palm_chunk(Reach(goals=both(0.34, 0.2, -0.06), speed_mps=0.3), np.eye(3))
    assert np.abs(np.diff(rows, axis=0)).max() < 0.2
    after = ik.palms(arms.q)
    assert np.linalg.norm(after["left"] - before["left"]) < 0.04
    assert arms.distance_m(carry_pose()) < 0.06
