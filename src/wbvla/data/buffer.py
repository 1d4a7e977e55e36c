"""A column while it is recorded: rows side by side in one array that doubles, instead of an object per frame."""

from typing import Any

import numpy as np

from wbvla.data.format import Feature

FIRST_ROWS = 64


class ColumnBuffer:
    """Rows of one numeric or text column, appended one by one; an hour at 50 Hz of 70 floats takes 50 to 100 MB."""

    def __init__(self, feature: Feature) -> None:
        self._shape = () if feature.shape == (1,) else feature.shape
        kind = np.dtype(feature.dtype) if feature.is_numeric else np.dtype(object)
        self._rows = np.empty((FIRST_ROWS, *self._shape), dtype=kind)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, value: Any) -> None:
        """Add a row that was checked against the feature."""
        if self._count == len(self._rows):
            grown = np.empty((2 * self._count, *self._shape), dtype=self._rows.dtype)
            grown[: self._count] = self._rows
            self._rows = grown
        self._rows[self._count] = value
        self._count += 1

    def values(self) -> np.ndarray:
        """All rows, (T,) or (T, n); a view, valid until the next `append`."""
        return self._rows[: self._count]
