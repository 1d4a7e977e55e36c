"""Windows streamed for training: decoded in sequence, shuffled within a bound of bytes, the same again after a restart.

    plan = StreamConfig(seed=0, batch_size=64, offsets_s={"observation.images.head": (0.0, 0.6)}, size=(224, 224))
    for batch in Stream([open_source(p) for p in paths], plan):
        ...

Batch number n of a rank is a function of the config, the sources and n alone: a run that goes on at step n asks for
batch n, and nothing is saved. Memory holds one group of decoded frames a source, never a buffer of single frames.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.mixture import Schedule
from wbvla.data.order import Order
from wbvla.data.reader import Dataset
from wbvla.data.sources import Source

AT_ONCE = 8
"""frames decoded before they are resized"""


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """What is shown, in which order, and how much memory it may take."""

    offsets_s: Mapping[str, Sequence[float]]
    """per camera or column, the places of its values from the window's frame [s]; rounded to whole frames per source"""
    batch_size: int
    """windows per batch of one rank"""
    size: tuple[int, int]
    """height and width that frames are resized to [px]"""
    seed: int = 0
    """seed of the order"""
    pad: bool = False
    """also windows that reach over a clip's ends, their values clamped and marked; off leaves those windows out"""
    block: int = 32
    """windows decoded one after another"""
    group_mib: int = 512
    """bound on the decoded frames that are shuffled together, over all sources, in each worker [MiB]"""
    weights: tuple[float, ...] = ()
    """share of each source in every batch, in the long run; empty: by their number of windows"""
    replacement: bool = False
    """draw blocks anew each time; off shows every window of a source once before any comes again"""
    rank: int = 0
    """number of this process among those that train together"""
    num_ranks: int = 1
    """processes that train together"""
    workers: int = 0
    """processes that decode for this rank; part of the order, as each decodes groups of its own"""

    def __post_init__(self) -> None:
        if min(self.batch_size, self.block, self.group_mib, self.num_ranks) < 1 or self.workers < 0:
            raise ConfigError("batch_size, block, group_mib and num_ranks are at least 1, workers at least 0")
        if not 0 <= self.rank < self.num_ranks:
            raise ConfigError(f"rank {self.rank} of {self.num_ranks} does not exist")
        if not self.offsets_s or not all(len(o) for o in self.offsets_s.values()):
            raise ConfigError("name at least one camera or column, each with at least one offset")

    @property
    def lanes(self) -> int:
        """Independent sequences of one rank; batch n comes from lane n mod lanes."""
        return max(1, self.workers)


class SourceWindows:
    """The windows of one source: where each lies, and the decoded frames of one group."""

    def __init__(self, source: Source, config: StreamConfig) -> None:
        self.source, self._config = source, config
        self.offsets = {
            name: np.array([round(s * source.fps) for s in steps], dtype=np.int64)
            for name, steps in config.offsets_s.items()
        }
        every = np.concatenate(list(self.offsets.values()))
        before, after = max(0, -int(every.min())), max(0, int(every.max()))
        lengths = np.array([e.length for e in source.episodes], dtype=np.int64)
        self._lengths, self._first = lengths, 0 if config.pad else before
        counts = lengths if config.pad else np.maximum(lengths - before - after, 0)
        self._ends = np.cumsum(counts)
        if not len(counts) or not self._ends[-1]:
            raise DataError(f"no clip of {source.root} is longer than {before + after} frames; use a shorter window")
        self.pictures = [n for n in self.offsets if not _is_column(source, n)]
        self._held: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    @property
    def num_windows(self) -> int:
        return int(self._ends[-1])

    @property
    def window_bytes(self) -> int:
        """Most decoded bytes that one window asks for."""
        height, width = self._config.size
        return max(1, sum(len(self.offsets[n]) for n in self.pictures) * height * width * 3)

    @property
    def held_bytes(self) -> int:
        """Decoded frames in memory [bytes]."""
        return sum(frames.nbytes for _, frames in self._held.values())

    def place(self, window: Int64[np.ndarray, " window"]) -> tuple[np.ndarray, np.ndarray]:
        """Clip and frame of windows by their number."""
        clip = np.searchsorted(self._ends, window, side="right")
        starts = np.concatenate([[0], self._ends[:-1]])
        return clip, window - starts[clip] + self._first

    def hold(self, windows: Int64[np.ndarray, " window"]) -> None:
        """Decode what these windows need, clip by clip from front to back; what was held before is let go."""
        self._held = {}
        clips, frames = self.place(windows)
        for clip in np.unique(clips).tolist():
            here = frames[clips == clip]
            for name in self.pictures:
                needed = np.unique(np.clip(here[:, None] + self.offsets[name], 0, self._lengths[clip] - 1))
                self._held[name, clip] = (needed, self._decode(name, clip, needed))

    def _decode(self, name: str, clip: int, needed: Int64[np.ndarray, " frame"]) -> np.ndarray:
        """Frames at the size of the stream, a few at a time: whole frames may be a hundred times as large."""
        out = np.empty((len(needed), *self._config.size, 3), dtype=np.uint8)
        for at in range(0, len(needed), AT_ONCE):
            part = needed[at : at + AT_ONCE].tolist()
            out[at : at + AT_ONCE] = self.source.frames(name, clip, part, self._config.size)
        return out

    def get(self, window: int) -> dict[str, np.ndarray]:
        """One of the held windows: values and `_is_pad` of each feature."""
        clips, frames = self.place(np.array([window], dtype=np.int64))
        clip, frame = int(clips[0]), int(frames[0])
        result: dict[str, np.ndarray] = {}
        for name, steps in self.offsets.items():
            asked = frame + steps
            inside = np.clip(asked, 0, self._lengths[clip] - 1)
            if (name, clip) in self._held:
                needed, decoded = self._held[name, clip]
                result[name] = decoded[np.searchsorted(needed, inside)]
            else:
                assert isinstance(self.source, Dataset)
                result[name] = self.source.columns(clip, [name])[name][inside]
            result[f"{name}_is_pad"] = asked != inside
        return result


