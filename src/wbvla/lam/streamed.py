"""Frame pairs streamed from sources of any length: decoded in sequence, shuffled in groups, equal after a restart."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wbvla.data.augment import OFF, AugmentConfig
from wbvla.data.loader import StreamLoader
from wbvla.data.sources import Source
from wbvla.data.stream import Stream, StreamConfig
from wbvla.lam.changed import change_pairs, require_possible
from wbvla.lam.model import LamConfig


def pair_stream(
    config: LamConfig, batch_size: int, seed: int, num_sources: int, group_mib: int, workers: int
) -> StreamConfig:
    """Pairs a gap apart in every camera of a model, each source equally often."""
    return StreamConfig(
        offsets_s=dict.fromkeys(config.cameras, (0.0, config.gap_s)),
        batch_size=batch_size,
        size=(config.height, config.width),
        seed=seed,
        weights=(1.0,) * num_sources,
        group_mib=group_mib,
        workers=workers,
    )


class StreamedPairs:
    """Batches for the training loop; batch n is a function of the stream's config and n."""

    def __init__(self, sources: Sequence[Source], config: StreamConfig, augment: AugmentConfig = OFF) -> None:
        self._stream, self._augment = Stream(sources, config), augment
        self._cameras = tuple(config.offsets_s)
        self._ready: Iterator[dict[str, Any]] | None = None
        self._next = 0
        require_possible(augment, self._cameras)

    def batch(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """`now` and `later` of update `step`, cameras side by side; for steps in turn, workers decode ahead."""
        if self._ready is None or step != self._next:
            self._ready = iter(StreamLoader(self._stream, step))
        self._next = step + 1
        drawn = next(self._ready)
        whole = torch.cat([drawn[camera] for camera in self._cameras], dim=3)
        pairs = {"now": whole[:, 0].contiguous(), "later": whole[:, 1].contiguous()}
        return change_pairs(pairs, self._augment, self._cameras, rng)
