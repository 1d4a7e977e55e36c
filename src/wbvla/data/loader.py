"""The torch side of streaming: worker processes that decode ahead, bounded, each a lane of its own, sharing nothing."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from wbvla.core.errors import DataError
from wbvla.data.stream import Stream


class Lanes(IterableDataset):
    """A stream whose worker w yields the batches of one lane, so that their turns give `start`, `start` + 1 ..."""

    def __init__(self, stream: Stream, start: int) -> None:
        self._stream, self._start = stream, start

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        info = get_worker_info()
        assert info is not None
        torch.set_num_threads(1)
        return self._stream.batches(self._start + info.id, info.num_workers)


class StreamLoader:
    """Batches of a `Stream` as torch tensors from batch `start` on; `prefetch` batches wait ready in each worker."""

    def __init__(self, stream: Stream, start: int = 0, prefetch: int = 2, timeout_s: float = 600.0) -> None:
        self._stream, self._start, self._prefetch, self._timeout = stream, start, prefetch, timeout_s

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Without end; raises DataError when a worker dies, or its own error when it raised one."""
        workers = self._stream.config.workers
        if not workers:
            for batch in self._stream.batches(self._start):
                yield {k: torch.from_numpy(v) for k, v in batch.items()}
            return
        loader = DataLoader(
            Lanes(self._stream, self._start),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=self._prefetch,
            multiprocessing_context="spawn",  # decoders, threads and locks do not survive a fork
            timeout=self._timeout,
            # else it would draw a seed from the run's own randomness, once more after each resume
            generator=torch.Generator().manual_seed(0),
        )
        try:
            yield from loader
        except RuntimeError as error:
            if "worker" not in str(error).lower():
                raise
            raise DataError(f"a worker that decodes batches died ({error})") from error
        except (ConnectionError, EOFError) as error:  # it died while it handed over a batch
            with contextlib.suppress(RuntimeError):
                time.sleep(0.5)  # torch's handler of the dead child raises with its signal: here, not in the caller
            raise DataError(f"a worker that decodes batches died ({error or 'end of its pipe'})") from error
