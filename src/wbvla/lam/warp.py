"""The laptop-sized networks: convolutions see the change, a decoder moves the pixels of the first frame accordingly."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class WarpConfig:
    """About a million weights; works on pixels of 48x48."""

    channels: tuple[int, int, int] = (32, 64, 96)
    """filters of the three scales"""
    hidden: int = 256
    """width of the encoder's last hidden layer"""


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels)


class PairEncoder(nn.Module):
    """Both frames, stacked, to `num_tokens` latents."""

    def __init__(self, config: WarpConfig, size: tuple[int, int], num_tokens: int, dim: int) -> None:
        super().__init__()
        a, b, c = config.channels
        self.shape = (num_tokens, dim)
        self.layers = nn.Sequential(
            nn.Conv2d(6, a, 5, 2, 2), _norm(a), nn.GELU(),
            nn.Conv2d(a, b, 3, 2, 1), _norm(b), nn.GELU(),
            nn.Conv2d(b, c, 3, 2, 1), _norm(c), nn.GELU(),
            nn.Conv2d(c, 64, 3, 1, 1), _norm(64), nn.GELU(),
            nn.Flatten(),
            nn.Linear(64 * (size[0] // 8) * (size[1] // 8), config.hidden), nn.GELU(),
            nn.Linear(config.hidden, num_tokens * dim),
        )  # fmt: skip

    def forward(
        self, now: Float[Tensor, "batch 3 height width"], later: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch token latent"]:
        return self.layers(torch.cat([now, later], 1) * 2 - 1).unflatten(1, self.shape)


class _Film(nn.Module):
    """A convolution whose output is scaled and shifted by the code (Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, code: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm = _norm(outputs)
        self.film = nn.Linear(code, 2 * outputs)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.film(code)[:, :, None, None].chunk(2, 1)
        return F.gelu(self.norm(self.conv(x)) * (1 + scale) + shift)


class WarpDecoder(nn.Module):
    """First frame and code to the second frame: a flow that moves pixels, and a mask of what is painted anew.

    It starts as an exact copy of the first frame, so that the code is asked for motion from the first step on.
    """

    def __init__(self, config: WarpConfig, num_tokens: int, dim: int) -> None:
        super().__init__()
        a, b, c = config.channels
        code = num_tokens * dim
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), _norm(o), nn.GELU()) for i, o in ((3, a), (a, b), (b, c))
        )
        self.up = nn.ModuleList((_Film(c, c, code), _Film(c + b, b, code), _Film(b + a, a, code)))
        self.head = nn.Conv2d(a, 6, 3, 1, 1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 0.0, -3.0, 0.0, 0.0, 0.0]))

    def forward(
        self, now: Float[Tensor, "batch 3 height width"], tokens: Float[Tensor, "batch token latent"]
    ) -> Float[Tensor, "batch 3 height width"]:
        code = tokens.flatten(1)
        skips, x = [], now * 2 - 1
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.up[0](skips[2], code)
        for layer, skip in zip(list(self.up)[1:], (skips[1], skips[0]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = layer(torch.cat([x, skip], 1), code)
        field = F.interpolate(self.head(x), size=now.shape[-2:], mode="bilinear", align_corners=False)
        flow, mask, paint = field[:, :2], field[:, 2:3].sigmoid(), field[:, 3:].sigmoid()
        moved = F.grid_sample(
            now, _identity_grid(now) + flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
        )
        return moved + mask * (paint - moved)


def _identity_grid(image: Tensor) -> Float[Tensor, "1 height width 2"]:
    """Sampling positions in -1..1 that leave an image where it is."""
    height, width = image.shape[-2:]
    y = (torch.arange(height, device=image.device, dtype=image.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, device=image.device, dtype=image.dtype) * 2 + 1) / width - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], -1)[None]
