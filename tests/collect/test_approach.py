"""The walk to a place: ternary flags, at most two axes, and an arrival from anywhere on a robot that obeys."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.collect.approach import Approach, ApproachConfig, coast_table
from wbvla.core.command import Shaping, reference_velocity, smooth_flags

OBEDIENT = ApproachConfig(coast_ahead=(1.0, 1.0, 1.0), coast_back=1.0)
SHAPING = Shaping()


class Disc:
    """A robot that follows the reference velocity exactly."""

    def __init__(self, pose: np.ndarray) -> None:
        self.pose, self.sbar = pose.copy(), np.zeros(3)

    def move(self, flags: np.ndarray) -> None:
        for _ in range(5):
            self.sbar = smooth_flags(self.sbar, flags.astype(float), SHAPING)
            v = reference_velocity(self.sbar, np.array(SHAPING.goal_speed), SHAPING) * 0.02
            cos, sin = np.cos(self.pose[2]), np.sin(self.pose[2])
            self.pose += np.array([cos * v[0] - sin * v[1], sin * v[0] + cos * v[1], v[2]])

    def error(self) -> np.ndarray:
        """The origin, heading along x, seen from the robot."""
        cos, sin = np.cos(self.pose[2]), np.sin(self.pose[2])
        x, y = -self.pose[:2]
        return np.array([cos * x + sin * y, -sin * x + cos * y, -self.pose[2]])


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-1.5, 0.4), y=st.floats(-0.5, 0.5), psi=st.floats(-0.8, 0.8))
def test_arrives_from_anywhere(x: float, y: float, psi: float) -> None:
    robot, walk = Disc(np.array([x, y, psi])), Approach(SHAPING, OBEDIENT)
    for _ in range(400):
        flags = walk.step(robot.error())
        assert set(flags.tolist()) <= {-1, 0, 1}
        assert np.count_nonzero(flags) <= 2
        robot.move(flags)
        if walk.arrived(robot.error()):
            return
    raise AssertionError(f"not there after 40 s: {robot.pose}")


def test_coast_is_what_a_released_robot_travels() -> None:
    levels, seconds = coast_table(SHAPING)
    robot = Disc(np.zeros(3))
    for _ in range(10):
        robot.move(np.array([1, 0, 0]))
    at, level = robot.pose[0], robot.sbar[0]
    for _ in range(30):
        robot.move(np.zeros(3))
    expected = np.interp(level, levels, seconds) * SHAPING.goal_speed[0]
    assert abs(robot.pose[0] - at - expected) < 0.003


def test_no_arrival_while_it_still_moves() -> None:
    walk = Approach(SHAPING, OBEDIENT)
    walk.step(np.array([1.0, 0.0, 0.0]))
    assert not walk.arrived(np.zeros(3))
    for _ in range(30):
        walk.hold()
    assert walk.arrived(np.zeros(3))
    assert not walk.arrived(np.array([0.2, 0.0, 0.0]))


class Follower(Disc):
    """A robot that keeps its course: it takes back a share of what it lags behind the reference, with its own inertia.

    The course starts anew where the robot is when it is told to walk while it stands, as the controller's does.
    """

    def __init__(self, pose: np.ndarray) -> None:
        super().__init__(pose)
        self.place, self.speed, self.told = pose.copy(), np.zeros(3), False

    def move(self, flags: np.ndarray) -> None:
        walking = bool(flags.any()) or bool((np.abs(self.sbar) > 0.2).any())
        if walking and not self.told:
            self.place = self.pose.copy()
        self.told = walking
        before, self.pose = self.pose, self.place
        super().move(flags)
        self.place, self.pose = self.pose, before.copy()
        self.speed += 0.2 * (2.5 * (self.place - self.pose) - self.speed)
        self.pose = self.pose + 0.1 * self.speed


def walked(config: ApproachConfig, y: float) -> tuple[float, float]:
    """How long a robot that lags walks to a place at its side [s], and how far it overshoots [m]."""
    robot, walk, past = Follower(np.array([-0.6, -y, 0.0])), Approach(SHAPING, config), 0.0
    for tick in range(400):
        walk.see(robot.pose)
        robot.move(walk.step(robot.error()))
        past = max(past, float(np.sign(y) * robot.pose[1]))
        if walk.arrived(robot.error()):
            return tick * 0.1, past
    return 40.0, past


def test_a_robot_that_lags_behind_its_commands_does_not_overshoot() -> None:
    for y in (-0.5, -0.25, 0.3, 0.6):
        counted, ignored = walked(OBEDIENT, y), walked(replace(OBEDIENT, lag_s=0.0), y)
        assert counted[1] < 0.05 < ignored[1], (y, counted, ignored)
        assert counted[0] < 8.0, (y, counted, ignored)


def test_lag_is_of_the_robot_and_not_of_the_place() -> None:
    """A place that is named anew while the robot walks is no lag: the walk to it is that of a robot that obeys."""
    robot, walk = Disc(np.array([-1.0, -0.1, 0.0])), Approach(SHAPING, OBEDIENT)
    for tick in range(400):
        walk.see(robot.pose)
        error = robot.error() + np.array([0.0, 0.8 if tick < 12 else 0.0, 0.0])
        robot.move(walk.step(error))
        if tick == 20:
            assert walk.lag == pytest.approx(np.zeros(3), abs=0.02)
        if tick > 12 and walk.arrived(robot.error()):
            break
    assert walk.arrived(robot.error()), robot.pose
    assert tick < 80
