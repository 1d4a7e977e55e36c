"""Arms that disturb the legs: random poses at growing amplitude, and clips of reaching on a warped clock."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from wbvla.lmo.clips import load_clips, own_clips
from wbvla.lmo.commands import uniform
from wbvla.robots.description import RobotSpec


@dataclass(frozen=True, kw_only=True)
class ArmConfig:
    """How the arms move while the legs learn."""

    clip_share: float = 0.35
    """targets that come from a clip instead of a uniform pose [-]"""
    clips: Path | None = None
    """clips to play: a `.npy` (clip, time, arm joint) [rad], or a dataset of this robot; None: our own key poses"""
    clip_hz: float = 30.0
    """rate of the clips in a `.npy` [Hz]"""
    hold_s: tuple[float, float] = (0.5, 2.0)
    """time until the next target [s]"""
    rate_radps: tuple[float, float] = (0.5, 3.0)
    """speed of approach [rad/s]"""
    jitter_rad: float = 0.05
    """standard deviation of eps on a clip's pose [rad]"""
    warp: tuple[float, float, float] = (0.8, 1.5, 0.25)
    """gamma ~ U[first, second], delta_i ~ U[-third, third]: speed of the clip's clock [-]"""
    clip_gain: float = 1.0
    """factor on the clips' way from the default pose; joint limits hold [-]"""
    length_s: tuple[float, float] = (0.8, 2.5)
    """L ~ U: where the warped clock stops [s]"""


def warp_clock(
    clock_s: Float[Tensor, " world"],
    end_s: Float[Tensor, " world"],
    gamma: Float[Tensor, " world"],
    delta: Float[Tensor, " world"],
    dt_s: float,
) -> Float[Tensor, " world"]:
    """w <- min(L, w + (gamma + delta) dt), the clock of the paper's arm replay (arXiv 2512.11047, stage II)."""
    return torch.minimum(end_s, clock_s + (gamma + delta) * dt_s)


@dataclass(kw_only=True)
class ArmState:
    """Where the arms of each world are going; saved with a checkpoint."""

    command: Float[Tensor, "world arm"]
    """PD target in effect [rad]"""
    target: Float[Tensor, "world arm"]
    """[rad]"""
    rate: Float[Tensor, " world"]
    """[rad/s]"""
    left_s: Float[Tensor, " world"]
    """time until the next target [s]"""
    clip: Float[Tensor, " world"]
    """number of the clip that is played; -1: a uniform pose is held"""
    clock_s: Float[Tensor, " world"]
    """warped clock of the clip [s]"""
    end_s: Float[Tensor, " world"]
    """L [s]"""
    gamma: Float[Tensor, " world"]
    """[-]"""


class ArmMotion:
    """Moves the arm joints that a model leaves free."""

    def __init__(self, spec: RobotSpec, names: tuple[str, ...], config: ArmConfig, num_worlds: int) -> None:
        index = spec.indices(names)
        self.config = config
        self.default, self.lower, self.upper = (
            torch.tensor(spec.column(field)[index], dtype=torch.float32) for field in ("default", "lower", "upper")
        )
        source = config.clips
        if source is None:
            clips = own_clips(spec, names)
        else:
            clips = load_clips(source, spec, names, config.length_s[1], config.clip_hz)
        self.clips = clips.clamp(self.lower, self.upper)
        zero = torch.zeros(num_worlds)
        self.state = ArmState(
            command=self.default.repeat(num_worlds, 1),
            target=self.default.repeat(num_worlds, 1),
            rate=zero + 1.0,
            left_s=zero.clone(),
            clip=zero - 1.0,
            clock_s=zero.clone(),
            end_s=zero + 1.0,
            gamma=zero + 1.0,
        )

    def retarget(self, worlds: Tensor, amplitude: float, home_share: float, rng: Generator) -> None:
        """New goals for some worlds: default + A (U(limits) - default), a clip from its start, or the default."""
        num, config, state = len(worlds), self.config, self.state
        wide = self.lower + (self.upper - self.lower) * torch.rand(
            num, len(self.default), generator=rng, device=rng.device
        )
        state.target[worlds] = self.default + amplitude * (wide - self.default)
        state.rate[worlds] = uniform(*config.rate_radps, (num,), rng)
        state.left_s[worlds] = uniform(*config.hold_s, (num,), rng)
        clip = torch.randint(0, len(self.clips), (num,), generator=rng, device=rng.device).float()
        is_clip = torch.rand(num, generator=rng, device=rng.device) < config.clip_share
        state.clip[worlds] = torch.where(is_clip, clip, torch.full_like(clip, -1.0))
        if home_share > 0:
            home = worlds[torch.rand(num, generator=rng, device=rng.device) < home_share]
            state.target[home], state.clip[home] = self.default, -1.0
        state.clock_s[worlds] = 0.0
        state.end_s[worlds] = uniform(*config.length_s, (num,), rng)
        state.gamma[worlds] = uniform(*config.warp[:2], (num,), rng)

    def advance(
        self, amplitude: float, dt_s: float, rng: Generator, home_share: float = 0.0
    ) -> Float[Tensor, "world arm"]:
        """One control tick; returns the PD targets [rad]."""
        state, config = self.state, self.config
        state.left_s -= dt_s
        due = (state.left_s <= 0).nonzero()[:, 0]
        if len(due):
            self.retarget(due, amplitude, home_share, rng)
        playing = (state.clip >= 0).nonzero()[:, 0]
        if len(playing):
            spread = config.warp[2]
            delta = uniform(-spread, spread, (len(playing),), rng)
            clock = warp_clock(state.clock_s[playing], state.end_s[playing], state.gamma[playing], delta, dt_s)
            state.clock_s[playing] = clock
            pose = self._pose(state.clip[playing].long(), clock)
            pose = self.default + config.clip_gain * min(1.0, 1.2 * amplitude) * (pose - self.default)
            state.target[playing] = pose + config.jitter_rad * torch.randn(pose.shape, generator=rng, device=rng.device)
        limit = (state.rate * dt_s)[:, None]
        step = (state.target - state.command).clamp(-limit, limit)
        state.command = (state.command + step).clamp(self.lower, self.upper)
        return state.command

    def _pose(self, clip: Tensor, clock_s: Float[Tensor, " n"]) -> Float[Tensor, "n arm"]:
        place = (clock_s / self.config.length_s[1]).clamp(0, 0.999) * (self.clips.shape[1] - 1)
        key, blend = place.long(), (place % 1.0)[:, None]
        return (1 - blend) * self.clips[clip, key] + blend * self.clips[clip, key + 1]
