"""Paired transforms with their inverse, as data: what training applies is what serving applies, out of a contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage

from wbvla.core.errors import ConfigError


def resize(
    rgb: UInt8[np.ndarray, "*batch height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "*batch new_height new_width 3"]:
    """Bicubic with antialiasing (Pillow) to (height, width) [px]; the one place where images are resized."""
    height, width = size
    if rgb.shape[-3:-1] == (height, width):
        return rgb
    flat = rgb.reshape(-1, *rgb.shape[-3:])
    out = np.empty((len(flat), height, width, 3), dtype=np.uint8)
    for i, frame in enumerate(flat):
        picture = PillowImage.fromarray(frame).resize((width, height), PillowImage.Resampling.BICUBIC)
        out[i] = np.asarray(picture)
    return out.reshape(*rgb.shape[:-3], height, width, 3)


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """Per-channel affine map of a state or action vector: y = (x - offset) / scale. A constant channel maps to 0."""

    mode: str
    """`range`: q01..q99 to -1..1; `gauss`: zero mean, unit deviation"""
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    @staticmethod
    def fit(stats: Mapping[str, Any], mode: str = "range", floor: float = 1e-4) -> "Normalizer":
        """From one feature's statistics; a spread below `floor` (in the feature's unit) counts as constant."""
        if mode == "range":
            low, high = np.asarray(stats["q01"], float), np.asarray(stats["q99"], float)
            offset, scale = (low + high) / 2, (high - low) / 2
        elif mode == "gauss":
            offset, scale = np.asarray(stats["mean"], float), np.asarray(stats["std"], float)
        else:
            raise ConfigError(f"no normalisation {mode!r}; known: range, gauss")
        scale = np.where(scale < floor, 1.0, scale)
        return Normalizer(mode=mode, offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))

    def apply(self, x: Float[np.ndarray, "*batch channel"]) -> Float[np.ndarray, "*batch channel"]:
        """Normalise; float32 out."""
        return ((x - np.asarray(self.offset)) / np.asarray(self.scale)).astype(np.float32)

    def invert(self, y: Float[np.ndarray, "*batch channel"]) -> Float[np.ndarray, "*batch channel"]:
        """Undo `apply`; float32 out."""
        return (y * np.asarray(self.scale) + np.asarray(self.offset)).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "offset": list(self.offset), "scale": list(self.scale)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Normalizer":
        return Normalizer(mode=value["mode"], offset=tuple(value["offset"]), scale=tuple(value["scale"]))


@dataclass(frozen=True, kw_only=True)
class ImageTransform:
    """uint8 frames to normalised floats, channels first: resize, / 255, minus mean, over std."""

    height: int
    """[px]"""
    width: int
    """[px]"""
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    std: Sequence[float] = (0.5, 0.5, 0.5)

    def apply(
        self, rgb: UInt8[np.ndarray, "*batch height width 3"]
    ) -> Float[np.ndarray, "*batch 3 new_height new_width"]:
        """float32, channels first."""
        small = resize(rgb, (self.height, self.width)).astype(np.float32) / np.float32(255.0)
        scaled = (small - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.moveaxis(scaled, -1, -3)

    def invert(self, pixels: Float[np.ndarray, "*batch 3 height width"]) -> UInt8[np.ndarray, "*batch height width 3"]:
        """Back to uint8 at the transform's own size."""
        last = np.moveaxis(pixels, -3, -1)
        unit = last * np.asarray(self.std, np.float32) + np.asarray(self.mean, np.float32)
        return np.clip(np.rint(unit * 255.0), 0, 255).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        return {
            "height": self.height,
            "width": self.width,
            "mean": [float(v) for v in self.mean],
            "std": [float(v) for v in self.std],
            "resample": "bicubic",
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ImageTransform":
        """Raises ConfigError on a resampling this release does not have."""
        if value.get("resample") != "bicubic":
            raise ConfigError(f"image transform resamples by {value.get('resample')!r}; only bicubic is known")
        return ImageTransform(
            height=value["height"], width=value["width"], mean=tuple(value["mean"]), std=tuple(value["std"])
        )
