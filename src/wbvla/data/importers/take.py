"""What every importer speaks: the episodes of a source (`Item`), one of them opened (`Take`), the table of formats."""

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.registry import Registry
from wbvla.data.format import Feature
from wbvla.data.importers.streams import Pictures
from wbvla.data.words import Segment

MAX_FRAMES = 1 << 20
"""an episode of more is refused: its columns would not fit in memory [frames]"""
MAX_COLUMN_BYTES = 1 << 30
"""columns of one episode beyond this are refused before they are read [bytes]"""
RATE_TOLERANCE = 0.1
"""share by which a source's rate may differ from the dataset's and its rows still be taken one by one [-]"""

Columns = dict[str, tuple[Feature, np.ndarray]]
"""by feature, one row per frame of the source"""


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What is taken of a source, and how."""

    fps: int = 0
    """frames per second of the dataset; 0 = that of the first episode. A faster source is thinned to it [Hz]"""
    joints: tuple[str, ...] = ()
    """names of the action's channels, in order, where the source does not tell (tutorial, xr-teleoperate)"""
    robot: str = ""
    """robot by name: gives its arms' joint names where the source's arms are this robot's"""
    only: tuple[str, ...] = ()
    """patterns of episode names to take, such as `327/*`; none = all"""
    cameras: tuple[str, ...] = ()
    """cameras to take, by the source's names; none = all"""
    height: int = 0
    """pictures are resized to this height and `width`; 0 = as they are [px]"""
    width: int = 0
    """[px]"""
    depth: bool = False
    """take depth maps too, where the source has them"""
    copy_gop: int = 2
    """a video is copied undecoded where its key frames are at most this far apart; 0 = encode all anew [frames]"""
    processes: int = 1
    """episodes read and encoded at the same time; the result does not depend on it"""

    def __post_init__(self) -> None:
        if min(self.fps, self.height, self.width, self.copy_gop) < 0 or self.processes < 1:
            raise ConfigError(f"an import needs sizes of at least 0 and one process, not {self}")
        if (self.height > 0) != (self.width > 0) or self.height % 2 or self.width % 2:
            raise ConfigError(f"give height and width, both even, or neither; not {self.height}x{self.width}")

    def takes(self, camera: str) -> bool:
        """Whether a camera is wanted."""
        return not self.cameras or camera in self.cameras

    def wants(self, name: str) -> bool:
        """Whether an episode is wanted."""
        return not self.only or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.only)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One episode of a source, not yet opened."""

    name: str
    """unique in the source and the same on every call; never used as a path"""
    where: Mapping[str, Any] = field(default_factory=dict)
    """whatever its importer needs to open it: plain values"""
    broken: str = ""
    """why it cannot be opened at all; empty when nothing is known against it"""


@dataclass(frozen=True, kw_only=True)
class Take:
    """One episode, opened: columns in memory, pictures still on the disk."""

    task: str
    rate_hz: float
    """rows per second, nominal where the source has no stamps [Hz]; 0 = not known"""
    columns: Mapping[str, tuple[Feature, np.ndarray]]
    """by feature, one row per frame of the source"""
    cameras: Mapping[str, Pictures]
    """by feature"""
    times_s: Mapping[str, Float64[np.ndarray, " frame"]] = field(default_factory=dict)
    """true capture times by sensor; empty where the source has none"""
    segments: tuple[Segment, ...] = ()
    """sub-tasks, in rows of the source"""
    phrasings: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    """instruction of each row where it changes within the episode; empty = `task`"""
    subtasks: bool = False
    """whether the format has sub-tasks at all"""
    language: bool = False
    """whether the format has other phrasings at all"""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """kept with the episode"""
    remarks: tuple[str, ...] = ()
    """what was mended or dropped in this episode, in words that repeat; counted in the report"""

    @property
    def length(self) -> int:
        """Rows; raises DataError naming whatever has another number of them than the others."""
        lengths = {name: len(values) for name, (_, values) in self.columns.items()}
        lengths |= {name: pictures.length for name, pictures in self.cameras.items()}
        lengths |= {f"stamps of {name}": len(times) for name, times in self.times_s.items()}
        if not lengths or min(lengths.values()) < 1:
            raise DataError(f"it is empty: {lengths or 'no column and no camera'}")
        if len(set(lengths.values())) > 1:
            raise DataError(f"lengths differ: {', '.join(f'{k} {v}' for k, v in lengths.items())}")
        length = next(iter(lengths.values()))
        if length > MAX_FRAMES:
            raise DataError(f"it has {length} frames, more than {MAX_FRAMES} are not taken as one episode")
        return length


@runtime_checkable
class Importer(Protocol):
    """One foreign format."""

    version: int
    """of what it makes; another version does not go on with an older one's dataset"""
    licence: str
    """of the data, as far as the format tells"""

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """Every episode in a fixed order, cheaply; raises DataError when `src` is not of this format."""
        ...

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """Open one episode; raises DataError with the reason when it is broken."""
        ...

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """`robot`, and what else the dataset's contract says: units, frames, clock."""
        ...


