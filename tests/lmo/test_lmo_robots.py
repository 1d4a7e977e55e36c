"""Every robot is as trainable as the first: its physics bears random actions in the hardest stage, help helps it."""

from dataclasses import replace

import pytest
import torch

from wbvla.lmo.assist import TILT_RATE, Assist, root_inertia
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.plant import Layout, build_model, leg_columns, training_options
from wbvla.lmo.reward_frame import STANCE_M, body_facts
from wbvla.lmo.stages import Stage
from wbvla.recipes.lmo import controller
from wbvla.robots.platforms import load_robot

ROBOTS = ("agibot_x2", "unitree_g1")
NUM = 32
TICKS = 50
WILD_RADPS = 60.0
"""no motor of either robot turns this fast [rad/s]"""


def environment(robot: str, stage: Stage | None = None) -> LmoEnvironment:
    """The robot's own training, in its hardest stage unless another is given; standing still is no failure."""
    config = controller(robot, "course")
    settings = replace(config.environment, num_worlds=NUM, num_threads=1, stall_s=0.0)
    return LmoEnvironment(load_robot(robot), settings, stage or config.stages[-1])


@pytest.mark.parametrize("helped", [True, False])
@pytest.mark.parametrize("robot", ROBOTS)
def test_random_actions_in_the_hardest_stage_leave_the_physics_sound(robot: str, helped: bool) -> None:
    """MuJoCo restarts a world that explodes, so the speeds before that tell, not only that all is finite."""
    env = environment(robot)
    env.progress.assist = env.progress.feed_forward = float(helped)
    rng = torch.Generator().manual_seed(0)
    fastest = torch.zeros(len(env.layout.qvel))
    for _ in range(TICKS):
        observed, reward, _, _ = env.step(torch.randn(NUM, env.num_actions, generator=rng))
        speed = env.engine.state("qvel")[:, env.layout.qvel].abs().float()
        fastest = torch.maximum(fastest, speed.amax(0))
        assert all(bool(torch.isfinite(part).all()) for part in (observed["policy"], observed["critic"], reward, speed))
    wild = {name: float(v) for name, v in zip(env.layout.joint_names, fastest) if v > WILD_RADPS}
    assert not wild


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_helped_robot_survives_the_noise_that_training_begins_with(robot: str) -> None:
    """Nobody falls under full help; without it, the same actions throw robots over."""
    fallen = {}
    for strength in (1.0, 0.0):
        env = environment(robot, controller(robot, "course").stages[0])
        env.progress.assist, env.progress.feed_forward = strength, 1.0
        rng, failed = torch.Generator().manual_seed(1), 0
        for _ in range(TICKS):
            _, _, done, extra = env.step(0.6 * torch.randn(NUM, env.num_actions, generator=rng))
            failed += int((done & ~extra["time_outs"]).sum())
        fallen[strength] = failed
    assert fallen[1.0] <= 1
    assert fallen[0.0] >= 4


def help_of(robot: str) -> tuple[Assist, float]:
    """The help of the robot's training, and the inertia of its root [kg.m2]."""
    spec = load_robot(robot)
    model = build_model(spec, training_options(spec))
    layout = Layout(spec, model)
    return Assist(model, layout), root_inertia(model, layout)


def test_rate_gains_of_the_help_follow_what_the_root_yields() -> None:
    share, per_tick = {}, {}
    for robot in ROBOTS:
        assist, inertia = help_of(robot)
        share[robot] = assist.rate_share
        per_tick[robot] = share[robot] * TILT_RATE * 0.02 / inertia
    assert share["agibot_x2"] == 1.0
    assert 0.5 < share["unitree_g1"] < 0.65
    assert per_tick["unitree_g1"] == pytest.approx(per_tick["agibot_x2"], rel=0.01)


def test_the_help_brakes_a_light_root_by_its_share() -> None:
    assist, _ = help_of("unitree_g1")
    quat = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    spin = torch.tensor([[0.0, 0.0, 0.0, 1.0, -2.0, 3.0]])
    level, still = (torch.ones(1), torch.zeros(1)), torch.zeros(1, 3)
    whole = assist.wrench(1.0, quat, spin, level, still, torch.zeros(1))
    half = assist.wrench(0.5, quat, spin, level, still, torch.zeros(1))
    expected = assist.rate_share * torch.tensor([[0.0, 0.0, 0.0, -30.0, 60.0, -45.0]])
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(half, expected / 2)


def test_feet_distances_follow_the_robots_width() -> None:
    width = {}
    for robot in ROBOTS:
        spec = load_robot(robot)
        width[robot] = body_facts(spec, leg_columns(spec.lmo_joints), 0.02).stance_m
    assert width["agibot_x2"] == pytest.approx(STANCE_M, abs=1e-4)
    assert width["unitree_g1"] == pytest.approx(0.2370, abs=1e-3)
