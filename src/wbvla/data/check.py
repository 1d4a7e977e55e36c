"""Every fault of a dataset, named: what is wrong, where, in which episode. Reads only."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.faults import KINDS, Examiner, Fault, file_kind, leaves
from wbvla.data.format import CONTRACT, INFO, LABELS, MANIFEST_PATH, SEAL, SIDE_PATHS, STATS, TASKS, Info, read_info
from wbvla.data.journal import pending
from wbvla.data.manifest import read_manifest, read_seal
from wbvla.data.reader import Dataset, Episode, episode_from_row
from wbvla.data.sharing import sharing

__all__ = ["KINDS", "Fault", "check", "find_meta", "orphans", "read_meta"]

LATENT = "latent."
"""columns under this prefix are codes of a model and need a source in labels.json"""


def check(root: Path, hashes: bool = True, deep: bool = False) -> list[Fault]:
    """All faults of a dataset; empty when it is sound.

    Without `hashes` files are opened but not read in full; with `deep` every frame of every video is decoded.
    """
    root = Path(root)
    faults = list(_journal(root))
    try:
        info = read_info(root)
    except DataError as error:
        return [*faults, Fault(kind="info", path=INFO, message=str(error))]
    if outside := list(_paths(info)):
        return [*faults, *outside]
    faults += _seal(root)
    tasks, found = _tasks(root, info)
    faults += found
    rows, found = read_meta(root, info)
    faults += found
    examiner = Examiner(root, info, rows, len(tasks), hashes, deep)
    for index in sorted(rows):
        faults += examiner.episode(rows[index])
    faults += examiner.shared()
    faults += _totals(info, rows)
    faults += _order(rows)
    faults += [
        Fault(kind="orphan", path=name, message="belongs to no committed episode") for name in orphans(root, info, rows)
    ]
    return [*faults, *_words(root, info), *_stats(root, info)]


def read_meta(root: Path, info: Info) -> tuple[dict[int, Episode], list[Fault]]:
    """The episodes whose meta row can be read, and what is wrong with the others."""
    rows: dict[int, Episode] = {}
    faults: list[Fault] = []
    for path in tables.episode_files(root):
        name = str(path.relative_to(root))
        try:
            records = [episode_from_row(row, info) for row in tables.read_rows(path)]
        except DataError as error:
            faults.append(Fault(kind=file_kind(path), path=name, message=str(error)))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(Fault(kind="meta", path=name, message=f"lacks {error}"))
        else:
            rows |= {r.index: r for r in records if 0 <= r.index < info.total_episodes}
    for index in range(info.total_episodes):
        if index not in rows:
            message = "no readable meta row"
            faults.append(Fault(kind="meta", path="meta/episodes", message=message, episode=index))
    return rows, faults


def find_meta(root: Path, info: Info, index: int) -> Episode | None:
    """An episode as its manifest describes it, where the meta row is lost; None when that is lost too."""
    try:
        row = read_manifest(root, index).get("row")
        return episode_from_row(row, info) if row else None
    except (DataError, KeyError, TypeError, ValueError):
        return None


def orphans(root: Path, info: Info, rows: Mapping[int, Episode]) -> list[str]:
    """Files in the folders of episodes that no committed episode owns."""
    count = info.total_episodes
    owned = set(sharing(list(rows.values())))
    owned |= {MANIFEST_PATH.format(episode_index=i) for i in range(count)}
    cameras = list(info.features)
    sides = [t.replace("{video_key}", c) for t in SIDE_PATHS for c in (cameras if "{video_key}" in t else [""])]
    owned |= {template.format(episode_index=i) for template in sides for i in range(count)}
    folders = {template.partition("/")[0] for template in SIDE_PATHS}
    found: list[str] = []
    for pattern in (
        "data/**/*.parquet",
        "videos/**/*.mp4",
        "meta/manifest/*.json",
        *(f"{f}/**/episode_*" for f in folders),
    ):
        for path in sorted(Path(root).glob(pattern)):
            name = str(path.relative_to(root))
            if path.is_file() and name not in owned:
                found.append(name)
    for path in tables.episode_files(root):
        try:
            indices = [row["episode_index"] for row in tables.read_rows(path)]
        except (DataError, KeyError):
            continue
        if indices and min(indices) >= count:
            found.append(str(path.relative_to(root)))
    return found


def _journal(root: Path) -> Iterator[Fault]:
    path = ".staging/journal.json"
    try:
        kind = pending(root)
    except DataError as error:
        yield Fault(kind="unreadable", path=path, message=str(error))
        return
    if kind:
        yield Fault(kind="interrupted", path=path, message="a commit is not finished; repair or a writer finishes it")


def _paths(info: Info) -> Iterator[Fault]:
    for name in (info.data_path, info.video_path, *info.features):
        if leaves(name):
            yield Fault(kind="path", path=INFO, message=f"{name!r} leads out of the dataset")


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
        if leaves(name):
            yield Fault(kind="path", path=SEAL, message=f"{name!r} leads out of the dataset")
        elif not (root / name).is_file():
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


def _order(rows: Mapping[int, Episode]) -> Iterator[Fault]:
    """LeRobot reads all parquet files in the order of their names and counts rows."""
    names = [rows[index].data for index in sorted(rows)]
    for before, after in itertools.pairwise(names):
        if after < before:
            yield Fault(kind="order", path=after, message=f"its frames follow those of {before}")


def _words(root: Path, info: Info) -> Iterator[Fault]:
    """What contract and labels promise, against the columns."""
    try:
        contract, labels = (Dataset.read_json(root, name) for name in (CONTRACT, LABELS))
        promised_joints, written = contract.get("joint_names"), labels.items()
    except (DataError, ValueError, AttributeError) as error:
        yield Fault(kind="unreadable", path=f"{CONTRACT}, {LABELS}", message=str(error))
        return
    state = info.features.get("observation.state")
    channels = (state.names if state is not None else None) or ()
    joints = [n.removesuffix(".q_rad") for n in channels if n.endswith(".q_rad")]
    if joints and promised_joints is not None and promised_joints != joints:
        message = f"joints of observation.state are {joints}, the contract says {promised_joints}"
        yield Fault(kind="contract", path=CONTRACT, message=message)
    for name, source in written:
        if name not in info.features:
            yield Fault(kind="labels", path=LABELS, message=f"column {name!r} is not there")
        elif not isinstance(source, dict) or "digest" not in source:
            yield Fault(kind="labels", path=LABELS, message=f"{name!r} does not say which model wrote it")
    for name in info.features:
        if name.startswith(LATENT) and name not in labels and (root / SEAL).is_file():
            yield Fault(kind="labels", path=LABELS, message=f"no source is known for column {name!r}")


def _stats(root: Path, info: Info) -> Iterator[Fault]:
    if info.total_frames == 0:
        return
    try:
        stats: dict[str, Any] = Dataset.read_json(root, STATS)
        count = stats["index"]["count"][0]
    except (DataError, ValueError, KeyError, TypeError, IndexError) as error:
        yield Fault(kind="stats", path=STATS, message=f"missing or unusable ({error!r})")
        return
    if count != info.total_frames:
        yield Fault(kind="stats", path=STATS, message=f"made over {count} of {info.total_frames} frames")
