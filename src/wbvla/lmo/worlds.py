"""What the environment remembers of each world between two ticks, and how far the curriculum has come."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

HISTORY = 4
"""control targets kept, for the actuation delay"""
CORNERS = 4
"""contact points of a sole"""
SENSED = 6
"""readings of IMU and encoders kept, one per half control tick, for their lags"""


@dataclass(kw_only=True)
class Worlds:
    """One row per world; everything here is saved with a checkpoint."""

    flags: Float[Tensor, "world 3"]
    """commanded"""
    height_goal: Float[Tensor, " world"]
    """commanded [m]"""
    height: Float[Tensor, " world"]
    """slewed reference [m]"""
    sbar: Float[Tensor, "world 3"]
    """smoothed flags"""
    command_left_s: Float[Tensor, " world"]
    phase: Float[Tensor, " world"]
    moving: Bool[Tensor, " world"]
    age: Int[Tensor, " world"]
    """ticks since the reset"""
    delay: Int[Tensor, " world"]
    """of the PD targets, in half control ticks"""
    action: Float[Tensor, "world lmo"]
    action_1: Float[Tensor, "world lmo"]
    velocity_f: Float[Tensor, "world 3"]
    """EMA of the root velocity (x, y, yaw) in the heading frame"""
    reference_f: Float[Tensor, "world 3"]
    """EMA of the reference velocity"""
    heading_error: Float[Tensor, " world"]
    """turned minus asked for since the command began [rad]"""
    past: Float[Tensor, "world past number"]
    """observations of the ticks before as the robot had them, newest first; empty for presets without history"""
    walking: Bool[Tensor, " world"]
    """a flag is set, or was a moment ago"""
    course: Float[Tensor, "world 3"]
    """off the intended way as the robot knows it: x, y [m] in the heading frame, heading [rad]"""
    true_course: Float[Tensor, "world 3"]
    """the same by the simulator"""
    drift: Float[Tensor, "world 2"]
    """velocity away from the intended way as the robot knows it, averaged [m/s]"""
    level_feet: Float[Tensor, "world point 3"]
    """corners of the soles of the last tick as the joints told them, seen from the root along the heading [m]"""
    gyro_bias: Float[Tensor, " world"]
    """about the vertical [rad/s]"""
    imu_lag: Int[Tensor, " world"]
    """of angular velocity and gravity, in half control ticks"""
    joint_lag: Int[Tensor, " world"]
    """of joint angles and speeds, in half control ticks"""
    encoder_bias: Float[Tensor, "world lmo"]
    """constant error of the encoders; the drives hold what the encoders say [rad]"""
    senses: Float[Tensor, "world sensed reading"]
    """angular velocity, gravity, joint angles and speeds of the last half ticks, newest first"""
    idle_s: Float[Tensor, "world 2"]
    """time since each foot was lifted while walking [s]"""
    air_s: Float[Tensor, "world 2"]
    """time since each foot touched the floor [s]"""
    on_walk: Bool[Tensor, " world"]
    """a command to move has been given, and the robot does not stand still again yet"""
    walk_error: Float[Tensor, " world"]
    """turned minus asked for since the walk began [rad]"""
    recover_s: Float[Tensor, " world"]
    """time left in which a pushed, standing robot may step [s]"""
    lifted: Bool[Tensor, "world 2"]
    """feet that are well off the ground"""
    bumps: Float[Tensor, "world 2 corner"]
    """unevenness under each corner of the soles, up is positive [m]"""
    calm: Bool[Tensor, " world"]
    """nothing pushes, strikes or pulls, and the ground is flat, until the next reset"""
    blow: Float[Tensor, "world 3"]
    """force along x and y of the world [N] and yaw torque [N.m] on the root"""
    blow_left_s: Float[Tensor, " world"]
    """time until the blow ends [s]"""
    pull: Float[Tensor, "world 2 3"]
    """force on the left and right hand, world frame [N]"""
    pull_left_s: Float[Tensor, " world"]
    """time until the pull ends [s]"""
    targets: Float[Tensor, "world history joint"]
    """PD targets, newest first [rad]"""
    sensors: Float[Tensor, "world sensor"]


def new_worlds(num: int, num_lmo: int, num_joints: int, num_sensors: int, past: int) -> Worlds:
    """All zeros; `past` ticks of history."""
    shapes = {
        "flags": (3,), "sbar": (3,), "velocity_f": (3,), "reference_f": (3,), "idle_s": (2,), "air_s": (2,),
        "course": (3,), "true_course": (3,), "drift": (2,), "level_feet": (2 * CORNERS, 3),
        "past": (past, 10 + 3 * num_lmo), "action": (num_lmo,), "action_1": (num_lmo,), "encoder_bias": (num_lmo,),
        "senses": (SENSED, 6 + 2 * num_lmo), "pull": (2, 3), "blow": (3,), "lifted": (2,), "bumps": (2, CORNERS),
        "targets": (HISTORY, num_joints), "sensors": (num_sensors,),
    }  # fmt: skip
    kinds: dict[str, torch.dtype] = dict.fromkeys(("moving", "walking", "lifted", "on_walk", "calm"), torch.bool)
    kinds |= dict.fromkeys(("age", "delay", "imu_lag", "joint_lag"), torch.long)
    return Worlds(
        **{
            f.name: torch.zeros(num, *shapes.get(f.name, ()), dtype=kinds.get(f.name, torch.float32))
            for f in fields(Worlds)
        }
    )


@dataclass(kw_only=True)
class Progress:
    """State of the curriculum; saved with a checkpoint."""

    assist: float
    """strength of the helping wrench, 1 -> 0"""
    feed_forward: float
    """strength of the open-loop gait, 1 -> 0"""
    falls_per_minute: float
    """EMA over iterations; negative before the first"""
    stage: int
    """index into the stages"""


def tensors_of(state: object) -> dict[str, Tensor]:
    """Fields of a state dataclass by name."""
    return {f.name: getattr(state, f.name) for f in fields(state)}  # pyright: ignore[reportArgumentType]


def load_tensors(state: object, values: dict[str, Tensor]) -> None:
    """Overwrite the fields of a state dataclass in place."""
    for name, tensor in tensors_of(state).items():
        tensor.copy_(values[name])
