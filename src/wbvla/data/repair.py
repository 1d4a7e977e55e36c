"""Keep every valid episode: damaged ones go to quarantine/, the others close ranks, in one commit.

Works on datasets of one file per episode and camera, as this package writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data import tables
from wbvla.data.check import Fault, check_episode, data_name, orphans, read_meta, video_name
from wbvla.data.dataset_stats import refresh_stats, sample_frames
from wbvla.data.episode import episode_row, grown, own_columns
from wbvla.data.format import EPISODES_PATH, MANIFEST_PATH, TASKS, TRUTH_PATH, Info, file_of, read_info
from wbvla.data.journal import JOURNAL, REPLACE, STAGING, Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import manifest_of, read_seal, stage_info
from wbvla.data.reader import Episode
from wbvla.data.stats import describe
from wbvla.data.video import VideoReader

QUARANTINE = "quarantine"
"""folder for what was taken out; no reader looks there"""
LOST_TASK = "instruction lost"


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What a repair did."""

    kept: int
    """episodes in the dataset now"""
    dropped: Mapping[int, str]
    """episodes taken out, by their old number, and why"""
    quarantined: tuple[str, ...]
    """files that were moved to quarantine/, by their old names"""


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A valid episode and what of it needs to be written anew."""

    record: Episode
    sound: bool
    """nothing at all is wrong with it"""
    has_truth: bool
    """its truth file is there and undamaged"""


def repair(root: Path, disk: Disk | None = None) -> Repair:
    """Finish or remove an interrupted commit, then drop what is damaged; episodes that are sound stay as they are.

    Raises DataError when neither info.json nor its seal can be read.
    """
    root, disk = Path(root), disk or Disk()
    with lock(root):
        _recover(root, disk)
        info = _info(root)
        rows, dropped = _rows(root, info)
        tasks = _tasks(root, info, rows)
        kept: list[_Kept] = []
        for index, record in sorted(rows.items()):
            faults = check_episode(root, info, record, len(tasks), hashes=True)
            fatal = [f for f in faults if f.path.startswith(("data/", "videos/"))]
            if fatal:
                dropped[index] = "; ".join(str(f) for f in fatal)
            else:
                kept.append(_judged(root, record, faults))
        commit = Commit(root, disk, REPLACE)
        result = _Rewrite(root, info, kept, tuple(tasks), commit).run(dropped)
        if result.kept:
            refresh_stats(root, disk)
    return result


def _judged(root: Path, record: Episode, faults: list[Fault]) -> _Kept:
    truth = TRUTH_PATH.format(episode_index=record.index)
    intact = (root / truth).is_file() and not any(f.path == truth for f in faults)
    return _Kept(record=record, sound=not faults and bool(record.tasks), has_truth=intact)


def _recover(root: Path, disk: Disk) -> None:
    """As on opening; a journal that cannot be followed is set aside, whole episodes are found without it."""
    try:
        recover(root, disk)
    except DataError:
        (root / QUARANTINE).mkdir(exist_ok=True)
        disk.move(root / STAGING / JOURNAL, root / QUARANTINE / JOURNAL)
        recover(root, disk)


def _info(root: Path) -> Info:
    """The sealed info.json where the seal is whole, else info.json itself."""
    try:
        return Info.from_json(read_seal(root)["info"])
    except DataError:
        return read_info(root)


def _rows(root: Path, info: Info) -> tuple[dict[int, Episode], dict[int, str]]:
    """Meta rows; a lost or changed one is derived from the episode's own parquet, whose place is known."""
    rows, _ = read_meta(root, info)
    if any(first for r in rows.values() for _, first in r.videos.values()):
        raise DataError(f"{root} keeps several episodes in one file; repair works on datasets of this writer")
    for index, record in list(rows.items()):
        name = EPISODES_PATH.format(**file_of(index))
        found = check_episode(root, info, record, 1 << 40, hashes=True)
        if any(f.path == name or f.kind == "length" for f in found):
            del rows[index]
    dropped: dict[int, str] = {}
    for index in range(info.total_episodes):
        if index in rows:
            continue
        place = _placed(index, info)
        try:
            column = tables.read_table(root / data_name(info, place), ["index"]).column("index")
            rows[index] = replace(place, length=len(column), start=int(column[0].as_py()))
        except (DataError, IndexError) as error:
            dropped[index] = f"neither its meta row nor its data can be read: {error}"
    return rows, dropped


def _placed(index: int, info: Info) -> Episode:
    """Where the files of an episode are, by its number alone."""
    where = file_of(index)
    return Episode(
        index=index,
        length=0,
        start=0,
        tasks=(),
        data=info.data_path.format(**where),
        videos={key: (info.video_path.format(video_key=key, **where), 0) for key in info.videos},
    )


def _tasks(root: Path, info: Info, rows: Mapping[int, Episode]) -> list[str]:
    """The task table or, where it is lost, what the meta rows of the episodes say of it."""
    try:
        if tasks := tables.read_tasks(root / TASKS):
            return tasks
    except DataError:
        pass
    known: dict[int, str] = {}
    column = {"task_index": info.features["task_index"]}
    for record in rows.values():
        try:
            used = tables.read_frames(root / data_name(info, record), column, 0, record.length)["task_index"]
        except DataError:
            continue
        known |= dict(zip(dict.fromkeys(used.tolist()), record.tasks))
    return [known.get(i, LOST_TASK) for i in range(max(known, default=-1) + 1)]


