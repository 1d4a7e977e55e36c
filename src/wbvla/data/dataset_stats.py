"""meta/stats.json of a whole dataset: columns exactly, cameras by sampled frames."""

from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.files import write_json
from wbvla.data.format import STATS
from wbvla.data.reader import Dataset
from wbvla.data.stats import ImageTally, summarize, tally_columns

MAX_SAMPLED_FRAMES = 200


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
    """Compute and write meta/stats.json; returns it."""
    dataset = Dataset(root)
    stats = compute_stats(dataset)
    dataset.close()
    write_json(Path(root) / STATS, stats)
    return stats


def _sample(dataset: Dataset, camera: str) -> ImageTally:
    """Frames at even distances over the whole dataset."""
    tally = ImageTally(every=1, stride=2)
    count = min(MAX_SAMPLED_FRAMES, dataset.num_frames)
    for index in np.linspace(0, dataset.num_frames - 1, count).astype(int):
        episode, frame = dataset.locate(int(index))
        tally.add(dataset.frames(camera, episode, [frame])[0])
    return tally
