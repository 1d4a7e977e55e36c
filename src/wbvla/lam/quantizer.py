"""The discrete bottleneck: a few tokens per frame pair from one small codebook, kept from collapsing."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize

from wbvla.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class QuantizerConfig:
    """Vector quantisation with the measures that keep a codebook alive."""

    num_tokens: int = 4
    """codes per frame pair"""
    num_codes: int = 16
    """size of the codebook, shared by all tokens"""
    dim: int = 8
    """width of a code; small ones use more of the codebook"""
    update: Literal["ema", "gradient"] = "ema"
    """how codes move: running mean of what they stand for, or the codebook loss"""
    decay: float = 0.95
    """decay of that running mean per batch"""
    commitment: float = 0.25
    """weight of the term that pulls the encoder to its codes (van den Oord et al. 2017, eq. 3)"""
    revive_below: float = 0.1
    """a code used less than this share of even use is moved onto a latent of the batch; 0 never revives"""
    warmup_batches: int = 0
    """training batches that pass unquantised before k-means places the codes"""
    gradient: Literal["straight-through", "rotation"] = "straight-through"
    """how the decoder's gradient passes the quantiser; rotation: Fifty et al. 2024, arXiv 2410.06424"""

    def __post_init__(self) -> None:
        if min(self.num_tokens, self.num_codes, self.dim) < 1:
            raise ConfigError("num_tokens, num_codes and dim of a quantiser must be at least 1")


@dataclass(frozen=True)
class Quantized:
    """What comes out of the bottleneck."""

    tokens: Float[Tensor, "batch token latent"]
    """codes as vectors; in training the gradient of the latents passes through"""
    codes: Int64[Tensor, "batch token"]
    """their numbers; zeros during the warm-up"""
    codebook_loss: Float[Tensor, ""]
    """|| sg[z] - c ||^2: moves the codebook only; zero when codes move by running means"""
    commitment_loss: Float[Tensor, ""]
    """|| z - sg[c] ||^2: moves the encoder only"""


class Quantizer(nn.Module):
    """BatchNorm, then the nearest of `num_codes` shared codes for each token.

    The two losses stand as van den Oord et al. print them: weight 1 on the codebook, `commitment` on the encoder.
    """

    def __init__(self, config: QuantizerConfig, expected_batch: int = 64) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.BatchNorm1d(config.num_tokens * config.dim, affine=False, momentum=0.02)
        even = expected_batch * config.num_tokens / config.num_codes
        learned = config.update == "gradient"
        self.vq = VectorQuantize(
            dim=config.dim,
            codebook_size=config.num_codes,
            decay=config.decay,
            commitment_weight=0.0,  # both losses are written out below, with the stop-gradients in plain sight
            kmeans_init=True,
            threshold_ema_dead_code=config.revive_below * even,  # pyright: ignore[reportArgumentType]
            learnable_codebook=learned,
            ema_update=not learned,
            rotation_trick=config.gradient == "rotation",
        )
        self.batches: Tensor
        self.register_buffer("batches", torch.tensor(0))

    @property
    def active(self) -> bool:
        """Whether latents are quantised: past the warm-up, and (outside training) with codes in place."""
        warm = int(self.batches) >= self.config.warmup_batches
        return warm and (self.training or self.ready)

    @property
    def ready(self) -> bool:
        """Whether k-means has placed the codes."""
        return bool(self.vq._codebook.initted)

    def normalise(self, latents: Float[Tensor, "batch token latent"]) -> Float[Tensor, "batch token latent"]:
        """Each coordinate of each token to zero mean and unit deviation, so that no token can shrink to nothing."""
        return self.norm(latents.flatten(1)).view_as(latents)

    def forward(self, latents: Float[Tensor, "batch token latent"]) -> Quantized:
        """Quantise encoder outputs; in training also update running means and revive dead codes."""
        z = self.normalise(latents)
        active = self.active
        if self.training:
            self.batches += 1
        zero = z.new_zeros(())
        if not active:
            codes = torch.zeros(z.shape[:2], dtype=torch.int64, device=z.device)
            return Quantized(tokens=z, codes=codes, codebook_loss=zero, commitment_loss=zero)
        tokens, codes, _ = self.vq(z)
        chosen = self.vector_of(codes)
        learned = self.config.update == "gradient"
        return Quantized(
            tokens=tokens,
            codes=codes,
            codebook_loss=F.mse_loss(chosen, z.detach()) if learned else zero,
            commitment_loss=F.mse_loss(z, chosen.detach()),
        )

    def vector_of(self, codes: Int64[Tensor, "batch token"]) -> Float[Tensor, "batch token latent"]:
        """Codes as vectors."""
        return self.vq.get_codes_from_indices(codes)


def code_usage(
    codes: Int64[Tensor, "batch token"], num_codes: int
) -> tuple[Float[Tensor, " token"], Float[Tensor, " token"]]:
    """Share of the codebook in use and perplexity (1 .. num_codes), per token position.

    Per position, because four tokens that never change still count as four codes in use overall.
    """
    counts = F.one_hot(codes, num_codes).sum(0).double()
    share = counts / counts.sum(1, keepdim=True)
    entropy = -(share * share.clamp_min(1e-12).log()).sum(1)
    return (counts > 0).double().mean(1).float(), entropy.exp().float()
