"""Frame pairs out of recordings: within an episode, a fixed time apart, held-out episodes never seen in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.augment import OFF, AugmentConfig
from wbvla.data.reader import Dataset
from wbvla.data.sources import Source, open_source
from wbvla.lam.changed import change_pairs, require_possible
from wbvla.lam.model import LamConfig

MAX_LISTED = 1 << 24
"""pairs of one source that can be drawn at random; of more, evenly spaced ones. A stream shows them all."""


def read_frames(
    data: Source, config: LamConfig, episode: int, indices: Sequence[int]
) -> UInt8[np.ndarray, "frame height width 3"]:
    """Frames at the model's size, its cameras side by side."""
    size = (config.height, config.width)
    return np.concatenate([data.frames(c, episode, indices, size) for c in config.cameras], axis=2)


@dataclass(frozen=True)
class Pairs:
    """Frame pairs of one dataset: episode and first frame of each, and the frames if they are kept in memory."""

    data: Source
    config: LamConfig
    gap: int
    """frames between the two"""
    where: Int64[np.ndarray, "pair 2"]
    """episode and number of the first frame"""
    memory: Mapping[int, UInt8[np.ndarray, "frame height width 3"]]
    """whole episodes by number; empty when frames are read as they are asked for"""

    @staticmethod
    def of(data: Source, config: LamConfig, episodes: Sequence[int], in_memory: bool) -> "Pairs":
        """All pairs of some episodes; raises DataError when every one is shorter than the gap."""
        gap = config.gap_frames(data.fps)
        counts = np.array([max(0, data.episodes[e].length - gap) for e in episodes], dtype=np.int64)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        if not total:
            raise DataError(f"no episode of {data.root} is longer than {gap} frames; record longer ones")
        memory = {}
        if in_memory:
            memory = {e: read_frames(data, config, e, range(data.episodes[e].length)) for e in episodes}
        number = np.arange(0, total, -(-total // MAX_LISTED))
        chosen = np.searchsorted(ends, number, side="right")
        where = np.stack([np.asarray(episodes, dtype=np.int64)[chosen], number - (ends - counts)[chosen]], axis=1)
        return Pairs(data, config, gap, where, memory)

    def __len__(self) -> int:
        return len(self.where)

    def get(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The pairs of some numbers as `now` and `later`, uint8 (b, h, w, 3)."""
        now, later = [], []
        for episode, frame in self.where[list(indices)].tolist():
            first, second = self._two(episode, frame)
            now.append(first)
            later.append(second)
        return {"now": torch.from_numpy(np.stack(now)), "later": torch.from_numpy(np.stack(later))}

    def spread(self, count: int) -> list[int]:
        """Up to `count` pair numbers, evenly over all."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)).tolist()

    def _two(self, episode: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
        if episode in self.memory:
            return self.memory[episode][frame], self.memory[episode][frame + self.gap]
        both = read_frames(self.data, self.config, episode, [frame, frame + self.gap])
        return both[0], both[1]


class PairSource:
    """Batches over several datasets, each drawn equally often whatever its length (balanced, as in the paper)."""

    def __init__(self, parts: Sequence[Pairs], batch_size: int, augment: AugmentConfig = OFF) -> None:
        if not parts:
            raise ConfigError("no dataset to draw pairs from; name at least one")
        self.parts, self.batch_size, self.augment = list(parts), batch_size, augment
        require_possible(augment, parts[0].config.cameras)

    def batch(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """A batch drawn with replacement: a function of the step's generator alone."""
        chosen = rng.integers(len(self.parts), size=self.batch_size)
        drawn = [
            part.get(rng.integers(len(part), size=int((chosen == i).sum())).tolist())
            for i, part in enumerate(self.parts)
            if (chosen == i).any()
        ]
        joined = {k: torch.cat([d[k] for d in drawn]) for k in ("now", "later")}
        if len(self.parts) > 1:  # a micro-batch is a slice: without this it would be of one dataset
            mixed = torch.from_numpy(rng.permutation(self.batch_size))
            joined = {k: v[mixed] for k, v in joined.items()}
        return change_pairs(joined, self.augment, self.parts[0].config.cameras, rng)


def open_datasets(roots: Sequence[Path], config: LamConfig) -> list[Dataset]:
    """Open recordings; raises DataError when one lacks a camera of the model."""
    found = [Dataset(root) for root in roots]
    for data in found:
        missing = [c for c in config.cameras if c not in data.cameras]
        if missing:
            raise DataError(f"{data.root} has no camera {missing[0]!r}; it has {', '.join(data.cameras)}")
    return found


def open_sources(roots: Sequence[Path], config: LamConfig) -> list[Source]:
    """Open recordings, or footage without actions; raises DataError when one cannot give the model's cameras."""
    found: list[Source] = []
    for root in roots:
        source: Source = open_source(root)
        if isinstance(source, Dataset):
            source.close()
            (source,) = open_datasets([root], config)
        elif len(config.cameras) != 1:
            raise DataError(f"{root} is footage of one camera, the model looks through {', '.join(config.cameras)}")
        found.append(source)
    return found
