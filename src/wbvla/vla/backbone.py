"""Vision transformers under timm's parameter names, so that released image towers load without timm.

Features are the output of block `depth - 2` without the final norm and without prefix tokens, as Prismatic takes
them; the last block, the norm and the pooling head exist for their names only and are never run.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wbvla.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """One image tower."""

    image_size: int
    """side of the square input [px]"""
    patch_size: int
    """side of one patch [px]"""
    width: int
    """channels of a token"""
    depth: int
    """number of blocks; the last one is unused"""
    heads: int
    """attention heads per block"""
    mlp_width: int
    """channels inside a block's MLP"""
    class_token: bool = False
    """one leading class token (DINOv2)"""
    num_registers: int = 0
    """leading register tokens (DINOv2-reg)"""
    layer_scale: bool = False
    """learned gain per channel behind attention and MLP (DINOv2)"""
    pooling_head: bool = False
    """carry SigLIP's unused attention-pooling head, for its parameter names"""
    stem: str = "patch"
    """`patch`: one strided convolution (timm); `conv`: a few small ones, which learn faster from scratch"""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """image normalisation per channel [-]"""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """image normalisation per channel [-]"""

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        return self.grid * self.grid

    def __post_init__(self) -> None:
        if self.depth < 2 or self.width % self.heads:
            raise ConfigError(f"a tower needs depth >= 2 and width {self.width} divisible by {self.heads} heads")
        if self.stem not in ("patch", "conv"):
            raise ConfigError(f"tower stem must be 'patch' or 'conv', not {self.stem!r}")


class Mlp(nn.Module):
    """fc1, exact GELU, fc2."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return self.fc2(F.gelu(self.fc1(x)))


class Attention(nn.Module):
    """Self-attention with one fused qkv projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class LayerScale(nn.Module):
    """Gain per channel; called `scale_factor` as in the Hugging Face files (`gamma` in timm)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return x * self.scale_factor


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.heads)
        self.ls1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width, config.mlp_width)
        self.ls2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Image to a row of patch tokens."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.proj = (
            _conv_stem(config)
            if config.stem == "conv"
            else nn.Conv2d(3, config.width, kernel_size=config.patch_size, stride=config.patch_size)
        )

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch channel"]:
        return self.proj(image).flatten(2).transpose(1, 2)


def _conv_stem(config: TowerConfig) -> nn.Sequential:
    """3x3 convolutions of stride 2 down to one cell per patch (Xiao et al. 2021, arXiv 2106.14881)."""
    halvings = config.patch_size.bit_length() - 1
    if 2**halvings != config.patch_size:
        raise ConfigError(f"a conv stem needs a patch size that is a power of two, not {config.patch_size}")
    widths = [3, *[max(8, config.width >> (halvings - 1 - i)) for i in range(halvings)]]
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(widths):
        layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.GroupNorm(4, outer), nn.GELU()]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], config.width, 1))


class PoolingHead(nn.Module):
    """SigLIP's attention pooling; its parameters are loaded and never used."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.zeros(1, 1, config.width))
        self.q = nn.Linear(config.width, config.width)
        self.kv = nn.Linear(config.width, 2 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width, config.mlp_width)


class Tower(nn.Module):
    """One image tower; its positions are added to patches only, then class token and registers go in front."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        if config.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        if config.num_registers:
            self.reg_token = nn.Parameter(torch.zeros(1, config.num_registers, config.width))
        self.pos_embed = nn.Parameter(torch.randn(1, config.num_patches, config.width) * 0.02)
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        if config.pooling_head:
            self.attn_pool = PoolingHead(config)
        self._freeze_unused()

    def _freeze_unused(self) -> None:
        unused = [self.blocks[-1], self.norm] + ([self.attn_pool] if self.config.pooling_head else [])
        for module in unused:
            module.requires_grad_(False)

    def forward(self, image: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patch channel"]:
        """Patch features of a normalised image."""
        x = self.patch_embed(image) + self.pos_embed
        prefix = [getattr(self, name) for name in ("cls_token", "reg_token") if hasattr(self, name)]
        if prefix:
            x = torch.cat([*(p.expand(x.shape[0], -1, -1) for p in prefix), x], dim=1)
        for block in self.blocks[:-1]:
            x = block(x)
        return x[:, x.shape[1] - self.config.num_patches :]


class VisionBackbone(nn.Module):
    """One or two towers over the same picture; their patch features are joined channel by channel."""

    def __init__(self, towers: tuple[TowerConfig, ...]) -> None:
        super().__init__()
        if len(towers) not in (1, 2) or len({t.num_patches for t in towers}) != 1:
            raise ConfigError("a vision backbone takes one or two towers with the same number of patches")
        self.featurizer = Tower(towers[0])
        if len(towers) == 2:
            self.fused_featurizer = Tower(towers[1])

    def forward(self, pixels: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch patch feature"]:
        """`pixels` holds three channels per tower, each normalised as its tower wants it."""
        features = [self.featurizer(pixels[:, :3])]
        if pixels.shape[1] == 6:
            features.append(self.fused_featurizer(pixels[:, 3:]))
        return torch.cat(features, dim=-1)
