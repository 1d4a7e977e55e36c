"""The VLA: Prismatic, learned query tokens for the two latent-action streams, their heads, and the action decoder."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from wbvla.core.errors import ConfigError
from wbvla.vla.action_decoder import ActionConfig, ActionDecoder, Chunk
from wbvla.vla.prismatic import Prismatic, PrismaticConfig


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """One stream of latent actions, as the LAM that labelled the data defines it."""

    name: str
    """`manipulation` or `locomotion`; the labels are the dataset column `latent.<name>`"""
    num_tokens: int
    """codes per frame"""
    num_codes: int
    """size of the codebook"""


@dataclass(frozen=True, kw_only=True)
class VlaConfig:
    """Everything that decides the model's parameters."""

    prismatic: PrismaticConfig
    """towers, projector, decoder"""
    cameras: tuple[str, ...]
    """cameras in token order; the first must always be there"""
    streams: tuple[StreamConfig, ...]
    """latent-action streams, in token order"""
    action: ActionConfig
    """chunk and decoder"""
    parallel_queries: bool = True
    """query tokens see each other both ways; false makes them causal"""

    @property
    def num_queries(self) -> int:
        return sum(s.num_tokens for s in self.streams)


class Encoding(NamedTuple):
    """What the decoder understood: hidden states of the query tokens and of the visible patches."""

    latents: Float[Tensor, "batch query hidden"]
    visual: Float[Tensor, "batch visual hidden"]
    visual_mask: Bool[Tensor, "batch visual"]


class Vla(nn.Module):
    """Images, words and state in; codes of both streams and an action chunk out."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VlaConfig) -> None:
        super().__init__()
        self.config = config
        width = config.prismatic.language.width
        self.prismatic = Prismatic(config.prismatic)
        self.camera_embed = nn.Parameter(torch.zeros(len(config.cameras), width))
        self.queries = nn.Parameter(torch.randn(config.num_queries, width) * 0.02)
        self.code_heads = nn.ModuleDict({s.name: nn.Linear(width, s.num_codes) for s in config.streams})
        self.action_decoder = ActionDecoder(config.action, width)
        towers = config.prismatic.towers
        self.register_buffer("mean", torch.tensor([t.mean for t in towers]).flatten()[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([t.std for t in towers]).flatten()[:, None, None], persistent=False)

    def normalise(
        self, images: UInt8[Tensor, "batch camera height width 3"]
    ) -> Float[Tensor, "batch camera channel height width"]:
        """Three channels per tower, each with its tower's mean and deviation."""
        scaled = images.movedim(-1, 2).to(self.queries.dtype) / 255.0
        repeats = self.mean.shape[0] // 3
        return (scaled.repeat(1, 1, repeats, 1, 1) - self.mean) / self.std

    def encode(
        self,
        images: UInt8[Tensor, "batch camera height width 3"],
        present: Bool[Tensor, "batch camera"],
        text: Int[Tensor, "batch word"],
        text_mask: Bool[Tensor, "batch word"],
    ) -> Encoding:
        """One pass through towers and decoder; pixels of absent cameras are never looked at.

        Raises ConfigError when a sample lacks the first camera or the image size is not the model's.
        """
        self._check(images, present)
        visual = self.prismatic.visual_tokens(self.normalise(images), present)
        visual = (visual + self.camera_embed[:, None]).flatten(1, 2)
        mask = present.repeat_interleave(self.config.prismatic.num_patches, dim=1)
        queries = self.queries.expand(len(images), -1, -1)
        hidden = self.prismatic(visual, mask, text, text_mask, queries, self.config.parallel_queries)
        return Encoding(
            latents=hidden[:, hidden.shape[1] - self.config.num_queries :],
            visual=hidden[:, 1 : 1 + mask.shape[1]],
            visual_mask=mask,
        )

    def _check(self, images: Tensor, present: Tensor) -> None:
        size, cameras = self.config.prismatic.image_size, self.config.cameras
        if images.shape[1:4] != (len(cameras), size, size):
            raise ConfigError(f"images {tuple(images.shape)} do not fit cameras {cameras} of {size} x {size} px")
        if not bool(present[:, 0].all()):
            raise ConfigError(f"camera {cameras[0]!r} must be present; only {cameras[1:]} may be absent")

    def code_logits(self, encoding: Encoding) -> dict[str, Float[Tensor, "batch token code"]]:
        """Logits of every stream's codes."""
        sizes = [s.num_tokens for s in self.config.streams]
        parts = encoding.latents.split(sizes, dim=1)
        return {s.name: self.code_heads[s.name](part) for s, part in zip(self.config.streams, parts)}

    def chunk(self, encoding: Encoding, state: Float[Tensor, "batch state"]) -> Chunk:
        """The action chunk for a normalised state."""
        return self.action_decoder(encoding.latents, encoding.visual, encoding.visual_mask, state)
