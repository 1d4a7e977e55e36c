"""The clock of the legs: when each foot should stand, how high it should swing, and the feed-forward that fades."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class GaitConfig:
    """A two-beat walk; the clock runs only while the robot is asked to move."""

    frequency_hz: float = 1.4
    """strides per second [Hz]"""
    duty: float = 0.56
    """share of a stride that a foot stands [-]"""
    swing_height_m: float = 0.07
    """largest height of the swinging sole [m]"""
    active_above: float = 0.2
    """the clock goes on after a stop while any smoothed flag is above this [-]"""
    knee_lift: float = 0.45
    """feed-forward of the swinging knee [rad]; hip and ankle pitch take half of it back"""
    roll_sway: float = 0.05
    """feed-forward of the hip roll [rad]; the ankle roll takes it back"""
    roll_lead: float = 0.08
    """the sway leads the clock by this share of a stride [-]"""


def foot_phases(phase: Float[Tensor, " world"]) -> Float[Tensor, "world 2"]:
    """Phase of the left and the right foot, half a stride apart."""
    return torch.stack([phase, (phase + 0.5) % 1.0], dim=1)


def schedule(
    phase: Float[Tensor, " world"], moving: Bool[Tensor, " world"], config: GaitConfig
) -> tuple[Bool[Tensor, "world 2"], Float[Tensor, "world 2"]]:
    """Which feet should stand, and the height each sole should have: h sin(pi u) over its swing [m]."""
    feet = foot_phases(phase)
    stance = (feet < config.duty) | ~moving[:, None]
    progress = ((feet - config.duty) / (1 - config.duty)).clamp(0, 1)
    height = config.swing_height_m * torch.sin(torch.pi * progress)
    return stance, torch.where(stance, torch.zeros_like(height), height)


def feed_forward(
    phase: Float[Tensor, " world"],
    strength: Float[Tensor, " world"],
    columns: dict[str, tuple[int, int]],
    num_joints: int,
    config: GaitConfig,
) -> Float[Tensor, "world joint"]:
    """Joint offsets of an open-loop walk [rad]; `columns` gives the left and right column of each leg joint."""
    out = phase.new_zeros(phase.shape[0], num_joints)
    sway = strength * config.roll_sway * torch.sin(2 * torch.pi * (phase + config.roll_lead))
    for side, foot in enumerate(foot_phases(phase).unbind(1)):
        progress = ((foot + 0.03 - config.duty) / (1 - config.duty)).clamp(0, 1)
        lift = strength * config.knee_lift * torch.sin(torch.pi * progress)
        out[:, columns["knee"][side]] = lift
        out[:, columns["hip_pitch"][side]] = -lift / 2
        out[:, columns["ankle_pitch"][side]] = -lift / 2
        out[:, columns["hip_roll"][side]] = -sway
        out[:, columns["ankle_roll"][side]] = sway
    return out


def advance_phase(
    phase: Float[Tensor, " world"],
    moving: Bool[Tensor, " world"],
    was_moving: Bool[Tensor, " world"],
    start: Float[Tensor, " world"],
    dt_s: float,
    config: GaitConfig,
) -> Float[Tensor, " world"]:
    """One tick of the clock; a walk that begins starts at `start`."""
    return torch.where(moving & ~was_moving, start, (phase + dt_s * config.frequency_hz) % 1.0)
