"""Datasets of older releases, of LeRobot v2.1 and of other programs brought to the present format, in place.

| from | what is done |
|---|---|
| LeRobot v2.1 | rewritten as v3.0: rolling files, videos joined undecoded, then as schema 0 |
| schema 0: made by another program | hashes of every file, so that damage is told and repaired per episode |
| schema 1: this package before 1.1 | `success` yes/no becomes 1/0 (and -1, unknown); manifests say where episodes lie |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wbvla.data.carry import Show, Target, silent
from wbvla.data.dataset_stats import refresh_stats
from wbvla.data.faults import Examiner
from wbvla.data.format import CODEBASE_VERSION, LEGACY_VERSIONS, Info, load_info
from wbvla.data.journal import REPLACE, Commit, Disk, lock, recover
from wbvla.data.manifest import SCHEMA, schema_of
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import KEEP, ROLLING, carry_home, refuse, sound_source
from wbvla.data.sharing import Part, Source

SUCCESS = "success"


def _tri_state(info: Info) -> Info:
    """`success` as a number; rows follow by a cast."""
    feature = info.features.get(SUCCESS)
    if feature is None or feature.dtype != "bool":
        return info
    return replace(info, features={**info.features, SUCCESS: replace(feature, dtype="int64")})


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one schema to the next."""

    does: str
    """in words"""
    features: Callable[[Info], Info]
    """info.json after it; columns whose type changes are cast"""


STEPS: Mapping[int, Step] = {
    0: Step(does="hashes of every file and share of a file", features=lambda info: info),
    1: Step(does="success is 1, 0 or -1 (unknown); manifests say where episodes lie", features=_tri_state),
}
"""by the schema they start from; each leads to the next"""


def migrate(root: Path, disk: Disk | None = None, show: Show = silent) -> list[str]:
    """Bring a dataset to the present format in one commit; returns what was done, nothing where it is up to date.

    A kill leaves the old dataset or, after recovery, the new one. Raises DataError when the dataset is not sound or was
    written by a newer release.
    """
    root, disk = Path(root), disk or Disk()
    with lock(root):
        recover(root, disk)
        return bring_up(root, disk, show)


def bring_up(root: Path, disk: Disk, show: Show = silent) -> list[str]:
    """`migrate` for whoever holds the lock."""
    present, found = schema_of(root), load_info(root)
    is_legacy = found.version in LEGACY_VERSIONS
    if present == SCHEMA and not is_legacy:
        return []
    source = _legacy_source(root) if is_legacy else sound_source(root)
    done = [f"{found.version} becomes {CODEBASE_VERSION}"] if is_legacy else []
    info = replace(source.info, version=CODEBASE_VERSION)
    for schema in range(present, SCHEMA):
        info = STEPS[schema].features(info)
        done.append(STEPS[schema].does)
    parts = [Part(source=source, record=record) for record in source.episodes]
    layout, commit = ROLLING if is_legacy else KEEP, Commit(root, disk, REPLACE)
    carry_home(parts, source, Target(commit=commit, layout=layout, info=info, home=root, show=show))
    if parts:
        refresh_stats(root, disk)
    return done


def _legacy_source(root: Path) -> Source:
    """A v2.1 dataset without damage that can be told: rows, indices, frames and their times."""
    data = Dataset(root)
    records = {e.index: e for e in data.episodes}
    examiner = Examiner(root, data.info, records, len(data.tasks), hashes=True)
    refuse(root, [fault for record in records.values() for fault in examiner.episode(record)])
    return Source.of(data)
