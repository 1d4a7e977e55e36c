"""The datasets of `data_crash.py`, and the work that a child process does on one until it is killed.

Everything here is a pure function of a seed, so the parent knows each committed episode to the bit.
"""

import hashlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wbvla.data.dataset_stats import refresh_stats
from wbvla.data.format import Feature, scalar, vector, video
from wbvla.data.journal import Disk, lock, recover
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import Layout, compact, delete, expand, merge, split
from wbvla.data.repair import repair
from wbvla.data.writer import DatasetConfig, DatasetWriter

HEIGHT, WIDTH = 48, 64
CAMERAS = ("observation.images.head", "observation.images.left_hand")
STATE, NOTE, LABEL = "observation.state", "note", "latent.locomotion"
FEATURES: Mapping[str, Feature] = {
    **{camera: video(HEIGHT, WIDTH) for camera in CAMERAS},
    STATE: vector(["a", "b", "c"]),
    "action": vector(["x", "y"]),
    NOTE: scalar("string"),
}
CONFIG = DatasetConfig(fps=10, robot="agibot_x2", features=FEATURES, contract={"joint_names": ["a", "b", "c"]})
TASKS = ("lift the box", "step back", "turn left", "a new instruction")
SMALL = Layout(kind="rolling", data_bytes=40_000, video_bytes=12_000, chunks_size=3)
"""rolling files so small that a handful of episodes fills several, and several chunks"""


def record_episode(writer: DatasetWriter, seed: int, length: int) -> None:
    """One episode of textured pictures and random columns, a function of `seed` alone."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (2, 4, HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    with writer.episode(task=TASKS[seed % len(TASKS)]) as episode:
        for frame in range(length):
            pictures = [np.kron(t[frame % 4], np.ones((8, 8, 1), dtype=np.uint8)) for t in texture]
            columns = {STATE: rng.normal(size=3), "action": rng.normal(size=2), NOTE: f"é{seed}.{frame}"}
            episode.add({**dict(zip(CAMERAS, pictures)), **columns})
        episode.add_truth(twist=rng.normal(size=(length, 6)))
        episode.commit()


def make(root: Path, seed: int, lengths: list[int]) -> Path:
    """A closed dataset with statistics; episode i is made from `seed + i`."""
    with DatasetWriter.create(root, CONFIG) as writer:
        for i, length in enumerate(lengths):
            record_episode(writer, seed + i, length)
    return root


def fingerprint(data: Dataset, index: int, truth: bool = True, frames: bool = True) -> str:
    """SHA-256 of what was recorded: words, columns, every decoded frame and, unless told, the privileged arrays."""
    total = hashlib.sha256(data.instruction(index).encode())
    columns = data.columns(index, [STATE, "action", NOTE, "timestamp", "frame_index"])
    for name, values in columns.items():
        total.update(name.encode())
        total.update("\n".join(values).encode() if values.dtype == object else np.ascontiguousarray(values).tobytes())
    length = data.episodes[index].length
    for camera in CAMERAS if frames else ():
        total.update(np.ascontiguousarray(data.frames(camera, index, range(length))).tobytes())
    for name, values in sorted(data.truth(index).items()) if truth else ():
        total.update(name.encode() + values.tobytes())
    return total.hexdigest()


def fingerprints(root: Path, truth: bool = True, known: int = 1 << 30) -> list[str]:
    """One fingerprint per committed episode; opens, reads everything, closes.

    Frames count for the first `known` episodes only. Those after them were encoded by a child whose bytes nobody saw:
    an encoder does not always make the same bytes of the same pictures, so `check` against the manifest must do there.
    """
    data = Dataset(root)
    found = [fingerprint(data, e.index, truth, frames=e.index < known) for e in data.episodes]
    data.close()
    return found


def flip_bit(path: Path, at: int, bit: int) -> None:
    """Damage one bit of a file where it lies."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content))


class Killer:
    """Kills its own process, as hard as the kernel can, at the n-th step it hears of.

    With `power_cut`, bytes that were never flushed are lost too: every staged file whose fsync was not heard of is cut.
    """

    def __init__(self, steps: int, staging: Path | None = None) -> None:
        self.left, self._staging, self._safe = steps, staging, set[str]()
        if staging and (staging / "journal.json").is_file():
            # what an earlier process staged was flushed before it wrote the journal
            self._safe = {path.name for path in staging.glob("[0-9]*")}

    def __call__(self, step: str) -> None:
        if step.startswith("after fsync "):
            self._safe.add(step.removeprefix("after fsync "))
        self.left -= 1
        if self.left < 0:
            for path in self._staging.glob("[0-9]*") if self._staging else ():
                if path.name not in self._safe and path.stat().st_nlink == 1:
                    os.truncate(path, path.stat().st_size // 3)
            os.kill(os.getpid(), signal.SIGKILL)


class Full:
    """A disk that is full from the n-th step on."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an operation works."""

    root: Path
    other: Path
    """a second dataset, for `merge`"""
    out: Path
    """a new dataset, for `merge` and `split`"""
    log: Path
    """one line is appended after each commit that returned"""


def _record(place: Place, disk: Disk) -> None:
    with DatasetWriter.open(place.root, disk=disk) as writer:
        for number, length in enumerate((4, 3)):
            record_episode(writer, 900 + number, length)
            with place.log.open("a") as log:
                log.write(f"{900 + number}\n")


def _label(place: Place, disk: Disk) -> None:
    rows = [{LABEL: np.full(e.length, 5)} for e in Dataset(place.root).episodes]
    write_labels(place.root, {LABEL: vector(["token"], "int64")}, rows, {"digest": "abc"}, disk)


def _stats(place: Place, disk: Disk) -> None:
    with lock(place.root):
        recover(place.root, disk)
        refresh_stats(place.root, disk)


def _open(place: Place, disk: Disk) -> None:
    DatasetWriter.open(place.root, disk=disk).close()


WORK: Mapping[str, Callable[[Place, Disk], object]] = {
    "record": _record,
    "label": _label,
    "stats": _stats,
    "repair": lambda place, disk: repair(place.root, disk),
    "compact": lambda place, disk: compact(place.root, SMALL, disk=disk),
    "expand": lambda place, disk: expand(place.root, disk=disk),
    "delete": lambda place, disk: delete(place.root, [1, 3], disk=disk),
    "merge": lambda place, disk: merge(place.out, [place.root, place.other], SMALL, disk=disk),
    "split": lambda place, disk: split(place.root, place.out, [0, 2, 4], disk=disk),
    "recovery": _open,
}


def run(operation: str, place: Place, watch: Callable[[str], None]) -> None:
    """Do one operation with somebody watching every step on the disk."""
    WORK[operation](place, Disk(watch))


def run_killed(operation: str, place: Place, steps: int, power_cut: bool) -> None:
    """Do one operation and die at a step; `steps` beyond the last one lets it finish."""
    folder = place.out if operation in ("merge", "split") else place.root
    run(operation, place, Killer(steps, folder / ".staging" if power_cut else None))
