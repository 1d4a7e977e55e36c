"""What a latent action model predicts: pixels, or the patch features of a DINOv2 that never changes."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers import AutoModel

from wbvla.core.errors import ArtefactError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pixels(nn.Module):
    """Frames as they are, in 0..1."""

    def forward(self, frames: UInt8[Tensor, "batch height width 3"]) -> Float[Tensor, "batch 3 height width"]:
        return frames.permute(0, 3, 1, 2).float() / 255


class FrozenDino(nn.Module):
    """Normalised patch tokens of DINOv2 (no class token, no registers); its weights take no gradient.

    A trained encoder would set its own target and could make it constant; a frozen one cannot.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            self.backbone = AutoModel.from_pretrained(name, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise ArtefactError(
                f"DINOv2 weights {name!r} are neither a folder nor in the Hugging Face cache, nor could they be "
                f"fetched: {error}. Fetch them once with `hf download {name}`, or give a folder"
            ) from error
        self.backbone.requires_grad_(False)
        self.backbone.eval()
        config: Any = self.backbone.config
        self.width: int = config.hidden_size
        self.patch: int = config.patch_size
        self._skipped = 1 + getattr(config, "num_register_tokens", 0)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def train(self, mode: bool = True) -> "FrozenDino":
        """Stays in evaluation mode, so that dropout or stochastic depth cannot move the target."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, frames: UInt8[Tensor, "batch height width 3"]) -> Float[Tensor, "batch patch feature"]:
        x = (frames.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        return self.backbone(pixel_values=x).last_hidden_state[:, self._skipped :].float()


@dataclass(frozen=True, kw_only=True)
class DinoConfig:
    """Which frozen features are predicted."""

    name: str = "facebook/dinov2-with-registers-base"
    """Hugging Face name or a local folder with config.json and model.safetensors"""
