"""What can be wrong with a dataset, and the faults of single episodes and of the files they share. Reads only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data import tables
from wbvla.data.arrow import from_arrow, is_type
from wbvla.data.depth import DepthReader
from wbvla.data.format import DEPTH_PATH, MANIFEST_PATH, Info
from wbvla.data.manifest import read_manifest, verify_file
from wbvla.data.parts import Footage, rows_digest
from wbvla.data.pictures import decode_picture
from wbvla.data.reader import Episode
from wbvla.data.sharing import first_row, sharing
from wbvla.data.video import VideoReader

KINDS = {
    "info": "meta/info.json cannot be used",
    "interrupted": "a commit was interrupted after its point of no return",
    "tasks": "the task table cannot be used",
    "meta": "the meta row of an episode is missing or does not fit its neighbours",
    "missing": "a file is missing",
    "empty": "a file has no bytes",
    "unreadable": "a file cannot be parsed or decoded",
    "changed": "a file differs from what was committed (SHA-256)",
    "length": "a file holds another number of frames than its episodes",
    "timing": "frames of a video are not at their times, or stamps of a sensor do not rise",
    "schema": "a column or picture has another type, width or size than declared",
    "index": "a frame, episode or global index is wrong",
    "value": "a column holds values it must not",
    "manifest": "the list of hashes is missing or damaged",
    "orphan": "a file belongs to no committed episode; other readers would take it for data",
    "order": "the names of the files do not sort as their frames do; other readers would mix up episodes",
    "path": "a name leads out of the dataset",
    "contract": "meta/contract.json does not fit the columns",
    "labels": "meta/labels.json does not fit the columns",
    "totals": "the totals in info.json do not add up",
    "stats": "stats.json is missing, or was made before the last commit",
}
TOLERANCE_S = 1e-4
"""how far LeRobot lets a frame be from its time [s]"""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    kind: str
    """one of `KINDS`"""
    path: str
    """file, relative to the dataset"""
    message: str
    episode: int | None = None
    """the episode it concerns, if it is one"""

    def __str__(self) -> str:
        where = "" if self.episode is None else f" (episode {self.episode})"
        return f"{self.kind}: {self.path}{where}: {self.message}"


def file_kind(path: Path) -> str:
    """The kind of fault of a file that cannot be read."""
    if not path.is_file():
        return "missing"
    return "unreadable" if path.stat().st_size else "empty"


def leaves(name: str) -> bool:
    """Whether a relative name leads out of the folder it is relative to."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name


