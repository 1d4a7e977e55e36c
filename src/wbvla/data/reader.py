"""Reading: columns and frames of a dataset by integer index, windows with padding masks; worker-friendly."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from wbvla.core.errors import DataError
from wbvla.data import tables, v21
from wbvla.data.beside import DepthSource, read_notes, read_truth
from wbvla.data.format import (
    CONTRACT,
    INFO,
    LABELS,
    LEGACY_VERSIONS,
    MANIFEST_PATH,
    STATS,
    TASKS,
    Feature,
    Info,
    load_info,
)
from wbvla.data.journal import REPLACE, pending
from wbvla.data.layout import inside, read_json
from wbvla.data.pictures import PictureCache, read_depths, read_pictures
from wbvla.data.transforms import resize
from wbvla.data.video import VideoCache
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK, Segment, phrasings_of, segments_of


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Where one episode lies."""

    index: int
    length: int
    """frames"""
    start: int
    """global index of its first frame"""
    tasks: tuple[str, ...]
    data: str
    """its parquet, relative to the dataset"""
    videos: Mapping[str, tuple[str, int]]
    """per camera: its mp4, relative to the dataset, and the number of its first frame there"""
    first_row: int | None = None
    """number of its first row in the parquet; None = `start` less the index of the file's first row"""


