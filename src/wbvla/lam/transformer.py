"""The full-size networks: a spatio-temporal transformer over patch features, with action queries (as UniVLA's)."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from wbvla.lam.features import DinoConfig


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """Sizes of OpenDriveLab/UniVLA's latent action model (lam-stage-2): 12 + 12 blocks of 768, 12 heads."""

    dino: DinoConfig = field(default_factory=DinoConfig)
    """frozen features"""
    width: int = 768
    """width of the blocks"""
    heads: int = 12
    """attention heads"""
    encoder_blocks: int = 12
    """spatio-temporal blocks over both frames"""
    decoder_blocks: int = 12
    """spatial blocks over the action tokens and the first frame's patches"""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "group token width"], causal: bool) -> Float[Tensor, "group token width"]:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm(x)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


def _feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class _SpaceTimeBlock(nn.Module):
    """Attention within each frame, then along time for each position (never to the future), then a feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.space, self.time = _Attention(width, heads), _Attention(width, heads)
        self.forward_layers = _feed_forward(width)

    def forward(self, x: Float[Tensor, "batch time token width"]) -> Float[Tensor, "batch time token width"]:
        batch, time, token, _ = x.shape
        x = x + self.space(x.flatten(0, 1), False).unflatten(0, (batch, time))
        along = x.transpose(1, 2).flatten(0, 1)
        x = x + self.time(along, True).unflatten(0, (batch, token)).transpose(1, 2)
        return x + self.forward_layers(x)


class _SpaceBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.space = _Attention(width, heads)
        self.forward_layers = _feed_forward(width)

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        x = x + self.space(x, False)
        return x + self.forward_layers(x)


def _table(tokens: int, width: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(tokens, width))


class PatchEncoder(nn.Module):
    """Patches of both frames and learned action queries; the queries of the second frame become the latents."""

    def __init__(self, config: PatchConfig, patches: int, features: int, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, config.width)
        self.queries = _table(num_tokens, config.width)
        self.place = _table(patches, config.width)
        self.moment = _table(2, config.width)
        self.blocks = nn.ModuleList(_SpaceTimeBlock(config.width, config.heads) for _ in range(config.encoder_blocks))
        self.out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, dim))

    def forward(
        self, now: Float[Tensor, "batch patch feature"], later: Float[Tensor, "batch patch feature"]
    ) -> Float[Tensor, "batch token latent"]:
        patches = self.project(torch.stack([now, later], 1)) + self.place
        queries = self.queries.expand(*patches.shape[:2], -1, -1)
        x = torch.cat([queries, patches], 2) + self.moment[:, None]
        for block in self.blocks:
            x = block(x)
        return self.out(x[:, 1, : len(self.queries)])


class PatchDecoder(nn.Module):
    """Action tokens and the first frame's patches to the second frame's patches, as a difference to the first.

    UniVLA predicts the features themselves; the difference starts as an exact copy, which is what the model
    has to beat.
    """

    def __init__(self, config: PatchConfig, patches: int, features: int, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, config.width)
        self.action = nn.Linear(dim, config.width)
        self.place = _table(num_tokens + patches, config.width)
        self.blocks = nn.ModuleList(_SpaceBlock(config.width, config.heads) for _ in range(config.decoder_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, features)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, now: Float[Tensor, "batch patch feature"], tokens: Float[Tensor, "batch token latent"]
    ) -> Float[Tensor, "batch patch feature"]:
        x = torch.cat([self.action(tokens), self.project(now)], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return now + self.head(self.norm(x[:, tokens.shape[1] :]))
