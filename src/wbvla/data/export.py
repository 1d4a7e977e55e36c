"""A dataset written anew in an older layout: LeRobot v2.1, or v2.1 with what GR00T adds; whole or absent."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.files import fsync_folder
from wbvla.data import tables, v21
from wbvla.data.dataset_stats import compute_stats, sample_frames
from wbvla.data.format import INFO, LEGACY_DATA_PATH, LEGACY_VIDEO_PATH, STATS, Feature, scalar
from wbvla.data.groot import ANNOTATION, modality_of
from wbvla.data.parts import Clip, join_clips
from wbvla.data.reader import Dataset, Episode
from wbvla.data.stats import describe
from wbvla.data.video import VideoCodec, VideoReader, VideoWriter

FORMATS = ("v2.1", "gr00t")
STATISTICS = ("min", "max", "mean", "std", "count")
SAMPLES, BLOCK = 10, 64
"""frames per camera and episode that its statistics look at; frames held while a video is encoded anew"""

Show = Callable[[float | int, float | int, str], None]
"""hears of episodes done, episodes in all, and what is being written"""


def silent(done: float | int, total: float | int, note: str) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export did."""

    episodes: int
    frames: int
    copied: int
    """video files taken as they are"""
    remuxed: int
    """video files cut out of longer ones, undecoded"""
    encoded: int
    """video files encoded anew, because the episode does not start at a keyframe of its file"""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """features the other format cannot hold, and why"""


def export(root: Path, target: Path, kind: str = "v2.1", show: Show = silent) -> Exported:
    """Write the dataset at `root` to the new folder `target` as `v2.1` or `gr00t`; a kill leaves no `target`.

    Raises ConfigError on another format, DataError when `target` exists or the dataset cannot be read.
    """
    if kind not in FORMATS:
        raise ConfigError(f"no export format {kind!r}; known: {', '.join(FORMATS)}")
    target = Path(target)
    if target.exists():
        raise DataError(f"{target} exists already; choose another folder, or remove it first")
    dataset = Dataset(root)
    if target.resolve().is_relative_to(dataset.root.resolve()):
        raise DataError(f"{target} lies inside the dataset it is made from; choose a folder outside {root}")
    if not dataset.num_episodes:
        raise DataError(f"{root} has no episodes; there is nothing to export")
    aside = target.with_name(f".{target.name}.exporting")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        result = _Export(dataset, aside, kind).run(show)
        _make_durable(aside)
        os.rename(aside, target)
        fsync_folder(target.parent)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error}); is the disk full?") from error
    finally:
        dataset.close()
        shutil.rmtree(aside, ignore_errors=True)
    return result