class Examiner:
    """Looks at episodes one by one; files that several share are read once."""

    def __init__(
        self, root: Path, info: Info, records: Mapping[int, Episode], num_tasks: int, hashes: bool, deep: bool = False
    ) -> None:
        self._root, self._info, self._num_tasks = Path(root), info, num_tasks
        self._hashes, self._deep = hashes, deep
        self._sharing = sharing(list(records.values()))
        self._wrong: dict[str, str] = {}
        """per file whose hash was compared, what is wrong with it"""
        self._numbers: dict[str, np.ndarray] = {}
        self._signed = (self._root / "meta/manifest").is_dir()

    def episode(self, record: Episode) -> list[Fault]:
        """The faults of one episode's own files and of its shares of others."""
        names = [record.data, *(name for name, _ in record.videos.values())]
        if outside := [n for n in names if leaves(n)]:
            return [
                Fault(kind="path", path=n, message="leads out of the dataset", episode=record.index) for n in outside
            ]
        faults = list(self._manifest(record))
        bad = {f.path for f in faults}
        if record.data not in bad:
            faults += self._data(record)
        for camera in record.videos:
            if record.videos[camera][0] not in bad:
                faults += self._video(record, camera)
            if self._info.features[camera].is_depth:
                faults += self._lossless(record, camera, bad)
        return faults

    def shared(self) -> list[Fault]:
        """Files that differ from what was committed although a share in them is whole; after the episodes."""
        sharers = {n: [r.index for r in records] for n, records in self._sharing.items() if len(records) > 1}
        return [
            Fault(kind="changed", path=name, message=f"{wrong}; shared by episodes {sharers[name]}")
            for name, wrong in self._wrong.items()
            if wrong and name in sharers
        ]

    def _manifest(self, record: Episode) -> Iterator[Fault]:
        """Faults by the episode's manifest; datasets made elsewhere have none, which is no fault."""
        name, index = MANIFEST_PATH.format(episode_index=record.index), record.index
        if not self._signed:
            return
        try:
            manifest = read_manifest(self._root, index)
        except DataError as error:
            yield Fault(kind="manifest", path=name, message=str(error), episode=index)
            return
        if manifest["length"] != record.length:
            message = f"{manifest['length']} frames were committed, the meta row says {record.length}"
            yield Fault(kind="length", path=name, message=message, episode=index)
        for file, facts in manifest["files"].items():
            path = self._root / file
            if leaves(file):
                yield Fault(kind="path", path=file, message="leads out of the dataset", episode=index)
            elif not path.is_file():
                yield Fault(kind="missing", path=file, message="is missing", episode=index)
            elif path.stat().st_size == 0:
                yield Fault(kind="empty", path=file, message="has no bytes", episode=index)
            elif (
                self._hashes and (wrong := self._differs(file, facts)) and not self._is_share_whole(record, file, facts)
            ):
                yield Fault(kind="changed", path=file, message=wrong, episode=index)

    def _differs(self, name: str, facts: Mapping[str, Any]) -> str:
        if name not in self._wrong:
            self._wrong[name] = verify_file(self._root, name, facts)
        return self._wrong[name]

    def _is_share_whole(self, record: Episode, name: str, facts: Mapping[str, Any]) -> bool:
        """Whether the episode's share of a damaged file is as it was committed."""
        if "part" not in facts:
            return False
        try:
            if name == record.data:
                return rows_digest(self._rows(record)) == facts["part"]
            first = next(at for file, at in record.videos.values() if file == name)
            with Footage(self._root / name, self._info.fps) as footage:
                return footage.digest(first, record.length) == facts["part"]
        except (DataError, StopIteration):
            return False

    def _rows(self, record: Episode) -> Any:
        first = first_row(record, self._sharing[record.data])
        return tables.read_rows_at(self._root / record.data, None, first, record.length)

    def _data(self, record: Episode) -> Iterator[Fault]:
        name, index, info = record.data, record.index, self._info
        path = self._root / name
        try:
            have = tables.num_rows(path)
            first, owed = first_row(record, self._sharing[name]), sum(r.length for r in self._sharing[name])
            if first + record.length > have or (have > owed and index == self._sharing[name][-1].index):
                message = f"holds {have} rows, its episodes need {owed}"
                yield Fault(kind="length", path=name, message=message, episode=index)
                return
            table = self._rows(record)
            wrong = [
                f"{k} is {table.schema.field(k).type if k in table.column_names else 'missing'}"
                for k, f in info.stored.items()
                if k not in table.column_names or not is_type(table.schema.field(k).type, f)
            ]
            if wrong:
                yield Fault(kind="schema", path=name, message="; ".join(wrong), episode=index)
                return
            columns = {k: from_arrow(f, table.column(k)) for k, f in info.columns.items()}
            for key in info.images if self._deep else ():
                shape = info.features[key].shape
                for content in from_arrow(info.features[key], table.column(key)):
                    decode_picture(content, shape)
        except (DataError, *tables.UNREADABLE) as error:
            yield Fault(kind=file_kind(path), path=name, message=str(error), episode=index)
            return
        for kind, message in _column_faults(info, record, columns, self._num_tasks):
            yield Fault(kind=kind, path=name, message=message, episode=index)

    def _video(self, record: Episode, camera: str) -> Iterator[Fault]:
        (name, first), index, info = record.videos[camera], record.index, self._info
        path, length = self._root / name, record.length
        if info.features[camera].is_depth:
            yield from self._coded_depth(record, camera)
            return
        try:
            video = VideoReader(path, info.fps)
            height, width, rate = video.facts
            if (height, width) != info.features[camera].shape[:2] or abs(rate - info.fps) > 0.01 * info.fps:
                message = f"is {height}x{width} at {rate:g} Hz, declared {info.features[camera].shape} at {info.fps} Hz"
                yield Fault(kind="schema", path=name, message=message, episode=index)
            owed = max(r.videos[camera][1] + r.length for r in self._sharing[name])
            surplus = video.num_frames > owed and index == self._sharing[name][-1].index
            if video.num_frames < first + length or surplus:
                message = f"holds {video.num_frames} frames, its episodes have {owed}"
                yield Fault(kind="length", path=name, message=message, episode=index)
            else:
                if self._hashes:
                    yield from self._times(record, camera)
                for start in range(first, first + length, 64) if self._deep else ():
                    video.read(range(start, min(start + 64, first + length)))
                video.read([first, first + length - 1])
            video.close()
        except DataError as error:
            yield Fault(kind=file_kind(path), path=name, message=str(error), episode=index)

    def _coded_depth(self, record: Episode, camera: str) -> Iterator[Fault]:
        """The 12-bit video of a depth map."""
        (name, first), length = record.videos[camera], record.length
        try:
            depth = DepthReader(self._root / name, self._info.fps)
            if depth.size != self._info.features[camera].shape[:2]:
                message = f"maps are {depth.size}, declared {self._info.features[camera].shape[:2]}"
                yield Fault(kind="schema", path=name, message=message, episode=record.index)
            if self._hashes:
                yield from self._times(record, camera)
            depth.read(range(first, first + length) if self._deep else (first, first + length - 1))
            depth.close()
        except DataError as error:
            yield Fault(kind=file_kind(self._root / name), path=name, message=str(error), episode=record.index)

    def _lossless(self, record: Episode, camera: str, bad: set[str]) -> Iterator[Fault]:
        """The lossless maps beside the 12-bit video; datasets made elsewhere have none, which is no fault."""
        name = DEPTH_PATH.format(video_key=camera, episode_index=record.index)
        if name in bad or not (self._root / name).is_file():
            return
        try:
            with Footage(self._root / name, self._info.fps) as footage:
                found = len(footage.numbers())
            depth = DepthReader(self._root / name, self._info.fps)
            found = min(found, depth.count()) if self._deep else found
            depth.close()
        except DataError as error:
            yield Fault(kind=file_kind(self._root / name), path=name, message=str(error), episode=record.index)
            return
        if found != record.length:
            message = f"holds {found} maps, the episode has {record.length} frames"
            yield Fault(kind="length", path=name, message=message, episode=record.index)

    def _times(self, record: Episode, camera: str) -> Iterator[Fault]:
        """Each frame once, at its time."""
        name, first = record.videos[camera]
        if name not in self._numbers:
            with Footage(self._root / name, self._info.fps) as footage:
                self._numbers[name] = np.sort(np.array(footage.numbers()))
        numbers = self._numbers[name][first : first + record.length]
        if len(numbers) < record.length:
            message = f"holds {len(self._numbers[name])} packets, the episode has {first}..{first + record.length}"
            yield Fault(kind="length", path=name, message=message, episode=record.index)
            return
        off = np.abs(numbers - np.arange(first, first + record.length)) / self._info.fps
        if off.max(initial=0.0) > TOLERANCE_S:
            at = int(off.argmax())
            message = f"frame {first + at} is {off[at] * 1e3:.2f} ms off its time"
            yield Fault(kind="timing", path=name, message=message, episode=record.index)


