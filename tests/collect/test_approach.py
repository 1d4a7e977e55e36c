"""The walk to a place: ternary flags, at most two axes, and an arrival from anywhere on a robot that obeys."""

import numpy as np
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
