"""Keep every valid episode: damaged ones go to quarantine/, the others close ranks, in one commit, in any layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.carry import Carrier, Target
from wbvla.data.check import find_meta, read_meta
from wbvla.data.dataset_stats import refresh_stats
from wbvla.data.faults import Examiner, Fault
from wbvla.data.format import (
    CONTRACT,
    DATA_PATH,
    EPISODES_PATH,
    LABELS,
    TASKS,
    VIDEO_PATH,
    Info,
    file_of,
    read_info,
)
from wbvla.data.journal import JOURNAL, REPLACE, STAGING, Commit, Disk, lock, recover
from wbvla.data.manifest import read_manifest, read_seal
from wbvla.data.reader import Episode
from wbvla.data.rearrange import QUARANTINE, files_of_episodes
from wbvla.data.sharing import Layout, Part, Source, first_row, sharing

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


def repair(root: Path, disk: Disk | None = None) -> Repair:
    """Finish or remove an interrupted commit, then drop what is damaged; episodes that are sound stay as they are.

    Where several episodes share a file, only those are dropped whose own share is damaged. Raises DataError when
    neither info.json nor its seal can be read.
    """
    root, disk = Path(root), disk or Disk()
    with lock(root):
        _recover(root, disk)
        info = _info(root)
        records, dropped = _records(root, info)
        tasks = _tasks(root, info, records)
        examiner = Examiner(root, info, records, len(tasks), hashes=True)
        kept: list[Episode] = []
        faults: list[Fault] = []
        for index, record in sorted(records.items()):
            found = examiner.episode(record)
            faults += found
            fatal = [f for f in found if f.path.startswith(("data/", "videos/")) or f.kind == "path"]
            if fatal:
                dropped[index] = "; ".join(str(f) for f in fatal)
            else:
                kept.append(record if record.tasks else replace(record, tasks=_words(root, record, records, tasks)))
        distrusted = frozenset(f.path for f in [*faults, *examiner.shared()])
        source = Source(root=root, info=info, tasks=tasks, episodes=list(records.values()))
        quarantined = _replace(source, kept, distrusted, disk)
        if kept:
            refresh_stats(root, disk)
    return Repair(kept=len(kept), dropped=dict(sorted(dropped.items())), quarantined=quarantined)


def _recover(root: Path, disk: Disk) -> None:
    """As on opening; a journal that cannot be followed is set aside with all that was staged."""
    try:
        recover(root, disk)
    except DataError:
        folder = root / _fresh(root)
        for path in sorted((root / STAGING).glob("[0-9]*")):
            disk.move(path, folder / STAGING / path.name)
        disk.move(root / STAGING / JOURNAL, folder / STAGING / JOURNAL)
        recover(root, disk)


def _fresh(root: Path) -> str:
    """A folder of quarantine/ that is not there yet."""
    taken = len(list((root / QUARANTINE).glob("*"))) if (root / QUARANTINE).is_dir() else 0
    return f"{QUARANTINE}/{taken:03d}"


def _info(root: Path) -> Info:
    """The sealed info.json where the seal is whole, else info.json itself."""
    try:
        return Info.from_json(read_seal(root)["info"])
    except DataError:
        return read_info(root)


def _records(root: Path, info: Info) -> tuple[dict[int, Episode], dict[int, str]]:
    """Where every episode lies: by its manifest, by its meta row, or by its own parquet whose place is known."""
    rows, _ = read_meta(root, info)
    records: dict[int, Episode] = {}
    dropped: dict[int, str] = {}
    for index in range(info.total_episodes):
        found = find_meta(root, info, index)
        if found is None and index in rows and not _is_meta_damaged(root, index, rows[index]):
            found = rows[index]
        if found is None:
            try:
                found = _placed(root, info, index)
            except (DataError, IndexError) as error:
                dropped[index] = f"neither its meta row nor its data can be read: {error}"
                continue
        records[index] = found
    return records, dropped


def _is_meta_damaged(root: Path, index: int, record: Episode) -> bool:
    """Whether a manifest that holds no meta row contradicts the one in the meta file."""
    try:
        manifest = read_manifest(root, index)
    except DataError:
        return False
    name = EPISODES_PATH.format(**file_of(index))
    facts = manifest["files"].get(name)
    changed = facts is not None and (not (root / name).is_file() or sha256_of(root / name) != facts["sha256"])
    return changed or manifest["length"] != record.length


def _placed(root: Path, info: Info, index: int) -> Episode:
    """An episode in files of its own, by its number alone."""
    place = file_of(index, info.chunks_size)
    data = DATA_PATH.format(**place)
    column = tables.read_table(root / data, ["index", "episode_index"])
    if set(column.column("episode_index").to_pylist()) != {index}:
        raise DataError(f"{data} does not hold episode {index} alone")
    return Episode(
        index=index,
        length=len(column),
        start=int(column.column("index")[0].as_py()),
        tasks=(),
        data=data,
        videos={c: (VIDEO_PATH.format(video_key=c, **place), 0) for c in info.videos},
    )


def _used(root: Path, record: Episode, records: Mapping[int, Episode]) -> list[int]:
    """Task numbers an episode uses, in order of appearance."""
    first = first_row(record, sharing(list(records.values()))[record.data])
    table = tables.read_rows_at(root / record.data, ["task_index"], first, record.length)
    return list(dict.fromkeys(table.column("task_index").to_pylist()))


def _words(root: Path, record: Episode, records: Mapping[int, Episode], tasks: Sequence[str]) -> tuple[str, ...]:
    return tuple(tasks[i] for i in _used(root, record, records))


def _tasks(root: Path, info: Info, records: Mapping[int, Episode]) -> list[str]:
    """The task table or, where it is lost, what the episodes say of it."""
    try:
        sealed = read_seal(root)["files"].get(TASKS)
        intact = (root / TASKS).is_file() and (sealed is None or sealed == sha256_of(root / TASKS))
    except DataError:
        intact = True
    try:
        if intact and (tasks := tables.read_tasks(root / TASKS)):
            return tasks
    except DataError:
        pass  # the episodes tell below what the table held
    known: dict[int, str] = {}
    for record in records.values():
        try:
            known |= dict(zip(_used(root, record, records), record.tasks))
        except (DataError, KeyError):
            continue
    count = max(info.total_tasks, max(known, default=-1) + 1)
    return [known.get(i, LOST_TASK if i + 1 == count else f"{LOST_TASK} ({i})") for i in range(count)]


def _replace(source: Source, kept: Sequence[Episode], distrusted: frozenset[str], disk: Disk) -> tuple[str, ...]:
    """One commit that leaves exactly the good episodes; returns what went to quarantine."""
    root = source.root
    commit, moved = Commit(root, disk, REPLACE), list[str]()
    target = Target(commit=commit, layout=Layout(kind="keep"), info=source.info, home=root, distrusted=distrusted)
    with commit.whole():
        _restore_words(root, commit)
        carrier = Carrier([Part(source=source, record=r) for r in kept], target, [source])
        carrier.stage()
        present = set(files_of_episodes(root))
        new = {name for name, _ in commit.staged()}
        for name in sorted(present - carrier.names):
            commit.remove(name)
        folder = _fresh(root)
        for name in sorted(((present - carrier.names) | (present & new)) - _safe(source, kept, distrusted)):
            if not name.startswith("meta/"):
                commit.stage_link(f"{folder}/{name}", root / name)
                moved.append(name)
    return tuple(moved)


def _safe(source: Source, kept: Sequence[Episode], distrusted: frozenset[str]) -> set[str]:
    """Files whose whole content is carried on."""
    good = {r.index for r in kept}
    safe = {name for name, sharers in source.sharing.items() if all(r.index in good for r in sharers)}
    return safe | {name for r in kept for name in source.side_files(r.index).values() if name not in distrusted}


def _restore_words(root: Path, commit: Commit) -> None:
    """Contract and labels from the seal where their files differ from it; what can only be guessed goes."""
    try:
        seal = read_seal(root)
    except DataError:
        return
    for name, text in seal.get("texts", {}).items():
        if not (root / name).is_file() or sha256_of(root / name) != seal["files"][name]:
            commit.stage_bytes(name, text.encode())
    for name in (CONTRACT, LABELS):
        if (root / name).is_file() and name not in seal["files"]:
            commit.remove(name)
