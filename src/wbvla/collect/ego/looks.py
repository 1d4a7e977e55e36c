"""What people and rooms of egocentric video may look like, in two splits that share no value."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wbvla.core.errors import ConfigError
from wbvla.sim.tasks.variation import SPLITS as SURFACE_SPLITS

Rgb = tuple[float, float, float]
NUM_CELLS = 25
"""every range of numbers is cut into so many cells"""
TEST_EVERY, TEST_AT = 5, 2
"""cell k belongs to `test` when k % TEST_EVERY == TEST_AT, else to `train`"""
SHADE = 0.025
"""a drawn colour differs from its nominal one by at most this per channel; nominal ones of two splits by more [-]"""


def in_test(value: float, low: float, high: float) -> bool:
    """Whether a value of a range lies in a cell of the split `test`."""
    cell = min(int((value - low) / (high - low) * NUM_CELLS), NUM_CELLS - 1)
    return cell % TEST_EVERY == TEST_AT


def draw(rng: np.random.Generator, low: float, high: float, split: str) -> float:
    """A number of a range, uniform in the cells of a split: what one split draws, the other never does."""
    cells = [k for k in range(NUM_CELLS) if (k % TEST_EVERY == TEST_AT) == (split == "test")]
    cell = cells[int(rng.integers(len(cells)))]
    # off the cells' edges, so that rounding moves no value into a cell of the other split
    return float(low + (cell + rng.uniform(0.01, 0.99)) * (high - low) / NUM_CELLS)


def shade(rng: np.random.Generator, colour: Rgb) -> Rgb:
    """A colour near a nominal one."""
    r, g, b = np.clip(np.array(colour) + rng.uniform(-SHADE, SHADE, 3), 0.02, 0.98)
    return float(r), float(g), float(b)


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The looks of one split; colours are red, green, blue in 0..1."""

    boxes: Mapping[str, Rgb]
    """by the word that instructions use: the words are the same in both splits, the shades are not"""
    skins: tuple[Rgb, ...]
    sleeves: tuple[Rgb, ...]
    woods: tuple[Rgb, ...]
    cloths: tuple[Rgb, ...]
    """of sofas, beds, rugs and curtains"""
    paints: tuple[Rgb, ...]
    """of walls, doors and kitchen fronts"""
    floors: Mapping[str, Rgb]
    """surfaces of `sim/texture.py` with their tint"""
    walls: tuple[str, ...]
    """surfaces of `sim/texture.py`"""
    sleeve_surfaces: tuple[str, ...]
    """surfaces of `sim/texture.py`; empty = plain"""


def _surfaces(split: str) -> tuple[Mapping[str, Rgb], tuple[str, ...]]:
    """Floors and walls as the tasks' worlds split them."""
    return SURFACE_SPLITS[split].floors, SURFACE_SPLITS[split].walls


PALETTES = {
    "train": Palette(
        boxes={
            "red": (0.80, 0.12, 0.10),
            "green": (0.12, 0.58, 0.20),
            "blue": (0.10, 0.25, 0.78),
            "yellow": (0.92, 0.79, 0.12),
            "orange": (0.94, 0.47, 0.08),
            "purple": (0.49, 0.18, 0.62),
        },
        skins=(
            (0.93, 0.80, 0.70),
            (0.86, 0.68, 0.54),
            (0.76, 0.56, 0.42),
            (0.58, 0.40, 0.28),
            (0.42, 0.28, 0.19),
            (0.28, 0.18, 0.12),
        ),
        sleeves=(
            (0.20, 0.28, 0.46),
            (0.55, 0.16, 0.18),
            (0.24, 0.42, 0.28),
            (0.82, 0.80, 0.76),
            (0.14, 0.14, 0.16),
            (0.48, 0.38, 0.60),
            (0.72, 0.52, 0.24),
        ),
        woods=((0.72, 0.56, 0.40), (0.45, 0.31, 0.21), (0.85, 0.80, 0.72), (0.30, 0.31, 0.34), (0.93, 0.93, 0.92)),
        cloths=(
            (0.36, 0.44, 0.52),
            (0.58, 0.30, 0.26),
            (0.32, 0.44, 0.34),
            (0.66, 0.60, 0.50),
            (0.30, 0.28, 0.36),
            (0.76, 0.66, 0.42),
        ),
        paints=((0.86, 0.85, 0.81), (0.70, 0.78, 0.80), (0.80, 0.74, 0.64), (0.72, 0.80, 0.70), (0.84, 0.72, 0.70)),
        floors=_surfaces("train")[0],
        walls=_surfaces("train")[1],
        sleeve_surfaces=("", "cloth"),
    ),
    "test": Palette(
        boxes={
            "red": (0.66, 0.04, 0.20),
            "green": (0.32, 0.72, 0.34),
            "blue": (0.22, 0.44, 0.90),
            "yellow": (0.84, 0.90, 0.26),
            "orange": (0.84, 0.36, 0.20),
            "purple": (0.62, 0.30, 0.76),
        },
        skins=((0.82, 0.62, 0.46), (0.66, 0.48, 0.36), (0.35, 0.22, 0.15)),
        sleeves=((0.16, 0.50, 0.54), (0.88, 0.62, 0.66), (0.36, 0.30, 0.22)),
        woods=((0.60, 0.42, 0.28), (0.78, 0.68, 0.50), (0.22, 0.17, 0.15)),
        cloths=((0.24, 0.50, 0.52), (0.62, 0.46, 0.60), (0.50, 0.54, 0.30)),
        paints=((0.78, 0.72, 0.84), (0.92, 0.84, 0.68), (0.60, 0.70, 0.66)),
        floors=_surfaces("test")[0],
        walls=_surfaces("test")[1],
        sleeve_surfaces=("checks", "stripes"),
    ),
}


def palette(split: str) -> Palette:
    """The looks of a split; raises ConfigError for another word."""
    if split not in PALETTES:
        raise ConfigError(f"unknown split {split!r}; known: {', '.join(PALETTES)}")
    return PALETTES[split]


def key(seed: int, split: str, *parts: int) -> tuple[int, ...]:
    """Seed of one random stream: streams of two splits are never the same."""
    return (seed, list(PALETTES).index(split), *parts)
