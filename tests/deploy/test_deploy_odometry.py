"""Leg odometry against the true way of a simulated robot that walks, and what it does with damaged readings."""

import numpy as np

from wbvla.core.course import CourseConfig
from wbvla.deploy.odometry import Odometry
from wbvla.robots.kinematics import SoleChain, link_poses
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
NUM = len(SPEC.lmo_joints)
DOWN = np.array([[0.0, 0.0, -1.0]])


def advance(odometry: Odometry, q: np.ndarray, gyro: float = 0.0, walking: bool = False, speed: float = 0.0) -> None:
    reference = np.array([[speed, 0.0, 0.0]])
    odometry.advance(np.array([walking]), reference, np.array([[0.0, 0.0, gyro]]), DOWN, q)


def test_soles_are_where_the_whole_kinematics_has_them() -> None:
    rng = np.random.default_rng(0)
    q = rng.uniform(-0.4, 0.4, (6, NUM))
    every = np.zeros((6, len(SPEC.joint_names)))
    every[:, SPEC.indices(SPEC.lmo_joints)] = q
    poses, points = link_poses(SPEC, every), np.array(SPEC.sole_points) - [0, 0, SPEC.sole_radius]
    for side, link in enumerate(SPEC.foot_links):
        for corner, point in enumerate(points):
            wanted = poses[link].apply(point * [1, 1 - 2 * side, 1])
            assert np.abs(SoleChain(SPEC)(q)[:, side, corner] - wanted).max() < 1e-9


def test_legs_that_swing_back_carry_the_root_forward() -> None:
    """Both hips turn back by 0.1 rad with flat soles level: the root advances by the way of the soles."""
    odometry = Odometry(SPEC, CourseConfig(), 1, 50.0)
    q = np.zeros((1, NUM))
    hips = [SPEC.lmo_joints.index(n) for n in SPEC.lmo_joints if "hip_pitch" in n]
    advance(odometry, q)
    start = SoleChain(SPEC)(q)[0, :, :, 0].mean()
    for step in range(10):
        q[0, hips] = 0.01 * (step + 1)
        advance(odometry, q)
    way = start - SoleChain(SPEC)(q)[0, :, :, 0].mean()
    assert abs(way) > 0.04
    assert abs(odometry.course[0, 0] - way) < 2e-3


def test_the_gyro_turns_the_heading_and_a_new_walk_starts_afresh() -> None:
    odometry = Odometry(SPEC, CourseConfig(), 1, 50.0)
    q = np.zeros((1, NUM))
    for _ in range(50):
        advance(odometry, q, gyro=0.3)
    assert abs(odometry.course[0, 2] - 0.3) < 1e-6
    advance(odometry, q, walking=True, speed=0.3)
    assert np.abs(odometry.course).max() == 0.0
    advance(odometry, q, walking=True, speed=0.3)
    assert abs(odometry.course[0, 0] + 0.3 * 0.02) < 1e-9


def test_nan_is_passed_over() -> None:
    odometry = Odometry(SPEC, CourseConfig(), 1, 50.0)
    q = np.zeros((1, NUM))
    advance(odometry, q, gyro=0.2)
    before = odometry.course.copy()
    advance(odometry, np.full((1, NUM), np.nan))
    advance(odometry, q, gyro=float("nan"))
    assert np.array_equal(odometry.course, before)
    assert odometry.off_place(np.array([False]), np.ones(3)).tolist() == [False]
    odometry.reset()
    assert not odometry.course.any()


def stand(odometry: Odometry, seconds: float, bias: float, rng: np.random.Generator, noise: float = 0.004) -> None:
    """A robot on planted feet, seen through a biased gyro and noisy encoders."""
    for _ in range(round(seconds * 50)):
        advance(odometry, rng.normal(0, noise, (1, NUM)), gyro=bias + rng.normal(0, 0.005))
        odometry.off_place(np.array([False]), np.zeros(3))


def test_a_stand_finds_the_gyros_bias_and_the_heading_stays() -> None:
    for seed, bias in enumerate((0.005, -0.008, 0.0)):
        odometry, rng = Odometry(SPEC, CourseConfig(limit=(9.0, 9.0, 9.0)), 1, 50.0), np.random.default_rng(seed)
        stand(odometry, 8.0, bias, rng)
        before = odometry.bias.value[0]
        assert abs(before - bias) < 0.001
        for _ in range(500):  # 10 s of walking straight: the heading drifts by what is left of the bias only
            advance(odometry, np.zeros((1, NUM)), gyro=bias, walking=True)
            odometry.off_place(np.array([True]), np.ones(3))
        assert abs(odometry.course[0, 2]) < 0.015
        assert abs(odometry.bias.value[0] - before) < 1e-4
        odometry.reset()
        assert odometry.bias.value[0] == 0.0


def test_a_slip_is_no_bias_and_no_bias_is_beyond_reason() -> None:
    odometry, rng = Odometry(SPEC, CourseConfig(), 1, 50.0), np.random.default_rng(0)
    stand(odometry, 6.0, 0.0, rng)
    for _ in range(5):  # feet and body turn together by 0.3 rad
        advance(odometry, np.zeros((1, NUM)), gyro=3.0)
        odometry.off_place(np.array([False]), np.zeros(3))
    stand(odometry, 6.0, 0.0, rng)
    assert abs(odometry.bias.value[0]) < 0.001
    stand(odometry, 20.0, 0.2, rng)
    assert abs(odometry.bias.value[0]) <= 0.02
