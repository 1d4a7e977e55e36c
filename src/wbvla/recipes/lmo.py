"""Recipes of the low-level controller: the X2 with a gait clock, with the paper's 49 numbers, and a tiny one."""

from dataclasses import replace
from typing import Any

from wbvla.core.command import Shaping
from wbvla.lmo.learner import LearnerConfig
from wbvla.lmo.perturb import ArmConfig
from wbvla.lmo.randomize import CENTRED, UNEVEN
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import LmoConfig
from wbvla.recipes.registry import recipes

STAGES = (
    Stage(start_iteration=0),
    Stage(
        start_iteration=300, sharpness=0.7, arm_amplitude=0.8, push=0.4, stand_push=0.6, max_delay=2,
        any_height_share=0.2, smoothness=1.5, stillness=1.5,
    ),
    Stage(
        start_iteration=575, sharpness=0.5, arm_amplitude=1.0, push=0.5, stand_push=0.8, max_delay=3,
        any_height_share=0.3, home_share=0.3, direction=1.0, entropy=0.001, plant=CENTRED,
        smoothness=2.0, stillness=2.0,
    ),
    Stage(
        start_iteration=725, sharpness=0.5, arm_amplitude=1.0, push=0.5, stand_push=0.9, max_delay=3,
        any_height_share=0.3, home_share=0.3, direction=1.0, entropy=0.0, target_kl=0.01, max_std=0.3, plant=CENTRED,
        smoothness=2.0, stillness=3.0,
    ),
    Stage(
        start_iteration=950, sharpness=0.4, arm_amplitude=1.0, push=0.5, stand_push=1.0, max_delay=4,
        any_height_share=0.3, home_share=0.3, direction=1.0, entropy=0.0, target_kl=0.006, max_std=0.2, plant=CENTRED,
        smoothness=3.0, stillness=3.0,
    ),
)  # fmt: skip
"""Stage I is the first, stage II the rest: sharper tracking, larger arms, harder pushes, more lag."""
ROUGH: tuple[dict[str, Any], ...] = (
    {},
    {"blow": (60.0, 10.0), "bumps_m": 0.01, "imu_lag": 1, "joint_lag": 1, "torque_noise": 0.02, "pull": (10.0, 10.0)},
    {
        "blow": (120.0, 20.0), "bumps_m": 0.015, "imu_lag": 1, "joint_lag": 1, "torque_noise": 0.03,
        "pull": (15.0, 15.0), "plant": UNEVEN,
    },
    {
        "blow": (160.0, 30.0), "bumps_m": 0.02, "imu_lag": 2, "joint_lag": 1, "torque_noise": 0.03,
        "pull": (20.0, 15.0), "plant": UNEVEN,
    },
    {
        "blow": (190.0, 35.0), "bumps_m": 0.02, "imu_lag": 2, "joint_lag": 2, "torque_noise": 0.05,
        "pull": (25.0, 20.0), "plant": UNEVEN,
    },
)  # fmt: skip
"""What the stages of `x2-lmo-course` add: blows, uneven ground, late senses, wrong torques, loads on the hands."""


@recipes.register("x2-lmo")
def x2_lmo() -> LmoConfig:
    """The controller that is shipped: 27e6 steps, an hour on 2 CPU cores."""
    return LmoConfig(robot="agibot_x2", iterations=1100, stages=STAGES)


@recipes.register("x2-lmo-paper")
def x2_lmo_paper() -> LmoConfig:
    """The same with exactly the paper's 49 numbers and no clock."""
    config = x2_lmo()
    return replace(config, environment=replace(config.environment, preset="paper"))


@recipes.register("x2-lmo-course")
def x2_lmo_course() -> LmoConfig:
    """The same with leg odometry: it sees how far it is off its intended way, and goes where it was told."""
    config = x2_lmo()
    shaping = Shaping(goal_speed=(0.35, 0.32, 0.45), alpha=2.0, smoothing=0.1)
    arms = ArmConfig(warp=(0.8, 3.0, 0.25), clip_gain=1.3, rate_radps=(0.5, 6.0))
    environment = replace(config.environment, preset="course", shaping=shaping, arms=arms)
    stages = tuple(replace(stage, **rough) for stage, rough in zip(config.stages, ROUGH))
    return replace(config, environment=environment, stages=stages)


@recipes.register("tiny-lmo")
def tiny_lmo() -> LmoConfig:
    """Seconds long: shows the machinery, learns next to nothing."""
    return LmoConfig(
        robot="agibot_x2",
        iterations=4,
        checkpoint_every=1,
        environment=EnvironmentConfig(num_worlds=16, num_threads=1),
        learner=LearnerConfig(horizon=8, hidden=(32,)),
    )
