"""Procedural surfaces of floors, walls, things and the view outside, as small images, the same for the same seed."""

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


def _parquet(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of short blocks laid in a basket pattern."""
    cell, shade = SIZE // 4, np.ones((SIZE, SIZE))
    for row in range(4):
        for column in range(4):
            block = np.ones((cell, cell))
            for strip in range(4):
                block[strip * cell // 4 : (strip + 1) * cell // 4] = rng.uniform(0.82, 1.06)
            block[:: cell // 4] = 0.62
            place = (slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell))
            shade[place] = block if (row + column) % 2 else block.T
    return shade * (1.0 + 0.04 * _grain(rng, (32, 32)))


def _concrete(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of a poured floor: clouds and fine specks."""
    return 1.0 + 0.07 * _grain(rng, (5, 5)) + 0.05 * _grain(rng, (16, 16)) + 0.03 * rng.uniform(-1, 1, (SIZE, SIZE))


def _bricks(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of painted bricks."""
    tall, wide, shade = SIZE // 8, SIZE // 4, np.ones((SIZE, SIZE))
    for course in range(8):
        row = np.repeat(rng.uniform(0.9, 1.06, 4), wide)
        row[::wide] = 0.78
        shade[course * tall : (course + 1) * tall] = np.roll(row, wide // 2 * (course % 2))
    shade[::tall] = 0.78
    return shade * (1.0 + 0.03 * _grain(rng, (32, 32)))


def _panels(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of vertical boards."""
    shade = np.repeat(rng.uniform(0.93, 1.05, 8), SIZE // 8)
    shade[:: SIZE // 8], shade[1 :: SIZE // 8] = 0.72, 0.86
    return np.tile(shade, (SIZE, 1)) * (1.0 + 0.03 * _grain(rng, (4, 64)))


def _wood(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of one board with a long grain."""
    return 1.0 + 0.09 * _grain(rng, (48, 2)) + 0.06 * _grain(rng, (12, 1)) + 0.02 * rng.uniform(-1, 1, (SIZE, SIZE))


def _cardboard(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of corrugated board, darker at the folds."""
    edge = np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1])
    fold = np.clip(0.86 + edge / 40.0, 0.0, 1.0)
    ribs = 1.0 + 0.02 * np.sin(2.0 * np.pi * np.arange(SIZE) / 4.0)
    return np.minimum.outer(fold, fold) * ribs * (1.0 + 0.04 * _grain(rng, (16, 16)))


def _cloth(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of a coarse weave."""
    y, x = np.mgrid[:SIZE, :SIZE]
    weave = np.where((x // 4 + y // 4) % 2 == 0, 1.04, 0.86)
    return weave * (1.0 + 0.08 * _grain(rng, (6, 6)))


def _checks(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of a pattern of squares."""
    half = np.where(np.arange(SIZE) // 16 % 2 == 0, 1.0, 0.84)
    return np.outer(half, half) * (1.0 + 0.02 * _grain(rng, (16, 16)))


def _print(rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Brightness of a packet with a light label and lines of writing."""
    shade = 0.94 + 0.03 * _grain(rng, (16, 16))
    top, left = rng.integers(20, 50, 2)
    shade[top : top + 48, left : left + 60] = 1.25
    for line in range(5):
        shade[top + 8 + 8 * line : top + 10 + 8 * line, left + 6 : left + int(rng.integers(26, 54))] = 0.45
    return shade


SURFACES = {
    "planks": _planks,
    "tiles": _tiles,
    "carpet": _carpet,
    "plaster": _plaster,
    "stripes": _stripes,
    "parquet": _parquet,
    "concrete": _concrete,
    "bricks": _bricks,
    "panels": _panels,
    "wood": _wood,
    "cardboard": _cardboard,
    "cloth": _cloth,
    "checks": _checks,
    "print": _print,
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


def add_wrap(spec: mujoco.MjSpec, name: str, image: UInt8[np.ndarray, "y x 3"]) -> str:
    """Add a material that shows an image once on each side of a solid; returns its name."""
    height, width, _ = image.shape
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_CUBE, width=width, height=6 * height, nchannel=3
    )
    texture.data = np.concatenate([image] * 6).tobytes()
    material = spec.add_material(name=name, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def add_sheet(spec: mujoco.MjSpec, name: str, image: UInt8[np.ndarray, "y x 3"]) -> mujoco.MjsMaterial:
    """Add a material that shows an image once on a plane whose normal was turned to face x."""
    image = np.rot90(image)
    height, width, _ = image.shape
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3)
    texture.data = image.tobytes()
    material = spec.add_material(name=name, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return material


def spines(rng: np.random.Generator) -> UInt8[np.ndarray, "y x 3"]:
    """Backs of a row of books."""
    image, x = np.zeros((SIZE, SIZE, 3)), 0
    colours = np.array([(0.62, 0.2, 0.18), (0.18, 0.34, 0.54), (0.8, 0.7, 0.36), (0.26, 0.44, 0.32), (0.7, 0.66, 0.6)])
    while x < SIZE:
        wide, top = int(rng.integers(8, 18)), int(rng.integers(0, 26))
        image[:top, x : x + wide] = 0.16
        image[top:, x : x + wide] = colours[rng.integers(len(colours))] * rng.uniform(0.8, 1.1)
        image[top + 14 : top + 18, x + 2 : x + wide - 2] += 0.25
        image[:, x] *= 0.4
        x += wide
    return (np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def outside(rng: np.random.Generator) -> UInt8[np.ndarray, "y x 3"]:
    """What a window shows: a sky that pales towards hills, trees and a meadow."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    sky = np.array([0.45, 0.66, 0.92]) + y[..., None] * np.array([0.55, 0.38, 0.10])
    cloud = np.clip(_grain(rng, (5, 3)) + 0.6 * _grain(rng, (12, 8)) - 0.2, 0.0, 1.0)[..., None]
    image = sky * (1 - 0.7 * cloud) + 0.7 * cloud
    ridge = 0.62 + 0.05 * np.sin(2 * np.pi * (x + rng.uniform())) + 0.02 * np.sin(6 * np.pi * (x + rng.uniform()))
    image[y > ridge] = (0.46, 0.58, 0.62)
    trees = 0.74 + 0.03 * _grain(rng, (1, 24))
    image[y > trees] = (0.20, 0.36, 0.20)
    image[y > 0.84] = (0.42, 0.58, 0.28)
    image *= (1.0 + 0.04 * _grain(rng, (32, 32)))[..., None]
    return (np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
