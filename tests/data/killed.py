"""Work that a child process does until it is killed; imported by a clean fork server."""

import os
import signal
from pathlib import Path

import numpy as np
from recording import record

from wbvla.data.format import vector
from wbvla.data.journal import Disk
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetWriter

LABEL = {"latent.locomotion": vector(["token"], "int64")}


class Countdown:
    """Kills its own process, as hard as the kernel can, at the n-th step it hears of."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def record_one(root: Path, disk: Disk) -> None:
    with DatasetWriter.open(root, disk=disk) as writer:
        record(writer, 4, task="a new instruction")


def label_all(root: Path, disk: Disk) -> None:
    labels = [{"latent.locomotion": np.full(e.length, 5)} for e in Dataset(root).episodes]
    write_labels(root, LABEL, labels, {"digest": "abc"}, disk)


def killed_at(work, root: Path, steps: int) -> None:
    """Do the work and die at a step."""
    work(root, Disk(Countdown(steps)))