def _column_faults(
    info: Info, record: Episode, columns: Mapping[str, np.ndarray], num_tasks: int
) -> Iterator[tuple[str, str]]:
    steps = np.arange(record.length)
    expected = {"frame_index": steps, "index": record.start + steps, "episode_index": np.full_like(steps, record.index)}
    for name, values in expected.items():
        if name in columns and not np.array_equal(columns[name], values):
            at = int(np.flatnonzero(columns[name] != values)[0])
            yield "index", f"{name} is {columns[name][at]} at frame {at}, not {values[at]}"
    if np.abs(columns["timestamp"] - steps / info.fps).max(initial=0.0) > 1e-3:
        yield "index", f"timestamp is not frame_index / {info.fps}"
    task = columns["task_index"]
    if task.size and not (0 <= task.min() <= task.max() < num_tasks):
        yield "value", f"task_index reaches {task.max()}, there are {num_tasks} tasks"
    for name, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            yield "value", f"{name} holds NaN or infinity"
    stamps = columns.get("stamps")
    if stamps is not None and (np.diff(stamps.reshape(len(stamps), -1), axis=0) <= 0.0).any():
        yield "timing", "the stamps of a sensor do not rise"
    success = columns.get("success")
    if success is not None and success.dtype.kind in "iu" and not np.isin(success, (-1, 0, 1)).all():
        yield "value", "success is neither 1 (yes), 0 (no) nor -1 (unknown)"
