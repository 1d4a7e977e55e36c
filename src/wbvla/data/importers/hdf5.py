"""HDF5 files read with care: only plain numbers, only within the file, never more than a column may have."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.importers.take import MAX_FRAMES, require_size


class Hdf5:
    """One open file."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file

    def read(self, name: str, *shape: int) -> np.ndarray | None:
        """A data set as it is: (N, *shape); None where it is absent or empty. Raises DataError on another shape.

        A width of 0 in `shape` stands for any.
        """
        found = self._find(name)
        if found is None:
            return None
        if found.dtype.kind not in "fiu" or found.is_virtual or found.external:
            raise DataError(f"{name} in {self._path.name} is no plain array of numbers ({found.dtype})")
        if found.shape in ((), None) or 0 in found.shape:
            return None
        if len(found.shape) != 1 + len(shape) or any(w and w != s for w, s in zip(shape, found.shape[1:])):
            raise DataError(f"{name} in {self._path.name} is {found.shape}, not (N, {', '.join(map(str, shape))})")
        if found.shape[0] > MAX_FRAMES:
            raise DataError(f"{name} in {self._path.name} has {found.shape[0]} rows, more than {MAX_FRAMES}")
        require_size(f"{name} in {self._path.name}", found.size * found.dtype.itemsize)
        return np.asarray(found[()])

    def members(self, name: str) -> list[str]:
        """Names of the data sets of a group, sorted; none where it is absent."""
        group = self._file.get(name)
        return sorted(group) if group is not None and hasattr(group, "keys") else []

    def text(self, name: str) -> str:
        """An attribute of the file as text; empty where it is absent."""
        value = self._file.attrs.get(name, "")
        value = value.decode(errors="replace") if isinstance(value, bytes) else value
        return str(value).strip()[:10_000]

    def _find(self, name: str) -> Any:
        """The data set; raises DataError on a link that leads out of the file."""
        import h5py

        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            link = self._file.get("/".join(parts[:depth]), getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise DataError(f"{name} in {self._path.name} leads out of the file; refused")
        found = self._file.get(name)
        return found if isinstance(found, h5py.Dataset) else None


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5]:
    """Open a file to read; raises DataError when it is missing or damaged, ConfigError without h5py."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ConfigError("HDF5 is read by h5py, which is not installed; run `pip install 'wbvla[collect]'`") from error
    if not path.is_file():
        raise DataError(f"{path.name} is missing")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield Hdf5(path, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
