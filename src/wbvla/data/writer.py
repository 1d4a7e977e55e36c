"""Recording: episodes streamed to disk, each committed whole or not at all.

    writer = DatasetWriter.create(root, DatasetConfig(fps=10, robot="agibot_x2", features=features))
    with writer, writer.episode(task="lift the box") as episode:
        episode.add({"observation.images.head": rgb, "observation.state": state, "action": action})
        episode.fill("success", True)
        episode.commit()

An episode that is left without `commit`, by an exception or otherwise, leaves nothing behind.
"""

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError, DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.format import (
    CONTRACT,
    EPISODES_PATH,
    INFO,
    MANIFEST_PATH,
    OWN_FEATURES,
    TASKS,
    TRUTH_PATH,
    Feature,
    Info,
    check_names,
    file_of,
    read_info,
)
from wbvla.data.journal import STAGING, Commit, Disk, as_json, lock, recover
from wbvla.data.stats import ImageTally, describe
from wbvla.data.video import VideoCodec, VideoWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """What a new dataset will hold."""

    fps: int
    """frames per second, the same for all cameras and columns [Hz]"""
    robot: str
    """robot name, or `human` for egocentric video"""
    features: Mapping[str, Feature]
    """columns and cameras by name; the writer adds timestamp, frame_index, episode_index, index, task_index"""
    contract: Mapping[str, Any] = field(default_factory=dict)
    """what the recording promises (joints, units, frames, cameras); kept as meta/contract.json"""
    codec: VideoCodec = field(default_factory=VideoCodec)
    """how camera frames are encoded"""

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise ConfigError(f"fps must be a positive integer, not {self.fps!r}")
        check_names(self.features)

    def info(self) -> Info:
        """meta/info.json of the dataset while it is empty."""
        described = {
            k: replace(f, info=self.codec.info(f.shape[0], f.shape[1], self.fps)) if f.is_video else f
            for k, f in self.features.items()
        }
        return Info(fps=self.fps, robot=self.robot, features={**described, **OWN_FEATURES})


class DatasetWriter:
    """A dataset open for recording, one writer at a time by a file lock. Use `create`, `open` or `resume`."""

    def __init__(self, root: Path, codec: VideoCodec, disk: Disk) -> None:
        self.root, self._codec, self._disk = Path(root), codec, disk
        self._lock = lock(self.root)
        recover(self.root, disk)
        self.info = read_info(self.root)
        self._tasks = tables.read_tasks(self.root / TASKS)
        self._recording = False

    @staticmethod
    def create(root: Path, config: DatasetConfig, disk: Disk | None = None) -> "DatasetWriter":
        """Start an empty dataset; raises DataError when `root` already holds one."""
        root, disk = Path(root), disk or Disk()
        if (root / INFO).exists():
            raise DataError(f"{root} already holds a dataset; open it, or choose another folder")
        held = lock(root)
        try:
            recover(root, disk)
            start = Commit(root, disk)
            start.stage_bytes(CONTRACT, as_json(dict(config.contract)))
            start.stage_bytes(INFO, as_json(config.info().to_json()))
            start.apply()
        finally:
            held.close()
        return DatasetWriter(root, config.codec, disk)

    @staticmethod
    def open(root: Path, codec: VideoCodec | None = None, disk: Disk | None = None) -> "DatasetWriter":
        """Go on recording; an interrupted commit is finished or removed first. Raises DataError where there is none."""
        if not (Path(root) / INFO).is_file() and not (Path(root) / STAGING).is_dir():
            raise DataError(f"{root} is no dataset: it has no {INFO}; create it first")
        return DatasetWriter(Path(root), codec or VideoCodec(), disk or Disk())

    @staticmethod
    def resume(root: Path, config: DatasetConfig, disk: Disk | None = None) -> "DatasetWriter":
        """Create the dataset, or open it when it exists; raises ContractMismatch when it was made by another config."""
        try:
            writer = DatasetWriter.open(root, config.codec, disk)
        except DataError:
            if (Path(root) / INFO).is_file():
                raise
            return DatasetWriter.create(root, config, disk)
        ours, theirs = config.info().to_json(), writer.info.to_json()
        keys = ("fps", "robot_type", "features")
        try:
            require_match(f"dataset {root}", {k: ours[k] for k in keys}, {k: theirs[k] for k in keys})
        except BaseException:
            writer.close()
            raise
        return writer

    @property
    def num_episodes(self) -> int:
        """Committed episodes."""
        return self.info.total_episodes

    @property
    def num_frames(self) -> int:
        """Committed frames."""
        return self.info.total_frames

    @contextmanager
    def episode(self, task: str) -> Iterator["EpisodeWriter"]:
        """Record one episode under an instruction; discarded unless `commit` is called inside."""
        if self._recording:
            raise DataError(f"{self.root}: an episode is already being recorded; commit or leave it first")
        if self._lock.closed:
            raise DataError(f"{self.root}: this writer is closed; open the dataset again")
        self._recording = True
        episode = EpisodeWriter(self, task)
        try:
            yield episode
        finally:
            self._recording = False
            episode.discard()

    def close(self) -> None:
        """Release the dataset; nothing is left to flush."""
        self._lock.close()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _task_index(self, task: str) -> int:
        if task not in self._tasks:
            self._tasks.append(task)
        return self._tasks.index(task)

    def _finish(self, commit: Commit, info: Info) -> None:
        """Stage the task table and info.json around what the episode staged, and apply."""
        commit.apply()
        self.info = info


