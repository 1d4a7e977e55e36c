"""The latent action model: what happened between two frames, as a few codes, learned by predicting the second frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from wbvla.core.errors import ConfigError
from wbvla.lam.features import FrozenDino, Pixels
from wbvla.lam.quantizer import Quantized, Quantizer, QuantizerConfig, code_usage
from wbvla.lam.transformer import PatchConfig, PatchDecoder, PatchEncoder
from wbvla.lam.warp import PairEncoder, WarpConfig, WarpDecoder


@dataclass(frozen=True, kw_only=True)
class LamConfig:
    """One latent action model: what it looks at, how far ahead, and how it is built."""

    stream: Literal["manipulation", "locomotion", "shared"]
    """which latent the labels are: column `latent.<stream>`"""
    cameras: tuple[str, ...] = ("observation.images.head",)
    """cameras it sees, side by side"""
    gap_s: float = 0.6
    """time between the two frames [s]"""
    height: int = 48
    """height of each camera's picture [px]"""
    width: int = 48
    """width of each camera's picture [px]"""
    net: WarpConfig | PatchConfig = field(default_factory=WarpConfig)
    """networks: convolutions on pixels, or a transformer on frozen DINOv2 patches"""
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    """the bottleneck"""
    reconstruction: float = 10.0
    """weight of the prediction's squared error against the losses of the quantiser"""

    def __post_init__(self) -> None:
        if not self.cameras or self.gap_s <= 0:
            raise ConfigError("a latent action model needs a camera and a gap above 0 s")
        step = 8 if isinstance(self.net, WarpConfig) else 1
        if self.height % step or self.width % step:
            raise ConfigError(f"pictures of {self.height}x{self.width} px do not divide by {step}; choose others")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole picture, cameras side by side [px]."""
        return self.height, self.width * len(self.cameras)

    def gap_frames(self, fps: int) -> int:
        """Frames between the two frames of a pair at a recording's rate; raises ConfigError when it is below one."""
        frames = round(self.gap_s * fps)
        if frames < 1:
            raise ConfigError(f"a gap of {self.gap_s} s is less than a frame at {fps} Hz; choose a longer one")
        return frames


@dataclass(frozen=True)
class LamOutput:
    """One forward pass; `now`, `later` and `prediction` are pixels (b, 3, h, w) or patches (b, patch, width)."""

    now: Float[Tensor, "batch ..."]
    later: Float[Tensor, "batch ..."]
    prediction: Float[Tensor, "batch ..."]
    quantized: Quantized


class LatentActionModel(nn.Module):
    """View, encoder, quantiser, decoder."""

    def __init__(self, config: LamConfig, expected_batch: int = 64) -> None:
        super().__init__()
        self.config = config
        tokens, dim = config.quantizer.num_tokens, config.quantizer.dim
        self.quantizer = Quantizer(config.quantizer, expected_batch)
        if isinstance(config.net, WarpConfig):
            self.view: nn.Module = Pixels()
            self.encoder: nn.Module = PairEncoder(config.net, config.size, tokens, dim)
            self.decoder: nn.Module = WarpDecoder(config.net, tokens, dim)
        else:
            self.view = view = FrozenDino(config.net.dino.name)
            patches = _patches(config.size, view.patch)
            self.encoder = PatchEncoder(config.net, patches, view.width, tokens, dim)
            self.decoder = PatchDecoder(config.net, patches, view.width, tokens, dim)

    def forward(
        self,
        frames_t: UInt8[Tensor, "batch height width 3"],
        frames_tk: UInt8[Tensor, "batch height width 3"],
    ) -> LamOutput:
        """Encode the pair, quantise, and predict the second frame from the first; each frame is viewed once."""
        now, later = self.view(torch.cat([frames_t, frames_tk])).chunk(2)
        quantized = self.quantizer(self.encoder(now, later))
        return LamOutput(now=now, later=later, prediction=self.decoder(now, quantized.tokens), quantized=quantized)

    def encode(
        self,
        frames_t: UInt8[Tensor, "batch height width 3"],
        frames_tk: UInt8[Tensor, "batch height width 3"],
    ) -> Int64[Tensor, "batch token"]:
        """The codes of frame pairs, `gap_s` apart, at the model's size (cameras side by side).

        Raises ConfigError before the codebook stands (still in the warm-up), or in training mode.
        """
        if self.training or not self.quantizer.active:
            raise ConfigError("this latent action model has no codes yet; train it past its warm-up and call eval()")
        with torch.no_grad():
            now, later = self.view(torch.cat([frames_t, frames_tk])).chunk(2)
            return self.quantizer(self.encoder(now, later)).codes

    def predict(
        self, now: Float[Tensor, "batch ..."], codes: Int64[Tensor, "batch token"]
    ) -> Float[Tensor, "batch ..."]:
        """The second frame's view from the first frame's and codes from anywhere."""
        return self.decoder(now, self.quantizer.vector_of(codes))


def _patches(size: tuple[int, int], patch: int) -> int:
    if size[0] % patch or size[1] % patch:
        raise ConfigError(f"pictures of {size[0]}x{size[1]} px do not divide into patches of {patch} px")
    return (size[0] // patch) * (size[1] // patch)


def lam_loss(
    model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Prediction error, codebook term and commitment (van den Oord et al. 2017, eq. 3), and figures to log.

    `rng` is unused: k-means and revival draw from torch's global generator, which the loop seeds and keeps.
    """
    assert isinstance(model, LatentActionModel)
    out = model(batch["now"], batch["later"])
    config, q = model.config, out.quantized
    mse = F.mse_loss(out.prediction, out.later)
    loss = config.reconstruction * mse + q.codebook_loss + config.quantizer.commitment * q.commitment_loss
    copy = F.mse_loss(out.now, out.later)
    usage, perplexity = code_usage(q.codes, config.quantizer.num_codes)
    figures = {
        "mse": mse,
        "gain": 1 - mse / copy.clamp_min(1e-12),
        "commitment": q.commitment_loss,
        "codebook": q.codebook_loss,
        "usage_min": usage.min(),
        "perplexity_min": perplexity.min(),
        "perplexity_mean": perplexity.mean(),
    }
    return loss, {k: float(v.detach()) for k, v in figures.items()}
