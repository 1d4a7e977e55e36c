"""Pictures embedded in a parquet, as LeRobot's `image` features are: PNG, JPEG or TIFF files, decoded by number."""

import io
import struct
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from wbvla.core.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF")
DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(RuntimeError, MemoryError, struct.error, Image.DecompressionBombError),
)
"""what Pillow raises on damaged files, depending on where the damage is"""
MAX_CACHED_BYTES = 256 << 20
METRE = "m"


def decode_picture(content: bytes, shape: Sequence[int]) -> np.ndarray:
    """The pixels of one file, (height, width) or (height, width, 3); raises DataError when they are not as declared.

    The size is compared with `shape` = (height, width, channels) before any pixel is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; what cannot be decoded raises
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.size != (shape[1], shape[0]):
                    raise DataError(f"a picture of {image.size[1]}x{image.size[0]} was declared {shape[0]}x{shape[1]}")
                return np.asarray(image.convert("RGB") if shape[2] == 3 else image)
    except DAMAGE as error:
        raise DataError(f"an embedded picture cannot be decoded ({error}); run `wbvla data check`") from error


def read_pictures(
    encoded: np.ndarray, indices: Sequence[int], shape: Sequence[int]
) -> UInt8[np.ndarray, "frame height width 3"]:
    """Colour pictures by number, in the order asked."""
    found = {i: decode_picture(encoded[i], (*shape[:2], 3)) for i in sorted({int(i) for i in indices})}
    return np.stack([found[int(i)] for i in indices])


def read_depths(
    encoded: np.ndarray, indices: Sequence[int], shape: Sequence[int], unit: str
) -> UInt16[np.ndarray, "frame height width"]:
    """Depth maps by number [mm]; stored as 16-bit numbers or, in metres, as floats. Nothing returned = 0."""
    maps = []
    for index in indices:
        raw = decode_picture(encoded[int(index)], (*shape[:2], 1))
        if raw.ndim != 2:
            raise DataError(f"a depth map has {raw.ndim} axes; it was declared {tuple(shape)}")
        metres = raw.astype(np.float64) * (1000.0 if unit == METRE else 1.0)
        seen = np.isfinite(metres) & (metres > 0) & (metres < 65535.5)
        maps.append(np.where(seen, np.rint(np.where(seen, metres, 0)), 0).astype(np.uint16))
    return np.stack(maps)


class PictureCache:
    """Encoded pictures of the episodes read last, bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max, self._size = max_bytes, 0
        self._kept: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()

    def get(self, key: tuple[int, str], load: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept under a key, loaded if need be; the newest is kept however large it is."""
        if key not in self._kept:
            self._kept[key] = load()
            self._size += sum(map(len, self._kept[key]))
        self._kept.move_to_end(key)
        while self._size > self._max and len(self._kept) > 1:
            self._size -= sum(map(len, self._kept.popitem(last=False)[1]))
        return self._kept[key]

    def __getstate__(self) -> dict[str, Any]:
        return {"max_bytes": self._max}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["max_bytes"])
