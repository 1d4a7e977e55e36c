"""Is this value what its feature declares? Checked and cast before anything is written."""

from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.format import Feature

SAFE_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "fiu"}
"""numpy kinds that may be written into each kind of column without a change of meaning"""


def check_value(name: str, feature: Feature, value: Any) -> Any:
    """One frame's value in the dtype of its column; raises DataError when it does not fit."""
    if feature.dtype == "string":
        if not isinstance(value, str):
            raise DataError(f"{name!r} takes text, not {type(value).__name__}")
        return value
    array = np.asarray(value)
    if feature.is_video:
        if array.shape != feature.shape or array.dtype != np.uint8:
            raise DataError(f"{name!r} is {array.dtype} {array.shape}, it was declared uint8 {feature.shape}")
        return array
    if array.size == 1 and feature.shape == (1,):
        array = array.reshape(())
    elif array.shape != feature.shape:
        raise DataError(f"{name!r} has shape {array.shape}, the dataset was declared {feature.shape}")
    return _cast(name, feature, array)


def check_column(name: str, feature: Feature, value: np.ndarray, length: int) -> np.ndarray:
    """A whole column from one value for all frames or one row per frame; raises DataError when it does not fit."""
    whole = (length,) if feature.shape == (1,) else (length, *feature.shape)
    constant = value.shape == feature.shape or (value.shape == () and feature.shape == (1,))
    if value.shape != whole and not constant:
        raise DataError(f"{name!r} was given shape {value.shape}; it takes {feature.shape} or {whole}")
    column = np.broadcast_to(value, whole)
    return column.astype(object) if feature.dtype == "string" else _cast(name, feature, column)


def _cast(name: str, feature: Feature, array: np.ndarray) -> np.ndarray:
    wanted = np.dtype(feature.dtype)
    if array.dtype.kind not in SAFE_KINDS[wanted.kind]:
        raise DataError(f"{name!r} is {array.dtype}, the dataset was declared {feature.dtype}")
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if wanted.kind == "f" and not np.isfinite(cast).all():
        raise DataError(f"{name!r} holds NaN, infinity or a number too large for {feature.dtype}")
    if wanted.kind in "iu" and not np.array_equal(cast, array):
        raise DataError(f"{name!r} holds {array.tolist()}, which {feature.dtype} cannot")
    return cast
