"""The error against the intended way: geometry by hand, two array libraries alike, and a walk whose end is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.course import (
    CourseConfig,
    advance_course,
    average_drift,
    carry_course,
    corrected,
    keeps_stepping,
    level_feet,
    limit_course,
    yaw_rate,
)
from wbvla.core.rotation import projected_gravity, quat_from_rpy, quat_rotate, yaw_of

CONFIG = CourseConfig()
ANGLE = st.floats(-0.5, 0.5)


@given(roll=ANGLE, pitch=ANGLE, yaw=st.floats(-3, 3))
def test_level_feet_are_those_of_a_root_that_only_turned(roll: float, pitch: float, yaw: float) -> None:
    """Take the tilt off by gravity alone: what is left is the rotation by the heading."""
    quat = quat_from_rpy(np.array([roll, pitch, yaw]))
    feet_w = np.array([[0.1, 0.15, -0.6], [-0.2, -0.1, -0.65]])
    feet_b = quat_rotate(np.tile(quat * [1, -1, -1, -1], (2, 1)), feet_w)
    level = level_feet(feet_b[None], projected_gravity(quat)[None])[0]
    heading = float(yaw_of(quat))
    cos, sin = np.cos(heading), np.sin(heading)
    wanted = np.stack([cos * feet_w[:, 0] + sin * feet_w[:, 1], cos * feet_w[:, 1] - sin * feet_w[:, 0]], axis=1)
    assert np.abs(level[:, :2] - wanted).max() < 1e-9
    assert np.abs(level[:, 2] - feet_w[:, 2]).max() < 1e-9


def test_yaw_rate_is_about_the_vertical() -> None:
    tilted = projected_gravity(quat_from_rpy(np.array([0.3, -0.2, 1.0])))
    assert yaw_rate(-2.0 * tilted, tilted) == pytest.approx(2.0)


def test_a_robot_that_does_as_it_is_told_stays_on_its_way() -> None:
    """On a circle: velocity and turn as asked for 4 s leave no error."""
    course, reference, dt = np.zeros((1, 3)), np.array([[0.3, 0.1, 0.5]]), 0.02
    for _ in range(200):
        moved = (np.array([0.3 * dt]), np.array([0.1 * dt]), np.array([0.5 * dt]))
        course = carry_course(course, moved, reference, dt)
    assert np.abs(course).max() < 5e-3


def test_a_robot_that_stays_falls_behind() -> None:
    """2 s at 0.2 m/s forward: it is 0.4 m behind; turned by a quarter since, that lies to its side."""
    course, still = np.zeros((1, 3)), (np.zeros(1), np.zeros(1), np.zeros(1))
    for _ in range(100):
        course = carry_course(course, still, np.array([[0.2, 0.0, 0.0]]), 0.02)
    assert course[0] == pytest.approx([-0.4, 0.0, 0.0])
    quarter = (np.zeros(1), np.zeros(1), np.array([np.pi / 2]))
    assert carry_course(course, quarter, np.zeros((1, 3)), 0.02)[0] == pytest.approx([0.0, 0.4, np.pi / 2])


def test_the_lower_foot_carries() -> None:
    """Left foot stands and goes 1 cm back against the root, right foot swings 5 cm ahead: the root went 1 cm ahead."""
    before = np.array([[[0.0, 0.1, -0.65], [0.0, -0.1, -0.60]]])
    now = np.array([[[-0.01, 0.1, -0.65], [0.05, -0.1, -0.60]]])
    course = advance_course(np.zeros((1, 3)), now, before, (np.zeros(1), np.zeros((1, 3))), 0.02)
    assert course[0] == pytest.approx([0.01, 0.0, 0.0], abs=1e-6)


def test_torch_and_numpy_agree() -> None:
    rng = np.random.default_rng(0)
    course, feet, before = rng.normal(0, 0.1, (5, 3)), rng.normal(0, 0.3, (5, 2, 3)), rng.normal(0, 0.3, (5, 2, 3))
    rate, reference = rng.normal(0, 1, 5), rng.normal(0, 0.3, (5, 3))
    ours = corrected(
        reference, limit_course(advance_course(course, feet, before, (rate, reference), 0.02), CONFIG), CONFIG
    )
    t = [torch.from_numpy(x) for x in (course, feet, before, rate, reference)]
    theirs = limit_course(advance_course(t[0], t[1], t[2], (t[3], t[4]), 0.02, torch), CONFIG, torch)
    assert np.abs(corrected(t[4], theirs, CONFIG, torch).numpy() - ours).max() < 1e-12


def test_taking_back_is_limited_and_goes_home() -> None:
    course = np.array([[-0.05, 5.0, 0.0]])
    assert corrected(np.zeros((1, 3)), course, CONFIG)[0] == pytest.approx(
        [0.05 * CONFIG.gain_per_s, -CONFIG.correction[1], 0.0]
    )


def test_stepping_starts_far_and_stops_near() -> None:
    """Hysteresis: between the two distances a robot goes on doing what it does."""
    between, far, near = np.array([[0.07, 0.0, 0.0]]), np.array([[0.11, 0.0, 0.0]]), np.array([[0.03, 0.0, 0.05]])
    rest = np.zeros((1, 2))
    for moving in (True, False):
        was = np.array([moving])
        assert bool(keeps_stepping(between, rest, was, CONFIG)[0]) is moving
        assert keeps_stepping(far, rest, was, CONFIG)[0]
        assert not keeps_stepping(near, rest, was, CONFIG)[0]
    assert keeps_stepping(np.array([[0.0, 0.0, -0.2]]), rest, np.array([False]), CONFIG)[0]


def test_a_pushed_robot_steps_before_it_is_far() -> None:
    """0.02 m off and 0.3 m/s away from its place it steps; at the same speed towards its place it does not."""
    course, drift, stands = np.array([[0.02, 0.0, 0.0]]), np.array([[0.3, 0.0]]), np.array([False])
    assert keeps_stepping(course, drift, stands, CONFIG)[0]
    assert not keeps_stepping(course, -drift, stands, CONFIG)[0]
    average = np.zeros((1, 2))
    for tick in range(40):
        average = average_drift(
            average, np.array([[0.006 * (tick + 1), 0.0, 0.0]]), np.array([[0.006 * tick, 0.0, 0.0]]), 0.02
        )
    assert average[0] == pytest.approx([0.3, 0.0], abs=1e-4)


def test_a_foot_that_rolls_turns_about_its_lowest_edge() -> None:
    """The heel lifts by 1 cm about the toe: the toe carries, and the root has not moved against it."""
    toes = np.array([[0.115, 0.1, -0.65], [0.115, 0.05, -0.65]])
    heels = np.array([[-0.055, 0.1, -0.65], [-0.055, 0.05, -0.65]])
    before = np.concatenate([toes, heels])[None]
    now = before.copy()
    now[0, 2:, 2] += 0.02
    now[0, 2:, 0] += 0.004
    course = advance_course(np.zeros((1, 3)), now, before, (np.zeros(1), np.zeros((1, 3))), 0.02)
    assert np.abs(course).max() < 1e-5
