"""An import that a child process does until it is killed, or whose worker dies; imported by a clean child."""

import importlib
import os
import signal
from pathlib import Path

from wbvla.data.importers.prepare import Job, Prepared, prepare
from wbvla.data.importers.run import import_dataset
from wbvla.data.importers.take import ImportConfig


def killed_at(place: str, calls: int, kind: str, src: Path, dst: Path) -> None:
    """Import, and die as hard as the kernel can at the n-th call of `module:Class.method`."""
    module, _, path = place.partition(":")
    owner, name = path.split(".")
    target = getattr(importlib.import_module(module), owner)
    method, left = getattr(target, name), [calls]

    def counted(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)

    setattr(target, name, counted)
    import_dataset(kind, src, dst, ImportConfig())


def prepared_or_dead(job: Job) -> Prepared | str:
    """As a worker does it, but one episode takes the process with it."""
    if job.item.name.endswith("1700000001.mp4"):
        os._exit(9)
    return prepare(job)
