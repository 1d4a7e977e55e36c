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
