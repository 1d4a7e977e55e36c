"""Which episodes share a file: as they lie, and as they shall lie (one file each, or rolling files as in LeRobot)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8

from wbvla.core.errors import ConfigError, DataError
from wbvla.data import tables
from wbvla.data.format import SIDE_PATHS, Info
from wbvla.data.parts import Footage
from wbvla.data.reader import Dataset, Episode
from wbvla.data.video import VideoReader

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which episodes share a file."""

    kind: Literal["own", "rolling", "keep"] = "rolling"
    """`own`: one file per episode and camera; `rolling`: as many as fit; `keep`: those that share one now"""
    data_bytes: int = 100 * MIB
    """a rolling parquet is closed before it exceeds this"""
    video_bytes: int = 200 * MIB
    """a rolling mp4 is closed before it exceeds this"""
    chunks_size: int = 1000
    """files per chunk folder"""

    def __post_init__(self) -> None:
        if min(self.data_bytes, self.video_bytes, self.chunks_size) < 1:
            raise ConfigError(f"sizes of a layout must be positive, not {self}")

    def place(self, number: int) -> dict[str, int]:
        """Chunk and file of the n-th file."""
        return {"chunk_index": number // self.chunks_size, "file_index": number % self.chunks_size}


class Source:
    """A dataset that episodes are taken from: which of them share a file, and what its meta rows say of statistics."""

    def __init__(self, root: Path, info: Info, tasks: Sequence[str], episodes: Sequence[Episode]) -> None:
        self.root, self.info, self.tasks, self.episodes = Path(root), info, tuple(tasks), tuple(episodes)
        self._headers: dict[str, bytes] = {}

    @staticmethod
    def of(data: Dataset) -> "Source":
        """A dataset that opens."""
        return Source(data.root, data.info, data.tasks, data.episodes)

    @cached_property
    def sharing(self) -> dict[str, list[Episode]]:
        """Per parquet and mp4, the episodes that lie in it, in their order there."""
        return sharing(self.episodes)

    def first_row(self, record: Episode) -> int:
        """Row of an episode's first frame in its parquet."""
        return first_row(record, self.sharing[record.data])

    def header(self, name: str) -> bytes:
        """`Footage.header` of one of its videos."""
        if name not in self._headers:
            with Footage(self.root / name, self.info.fps) as footage:
                self._headers[name] = footage.header
        return self._headers[name]

    def side_files(self, episode: int) -> dict[str, str]:
        """What lies beside an episode (truth, lossless depth): present names by templates filled but for it."""
        found: dict[str, str] = {}
        for template in SIDE_PATHS:
            for camera in self.info.features if "{video_key}" in template else ("",):
                partial = template.replace("{video_key}", camera)
                name = partial.format(episode_index=episode)
                if (self.root / name).is_file():
                    found[partial] = name
        return found

    def look(self, camera: str, record: Episode, numbers: Sequence[int]) -> UInt8[np.ndarray, "frame height width 3"]:
        """A few frames of an episode."""
        name, first = record.videos[camera]
        video = VideoReader(self.root / name, self.info.fps)
        try:
            return video.read([first + int(i) for i in numbers])
        finally:
            video.close()

    @cached_property
    def _stats(self) -> dict[int, tuple[pa.Table, int]]:
        found: dict[int, tuple[pa.Table, int]] = {}
        for path in tables.episode_files(self.root):
            try:
                table = tables.read_table(path)
                indices = table.column("episode_index").to_pylist()
            except (DataError, KeyError):
                continue
            part = table.select([n for n in table.column_names if n.startswith("stats/")])
            found |= {index: (part, row) for row, index in enumerate(indices)}
        return found

    def stats(self, episode: int) -> dict[str, dict[str, Any]]:
        """Statistics of an episode by feature and name, as far as its meta row has them."""
        if episode not in self._stats:
            return {}
        table, row = self._stats[episode]
        result: dict[str, dict[str, Any]] = {}
        for key, value in table.slice(row, 1).to_pylist()[0].items():
            feature, _, name = key.removeprefix("stats/").rpartition("/")
            if value is not None:
                result.setdefault(feature, {})[name] = value
        return result


def sharing(records: Sequence[Episode]) -> dict[str, list[Episode]]:
    """Per parquet and mp4, the episodes that lie in it, in their order there."""
    found: dict[str, list[Episode]] = {}
    for record in sorted(records, key=lambda r: r.start):
        for name in [record.data, *(name for name, _ in record.videos.values())]:
            found.setdefault(name, []).append(record)
    return found


def first_row(record: Episode, sharers: Sequence[Episode]) -> int:
    """Row of an episode's first frame, by the episodes that share its parquet: no damaged row is asked."""
    if record.first_row is not None:
        return record.first_row
    return record.start - min(r.start for r in sharers)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One episode that is to be carried."""

    source: Source
    record: Episode

    def name(self, stream: str) -> str:
        """Its present file for the stream `data` or a camera."""
        return self.record.data if stream == "data" else self.record.videos[stream][0]

    def bytes(self, stream: str) -> float:
        """Its share of that file, by frames."""
        name = self.name(stream)
        frames = sum(r.length for r in self.source.sharing[name])
        return (self.source.root / name).stat().st_size * self.record.length / max(frames, 1)


def group(parts: Sequence[Part], stream: str, layout: Layout) -> list[list[int]]:
    """Which parts go into one file of a stream, in order; clips of unlike headers never share one."""
    groups: list[list[int]] = []
    size, last = 0.0, object()
    for number, part in enumerate(parts):
        own = part.bytes(stream)
        if layout.kind == "keep":
            key: object = (id(part.source), part.name(stream))
        else:
            key = "" if stream == "data" else part.source.header(part.name(stream))
        limit = layout.data_bytes if stream == "data" else layout.video_bytes
        fits = layout.kind == "keep" or (layout.kind == "rolling" and size + own < limit)
        if groups and fits and key == last:
            groups[-1].append(number)
            size += own
        else:
            groups.append([number])
            size = own
        last = key
    return groups


def is_whole(parts: Sequence[Part], stream: str) -> str:
    """The name of the file that holds exactly these parts in this order; empty when there is none."""
    name, source = parts[0].name(stream), parts[0].source
    if any(p.source is not source or p.name(stream) != name for p in parts):
        return ""
    there = [r.index for r in source.sharing[name]]
    return name if there == [p.record.index for p in parts] else ""


def merged_tasks(sources: Sequence[Source]) -> tuple[tuple[str, ...], Mapping[int, list[int]]]:
    """One task table for all sources, and per source (by id) the new number of each of its tasks."""
    tasks = tuple(dict.fromkeys(task for source in sources for task in source.tasks))
    number = {task: i for i, task in enumerate(tasks)}
    return tasks, {id(s): [number[t] for t in s.tasks] for s in sources}
