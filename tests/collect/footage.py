"""Footage for the recorders' tests: every frame carries its number as a bar code that survives the encoder."""

from pathlib import Path

import numpy as np

from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.cameras.recorded import Trouble, write_footage

HEIGHT, WIDTH, BITS = 48, 64, 10
CELL = WIDTH // BITS - WIDTH // BITS % 2


def barcode(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture with a number in black and white stripes."""
    picture = np.full((height, width, 3), 90, np.uint8)
    cell = width // BITS
    for bit in range(BITS):
        picture[: height // 2, bit * cell : (bit + 1) * cell] = 235 if number >> bit & 1 else 20
    return picture


def numbers_in(frames: np.ndarray) -> list[int]:
    """Inverse of `barcode` for decoded frames."""
    cell, rows = frames.shape[2] // BITS, frames.shape[1] // 4
    middle = [frames[:, rows, bit * cell + cell // 2, :].mean(-1) > 128 for bit in range(BITS)]
    return [int(n) for n in sum(np.asarray(b, int) << i for i, b in enumerate(middle))]


def footage(folder: Path, count: int = 1000, troubles: tuple[Trouble, ...] = (), depth: bool = False) -> Path:
    """A folder of numbered frames."""
    frames = np.stack([barcode(i) for i in range(count)])
    maps = None
    if depth:
        maps = np.broadcast_to((1000 + np.arange(count, dtype=np.uint16))[:, None, None], frames.shape[:3])
    return write_footage(folder, frames, troubles, None if maps is None else np.ascontiguousarray(maps))


def camera(folder: Path, name: str = "head", **more: object) -> CameraConfig:
    """A recorded camera of that footage."""
    given = {"width": WIDTH, "height": HEIGHT, "fps": 30, **more}
    return CameraConfig(name=name, source="recorded", path=folder, **given)  # pyright: ignore[reportArgumentType]