class _Export:
    """One export under way."""

    def __init__(self, dataset: Dataset, target: Path, kind: str) -> None:
        self._data, self._target, self._groot = dataset, target, kind == "gr00t"
        self._left_out = dict.fromkeys(dataset.depths, "v2.1 has no depth maps")
        self._left_out |= {n: "v2.1 has no language columns" for n, f in dataset.features.items() if _is_language(f)}
        features = {n: f for n, f in dataset.features.items() if n not in self._left_out}
        if self._groot:
            features[ANNOTATION] = scalar("int64")
        self._info = replace(
            dataset.info,
            features=features,
            data_path=LEGACY_DATA_PATH,
            video_path=LEGACY_VIDEO_PATH,
            chunks_size=1000,
        )
        self._ways = {"copied": 0, "remuxed": 0, "encoded": 0}

    def run(self, show: Show) -> Exported:
        """Write everything, info.json last."""
        total, lines, stats = self._data.num_episodes, [], []
        (self._target / "meta").mkdir(parents=True)
        for record in self._data.episodes:
            show(record.index, total, f"episode {record.index}")
            columns = self._columns(record)
            where = {"episode_chunk": record.index // 1000, "episode_index": record.index}
            path = self._new(self._info.data_path.format(**where))
            tables.write_frames(path, self._info, columns, list_name="Sequence")
            for key in self._info.videos:
                self._video(record, key, self._new(self._info.video_path.format(video_key=key, **where)))
            lines.append({"episode_index": record.index, "tasks": list(record.tasks), "length": record.length})
            stats.append({"episode_index": record.index, "stats": self._stats(record, columns)})
        self._lines(v21.EPISODES, lines)
        self._lines(v21.EPISODES_STATS, stats)
        self._lines(v21.TASKS, [{"task_index": i, "task": task} for i, task in enumerate(self._data.tasks)])
        if self._groot:
            self._json(v21.MODALITY, modality_of(self._info, self._data.contract))
            self._json(STATS, self._groot_stats())
        self._json(INFO, self._info_json())
        show(total, total, "done")
        return Exported(episodes=total, frames=self._data.num_frames, left_out=self._left_out, **self._ways)

    def _columns(self, record: Episode) -> dict[str, np.ndarray]:
        names = [n for n in self._info.columns if n != ANNOTATION]
        columns = dict(self._data.columns(record.index, names))
        columns |= {n: self._data.encoded(n, record.index) for n in self._info.images}
        return columns | ({ANNOTATION: columns["task_index"]} if self._groot else {})

    def _stats(self, record: Episode, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """As v2.1 has them: no quantiles, pictures (3, 1, 1)."""
        result = {
            name: {k: _shaped(v, f, k) for k, v in describe(columns[name]).items() if k in STATISTICS}
            for name, f in self._info.columns.items()
            if f.is_numeric
        }
        numbers = np.unique(np.linspace(0, record.length - 1, min(SAMPLES, record.length)).astype(int)).tolist()
        for camera in self._info.cameras:
            summary = sample_frames(self._data.frames(camera, record.index, numbers)).summary()
            result[camera] = {k: summary[k] for k in STATISTICS}
        return result

    def _video(self, record: Episode, key: str, path: Path) -> None:
        """Copied where the file is the episode's alone; cut out undecoded from a keyframe on; encoded anew else."""
        name, first = record.videos[key]
        source, fps = self._data.root / name, self._info.fps
        video = VideoReader(source, fps)
        try:
            if source.suffix == ".mp4" and first == 0 and video.num_frames == record.length:
                shutil.copyfile(source, path)
                self._ways["copied"] += 1
                return
            try:
                join_clips(path, [Clip(path=source, first=first, length=record.length)], fps)
                self._ways["remuxed"] += 1
                return
            except DataError:
                path.unlink(missing_ok=True)
            height, width, _ = video.facts
            writer = VideoWriter(path, height, width, fps, VideoCodec())
            for at in range(first, first + record.length, BLOCK):
                for rgb in video.read(range(at, min(at + BLOCK, first + record.length))):
                    writer.add(rgb)
            writer.close()
            self._ways["encoded"] += 1
        finally:
            video.close()

    def _info_json(self) -> dict[str, Any]:
        value = self._info.to_json()
        value = {k: v for k, v in value.items() if not k.endswith("_size_in_mb") and k != "tools"}
        episodes = self._data.num_episodes
        return value | {
            "codebase_version": "v2.1",
            "total_episodes": episodes,
            "total_frames": self._data.num_frames,
            "total_tasks": len(self._data.tasks),
            "total_videos": episodes * len(self._info.videos),
            "total_chunks": -(-episodes // 1000),
            "splits": {"train": f"0:{episodes}"},
        }

    def _groot_stats(self) -> dict[str, Any]:
        """Over the whole dataset, of numbers only."""
        keys = ("mean", "std", "min", "max", "q01", "q99")
        whole = compute_stats(self._data)
        return {
            n: {k: whole[n][k] for k in keys} for n, f in self._data.info.columns.items() if f.is_numeric and n in whole
        }

    def _new(self, name: str) -> Path:
        path = self._target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _json(self, name: str, value: Any) -> None:
        self._new(name).write_text(json.dumps(value, indent=4, allow_nan=False) + "\n")

    def _lines(self, name: str, rows: list[dict[str, Any]]) -> None:
        self._new(name).write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def _is_language(feature: Feature) -> bool:
    return feature.dtype == "language"


def _shaped(values: list[Any], feature: Feature, key: str) -> list[Any]:
    """Statistics of an array of several axes in its shape."""
    if key == "count" or len(feature.shape) == 1:
        return values
    return np.asarray(values).reshape(feature.shape).tolist()


def _make_durable(folder: Path) -> None:
    """fsync every file and folder below, so that the rename cannot come before its content."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            fsync_folder(path)
            continue
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    fsync_folder(folder)