class _Rewrite:
    """One commit that leaves exactly the good episodes, numbered from 0 without gaps."""

    def __init__(self, root: Path, info: Info, kept: list[_Kept], tasks: tuple[str, ...], commit: Commit) -> None:
        self._root, self._old, self._kept, self._tasks, self._commit = root, info, kept, tasks, commit
        self._info = replace(info, total_episodes=0, total_frames=0, total_tasks=len(tasks))
        self._quarantined: list[str] = []
        taken = len(list((root / QUARANTINE).glob("*"))) if (root / QUARANTINE).is_dir() else 0
        self._folder = f"{QUARANTINE}/{taken:03d}"

    def run(self, dropped: Mapping[int, str]) -> Repair:
        staged = False
        try:
            for episode in self._kept:
                self._keep(episode)
            self._set_aside()
            tables.write_tasks(self._commit.stage(TASKS), self._tasks)
            stage_info(self._commit, self._info)
            staged = True
        finally:
            if not staged:
                self._commit.abandon()
        self._commit.apply()
        count = self._info.total_episodes
        return Repair(kept=count, dropped=dict(dropped), quarantined=tuple(self._quarantined))

    def _keep(self, episode: _Kept) -> None:
        """Stage one episode under its new number; its videos are linked, its tables written anew."""
        record, info = episode.record, self._info
        index, where = info.total_episodes, file_of(info.total_episodes)
        if episode.sound and (record.index, record.start) == (index, info.total_frames):
            self._info = grown(info, record.length, len(self._tasks))
            return
        data = self._root / data_name(self._old, record)
        columns = tables.read_frames(data, self._old.columns, 0, record.length)
        words = [self._tasks[i] for i in columns["task_index"]]
        columns |= own_columns(info, record.length, words, self._tasks)
        stats = {k: describe(columns[k]) for k, f in info.columns.items() if f.is_numeric}
        stats |= self._camera_stats(record)
        owned = self._link(episode)
        name = info.data_path.format(**where)
        tables.write_frames(self._commit.stage(name), info, columns)
        owned.append((name, self._commit.path_after(name)))
        name = EPISODES_PATH.format(**where)
        tables.write_episode(self._commit.stage(name), episode_row(info, words, stats))
        owned.append((name, self._commit.path_after(name)))
        manifest = manifest_of(index, record.length, owned)
        self._commit.stage_bytes(MANIFEST_PATH.format(episode_index=index), as_json(manifest))
        self._info = grown(info, record.length, len(self._tasks))

    def _link(self, episode: _Kept) -> list[tuple[str, Path]]:
        """Stage videos and truth under their new names where those differ; returns new names and present paths."""
        record, index = episode.record, self._info.total_episodes
        names = {
            video_name(self._old, record, c): video_name(self._info, _placed(index, self._info), c)
            for c in self._info.videos
        }
        if episode.has_truth:
            names[TRUTH_PATH.format(episode_index=record.index)] = TRUTH_PATH.format(episode_index=index)
        for old, new in names.items():
            if old != new:
                self._commit.stage_link(new, self._root / old)
        return [(new, self._root / old) for old, new in names.items()]

    def _camera_stats(self, record: Episode) -> dict[str, dict[str, Any]]:
        """From a few frames of each camera."""
        result = {}
        for camera in self._info.cameras:
            video = VideoReader(self._root / video_name(self._old, record, camera), self._info.fps)
            numbers = np.linspace(0, record.length - 1, min(10, record.length)).astype(int)
            result[camera] = sample_frames(video.read([int(i) for i in numbers])).summary()
            video.close()
        return result

    def _set_aside(self) -> None:
        """Old names without an owner vanish; what no kept episode holds is kept in quarantine first."""
        good = [self._owned(e.record, e.has_truth) for e in self._kept]
        safe = {name for names in good for name in names}
        count = self._info.total_episodes
        placed = {i: _placed(i, self._info) for i in range(count)}
        loose = set(orphans(self._root, self._info, placed))
        kept_meta = {EPISODES_PATH.format(**file_of(i)) for i in range(count)}
        present = (str(p.relative_to(self._root)) for p in tables.episode_files(self._root))
        loose |= {name for name in present if name not in kept_meta}
        new = {name for name, _ in self._commit.staged()}
        truths = {TRUTH_PATH.format(episode_index=e.record.index) for e in self._kept if not e.has_truth}
        stale = {name for name in truths if (self._root / name).is_file() and name not in new}
        for name in sorted(loose | stale):
            self._commit.remove(name)
        for name in sorted((loose | stale | new) - safe):
            if (self._root / name).is_file() and name.startswith(("data/", "videos/", "truth/")):
                self._commit.stage_link(f"{self._folder}/{name}", self._root / name)
                self._quarantined.append(name)

    def _owned(self, record: Episode, has_truth: bool) -> list[str]:
        names = [data_name(self._old, record)]
        names += [video_name(self._old, record, c) for c in self._info.videos]
        return [*names, TRUTH_PATH.format(episode_index=record.index)] if has_truth else names
