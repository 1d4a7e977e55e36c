"""From the hidden states of the latent tokens and the robot's state to a chunk of arm targets, grippers and command.

a = f(c_manipulation, c_locomotion, s) of WholeBodyVLA (arXiv 2512.11047), with UniVLA's visual query for the pooling.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

NUM_FLAGS, FLAG_CLASSES = 3, 3


@dataclass(frozen=True, kw_only=True)
class ActionConfig:
    """Sizes of the action chunk and of its decoder."""

    state: int
    """channels of the robot's state"""
    height_range_m: tuple[float, float]
    """lowest and highest stance height that can be asked for [m]"""
    arms: int = 14
    """arm joints"""
    grippers: int = 2
    """grippers"""
    steps: int = 8
    """length of a chunk"""
    rate_hz: float = 10.0
    """steps per second [Hz]"""
    width: int = 128
    """channels inside the decoder"""
    heads: int = 4
    """attention heads of the pooling"""
    state_dropout: float = 0.0
    """share of training samples whose state is hidden, against copying it"""


class Chunk(NamedTuple):
    """A batch of decoded chunks: arm targets normalised, flags as logits over (-1, 0, 1), height in [m]."""

    arms: Float[Tensor, "batch step arm"]
    grippers: Float[Tensor, "batch step 2"]
    flags: Float[Tensor, "batch step 3 3"]
    height_m: Float[Tensor, "batch step"]


class Pool(nn.Module):
    """Attention from one query token over a set, with a residual MLP behind."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm_out = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(
        self,
        query: Float[Tensor, "batch width"],
        keys: Float[Tensor, "batch key width"],
        valid: Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch width"]:
        hidden = None if valid is None else ~valid
        keys = self.norm(keys)
        mixed, _ = self.attend(query[:, None], keys, keys, key_padding_mask=hidden, need_weights=False)
        x = query + mixed[:, 0]
        return x + self.mlp(self.norm_out(x))


class ActionDecoder(nn.Module):
    """Pools the latent tokens with a query made from the visual ones, adds the state, reads out the chunk."""

    def __init__(self, config: ActionConfig, token_width: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.visual_in = nn.Linear(token_width, width)
        self.latent_in = nn.Linear(token_width, width)
        self.query = nn.Parameter(torch.randn(width) * 0.02)
        self.visual_pool = Pool(width, config.heads)
        self.latent_pool = Pool(width, config.heads)
        self.state_mlp = nn.Sequential(nn.Linear(config.state, width), nn.GELU(), nn.Linear(width, width))
        self.trunk = nn.Sequential(
            nn.LayerNorm(2 * width), nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.GELU()
        )
        per_step = config.arms + config.grippers + NUM_FLAGS * FLAG_CLASSES + 1
        self.read_out = nn.Linear(width, config.steps * per_step)

    def forward(
        self,
        latents: Float[Tensor, "batch query hidden"],
        visual: Float[Tensor, "batch visual hidden"],
        visual_mask: Bool[Tensor, "batch visual"],
        state: Float[Tensor, "batch state"],
    ) -> Chunk:
        """`state` is normalised; in training mode it is hidden for a share of the samples."""
        start = self.query.expand(latents.shape[0], -1)
        seen = self.visual_pool(start, self.visual_in(visual), visual_mask)
        meant = self.latent_pool(seen, self.latent_in(latents))
        body = self._hide(self.state_mlp(state))
        return self._split(self.read_out(self.trunk(torch.cat([meant, body], dim=-1))))

    def _hide(self, body: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        share = self.config.state_dropout
        if not self.training or share == 0.0:
            return body
        return body * (torch.rand(body.shape[0], 1, device=body.device) >= share)

    def _split(self, flat: Float[Tensor, "batch number"]) -> Chunk:
        c = self.config
        sizes = [c.arms, c.grippers, NUM_FLAGS * FLAG_CLASSES, 1]
        arms, grippers, flags, height = flat.reshape(-1, c.steps, sum(sizes)).split(sizes, dim=-1)
        low, high = c.height_range_m
        return Chunk(
            arms=arms,
            grippers=torch.sigmoid(grippers),
            flags=flags.reshape(-1, c.steps, NUM_FLAGS, FLAG_CLASSES),
            height_m=low + (high - low) * torch.sigmoid(height[..., 0]),
        )


@dataclass(frozen=True, kw_only=True)
class ActionLossConfig:
    """Weights of the parts of the imitation loss."""

    arms: float = 1.0
    """L1 on normalised arm targets"""
    grippers: float = 0.5
    """L1 on gripper openings"""
    flags: float = 1.0
    """cross-entropy on the three flags"""
    height: float = 1.0
    """L1 on the height, as a share of the robot's range"""


def action_loss(
    chunk: Chunk,
    target: Chunk,
    valid: Bool[Tensor, "batch step"],
    flag_weights: Float[Tensor, "3 3"],
    config: ActionLossConfig,
    height_span_m: float,
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Masked imitation loss; `target.flags` holds one-hot rows, `flag_weights[f, c]` weighs class c of flag f."""
    weight = valid.float()
    count = weight.sum().clamp(min=1.0)

    def mean(per_step: Float[Tensor, "batch step"]) -> Float[Tensor, ""]:
        return (per_step * weight).sum() / count

    ce = -(F.log_softmax(chunk.flags, dim=-1) * target.flags * flag_weights).sum(dim=(-1, -2)) / NUM_FLAGS
    parts = {
        "arms": mean((chunk.arms - target.arms).abs().mean(dim=-1)),
        "grippers": mean((chunk.grippers - target.grippers).abs().mean(dim=-1)),
        "flags": mean(ce),
        "height": mean((chunk.height_m - target.height_m).abs() / height_span_m),
    }
    weights = {"arms": config.arms, "grippers": config.grippers, "flags": config.flags, "height": config.height}
    total = torch.stack([weights[k] * v for k, v in parts.items()]).sum()
    return total, {f"loss_{k}": float(v.detach()) for k, v in parts.items()}
