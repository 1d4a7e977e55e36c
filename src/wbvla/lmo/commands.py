"""What the robot is asked to do while it learns: a mix of walking, squatting and standing."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from wbvla.core.errors import ConfigError

DISCRETE, VELOCITY = "discrete", "velocity"


@dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """Shares and ranges of sampled commands (HOMIE never mixes walking and squatting)."""

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
    third_axis_share: float = 0.2
    """of those, the ones that get the third as well [-]"""
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
        for name in ("stand_share", "squat_share", "second_axis_share", "third_axis_share", "nominal_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is a share of commands, 0 to 1, not {getattr(self, name)!r}")
        if self.stand_share + self.squat_share > 1.0:
            raise ConfigError(f"stand_share {self.stand_share} and squat_share {self.squat_share} are more than 1")


HOMIE_MIX = CommandConfig(
    stand_share=1 / 6, squat_share=1 / 3, nominal_share=1.0, second_axis_share=1.0, third_axis_share=1.0,
    hold_s=(4.0, 4.0),
)  # fmt: skip
"""Shares of HOMIE (arXiv 2502.13013): a third squats, a sixth stands, half walks along all axes at once, never both; a
new command every 4 s. HOMIE draws speeds, so use it with `interface=VELOCITY` for its own task."""


def uniform(low: float, high: float, size: tuple[int, ...], rng: Generator) -> Tensor:
    """Float32 samples of U[low, high), on the device of the generator."""
    return low + (high - low) * torch.rand(size, generator=rng, device=rng.device)


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
    device = rng.device
    mode = torch.rand(num, generator=rng, device=device)
    rows = torch.arange(num, device=device)
    flags = torch.zeros(num, 3, device=device)
    signs = torch.randint(0, 2, (3, num), generator=rng, device=device).float() * 2 - 1
    axis = torch.multinomial(torch.tensor(config.axis_shares, device=device), num, replacement=True, generator=rng)
    # the second and the third axis are the two others, in either order
    second = (axis + torch.randint(1, 3, (num,), generator=rng, device=device)) % 3
    has_second = torch.rand(num, generator=rng, device=device) < config.second_axis_share
    has_third = has_second & (torch.rand(num, generator=rng, device=device) < config.third_axis_share)
    flags[rows, axis] = signs[0]
    flags[rows[has_second], second[has_second]] = signs[1][has_second]
    flags[rows[has_third], (3 - axis - second)[has_third]] = signs[2][has_third]
    if config.interface == VELOCITY:
        flags *= uniform(config.slowest, 1.0, (num, 3), rng)
    squat = (mode >= config.stand_share) & (mode < config.stand_share + config.squat_share)
    flags[mode < config.stand_share + config.squat_share] = 0.0
    below, above = config.walk_height_band_m
    height = uniform(heights.nominal_m - below, heights.nominal_m + above, (num,), rng).clamp(*heights.range_m)
    height[torch.rand(num, generator=rng, device=device) < config.nominal_share] = heights.nominal_m
    deep = uniform(*heights.range_m, (num,), rng)
    low = squat
    if heights.any_share > 0:
        low = low | (torch.rand(num, generator=rng, device=device) < heights.any_share)
    height = torch.where(low, deep, height)
    return flags, height, uniform(*config.hold_s, (num,), rng)
