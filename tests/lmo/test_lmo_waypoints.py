"""The course of waypoints: the planner finds its way by flags alone, punches hit what they should, robots walk it."""

from dataclasses import replace

import numpy as np
import pytest

from wbvla.core.command import Shaping, reference_velocity
from wbvla.core.rotation import wrap_angle
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.lmo.waypoints import FlagPlanner, Punches, WaypointConfig, draw_course, missing_to, walk_course
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC, POLICY = load_robot("agibot_x2"), shipped_lmo("agibot_x2")
COURSE = WaypointConfig()


def test_courses_have_the_stated_spacing_and_turns() -> None:
    goals = draw_course(50, COURSE, np.random.default_rng(0))
    steps = np.diff(np.concatenate([np.zeros((50, 1, 3)), goals], axis=1), axis=1)
    np.testing.assert_allclose(np.linalg.norm(steps[:, :, :2], axis=2), COURSE.spacing_m)
    assert np.abs(steps[:, :, 2]).max() <= COURSE.turn_rad
    heading = np.concatenate([np.zeros((50, 1)), goals[:, :-1, 2]], axis=1)
    bearing = wrap_angle(np.arctan2(steps[:, :, 1], steps[:, :, 0]) - heading)
    assert np.abs(bearing).max() <= COURSE.bearing_rad + 1e-9
    assert goals.shape == (50, 18, 3)


def test_missing_is_seen_from_the_heading() -> None:
    goal, place = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 1.0]])
    missing = missing_to(goal, place, np.array([np.pi / 2]))
    np.testing.assert_allclose(missing[0], [1.0, 0.0, 3.0 - np.pi / 2], atol=1e-12)


@pytest.mark.parametrize("shaping", [Shaping(), Shaping(goal_speed=(0.35, 0.32, 0.45), alpha=2.0, smoothing=0.1)])
def test_planner_brings_a_perfect_follower_to_every_waypoint(shaping: Shaping) -> None:
    """A point that moves exactly as the reference asks; flags stay ternary and at most two are set."""
    hz, num = 50.0, 40
    goals = draw_course(num, COURSE, np.random.default_rng(1))
    planner = FlagPlanner(shaping, hz, num, COURSE)
    place, yaw, speed = np.zeros((num, 2)), np.zeros(num), np.array(shaping.goal_speed)
    for leg in range(6):
        for _ in range(round(COURSE.leg_s * hz)):
            flags = planner.choose(missing_to(goals[:, leg], place, yaw))
            assert set(np.unique(flags)) <= {-1.0, 0.0, 1.0}
            assert np.abs(flags).sum(axis=1).max() <= 2
            velocity = reference_velocity(planner.sbar, speed, shaping)
            cos, sin = np.cos(yaw), np.sin(yaw)
            x, y = velocity[:, 0], velocity[:, 1]
            place = place + np.stack([cos * x - sin * y, sin * x + cos * y], axis=1) / hz
            yaw = yaw + velocity[:, 2] / hz
        missing = missing_to(goals[:, leg], place, yaw)
        assert np.linalg.norm(missing[:, :2], axis=1).max() < 0.25
        assert np.abs(missing[:, 2]).max() < 0.2


def test_punches_hit_one_link_for_their_time_and_end() -> None:
    trial = Trial(POLICY, SPEC, TrialConfig(num_robots=6, num_threads=1))
    punches = Punches(trial, COURSE, np.random.default_rng(2))
    hz, hit = trial.settings.rate_hz, []
    for tick in range(round(COURSE.leg_s * hz)):
        punches.apply(tick / hz)
        hit.append(trial.engine.state("xfrc_applied").numpy().copy())
    force = np.array(hit)
    size = np.linalg.norm(force[..., :3], axis=3)
    assert (force[..., 3:] == 0).all()
    assert ((size > 0).sum(axis=2) <= 1).all()
    assert ((size > 0).any(axis=2).sum(axis=0) == round(COURSE.punch_s * hz)).all()
    assert 0 < size.max() <= COURSE.punch_n
    assert (size[-1] == 0).all()


def test_shipped_controller_walks_the_course() -> None:
    calm, config = replace(COURSE, waypoints=2, punch_n=0.0), TrialConfig(num_robots=5, num_threads=1)
    seen = walk_course(POLICY, SPEC, config, calm)
    assert seen["completed"] >= 4
    assert seen["reached"] >= 0.6
    beaten = walk_course(POLICY, SPEC, config, replace(calm, punch_n=4000.0))
    assert beaten["completed"] < seen["completed"]
