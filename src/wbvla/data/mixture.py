"""Which frame of which dataset comes next: weighted, seeded, a pure function of the step, so resumed runs agree."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from wbvla.core.errors import ConfigError


class Mixture:
    """Draws (source, index) pairs; `weights` need not sum to one; within a source every index is equally likely."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int) -> None:
        if len(sizes) != len(weights) or not sizes:
            raise ConfigError(f"{len(sizes)} sources and {len(weights)} weights; give one weight per source")
        if min(weights) < 0 or sum(weights) <= 0:
            raise ConfigError(f"weights must be positive, not {list(weights)}")
        empty = [i for i, (n, w) in enumerate(zip(sizes, weights)) if n < 1 and w > 0]
        if empty:
            raise ConfigError(f"sources {empty} are empty; leave them out or give them weight 0")
        self._sizes = np.asarray(sizes, dtype=np.int64)
        self._edges = np.cumsum(np.asarray(weights, dtype=np.float64) / sum(weights))
        self._seed = seed

    def draw(self, step: int, batch_size: int) -> tuple[Int64[np.ndarray, " batch"], Int64[np.ndarray, " batch"]]:
        """Sources and indices of one batch, the same for the same (seed, step, batch_size)."""
        rng = np.random.default_rng([self._seed, step])
        source = np.searchsorted(self._edges, rng.random(batch_size), side="right")
        source = np.minimum(source, len(self._sizes) - 1).astype(np.int64)
        return source, rng.integers(0, self._sizes[source], dtype=np.int64)


class Schedule:
    """Which source each sample of an endless sequence comes from, and its number there: exact shares, nothing saved.

    Each cycle of `CYCLE` samples holds every source its share of times (rounded to 1 / `CYCLE`, at least once), in an
    order drawn from (seed, lane, cycle).
    """

    CYCLE = 4096

    def __init__(self, weights: Sequence[float], seed: int, lane: int = 0) -> None:
        total = float(sum(weights)) if len(weights) else 0.0
        if not total > 0 or min(weights) < 0 or not np.isfinite(total):
            raise ConfigError(f"weights must be positive and finite, not {list(weights)}")
        if len(weights) > self.CYCLE:
            raise ConfigError(f"{len(weights)} sources, at most {self.CYCLE} are mixed; join some")
        exact = np.asarray(weights, dtype=np.float64) / total * self.CYCLE
        counts = np.where(exact > 0, np.maximum(np.floor(exact), 1), 0).astype(np.int64)
        while (missing := self.CYCLE - int(counts.sum())) != 0:
            counts[np.argmax(np.sign(missing) * (exact - counts))] += np.sign(missing)
        self.counts: Int64[np.ndarray, " source"] = counts
        """samples of each source in one cycle"""
        self._seed, self._lane = seed, lane
        self._cycle, self._row, self._numbers = -1, np.zeros(0, np.int64), np.zeros(0, np.int64)

    def at(self, sample: int) -> tuple[int, int]:
        """Source of a sample, and how many samples of that source came before it."""
        cycle, place = divmod(sample, self.CYCLE)
        if cycle != self._cycle:
            row = np.repeat(np.arange(len(self.counts)), self.counts)
            self._row = np.random.default_rng([self._seed, self._lane, cycle]).permutation(row)
            self._numbers = np.empty(self.CYCLE, dtype=np.int64)
            for source, count in enumerate(self.counts.tolist()):
                self._numbers[self._row == source] = cycle * count + np.arange(count)
            self._cycle = cycle
        return int(self._row[place]), int(self._numbers[place])
