"""meta/stats.json of a whole dataset: columns exactly, cameras by sampled frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from wbvla.data.depth import DepthTally
from wbvla.data.format import STATS
from wbvla.data.journal import Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import stage_info
from wbvla.data.reader import Dataset
from wbvla.data.stats import QUANTILES, ImageTally, summarize, tally_features

MIN_SAMPLED_FRAMES, MAX_SAMPLED_FRAMES = 100, 10_000
BLOCK_FRAMES = 1 << 16
"""rows gathered before they are counted: with short episodes the cost of a count per episode would rule"""


def compute_stats(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Per feature min, max, mean, std, count and quantiles. No video is decoded but for a few sampled frames.

    Each episode's columns are read once and no more than a block of rows is held, whatever the size of the dataset.
    Raises DataError on NaN or infinity in a column.
    """
    names = [n for n, f in dataset.info.columns.items() if f.is_numeric]
    tallies = tally_features(_blocks(dataset, names))
    result = {n: summarize(tallies[n], dataset.features[n].shape) for n in names if n in tallies}
    for camera in dataset.cameras:
        result[camera] = _sample(dataset, camera).summary()
    for name in dataset.depths:
        result[name] = _sample_depth(dataset, name).summary(QUANTILES)
    return result


def _blocks(dataset: Dataset, names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The columns of all episodes, some episodes at a time."""
    held: list[dict[str, np.ndarray]] = []
    rows = 0
    for record in dataset.episodes:
        held.append(dataset.columns(record.index, names))
        rows += record.length
        if rows >= BLOCK_FRAMES or record.index == dataset.num_episodes - 1:
            yield {n: np.concatenate([h[n] for h in held]) for n in names}
            held, rows = [], 0


def write_stats(root: Path) -> dict[str, dict[str, Any]]:
    """Compute and write meta/stats.json; returns it. Raises DataError while another process writes the dataset."""
    disk = Disk()
    with lock(root):
        recover(root, disk)
        return refresh_stats(root, disk)


def refresh_stats(root: Path, disk: Disk) -> dict[str, dict[str, Any]]:
    """`write_stats` for whoever holds the lock."""
    dataset = Dataset(root)
    stats = compute_stats(dataset)
    dataset.close()
    commit = Commit(root, disk)
    commit.stage_bytes(STATS, as_json(stats))
    stage_info(commit, dataset.info)
    commit.apply()
    return stats


def sample_frames(frames: UInt8[np.ndarray, "frame height width 3"]) -> ImageTally:
    """Tally of given frames, every other pixel each way."""
    tally = ImageTally(every=1, stride=2)
    for frame in frames:
        tally.add(frame)
    return tally


def num_sampled(num_frames: int) -> int:
    """How many of a dataset's frames are looked at: n^.75 between 100 and 10,000, as LeRobot does per episode."""
    return min(num_frames, int(np.clip(num_frames**0.75, MIN_SAMPLED_FRAMES, MAX_SAMPLED_FRAMES)))


def _sample(dataset: Dataset, camera: str) -> ImageTally:
    """Frames at even distances over the whole dataset."""
    tally = ImageTally()
    for episode, frames in sampled_frames(dataset):
        tally.merge(sample_frames(dataset.frames(camera, episode, frames)))
    return tally


def _sample_depth(dataset: Dataset, name: str) -> DepthTally:
    """Depth maps at even distances over the whole dataset."""
    tally = DepthTally(every=1)
    for episode, frames in sampled_frames(dataset):
        for millimetres in dataset.depth(name, episode, frames):
            tally.add(millimetres)
    return tally


def sampled_frames(dataset: Dataset) -> Iterator[tuple[int, list[int]]]:
    """Episode and frames of it, in order, so that each video is opened once and read forwards."""
    chosen = np.linspace(0, dataset.num_frames - 1, num_sampled(dataset.num_frames)).astype(np.int64)
    episodes = np.searchsorted(dataset.starts, chosen, side="right") - 1
    for episode in np.unique(episodes):
        frames = (chosen[episodes == episode] - dataset.starts[episode]).tolist()
        for start in range(0, len(frames), 64):
            yield int(episode), frames[start : start + 64]
