"""Procedural surfaces: planks, tiles, carpet and plaster as small images, the same for the same seed."""

import mujoco
import numpy as np
from jaxtyping import Float, UInt8

from wbvla.core.errors import ConfigError

SIZE = 128
"""texture edge [px]"""


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> Float[np.ndarray, "y x"]:
    """Smooth periodic noise in -1..1 whose blotches have the given number per edge."""
    rows, columns = shape
    coarse = rng.uniform(-1.0, 1.0, (rows, columns))
    y, x = np.linspace(0, rows, SIZE, endpoint=False), np.linspace(0, columns, SIZE, endpoint=False)
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = (y - y0)[:, None], (x - x0)[None, :]
    y1, x1 = (y0 + 1) % rows, (x0 + 1) % columns
    top = coarse[np.ix_(y0, x0)] * (1 - fx) + coarse[np.ix_(y0, x1)] * fx
    low = coarse[np.ix_(y1, x0)] * (1 - fx) + coarse[np.ix_(y1, x1)] * fx
    return top * (1 - fy) + low * fy


def _planks(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of wooden boards that run along x, each board a little lighter or darker."""
    rows, shade = np.arange(SIZE) // (SIZE // 4), np.ones((SIZE, SIZE))
    for board in range(4):
        shift = rng.integers(SIZE)
        halves = np.where((np.arange(SIZE) + shift) % SIZE < SIZE // 2, *rng.uniform(0.82, 1.08, 2))
        shade[rows == board] *= halves
        shade[rows == board, (SIZE // 2 - shift) % SIZE] = 0.6
    shade[:: SIZE // 4] = 0.55
    return shade * (1.0 + 0.07 * _grain(rng, (64, 4)))


def _tiles(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of four tiles with joints between them."""
    shade = np.kron(rng.uniform(0.9, 1.06, (2, 2)), np.ones((SIZE // 2, SIZE // 2)))
    shade *= 1.0 + 0.03 * _grain(rng, (16, 16))
    for joint in (0, 1, SIZE // 2, SIZE // 2 + 1):
        shade[joint], shade[:, joint] = 0.7, 0.7
    return shade


def _carpet(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of short pile."""
    return 1.0 + 0.12 * rng.uniform(-1.0, 1.0, (SIZE, SIZE)) + 0.05 * _grain(rng, (8, 8))


def _plaster(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of a painted wall."""
    return 1.0 + 0.025 * _grain(rng, (32, 32)) + 0.03 * _grain(rng, (4, 4))


def _stripes(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of striped wallpaper."""
    bands = np.where(np.arange(SIZE) // 16 % 2 == 0, 1.0, 0.9)
    return np.tile(bands, (SIZE, 1)) * (1.0 + 0.02 * _grain(rng, (32, 32)))


SURFACES = {
    "planks": _planks,
    "tiles": _tiles,
    "carpet": _carpet,
    "plaster": _plaster,
    "stripes": _stripes,
}


def surface(kind: str, colour: tuple[float, float, float], rng: np.random.Generator) -> UInt8[np.ndarray, "y x 3"]:
    """Image of a surface around a colour (0..1); raises ConfigError for an unknown kind."""
    if kind not in SURFACES:
        raise ConfigError(f"unknown surface {kind!r}; there are {', '.join(SURFACES)}")
    shade = SURFACES[kind](rng)[..., None] * np.array(colour)
    return (np.clip(shade, 0.0, 1.0) * 255.0).astype(np.uint8)


def add_surface(spec: mujoco.MjSpec, name: str, image: UInt8[np.ndarray, "y x 3"], edge_m: float) -> str:
    """Add a material that repeats an image every `edge_m` [m]; returns its name."""
    height, width, _ = image.shape
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3)
    texture.data = image.tobytes()
    material = spec.add_material(name=name, texrepeat=(1.0 / edge_m, 1.0 / edge_m), texuniform=True, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name
