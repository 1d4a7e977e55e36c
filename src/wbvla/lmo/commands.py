"""What the robot is asked to do while it learns: a mix of walking, squatting and standing."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from wbvla.core.errors import ConfigError

DISCRETE, VELOCITY = "discrete", "velocity"


@dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """Shares and ranges of sampled commands (docs/lmo.md; HOMIE never mixes walking and squatting)."""

    interface: str = DISCRETE
    """`discrete`: ternary flags; `velocity`: shares of the goal speeds in [-1, 1], the baseline that others train"""
    slowest: float = 0.2
    """smallest share that the velocity interface asks for when it asks to move [-]"""
    stand_share: float = 0.2
    """[-]"""
    squat_share: float = 0.25
    """standing still at a random height [-]"""
    axis_shares: tuple[float, float, float] = (0.4, 0.3, 0.3)
    """walking commands along x, y, psi [-]"""
    second_axis_share: float = 0.15
    """walking commands that get a second axis [-]"""
    nominal_share: float = 0.6
    """walking and standing commands at the nominal height [-]"""
    walk_height_band_m: tuple[float, float] = (0.07, 0.02)
    """otherwise the height is within this below and above the nominal one [m]"""
    hold_s: tuple[float, float] = (2.5, 6.0)
    """time until the next command [s]"""
    resample: bool = True
    """False: commands stay as they are set (evaluation)"""

    def __post_init__(self) -> None:
        if self.interface not in (DISCRETE, VELOCITY):
            raise ConfigError(f"no command interface {self.interface!r}; known: {DISCRETE}, {VELOCITY}")


def uniform(low: float, high: float, size: tuple[int, ...], rng: Generator) -> Tensor:
    """Float32 samples of U[low, high)."""
    return low + (high - low) * torch.rand(size, generator=rng)


@dataclass(frozen=True, kw_only=True)
class HeightBand:
    """Which stance heights a robot is asked for."""

    nominal_m: float
    range_m: tuple[float, float]
    any_share: float = 0.0
    """walking commands at any height of the range, instead of near the nominal one [-]"""


def sample_commands(
    num: int, config: CommandConfig, heights: HeightBand, rng: Generator
) -> tuple[Float[Tensor, "num 3"], Float[Tensor, " num"], Float[Tensor, " num"]]:
    """Flags, stance heights [m] and hold times [s] of `num` new commands."""
    mode = torch.rand(num, generator=rng)
    rows = torch.arange(num)
    flags = torch.zeros(num, 3)
    signs = torch.randint(0, 2, (2, num), generator=rng).float() * 2 - 1
    axis = torch.multinomial(torch.tensor(config.axis_shares), num, replacement=True, generator=rng)
    second = torch.randint(0, 3, (num,), generator=rng)
    has_second = torch.rand(num, generator=rng) < config.second_axis_share
    flags[rows, axis] = signs[0]
    flags[rows[has_second], second[has_second]] = signs[1][has_second]
    if config.interface == VELOCITY:
        flags *= uniform(config.slowest, 1.0, (num, 3), rng)
    squat = (mode >= config.stand_share) & (mode < config.stand_share + config.squat_share)
    flags[mode < config.stand_share + config.squat_share] = 0.0
    below, above = config.walk_height_band_m
    height = uniform(heights.nominal_m - below, heights.nominal_m + above, (num,), rng)
    height[torch.rand(num, generator=rng) < config.nominal_share] = heights.nominal_m
    deep = uniform(*heights.range_m, (num,), rng)
    low = squat
    if heights.any_share > 0:
        low = low | (torch.rand(num, generator=rng) < heights.any_share)
    height = torch.where(low, deep, height)
    return flags, height, uniform(*config.hold_s, (num,), rng)