class Dataset:
    """A committed dataset, read only. Safe to pass to worker processes: each opens its own files."""

    def __init__(self, root: Path, max_open_videos: int = 64, max_cached_episodes: int = 64) -> None:
        self.root = Path(root)
        if pending(self.root) == REPLACE:
            raise DataError(f"{root}: a replacement of files is not finished; run `wbvla data repair {root}`")
        self.info: Info = load_info(self.root)
        legacy = self.info.version in LEGACY_VERSIONS
        self.tasks: list[str] = v21.read_tasks(self.root) if legacy else tables.read_tasks(self.root / TASKS)
        self.episodes: list[Episode] = read_episodes(self.root, self.info)
        self._videos = VideoCache(self.info.fps, max_open_videos)
        self._cache: OrderedDict[tuple[int, str], np.ndarray] = OrderedDict()
        self._capacity = max_cached_episodes * max(len(self.info.columns), 1)
        self._first_rows: dict[Path, int] = {}
        self._pictures = PictureCache()
        self._depths = DepthSource(self.root, self.info.fps)

    def __len__(self) -> int:
        """Frames of all episodes."""
        return self.num_frames

    @property
    def fps(self) -> int:
        return self.info.fps

    @property
    def robot(self) -> str:
        return self.info.robot

    @property
    def features(self) -> Mapping[str, Feature]:
        return self.info.features

    @property
    def cameras(self) -> tuple[str, ...]:
        """Colour pictures, from mp4 files or embedded ones."""
        return self.info.cameras

    @property
    def depths(self) -> tuple[str, ...]:
        """Depth maps."""
        return self.info.depths

    @property
    def num_episodes(self) -> int:
        return len(self.episodes)

    @property
    def num_frames(self) -> int:
        return sum(e.length for e in self.episodes)

    @cached_property
    def starts(self) -> Int64[np.ndarray, " episode"]:
        """Global index of each episode's first frame, counted over `episodes`."""
        return np.cumsum([0, *(e.length for e in self.episodes)], dtype=np.int64)[:-1]

    @property
    def contract(self) -> dict[str, Any]:
        """What the recording promises (meta/contract.json); empty for datasets made elsewhere."""
        return self.read_json(self.root, CONTRACT)

    @property
    def labels(self) -> dict[str, Any]:
        """Which model wrote which latent columns (meta/labels.json)."""
        return self.read_json(self.root, LABELS)

    @property
    def stats(self) -> dict[str, Any]:
        """meta/stats.json, or empty when `stats.write_stats` has not been run."""
        return self.read_json(self.root, STATS)

    @property
    def modality(self) -> dict[str, Any]:
        """GR00T's slices of state and action by name (meta/modality.json); empty when there are none."""
        return v21.read_modality(self.root)

    @property
    def digest(self) -> str:
        """SHA-256 over info.json and the manifest, so over every file: changes with each commit and labelling.

        Of datasets made elsewhere, which have no manifest, over the names and sizes of the files instead.
        """
        total = hashlib.sha256((self.root / INFO).read_bytes())
        for record in self.episodes:
            path = self.root / MANIFEST_PATH.format(episode_index=record.index)
            if path.is_file():
                total.update(path.read_bytes())
                continue
            for name in (record.data, *(name for name, _ in record.videos.values())):
                file = self.root / name
                total.update(f"{name} {file.stat().st_size if file.is_file() else -1}\n".encode())
        return total.hexdigest()

    def locate(self, index: int) -> tuple[int, int]:
        """Episode and frame in it of a global frame index."""
        if not 0 <= index < self.num_frames:
            raise DataError(f"frame {index} asked, {self.root} has {self.num_frames}")
        episode = int(np.searchsorted(self.starts, index, side="right")) - 1
        return episode, int(index - self.starts[episode])

    def whole_windows(self, first: int, last: int) -> Int64[np.ndarray, " window"]:
        """Global indices of the frames t for which t + first .. t + last lies inside t's episode."""
        parts = [
            start + np.arange(max(0, -first), e.length - max(0, last), dtype=np.int64)
            for start, e in zip(self.starts, self.episodes)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def columns(self, episode: int, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Columns of one episode, (T,) or (T, n); all of them when no name is given. Treat as read only."""
        wanted = list(names) or list(self.info.columns)
        for name in wanted:
            if name not in self.info.columns:
                raise DataError(f"no column {name!r} in {self.root}; it has {', '.join(self.info.columns)}")
        missing = [n for n in wanted if (episode, n) not in self._cache]
        if missing:
            loaded = self._load(self._episode(episode), missing)
        else:
            loaded = {}
        result = {n: loaded[n] if n in loaded else self._cache[episode, n] for n in wanted}
        for name, value in result.items():
            self._cache[episode, name] = value
            self._cache.move_to_end((episode, name))
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        return result

    def column(self, name: str) -> np.ndarray:
        """One column over all frames."""
        return np.concatenate([self.columns(e.index, [name])[name] for e in self.episodes])

    def frames(
        self, camera: str, episode: int, indices: Sequence[int], size: tuple[int, int] | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames of one camera by number in the episode; resized to `size` (height, width) [px] when given."""
        record = self._episode(episode)
        self._require_frames(record, indices)
        if camera not in self.cameras:
            raise DataError(f"no camera {camera!r} in {self.root}; it has {', '.join(self.cameras)}")
        if camera in record.videos:
            name, first = record.videos[camera]
            rgb = self._videos.read(self.root / name, [first + int(i) for i in indices])
        else:
            rgb = read_pictures(self.encoded(camera, episode), indices, self.features[camera].shape)
        return rgb if size is None else resize(rgb, size)

    def depth(self, name: str, episode: int, indices: Sequence[int]) -> UInt16[np.ndarray, "frame height width"]:
        """Depth maps by number in the episode [mm], 0 = nothing came back: the lossless ones where they are kept."""
        record = self._episode(episode)
        self._require_frames(record, indices)
        if name not in self.depths:
            raise DataError(f"no depth {name!r} in {self.root}; it has {', '.join(self.depths) or 'none'}")
        feature = self.features[name]
        if name not in record.videos:
            unit = str(feature.info.get("depth_unit") or "mm")
            return read_depths(self.encoded(name, episode), indices, feature.shape, unit)
        return self._depths.read(name, feature, record.index, record.videos[name], indices)

    def encoded(self, name: str, episode: int) -> np.ndarray:
        """The embedded pictures of one episode as they stand in the parquet: (T,) bytes of PNG, JPEG or TIFF files."""
        if name not in self.info.images:
            raise DataError(f"{name!r} of {self.root} is not embedded; embedded are {', '.join(self.info.images)}")
        return self._pictures.get((episode, name), lambda: self._load(self._episode(episode), [name])[name])

    def instruction(self, episode: int, frame: int = 0) -> str:
        """The words that hold at a frame."""
        return self.tasks[int(self.columns(episode, ["task_index"])["task_index"][frame])]

    def window(
        self,
        episode: int,
        frame: int,
        offsets: Mapping[str, Sequence[int]],
        size: tuple[int, int] | None = None,
    ) -> dict[str, np.ndarray]:
        """For each feature, its values at `frame + offset` for each offset, and `<feature>_is_pad`.

        An index before the first or after the last frame is clamped and marked as padding. Frames come as uint8,
        depth maps as uint16 [mm] in their own size.
        """
        length, cameras, depths = self._episode(episode).length, self.cameras, self.depths
        columns = [name for name in offsets if name not in cameras and name not in depths]
        held = self.columns(episode, columns) if columns else {}  # one read of the parquet for all
        result: dict[str, np.ndarray] = {}
        for name, steps in offsets.items():
            indices = np.asarray(steps, dtype=np.int64) + frame
            clamped = np.minimum(np.maximum(indices, 0), length - 1)  # np.clip takes ten times as long
            if name in cameras:
                result[name] = self.frames(name, episode, clamped.tolist(), size)
            elif name in depths:
                result[name] = self.depth(name, episode, clamped.tolist())
            else:
                result[name] = held[name][clamped]
            result[f"{name}_is_pad"] = indices != clamped
        return result

    def load_video(
        self, camera: str, size: tuple[int, int], episodes: Sequence[int] | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """A whole camera in memory, resized to (height, width) [px], episodes in order; for small datasets."""
        chosen = self.episodes if episodes is None else [self._episode(e) for e in episodes]
        rgb = np.empty((sum(e.length for e in chosen), *size, 3), dtype=np.uint8)
        at = 0
        for record in chosen:
            rgb[at : at + record.length] = self.frames(camera, record.index, range(record.length), size)
            at += record.length
        return rgb

    def segments(self, episode: int) -> list[Segment]:
        """The sub-tasks of an episode in order; empty where none were recorded."""
        names = [n for n in (SUBTASK, SKILL) if n in self.info.columns]
        return segments_of(self.columns(episode, names)) if SUBTASK in names else []

    def phrasings(self, episode: int) -> tuple[str, ...]:
        """The instruction of an episode's first frame, and every other way to give it that was recorded."""
        first = self.instruction(episode)
        if LANGUAGE not in self.info.columns:
            return (first,)
        return tuple(dict.fromkeys((first, *phrasings_of(self.columns(episode, [LANGUAGE])[LANGUAGE][0]))))

    def truth(self, episode: int) -> dict[str, np.ndarray]:
        """Privileged arrays kept beside an episode, for evaluation only; empty when there are none."""
        return read_truth(self.root, self._episode(episode).index)

    def notes(self, episode: int) -> dict[str, Any]:
        """Free facts kept with an episode (who instructed, whose consent); empty when there are none."""
        return read_notes(self.root, self._episode(episode).index)

    def close(self) -> None:
        """Close the open videos."""
        self._videos.close()
        self._depths.close()

    def _episode(self, episode: int) -> Episode:
        if not 0 <= episode < self.num_episodes:
            raise DataError(f"episode {episode} asked, {self.root} has {self.num_episodes}")
        return self.episodes[episode]

    def _require_frames(self, record: Episode, indices: Sequence[int]) -> None:
        for i in indices:
            if not 0 <= i < record.length:
                raise DataError(f"frame {i} asked, episode {record.index} of {self.root} has {record.length}")

    def _load(self, record: Episode, names: Sequence[str]) -> dict[str, np.ndarray]:
        first, path = record.first_row, self.root / record.data
        if first is None:
            if path not in self._first_rows:
                self._first_rows[path] = tables.first_index(path)
            first = record.start - self._first_rows[path]
        features = {n: self.info.features[n] for n in names}
        return tables.read_frames(path, features, first, record.length)

    @staticmethod
    def read_json(root: Path, name: str) -> dict[str, Any]:
        """One of the JSON files under meta/; empty when it is absent."""
        path = Path(root) / name
        return read_json(path) if path.is_file() else {}


def read_episodes(root: Path, info: Info) -> list[Episode]:
    """The committed episodes in order; raises DataError when info.json promises more than the meta files hold."""
    if info.version in LEGACY_VERSIONS:
        rows = {row["episode_index"]: row for row in v21.read_rows(root, info)}
        build = episode_from_legacy_row
    else:
        rows, build = {}, episode_from_row
        for path in tables.episode_files(root):
            rows |= {row["episode_index"]: row for row in tables.read_rows(path)}
    if info.total_episodes > len(rows) or any(i not in rows for i in range(info.total_episodes)):
        missing = [i for i in range(min(info.total_episodes, len(rows) + 5)) if i not in rows]
        raise DataError(f"{root} lacks the meta rows of episodes {missing[:5]}; run `wbvla data repair {root}`")
    try:
        return [build(rows[i], info) for i in range(info.total_episodes)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{root}: the meta row of an episode lacks {error}; run `wbvla data check`") from error


def episode_from_row(row: Mapping[str, Any], info: Info) -> Episode:
    """Of v3; raises KeyError when the row lacks a column of a camera or a file."""
    videos = {}
    for key in info.videos:
        where = {k: int(row[f"videos/{key}/{k}"]) for k in ("chunk_index", "file_index")}
        name = inside(info.video_path.format(video_key=key, **where))
        videos[key] = (name, round(row[f"videos/{key}/from_timestamp"] * info.fps))
    where = {k: int(row[f"data/{k}"]) for k in ("chunk_index", "file_index")}
    return Episode(
        index=int(row["episode_index"]),
        length=int(row["length"]),
        start=int(row["dataset_from_index"]),
        tasks=tuple(row["tasks"]),
        data=inside(info.data_path.format(**where)),
        videos=videos,
    )


def episode_from_legacy_row(row: Mapping[str, Any], info: Info) -> Episode:
    """Of v2.1: one parquet and one mp4 per camera; raises KeyError when the row lacks something."""
    index = int(row["episode_index"])
    where = {"episode_chunk": index // info.chunks_size, "episode_index": index}
    return Episode(
        index=index,
        length=int(row["length"]),
        start=int(row["start"]),
        tasks=tuple(str(t) for t in row["tasks"]),
        data=inside(info.data_path.format(**where)),
        videos={k: (inside(info.video_path.format(video_key=k, **where)), 0) for k in info.videos},
        first_row=0,
    )