class EpisodeWriter:
    """One episode while it is recorded. Made by `DatasetWriter.episode`."""

    def __init__(self, writer: DatasetWriter, task: str) -> None:
        self._writer, self._task = writer, task
        self._info = writer.info
        self._own = set(OWN_FEATURES)
        self._rows: dict[str, list[Any]] = {k: [] for k in self._info.columns if k not in self._own}
        self._filled: dict[str, np.ndarray] = {}
        self._task_rows: list[str] = []
        self._truth: dict[str, np.ndarray] = {}
        self._commit = Commit(writer.root, writer._disk)
        self._videos: dict[str, VideoWriter] = {}
        self._tallies = {camera: ImageTally() for camera in self._info.cameras}
        self._open = True
        where = file_of(writer.num_episodes)
        for camera in self._info.cameras:
            height, width, _ = self._info.features[camera].shape
            path = self._commit.stage(self._info.video_path.format(video_key=camera, **where))
            self._videos[camera] = VideoWriter(path, height, width, self._info.fps, writer._codec)

    @property
    def index(self) -> int:
        """The episode's number once committed."""
        return self._writer.num_episodes

    @property
    def num_frames(self) -> int:
        return len(self._task_rows)

    def add(self, frame: Mapping[str, Any], task: str = "") -> None:
        """Append one frame: every camera and every column not given to `fill`; images go to the encoder at once.

        `task` overrides the episode's instruction from this frame's view. Raises DataError on an unknown name,
        a wrong shape or dtype, or NaN.
        """
        self._require_open()
        self._require_known(frame)
        checked = {k: _checked(k, self._info.features[k], v) for k, v in frame.items() if k not in self._videos}
        for camera, video in self._videos.items():
            if camera not in frame:
                raise DataError(f"frame {self.num_frames} lacks camera {camera!r}; it has {sorted(frame)}")
            video.add(frame[camera])
            self._tallies[camera].add(frame[camera])
        for name, value in checked.items():
            self._rows[name].append(value)
        self._task_rows.append(task or self._task)

    def fill(self, name: str, value: Any) -> None:
        """Give a column its value for the whole episode at once: one value for all frames, or one row per frame."""
        self._require_open()
        self._require_known({name: value})
        self._filled[name] = np.asarray(value)

    def add_truth(self, **arrays: np.ndarray) -> None:
        """Keep privileged arrays beside the dataset (truth/), for evaluation only; never policy input."""
        self._require_open()
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise DataError(f"truth array {name!r} holds Python objects; give numbers or text")
            self._truth[name] = np.asarray(array)

    def commit(self) -> int:
        """Put the episode on disk, durably and at once; returns its index. Raises DataError when it is incomplete."""
        self._require_open()
        columns = self._columns()
        self._open = False
        try:
            for video in self._videos.values():
                video.close()
            info = self._stage(columns)
        except BaseException:
            self._commit.abandon()
            raise
        self._writer._finish(self._commit, info)
        return info.total_episodes - 1

    def discard(self) -> None:
        """Forget the episode; does nothing once it is committed."""
        if self._open:
            self._open = False
            for video in self._videos.values():
                video.abandon()
            self._commit.abandon()
            log.info("%s: episode of %d frames discarded", self._writer.root, self.num_frames)

    def _require_open(self) -> None:
        if not self._open:
            raise DataError("this episode is over; start another with `writer.episode(...)`")

    def _require_known(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self._info.features or name in self._own:
                known = [k for k in self._info.features if k not in self._own]
                raise DataError(f"no feature {name!r} in this dataset; it records {', '.join(known)}")

    def _columns(self) -> dict[str, np.ndarray]:
        """All columns of the episode, own ones included; raises DataError on a gap."""
        length = self.num_frames
        if length == 0:
            raise DataError("an episode needs at least one frame; add frames before commit")
        columns: dict[str, np.ndarray] = {}
        for name, rows in self._rows.items():
            feature = self._info.features[name]
            if name in self._filled:
                columns[name] = _filled(name, feature, self._filled[name], length)
            elif len(rows) == length:
                columns[name] = np.stack(rows) if feature.shape != (1,) else np.array(rows)
            else:
                raise DataError(f"{name!r} has {len(rows)} of {length} frames; give it in each `add`, or to `fill`")
        indices = {task: self._writer._task_index(task) for task in dict.fromkeys(self._task_rows)}
        steps = np.arange(length, dtype=np.int64)
        columns["timestamp"] = (steps / self._info.fps).astype(np.float32)
        columns["frame_index"] = steps
        columns["episode_index"] = np.full(length, self.index, dtype=np.int64)
        columns["index"] = self._writer.num_frames + steps
        columns["task_index"] = np.array([indices[t] for t in self._task_rows], dtype=np.int64)
        return columns

    def _stage(self, columns: Mapping[str, np.ndarray]) -> Info:
        """Stage truth, tasks, data, meta row, manifest and info.json, in this order; returns the new info."""
        writer, where = self._writer, file_of(self.index)
        if self._truth:
            content = io.BytesIO()
            np.savez_compressed(content, allow_pickle=False, **self._truth)
            self._commit.stage_bytes(TRUTH_PATH.format(episode_index=self.index), content.getvalue())
        tables.write_tasks(self._commit.stage(TASKS), writer._tasks)
        tables.write_frames(self._commit.stage(self._info.data_path.format(**where)), self._info, columns)
        tables.write_episode(self._commit.stage(EPISODES_PATH.format(**where)), self._row(columns))
        files = {
            name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for name, path in self._commit.staged()
            if name != TASKS
        }
        manifest = {"episode_index": self.index, "length": self.num_frames, "files": files}
        self._commit.stage_bytes(MANIFEST_PATH.format(episode_index=self.index), as_json(manifest))
        info = replace(
            self._info,
            total_episodes=self.index + 1,
            total_frames=writer.num_frames + self.num_frames,
            total_tasks=len(writer._tasks),
        )
        self._commit.stage_bytes(INFO, as_json(info.to_json()))
        return info

    def _row(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        where, length, first = file_of(self.index), self.num_frames, self._writer.num_frames
        row: dict[str, Any] = {
            "episode_index": self.index,
            "tasks": list(dict.fromkeys(self._task_rows)),
            "length": length,
            "data/chunk_index": where["chunk_index"],
            "data/file_index": where["file_index"],
            "dataset_from_index": first,
            "dataset_to_index": first + length,
        }
        for camera in self._videos:
            row |= {f"videos/{camera}/{k}": v for k, v in where.items()}
            row[f"videos/{camera}/from_timestamp"] = 0.0
            row[f"videos/{camera}/to_timestamp"] = length / self._info.fps
        stats = {k: describe(columns[k]) for k, f in self._info.columns.items() if f.is_numeric}
        stats |= {camera: tally.summary() for camera, tally in self._tallies.items()}
        row |= {f"stats/{k}/{name}": v for k, values in stats.items() for name, v in values.items()}
        return row | {f"meta/episodes/{k}": v for k, v in where.items()}


def _checked(name: str, feature: Feature, value: Any) -> Any:
    """One value in the dtype of its column; raises DataError when it does not fit."""
    if feature.dtype == "string":
        if not isinstance(value, str):
            raise DataError(f"{name!r} takes text, not {type(value).__name__}")
        return value
    array = np.asarray(value)
    if array.size == feature.shape[0] == 1:
        array = array.reshape(())
    elif array.shape != feature.shape:
        raise DataError(f"{name!r} has shape {array.shape}, the dataset was declared {feature.shape}")
    return _cast(name, feature, array)


def _filled(name: str, feature: Feature, value: np.ndarray, length: int) -> np.ndarray:
    """A whole column from one value or one row per frame."""
    whole = (length,) if feature.shape == (1,) else (length, *feature.shape)
    if value.shape == whole or value.shape == feature.shape or (value.shape == () and feature.shape == (1,)):
        column = np.broadcast_to(value, whole)
        return column if feature.dtype == "string" else _cast(name, feature, column)
    raise DataError(f"{name!r} was filled with shape {value.shape}; give {feature.shape} or {whole}")


def _cast(name: str, feature: Feature, array: np.ndarray) -> np.ndarray:
    wanted = np.dtype(feature.dtype)
    same_kind = {"b": "b", "i": "iu", "u": "iu", "f": "fiu"}[wanted.kind]
    if array.dtype.kind not in same_kind:
        raise DataError(f"{name!r} is {array.dtype}, the dataset was declared {feature.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{name!r} holds NaN or infinity")
    cast = array.astype(wanted)
    if wanted.kind in "iu" and not np.array_equal(cast, array):
        raise DataError(f"{name!r} holds {array.tolist()}, which {feature.dtype} cannot")
    if wanted.kind == "f" and not np.isfinite(cast).all():
        raise DataError(f"{name!r} overflows {feature.dtype}")
    return cast
