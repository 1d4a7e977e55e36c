"""One episode while it is recorded: checked frame by frame, encoded as it comes, committed whole or not at all.

Memory holds the columns as arrays and one frame per camera, whatever the length. What blocks: `add` encodes one frame
of each camera in the caller's thread; `commit` writes the columns, reads every file of the episode once (SHA-256) and
flushes it to the disk, so it takes as long as the disk needs for the episode's bytes.
"""

import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data import tables
from wbvla.data.buffer import ColumnBuffer
from wbvla.data.features import FAILED, STAMPS, SUCCEEDED, SUCCESS, UNKNOWN
from wbvla.data.footage import EpisodeFootage, Footage, MakeFootage
from wbvla.data.format import (
    EPISODES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    OWN_FEATURES,
    TASKS,
    TRUTH_PATH,
    Info,
    file_of,
)
from wbvla.data.journal import Commit, Disk, as_json
from wbvla.data.manifest import manifest_of, stage_info
from wbvla.data.ready import Ready, ReadyFootage
from wbvla.data.stamps import StampRules, check_stamps
from wbvla.data.stats import describe
from wbvla.data.values import check_column, check_value
from wbvla.data.video import VideoCodec
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK, Segment, language_rows, segment_columns

log = logging.getLogger(__name__)

MAX_NOTES_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a writer lends to the episode it records."""

    root: Path
    info: Info
    tasks: tuple[str, ...]
    codec: VideoCodec
    stamps: StampRules
    disk: Disk
    finish: Callable[[Commit, Info, tuple[str, ...]], None]
    """applies the commit and takes over the new info and tasks"""
    footage: MakeFootage = EpisodeFootage
    """who encodes the pictures"""


class EpisodeWriter:
    """One episode while it is recorded. Made by `DatasetWriter.episode`."""

    def __init__(self, session: Session, task: str, ready: Ready | None = None) -> None:
        """`ready`: the episode's finished videos; columns are then given to `fill`, and `add` is refused."""
        self._session, self._info, self._task = session, session.info, task
        columns = {k: f for k, f in self._info.columns.items() if k not in OWN_FEATURES}
        self._rows = {k: ColumnBuffer(f) for k, f in columns.items() if k not in (LANGUAGE, SUBTASK, SKILL)}
        self._filled: dict[str, np.ndarray] = {}
        self._task_rows: list[str] = list(ready.tasks) if ready else []
        self._truth: dict[str, np.ndarray] = {}
        self._notes: dict[str, Any] = {}
        self._segments: list[Segment] = []
        self._phrasings: dict[str, None] = {task: None}
        self._commit = Commit(session.root, session.disk)
        self._footage: Footage = (
            session.footage(self._info, self._commit, session.codec)
            if ready is None
            else ReadyFootage(self._info, self._commit, ready)
        )
        self._is_ready = ready is not None
        self._open = True

    @property
    def index(self) -> int:
        """The episode's number once committed."""
        return self._info.total_episodes

    @property
    def num_frames(self) -> int:
        """Frames added so far."""
        return len(self._task_rows)

    def add(self, frame: Mapping[str, Any], task: str = "") -> None:
        """Append one frame: every camera and every column not given to `fill`; images go to the encoder at once.

        Depth is uint16 [mm] or a floating type [m]. `task` is the instruction of this frame where it is not the
        episode's. Raises DataError on an unknown name, a wrong shape or dtype, or NaN; nothing of the frame is kept
        then.
        """
        self._require_open()
        self._require_known(frame)
        if self._is_ready:
            raise DataError("this episode came with finished videos; give its columns to `fill`")
        lacking = [c for c in self._footage.names if c not in frame]
        if lacking:
            raise DataError(f"frame {self.num_frames} lacks cameras {lacking}; it has {sorted(frame)}")
        pictures = {k: self._footage.check(k, frame[k]) for k in self._footage.names}
        rows = {k: check_value(k, self._info.features[k], v) for k, v in frame.items() if k not in pictures}
        self._footage.add(pictures)
        for name, value in rows.items():
            self._rows[name].append(value)
        self._task_rows.append(task or self._task)

    def fill(self, name: str, value: Any) -> None:
        """Give a column its value for the whole episode at once: one for all frames, or one row per frame."""
        self._require_open()
        self._require_known({name: value})
        if name in self._footage.names:
            raise DataError(f"camera {name!r} is given frame by frame, to `add`")
        self._filled[name] = np.asarray(value)

    def mark(self, success: bool | None) -> None:
        """Say whether the episode reached its goal; None = unknown."""
        self.fill(SUCCESS, UNKNOWN if success is None else SUCCEEDED if success else FAILED)

    def segment(self, start: int, end: int, text: str, skill: str = "") -> None:
        """Say what is done from frame `start` to before frame `end`; segments must not overlap (seen at commit)."""
        self._require_open()
        if SUBTASK not in self._info.features:
            raise DataError(f"this dataset has no column {SUBTASK!r}; declare it to record sub-tasks")
        self._segments.append(Segment(start=start, end=end, text=text, skill=skill))

    def add_phrasings(self, phrasings: Sequence[str]) -> None:
        """Other ways to give the episode's instruction; the first is always the task itself."""
        self._require_open()
        if LANGUAGE not in self._info.features:
            raise DataError(f"this dataset has no column {LANGUAGE!r}; declare it to record phrasings")
        for text in phrasings:
            if not text.strip():
                raise DataError("a phrasing is empty; leave it out")
            self._phrasings[text] = None

    def note(self, **facts: Any) -> None:
        """Keep free facts with the episode (who gave the instruction, whose consent, which operator), as JSON."""
        self._require_open()
        try:
            size = len(json.dumps({**self._notes, **facts}, allow_nan=False).encode())
        except (TypeError, ValueError) as error:
            raise DataError(f"notes are numbers, text, lists and mappings of them ({error})") from error
        if size > MAX_NOTES_BYTES:
            raise DataError(f"notes take {size} bytes, at most {MAX_NOTES_BYTES}; keep arrays as columns or truth")
        self._notes |= facts

    def add_truth(self, **arrays: np.ndarray) -> None:
        """Keep privileged arrays beside the dataset (truth/), for evaluation only; never policy input."""
        self._require_open()
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise DataError(f"truth array {name!r} holds Python objects; give numbers or text")
            self._truth[name] = np.asarray(array)

    def commit(self) -> int:
        """Put the episode on disk, durably and at once; returns its index.

        Raises DataError when it is incomplete (it can be completed and committed then), when its capture times do
        not fit the dataset's rate, or when the disk fails.
        """
        self._require_open()
        columns = self._columns()
        self._open, staged = False, False
        try:
            self._footage.close()
            info, tasks = self._stage(columns)
            staged = True
        except OSError as error:
            raise DataError(f"{self._session.root}: the episode cannot be written ({error})") from error
        finally:
            if not staged:
                self._commit.abandon()
        self._session.finish(self._commit, info, tasks)
        return self.index

    def discard(self) -> None:
        """Forget the episode; does nothing once it is committed."""
        if self._open:
            self._open = False
            self._footage.abandon()
            self._commit.abandon()
            log.info("%s: an episode of %d frames was discarded", self._session.root, self.num_frames)

    def _require_open(self) -> None:
        if not self._open:
            raise DataError("this episode is over; start another with `writer.episode(...)`")

    def _require_known(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self._info.features or name in OWN_FEATURES:
                known = [k for k in self._info.features if k not in OWN_FEATURES]
                raise DataError(f"no feature {name!r} in this dataset; it records {', '.join(known)}")
            if name in (LANGUAGE, SUBTASK, SKILL):
                raise DataError(f"{name!r} is given by `segment` and `add_phrasings`")

    def _columns(self) -> dict[str, np.ndarray]:
        """The recorded columns of the whole episode; raises DataError on a gap or on capture times that do not fit."""
        length = self.num_frames
        if length == 0:
            raise DataError("an episode needs at least one frame; add frames before commit")
        columns: dict[str, np.ndarray] = {}
        for name, rows in self._rows.items():
            if name in self._filled:
                columns[name] = check_column(name, self._info.features[name], self._filled[name], length)
            elif len(rows) == length:
                columns[name] = rows.values()
            else:
                raise DataError(f"{name!r} has {len(rows)} of {length} frames; give it in each `add`, or to `fill`")
        if STAMPS in columns:
            feature, times = self._info.features[STAMPS], columns[STAMPS].reshape(length, -1)
            names = feature.names or [str(i) for i in range(times.shape[1])]
            for warning in check_stamps(times, names, self._info.fps, self._session.stamps):
                log.warning("%s, episode %d: %s", self._session.root, self.index, warning)
        return columns | self._words(length)

    def _words(self, length: int) -> dict[str, np.ndarray]:
        """The language columns that the dataset has."""
        columns = segment_columns(self._segments, length)
        rows = language_rows(list(self._phrasings), self._segments, self._info.fps)
        columns[LANGUAGE] = np.empty(length, dtype=object)
        columns[LANGUAGE][:] = [rows] * length
        return {name: column for name, column in columns.items() if name in self._info.features}

    def _stage(self, columns: Mapping[str, np.ndarray]) -> tuple[Info, tuple[str, ...]]:
        """Stage truth, notes, tasks, data, meta row, manifest and info.json, in this order."""
        commit, where = self._commit, file_of(self.index, self._info.chunks_size)
        if self._truth:
            content = io.BytesIO()
            np.savez_compressed(content, allow_pickle=False, **self._truth)
            commit.stage_bytes(TRUTH_PATH.format(episode_index=self.index), content.getvalue())
        if self._notes:
            commit.stage_bytes(NOTES_PATH.format(episode_index=self.index), as_json(self._notes))
        owned = commit.staged()
        tasks = tuple(dict.fromkeys([*self._session.tasks, *self._task_rows]))
        tables.write_tasks(commit.stage(TASKS), tasks)
        columns = {**columns, **own_columns(self._info, self.num_frames, self._task_rows, tasks)}
        name = self._info.data_path.format(**where)
        tables.write_frames(commit.stage(name), self._info, columns)
        owned += commit.staged()[-1:]
        stats = {k: describe(columns[k]) for k, f in self._info.columns.items() if f.is_numeric}
        row = episode_row(self._info, self._task_rows, stats | self._footage.summaries())
        tables.write_episode(commit.stage(EPISODES_PATH.format(**where)), row)
        owned += commit.staged()[-1:]
        manifest = manifest_of(self.index, self.num_frames, owned, row)
        commit.stage_bytes(MANIFEST_PATH.format(episode_index=self.index), as_json(manifest))
        info = grown(self._info, self.num_frames, len(tasks))
        stage_info(commit, info)
        return info, tasks


def grown(info: Info, length: int, num_tasks: int) -> Info:
    """info.json after one more episode of `length` frames."""
    return replace(
        info,
        total_episodes=info.total_episodes + 1,
        total_frames=info.total_frames + length,
        total_tasks=num_tasks,
    )


def own_columns(info: Info, length: int, task_rows: list[str], tasks: tuple[str, ...]) -> dict[str, np.ndarray]:
    """`OWN_FEATURES` of the next episode of a dataset that so far is as `info` says."""
    steps = np.arange(length, dtype=np.int64)
    return {
        "timestamp": (steps / info.fps).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(length, info.total_episodes, dtype=np.int64),
        "index": info.total_frames + steps,
        "task_index": np.array([tasks.index(t) for t in task_rows], dtype=np.int64),
    }


def episode_row(info: Info, task_rows: list[str], stats: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The meta row of the next episode of a dataset that so far is as `info` says, in LeRobot's column names."""
    index, length, first = info.total_episodes, len(task_rows), info.total_frames
    where = file_of(index, info.chunks_size)
    row: dict[str, Any] = {
        "episode_index": index,
        "tasks": list(dict.fromkeys(task_rows)),
        "length": length,
        "data/chunk_index": where["chunk_index"],
        "data/file_index": where["file_index"],
        "dataset_from_index": first,
        "dataset_to_index": first + length,
    }
    for camera in (k for k, f in info.features.items() if f.is_video):
        row |= {f"videos/{camera}/{k}": v for k, v in where.items()}
        row[f"videos/{camera}/from_timestamp"] = 0.0
        row[f"videos/{camera}/to_timestamp"] = length / info.fps
    row |= {f"stats/{k}/{name}": v for k, values in stats.items() for name, v in values.items()}
    return row | {f"meta/episodes/{k}": v for k, v in where.items()}