class Lane:
    """The sequence of windows of one rank and worker over all sources."""

    def __init__(self, sources: Sequence[Source], config: StreamConfig, lane: int) -> None:
        if not sources:
            raise ConfigError("no source to stream from; name at least one")
        self.parts = [SourceWindows(s, config) for s in sources]
        weights = config.weights or tuple(float(p.num_windows) for p in self.parts)
        shard, num_shards = config.rank * config.lanes + lane, config.num_ranks * config.lanes
        self.schedule = Schedule(weights, seed=config.seed, lane=shard)
        if len(weights) != len(self.parts):
            raise ConfigError(f"{len(self.parts)} sources and {len(weights)} weights; give one weight per source")
        budget = (config.group_mib << 20) // len(self.parts)
        self.orders = []
        for number, part in enumerate(self.parts):
            windows = budget // part.window_bytes
            if windows < 1:
                raise ConfigError(f"one window takes {part.window_bytes} bytes, group_mib allows {budget} a source")
            block = min(config.block, windows)
            order = Order(
                num_windows=part.num_windows,
                block=block,
                group=windows // block,
                seed=config.seed * 1009 + number,
                shard=shard,
                num_shards=num_shards,
                replacement=config.replacement,
            )
            self.orders.append(order)
        self._current: list[tuple[int, int]] = [(-1, -1)] * len(self.parts)
        self._windows = [np.zeros(0, dtype=np.int64) for _ in self.parts]

    def get(self, number: int) -> dict[str, np.ndarray]:
        """Sample `number` of the lane, counted from the start of training."""
        source, position = self.schedule.at(number)
        epoch, group, place = self.orders[source].group_at(position)
        if self._current[source] != (epoch, group):
            windows = self.orders[source].windows(epoch, group)
            self.parts[source].hold(windows[place:])  # after a restart, only what is still to come
            self._current[source], self._windows[source] = (epoch, group), windows
        return {**self.parts[source].get(int(self._windows[source][place])), "source": np.array(source)}


class Stream:
    """Batches of one rank by number; each lane is opened when it is first asked for."""

    def __init__(self, sources: Sequence[Source], config: StreamConfig) -> None:
        self.sources, self.config = list(sources), config
        self._lanes: dict[int, Lane] = {}

    def lane(self, number: int) -> Lane:
        """One of the rank's lanes."""
        if number not in self._lanes:
            self._lanes[number] = Lane(self.sources, self.config, number)
        return self._lanes[number]

    @property
    def epoch_batches(self) -> float:
        """Batches in which this rank has shown its share of every window once, at the sources' own proportions."""
        lengths = sum(order.length for order in self.lane(0).orders)
        return lengths * self.config.lanes / self.config.batch_size

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """Batch `number` of this rank: arrays (batch, offset, ...) and masks; going back decodes a group again."""
        turn, lane = divmod(number, self.config.lanes)
        first = turn * self.config.batch_size
        rows = [self.lane(lane).get(first + i) for i in range(self.config.batch_size)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def batches(self, start: int = 0, step: int = 1) -> Iterator[dict[str, np.ndarray]]:
        """Batches `start`, `start` + `step`, ... without end."""
        while True:
            yield self.batch(start)
            start += step

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self.batches()

    def __getstate__(self) -> dict[str, Any]:
        return {"sources": self.sources, "config": self.config, "_lanes": {}}


def _is_column(source: Source, name: str) -> bool:
    """Whether a feature is a column of a table; raises DataError when a dataset does not have it."""
    if not isinstance(source, Dataset):
        return False
    if name in source.cameras:
        return False
    if name not in source.info.columns:
        raise DataError(f"no feature {name!r} in {source.root}; it has {', '.join(source.features)}")
    return True
