"""Carry episodes into a layout, in one commit: files joined or cut without decoding, everything numbered anew.

The one primitive under compact, expand, merge, split, delete, migrate and repair.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.arrow import frame_schema, from_arrow
from wbvla.data.dataset_stats import sample_frames
from wbvla.data.format import DATA_PATH, EPISODES_PATH, MANIFEST_PATH, OWN_FEATURES, TASKS, VIDEO_PATH, Info
from wbvla.data.journal import Commit, as_json
from wbvla.data.manifest import read_manifest, signed, stage_info
from wbvla.data.parts import Clip, Footage, conform, join_clips, rows_digest
from wbvla.data.sharing import Layout, Part, Source, group, is_whole, merged_tasks
from wbvla.data.stats import describe

Show = Callable[[float, float, str], None]
MAX_SAMPLED_FRAMES = 10
"""frames per camera looked at where an episode comes without statistics of its pictures"""


def silent(done: float, total: float, note: str) -> None:
    """Default listener: nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where episodes are carried to."""

    commit: Commit
    layout: Layout
    info: Info
    """of the result; totals are counted anew"""
    home: Path | None = None
    """the folder itself when it is changed in place: what stays as it is is not touched, and linked where it moves"""
    distrusted: frozenset[str] = frozenset()
    """files of `home` that must be written anew even where their content is whole"""
    show: Show = silent
    """hears of bytes done and in all"""


class Carrier:
    """Stages the files of a dataset that holds exactly `parts`, in this order."""

    def __init__(self, parts: Sequence[Part], target: Target, sources: Sequence[Source]) -> None:
        self._parts, self._to = list(parts), target
        self.tasks, self._task_numbers = merged_tasks(sources)
        lengths = [p.record.length for p in parts]
        self._starts = [int(s) for s in np.cumsum([0, *lengths])]
        self.info = replace(
            target.info,
            data_path=DATA_PATH,
            video_path=VIDEO_PATH,
            chunks_size=target.layout.chunks_size,
            total_episodes=len(lengths),
            total_frames=self._starts[-1],
            total_tasks=len(self.tasks),
        )
        self._rows: list[dict[str, Any]] = [self._row(i) for i in range(len(parts))]
        self._files: list[dict[str, str]] = [{} for _ in parts]
        """per part, its files in the result and the digest of its share; empty where the file is its own"""
        self._changed = [False] * len(parts)
        self._hashes: dict[str, dict[str, Any]] = {}
        self.names: set[str] = set()
        """every file of episodes in the result"""

    def stage(self) -> Info:
        """Stage everything but contract and labels; the seal and info.json come last. Returns the new info."""
        streams = ["data", *self.info.videos]
        plans = {stream: group(self._parts, stream, self._to.layout) for stream in streams}
        total = sum(part.bytes(stream) for part in self._parts for stream in streams)
        done = 0.0
        for stream in streams:
            for number, members in enumerate(plans[stream]):
                place = self._to.layout.place(number)
                self._stage_file(stream, members, place)
                done += sum(self._parts[i].bytes(stream) for i in members)
                self._to.show(done, total, "")
        for number in range(len(self._parts)):
            self._stage_sides(number)
        self._stage_meta(is_own=all(len(m) == 1 for m in plans["data"]))
        return self.info

    def _row(self, number: int) -> dict[str, Any]:
        start, length = self._starts[number], self._parts[number].record.length
        return {
            "episode_index": number,
            "tasks": list(self._parts[number].record.tasks),
            "length": length,
            "dataset_from_index": start,
            "dataset_to_index": start + length,
        }

    def _stage_file(self, stream: str, members: list[int], place: Mapping[str, int]) -> None:
        """One parquet or mp4: left, linked or written; its place enters the meta rows."""
        chosen = [self._parts[i] for i in members]
        path = self.info.data_path if stream == "data" else self.info.video_path
        name = path.format(video_key=stream, **place)
        whole = is_whole(chosen, stream)
        trusted = whole and not (self._is_home(chosen[0]) and whole in self._to.distrusted)
        if stream == "data":
            trusted = trusted and not any(self._renumbered(i) for i in members)
        self.names.add(name)
        if trusted:
            digests = self._take(name, chosen, stream, whole, members)
        elif stream == "data":
            digests = self._write_rows(name, members)
        else:
            clips = [
                Clip(path=p.source.root / p.name(stream), first=p.record.videos[stream][1], length=p.record.length)
                for p in chosen
            ]
            digests = join_clips(self._to.commit.stage(name), clips, self.info.fps)
            self._mark(members)
        first = 0
        for i, digest in zip(members, digests):
            self._files[i][name] = digest if len(members) > 1 else ""
            key = "data" if stream == "data" else f"videos/{stream}"
            self._rows[i] |= {f"{key}/{k}": v for k, v in place.items()}
            if stream != "data":
                self._rows[i][f"{key}/from_timestamp"] = first / self.info.fps
                self._rows[i][f"{key}/to_timestamp"] = (first + self._parts[i].record.length) / self.info.fps
            first += self._parts[i].record.length

    def _take(self, name: str, chosen: list[Part], stream: str, whole: str, members: list[int]) -> list[str]:
        """A file that needs no change: left where it is, linked at home, or copied; the digest of each share."""
        source = chosen[0].source
        if self._is_home(chosen[0]):
            if name != whole:
                self._to.commit.stage_link(name, source.root / whole)
                self._mark(members)
        else:
            shutil.copyfile(source.root / whole, self._to.commit.stage(name))
            self._mark(members)
        if len(members) == 1:
            return [""]
        return [share_digest(part, stream) for part in chosen]

    def _is_home(self, part: Part) -> bool:
        return self._to.home is not None and part.source.root == self._to.home

    def _mark(self, members: Sequence[int]) -> None:
        for i in members:
            self._changed[i] = True

    def _renumbered(self, number: int) -> bool:
        part = self._parts[number]
        tasks, record = self._task_numbers[id(part.source)], part.record
        same = (record.index, record.start) == (number, self._starts[number]) and tasks == list(range(len(tasks)))
        return not same or list(part.source.info.stored.items()) != list(self.info.stored.items())

    def _write_rows(self, name: str, members: list[int]) -> list[str]:
        """One parquet, one row group per episode."""
        digests: list[str] = []
        schema = frame_schema(self.info)
        with pq.ParquetWriter(self._to.commit.stage(name), schema, write_page_checksum=True) as writer:
            for i in members:
                table = self._rows_of(i)
                writer.write_table(table, row_group_size=max(table.num_rows, 1))
                digests.append(rows_digest(table) if len(members) > 1 else "")
        self._mark(members)
        return digests

    def _rows_of(self, number: int) -> pa.Table:
        """An episode's rows in the types of the result, with its new numbers."""
        part = self._parts[number]
        record, source = part.record, part.source
        old = tables.read_rows_at(source.root / record.data, None, source.first_row(record), record.length)
        steps = np.arange(record.length, dtype=np.int64)
        task_numbers = np.array(self._task_numbers[id(source)], dtype=np.int64)
        used = from_arrow(OWN_FEATURES["task_index"], old.column("task_index"))
        new = {
            "frame_index": pa.array(steps),
            "episode_index": pa.array(np.full(record.length, number, dtype=np.int64)),
            "index": pa.array(self._starts[number] + steps),
            "task_index": pa.array(task_numbers[used]),
        }
        return conform(old, self.info, new)

    def _stage_sides(self, number: int) -> None:
        """Truth and depth under their new numbers."""
        part = self._parts[number]
        for partial, old in part.source.side_files(part.record.index).items():
            if self._is_home(part) and old in self._to.distrusted:
                self._changed[number] = True
                continue
            new = partial.format(episode_index=number)
            if not self._is_home(part):
                shutil.copyfile(part.source.root / old, self._to.commit.stage(new))
            elif new != old:
                self._to.commit.stage_link(new, part.source.root / old)
            self._changed[number] |= new != old or not self._is_home(part)
            self._files[number][new] = ""
            self.names.add(new)

    def _stage_meta(self, is_own: bool) -> None:
        """Meta rows, manifests, tasks, seal and info.json, in this order."""
        pending: list[tuple[str, dict[str, Any]]] = []
        for number in range(len(self._parts)):
            place = self._to.layout.place(number if is_own else 0)
            self._rows[number] |= {f"meta/episodes/{k}": v for k, v in place.items()}
            name, manifest = EPISODES_PATH.format(**place), MANIFEST_PATH.format(episode_index=number)
            self.names |= {name, manifest}
            if not (is_own and self._stands(number, name)):
                pending.append((name, self._rows[number] | self._stats_of(number)))
        for name in dict.fromkeys(name for name, _ in pending):
            rows = [row for other, row in pending if other == name]
            tables.write_episodes(self._to.commit.stage(name), rows)
        for number in sorted({row["episode_index"] for _, row in pending}):
            self._stage_manifest(number)
        tables.write_tasks(self._to.commit.stage(TASKS), self.tasks)
        stage_info(self._to.commit, self.info)

    def _stands(self, number: int, meta: str) -> bool:
        """Whether nothing of an episode changes, its meta row and its manifest included."""
        home, part = self._to.home, self._parts[number]
        manifest = MANIFEST_PATH.format(episode_index=number)
        if home is None or self._changed[number] or part.record.index != number:
            return False
        if {meta, manifest} & self._to.distrusted or not (home / meta).is_file():
            return False
        try:
            known = read_manifest(home, number)
        except DataError:
            return False
        return known.get("row") == self._rows[number] and set(known["files"]) == {*self._files[number], meta}

    def _stage_manifest(self, number: int) -> None:
        place = {k.removeprefix("meta/episodes/"): v for k, v in self._rows[number].items() if k.startswith("meta/")}
        files = {}
        for name, digest in {**self._files[number], EPISODES_PATH.format(**place): ""}.items():
            files[name] = {**self._hash(name), **({"part": digest} if digest else {})}
        row = self._rows[number]
        content = {"episode_index": number, "length": row["length"], "row": row, "files": files}
        self._to.commit.stage_bytes(MANIFEST_PATH.format(episode_index=number), as_json(signed(content)))

    def _hash(self, name: str) -> dict[str, Any]:
        """SHA-256 and size of a file of the result; each is read once."""
        if name not in self._hashes:
            path = self._to.commit.path_after(name)
            self._hashes[name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        return self._hashes[name]

    def _stats_of(self, number: int) -> dict[str, Any]:
        """Statistics of an episode: those it came with, its new numbers, and what was lacking."""
        part = self._parts[number]
        known = part.source.stats(part.record.index)
        own = {k for k in OWN_FEATURES if k in self.info.columns}
        # writers differ in how they nest statistics of arrays, and one table has one type: those are made anew
        unsure = own | {k for k, f in self.info.columns.items() if len(f.shape) > 1}
        lacking = [k for k, f in self.info.columns.items() if f.is_numeric and (k in unsure or k not in known)]
        table = self._rows_of(number)
        stats = {k: known[k] for k in self.info.features if k in known and k not in unsure}
        stats |= {k: describe(from_arrow(self.info.columns[k], table.column(k))) for k in lacking}
        for camera in self.info.cameras:
            if camera not in stats and camera in part.record.videos:
                length = part.record.length
                frames = np.linspace(0, length - 1, min(MAX_SAMPLED_FRAMES, length)).astype(int).tolist()
                stats[camera] = sample_frames(part.source.look(camera, part.record, frames)).summary()
        return {f"stats/{k}/{name}": v for k, values in stats.items() for name, v in values.items()}


def share_digest(part: Part, stream: str) -> str:
    """SHA-256 of an episode's share of its file, for `part` in its manifest."""
    record, source = part.record, part.source
    if stream == "data":
        return rows_digest(
            tables.read_rows_at(source.root / record.data, None, source.first_row(record), record.length)
        )
    name, first = record.videos[stream]
    with Footage(source.root / name, source.info.fps) as footage:
        return footage.digest(first, record.length)
