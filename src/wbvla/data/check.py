"""Every fault of a dataset, named: what is wrong, where, in which episode. Reads only."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.arrow import is_type
from wbvla.data.format import INFO, MANIFEST_PATH, SEAL, STATS, TASKS, Info, read_info
from wbvla.data.journal import pending
from wbvla.data.manifest import read_manifest, read_seal, verify_file
from wbvla.data.reader import Dataset, Episode, episode_from_row
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
    "length": "a file holds another number of frames than its episode",
    "schema": "a column or picture has another type, width or size than declared",
    "index": "a frame, episode or global index is wrong",
    "value": "a column holds values it must not",
    "manifest": "the list of hashes is missing or damaged",
    "orphan": "a file belongs to no committed episode; other readers would take it for data",
    "totals": "the totals in info.json do not add up",
    "stats": "stats.json is missing, or was made before the last commit",
}


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


def check(root: Path, hashes: bool = True) -> list[Fault]:
    """All faults of a dataset; empty when it is sound. Without `hashes` files are opened but not read in full."""
    root = Path(root)
    faults = list(_journal(root))
    try:
        info = read_info(root)
    except DataError as error:
        return [*faults, Fault(kind="info", path=INFO, message=str(error))]
    faults += _seal(root)
    tasks, found = _tasks(root, info)
    faults += found
    rows, found = read_meta(root, info)
    faults += found
    for index in range(info.total_episodes):
        if index in rows:
            faults += check_episode(root, info, rows[index], len(tasks), hashes)
    faults += _totals(info, rows)
    faults += [
        Fault(kind="orphan", path=name, message="belongs to no committed episode") for name in orphans(root, info, rows)
    ]
    return faults + list(_stats(root, info))


def read_meta(root: Path, info: Info) -> tuple[dict[int, Episode], list[Fault]]:
    """The episodes whose meta row can be read, and what is wrong with the others."""
    rows: dict[int, Episode] = {}
    faults: list[Fault] = []
    for path in tables.episode_files(root):
        name = str(path.relative_to(root))
        try:
            records = [episode_from_row(row, info) for row in tables.read_rows(path)]
        except DataError as error:
            faults.append(Fault(kind=_file_kind(path), path=name, message=str(error)))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(Fault(kind="meta", path=name, message=f"lacks {error}"))
        else:
            rows |= {r.index: r for r in records if r.index < info.total_episodes}
    for index in range(info.total_episodes):
        if index not in rows:
            message = "no readable meta row"
            faults.append(Fault(kind="meta", path="meta/episodes", message=message, episode=index))
    return rows, faults


def check_episode(root: Path, info: Info, record: Episode, num_tasks: int, hashes: bool) -> list[Fault]:
    """The faults of one episode's own files."""
    faults = list(_manifest(root, record, hashes))
    bad = {f.path for f in faults}
    data = data_name(info, record)
    if data not in bad:
        faults += _data(root, info, record, num_tasks)
    for camera in info.videos:
        name = video_name(info, record, camera)
        if name not in bad:
            faults += _video(root, info, record, camera)
    return faults


def data_name(info: Info, record: Episode) -> str:
    """The episode's parquet, relative to the dataset."""
    return record.data


def video_name(info: Info, record: Episode, camera: str) -> str:
    """The episode's mp4 of a camera, relative to the dataset."""
    return record.videos[camera][0]


def orphans(root: Path, info: Info, rows: Mapping[int, Episode]) -> list[str]:
    """Files in the folders of episodes that no committed episode owns."""
    owned = {data_name(info, r) for r in rows.values()}
    owned |= {video_name(info, r, camera) for r in rows.values() for camera in info.videos}
    count = info.total_episodes
    owned |= {MANIFEST_PATH.format(episode_index=i) for i in range(count)}
    numbered = {f"episode_{i:06d}" for i in range(count)}
    found: list[str] = []
    for pattern in ("data/**/*.parquet", "videos/**/*.mp4", "meta/manifest/*.json", "truth/*.npz"):
        for path in sorted(Path(root).glob(pattern)):
            name = str(path.relative_to(root))
            if name not in owned and not (name.startswith("truth/") and path.stem in numbered):
                found.append(name)
    for path in tables.episode_files(root):
        try:
            indices = [row["episode_index"] for row in tables.read_rows(path)]
        except (DataError, KeyError):
            continue
        if indices and min(indices) >= count:
            found.append(str(path.relative_to(root)))
    return found


def _file_kind(path: Path) -> str:
    if not path.is_file():
        return "missing"
    return "unreadable" if path.stat().st_size else "empty"


def _journal(root: Path) -> Iterator[Fault]:
    path = ".staging/journal.json"
    try:
        kind = pending(root)
    except DataError as error:
        yield Fault(kind="unreadable", path=path, message=str(error))
        return
    if kind:
        yield Fault(kind="interrupted", path=path, message="a commit is not finished; repair or a writer finishes it")


def _seal(root: Path) -> Iterator[Fault]:
    """Faults of the dataset's own files; datasets made elsewhere have no seal, which is no fault."""
    if not (root / "meta/manifest").is_dir():
        return
    try:
        seal = read_seal(root)
    except DataError as error:
        yield Fault(kind="manifest", path=SEAL, message=str(error))
        return
    if json.loads((root / INFO).read_bytes()) != seal["info"]:
        yield Fault(kind="info", path=INFO, message="differs from what was sealed at the last commit")
    for name, digest in seal["files"].items():
        if not (root / name).is_file():
            yield Fault(kind="missing", path=name, message="is missing")
        elif sha256_of(root / name) != digest:
            yield Fault(kind="changed", path=name, message="differs from its committed SHA-256")