importers: Registry[Importer] = Registry("importer")


def rows_at(fps: int, length: int, times_s: Mapping[str, np.ndarray], rate_hz: float) -> Int64[np.ndarray, " row"]:
    """Rows of the source that the dataset's frames are: all, or the nearest in time where the source is faster.

    Raises DataError when it is slower, or has a gap that no row fills.
    """
    times = next(iter(times_s.values()), None)
    rate = rate_of(times, rate_hz)
    if length == 1 or not rate or abs(rate / fps - 1.0) <= RATE_TOLERANCE:
        return np.arange(length, dtype=np.int64)
    if rate < fps:
        raise DataError(f"it runs at {rate:.2f} Hz, the dataset at {fps} Hz; frames are not invented")
    if times is None:
        times = np.arange(length) / rate
    if (np.diff(times) <= 0).any():
        raise DataError("its capture times do not increase")
    grid = times[0] + np.arange(int((times[-1] - times[0]) * fps + 1e-6) + 1) / fps
    after = np.clip(np.searchsorted(times, grid), 1, length - 1)
    rows = np.where(grid - times[after - 1] <= times[after] - grid, after - 1, after)
    if (np.diff(rows) <= 0).any():
        raise DataError(f"it pauses for longer than a frame of {fps} Hz; frames are not invented")
    return rows.astype(np.int64)


def rate_of(times_s: np.ndarray | None, nominal_hz: float) -> float:
    """Rate by the stamps, else as the format says [Hz]: the mean, or the median where pauses part them."""
    periods = np.diff(times_s) if times_s is not None else np.zeros(0)
    if not periods.size or np.median(periods) <= 0 or periods.sum() <= 0:
        return nominal_hz
    median, mean = 1.0 / float(np.median(periods)), len(periods) / float(periods.sum())
    return mean if abs(mean / median - 1.0) <= RATE_TOLERANCE else median


def within(src: Path, *parts: str) -> Path:
    """A path below the source; raises DataError where it leads out of it, links included."""
    path = src.joinpath(*parts)
    if not path.resolve().is_relative_to(src.resolve()):
        raise DataError(f"{'/'.join(parts)[:120]!r} lies outside of the source; refused")
    return path


def folders(path: Path) -> list[Path]:
    """Folders below a folder by name, hidden ones left out; raises DataError when it is none."""
    if not path.is_dir():
        raise DataError(f"{path} is no folder")
    return sorted((p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural)


def _natural(path: Path) -> tuple[int, int, str]:
    """Order of names: numbers by value, before words."""
    digits = path.name if path.name.isdigit() else ""
    return (0 if digits else 1, int(digits[:18] or 0), path.name)


def require_finite(name: str, values: np.ndarray) -> np.ndarray:
    """The values; raises DataError naming the first row with NaN or infinity."""
    flat = values.reshape(len(values), -1)
    bad = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if bad.size:
        raise DataError(f"{name} holds NaN or infinity at frame {bad[0]} ({bad.size} such)")
    return values


def require_size(name: str, num_bytes: int) -> None:
    """Raises DataError on columns too large to be read at once."""
    if num_bytes > MAX_COLUMN_BYTES:
        raise DataError(f"{name} has {num_bytes} bytes, more than {MAX_COLUMN_BYTES} are not read")
