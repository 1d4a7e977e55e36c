"""meta/stats.json of a whole dataset: columns exactly, cameras by sampled frames."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from wbvla.data.format import STATS
from wbvla.data.journal import Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import stage_info
from wbvla.data.reader import Dataset
from wbvla.data.stats import ImageTally, summarize, tally_columns

MAX_SAMPLED_FRAMES = 100


def compute_stats(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Per feature min, max, mean, std, count and quantiles. No video is decoded but for a few sampled frames."""
    result: dict[str, dict[str, Any]] = {}
    for name, feature in dataset.info.columns.items():
        if feature.is_numeric:
            result[name] = summarize(tally_columns(dataset.columns(e.index, [name])[name] for e in dataset.episodes))
    for camera in dataset.cameras:
        result[camera] = _sample(dataset, camera).summary()
    return result


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


def _sample(dataset: Dataset, camera: str) -> ImageTally:
    """Frames at even distances over the whole dataset."""
    tally = ImageTally()
    count = min(MAX_SAMPLED_FRAMES, dataset.num_frames)
    for index in np.linspace(0, dataset.num_frames - 1, count).astype(int):
        episode, frame = dataset.locate(int(index))
        tally.merge(sample_frames(dataset.frames(camera, episode, [frame])))
    return tally