def _tasks(root: Path, info: Info) -> tuple[list[str], list[Fault]]:
    try:
        tasks = tables.read_tasks(Path(root) / TASKS)
    except DataError as error:
        return [], [Fault(kind="tasks", path=TASKS, message=str(error))]
    if len(tasks) != info.total_tasks:
        message = f"holds {len(tasks)} tasks, info.json says {info.total_tasks}"
        return tasks, [Fault(kind="tasks", path=TASKS, message=message)]
    return tasks, []


def _totals(info: Info, rows: Mapping[int, Episode]) -> Iterator[Fault]:
    at = 0
    for index in range(info.total_episodes):
        if index not in rows:
            return
        if rows[index].start != at:
            message = f"starts at frame {rows[index].start}, the episodes before it end at {at}"
            yield Fault(kind="meta", path="meta/episodes", message=message, episode=index)
        at = rows[index].start + rows[index].length
    if at != info.total_frames:
        message = f"total_frames is {info.total_frames}, the episodes have {at}"
        yield Fault(kind="totals", path=INFO, message=message)


def _stats(root: Path, info: Info) -> Iterator[Fault]:
    if info.total_frames == 0:
        return
    try:
        stats: dict[str, Any] = Dataset.read_json(root, STATS)
        count = stats["index"]["count"][0]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        yield Fault(kind="stats", path=STATS, message=f"missing or unusable ({error!r})")
        return
    if count != info.total_frames:
        yield Fault(kind="stats", path=STATS, message=f"made over {count} of {info.total_frames} frames")


def _manifest(root: Path, record: Episode, hashes: bool) -> Iterator[Fault]:
    """Faults by the episode's manifest; datasets made elsewhere have none, which is no fault."""
    name, index = MANIFEST_PATH.format(episode_index=record.index), record.index
    if not (Path(root) / "meta/manifest").is_dir():
        return
    try:
        manifest = read_manifest(root, index)
    except DataError as error:
        yield Fault(kind="manifest", path=name, message=str(error), episode=index)
        return
    if manifest["length"] != record.length:
        message = f"{manifest['length']} frames were committed, the meta row says {record.length}"
        yield Fault(kind="length", path=name, message=message, episode=index)
    for file, facts in manifest["files"].items():
        path = Path(root) / file
        if not path.is_file():
            yield Fault(kind="missing", path=file, message="is missing", episode=index)
        elif path.stat().st_size == 0:
            yield Fault(kind="empty", path=file, message="has no bytes", episode=index)
        elif (wrong := verify_file(root, file, facts)) if hashes else "":
            yield Fault(kind="changed", path=file, message=wrong, episode=index)


def _data(root: Path, info: Info, record: Episode, num_tasks: int) -> Iterator[Fault]:
    name, index = data_name(info, record), record.index
    path = Path(root) / name
    try:
        table = tables.read_table(path)
        wrong = [
            f"{k} is {table.schema.field(k).type if k in table.column_names else 'missing'}"
            for k, f in info.stored.items()
            if k not in table.column_names or not is_type(table.schema.field(k).type, f)
        ]
        if wrong:
            yield Fault(kind="schema", path=name, message="; ".join(wrong), episode=index)
            return
        first = record.start - tables.first_index(path)
        if not 0 <= first <= first + record.length <= table.num_rows:
            kind = "index" if table.num_rows == record.length else "length"
            message = f"holds {table.num_rows} rows, the episode needs {first}..{first + record.length}"
            yield Fault(kind=kind, path=name, message=message, episode=index)
            return
        columns = tables.read_frames(path, info.columns, first, record.length)
    except DataError as error:
        yield Fault(kind=_file_kind(path), path=name, message=str(error), episode=index)
        return
    for kind, message in _column_faults(info, record, columns, num_tasks):
        yield Fault(kind=kind, path=name, message=message, episode=index)


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


def _video(root: Path, info: Info, record: Episode, camera: str) -> Iterator[Fault]:
    name, index = video_name(info, record, camera), record.index
    first, path = record.videos[camera][1], Path(root) / name
    try:
        video = VideoReader(path, info.fps)
        height, width, rate = video.facts
        if (height, width, 3) != info.features[camera].shape or abs(rate - info.fps) > 0.01 * info.fps:
            message = f"is {height}x{width} at {rate:g} Hz, declared {info.features[camera].shape} at {info.fps} Hz"
            yield Fault(kind="schema", path=name, message=message, episode=index)
        surplus = _owns_file(root, record) and video.num_frames != record.length
        if video.num_frames < first + record.length or surplus:
            message = f"holds {video.num_frames} frames, the episode has {first}..{first + record.length}"
            yield Fault(kind="length", path=name, message=message, episode=index)
        else:
            video.read([first, first + record.length - 1])
        video.close()
    except DataError as error:
        yield Fault(kind=_file_kind(path), path=name, message=str(error), episode=index)


def _owns_file(root: Path, record: Episode) -> bool:
    """Whether each episode has a file of its own, as this package writes them."""
    return (Path(root) / MANIFEST_PATH.format(episode_index=record.index)).is_file()
