"""Whole datasets rearranged: compact, expand, merge, split, delete; the old state or the new one, never a mixture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.contract import differences
from wbvla.core.errors import ConfigError, ContractMismatch, DataError
from wbvla.data.carry import Carrier, Show, Target, silent
from wbvla.data.check import check
from wbvla.data.dataset_stats import refresh_stats
from wbvla.data.faults import Fault
from wbvla.data.format import CONTRACT, INFO, LABELS, SIDE_PATHS, STATS
from wbvla.data.journal import ADD, REPLACE, STAGING, Commit, Disk, lock, recover
from wbvla.data.reader import Dataset
from wbvla.data.sharing import Layout, Part, Source

__all__ = [
    "Change",
    "Layout",
    "chosen",
    "compact",
    "delete",
    "expand",
    "merge",
    "sound_source",
    "split",
    "split_by_fraction",
]

OWN, KEEP, ROLLING = Layout(kind="own"), Layout(kind="keep"), Layout()
QUARANTINE = "quarantine"
"""folder for what was taken out; no reader looks there"""
OLD_FILES = (
    "data/**/*.parquet",
    "videos/**/*.mp4",
    "meta/episodes/**/*.parquet",
    "meta/manifest/*.json",
    "meta/*.jsonl",
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a rearrangement did."""

    episodes: int
    """in the result"""
    frames: int
    """in the result"""
    files_before: int
    files_after: int
    """parquet and mp4 files"""
    bytes_before: int
    bytes_after: int
    """of all files of the dataset [bytes]"""


def compact(root: Path, layout: Layout = ROLLING, disk: Disk | None = None, show: Show = silent) -> Change:
    """Join episodes into rolling files in place; nothing is decoded, no number changes.

    Raises DataError when the dataset is not sound, or is being written.
    """
    return _in_place(root, layout, lambda parts: parts, disk, show)


def expand(root: Path, disk: Disk | None = None, show: Show = silent) -> Change:
    """Give every episode files of its own, in place: the inverse of `compact`. Raises DataError as `compact` does."""
    return _in_place(root, OWN, lambda parts: parts, disk, show)


def delete(
    root: Path, episodes: Sequence[int], forever: bool = False, disk: Disk | None = None, show: Show = silent
) -> Change:
    """Take episodes out and number the others anew; unless `forever` they go to quarantine/NNN, a dataset of its own.

    Files that hold no deleted episode are not copied. Raises DataError as `compact` does, or on an unknown episode.
    """
    root, disk = Path(root), disk or Disk()
    gone = set(_known(Source.of(Dataset(root)), episodes))
    if not forever:
        number = len(list((root / QUARANTINE).glob("*"))) if (root / QUARANTINE).is_dir() else 0
        split(root, root / QUARANTINE / f"{number:03d}", sorted(gone), disk=disk)
    return _in_place(root, KEEP, lambda parts: [p for p in parts if p.record.index not in gone], disk, show)


def merge(
    out: Path,
    roots: Sequence[Path],
    layout: Layout = KEEP,
    disk: Disk | None = None,
    show: Show = silent,
) -> Change:
    """Write a new dataset of all episodes of several; raises ContractMismatch naming what differs between them."""
    if not roots:
        raise ConfigError("merge needs at least one dataset to take episodes from")
    sources = [sound_source(root) for root in roots]
    for other in sources[1:]:
        _require_alike(sources[0], other)
    parts = [Part(source=s, record=e) for s in sources for e in s.episodes]
    return _copy(out, parts, layout, disk or Disk(), show)


def split(root: Path, out: Path, episodes: Sequence[int], disk: Disk | None = None, show: Show = silent) -> Change:
    """Write a new dataset of some episodes, in the order given. Raises DataError on an unknown episode."""
    source = sound_source(root)
    parts = [Part(source=source, record=source.episodes[i]) for i in _known(source, episodes)]
    return _copy(out, parts, KEEP, disk or Disk(), show)


def split_by_fraction(
    root: Path, out: Path, fraction: float, seed: int, disk: Disk | None = None, show: Show = silent
) -> dict[str, Change]:
    """Write `out`/train with that share of the episodes, drawn with `seed`, and `out`/test with the others."""
    count = Dataset(root).num_episodes
    many = round(fraction * count)
    if not 0 < many < count:
        raise ConfigError(f"fraction {fraction} of {count} episodes leaves one side empty")
    order = np.random.default_rng(seed).permutation(count)
    shares = {"train": sorted(order[:many].tolist()), "test": sorted(order[many:].tolist())}
    return {name: split(root, Path(out) / name, share, disk, show) for name, share in shares.items()}


def chosen(text: str) -> list[int]:
    """Episode numbers from words such as `0:50,60`; raises ConfigError when they cannot be read."""
    found: list[int] = []
    for word in text.replace(" ", "").split(","):
        first, colon, last = word.partition(":")
        if not (first.isdigit() and (last.isdigit() if colon else True)) or (colon and int(last) <= int(first)):
            raise ConfigError(f"{word!r} is neither an episode nor a range; write such as 0:50,60")
        found += range(int(first), int(last)) if colon else [int(first)]
    return list(dict.fromkeys(found))


def sound_source(root: Path) -> Source:
    """A sound dataset to take episodes from; raises DataError naming the first faults."""
    refuse(root, [f for f in check(root) if f.kind not in ("stats", "order")])
    return Source.of(Dataset(root))


def refuse(root: Path, faults: Sequence[Fault]) -> None:
    """Raises DataError when there is a fault."""
    if faults:
        shown = "\n".join(f"  - {f}" for f in faults[:5])
        raise DataError(f"{root} has {len(faults)} faults; run `wbvla data repair {root}` first:\n{shown}")


def _known(source: Source, episodes: Sequence[int]) -> list[int]:
    wanted, count = list(dict.fromkeys(episodes)), len(source.episodes)
    unknown = [e for e in wanted if not 0 <= e < count]
    if unknown or not wanted:
        raise DataError(f"episodes {unknown or 'none'} asked, {source.root} has 0..{count - 1}")
    return wanted


def _in_place(
    root: Path, layout: Layout, choose: Callable[[list[Part]], list[Part]], disk: Disk | None, show: Show
) -> Change:
    """Replace a dataset by some of its own episodes in a layout, in one commit."""
    root, disk = Path(root), disk or Disk()
    with lock(root):
        recover(root, disk)
        source = sound_source(root)
        before = _sizes(root)
        parts = choose([Part(source=source, record=e) for e in source.episodes])
        commit = Commit(root, disk, REPLACE)
        carry_home(parts, source, Target(commit=commit, layout=layout, info=source.info, home=root, show=show))
        if parts:
            refresh_stats(root, disk)
    return _change(root, before)


def carry_home(parts: Sequence[Part], source: Source, target: Target) -> list[str]:
    """Stage and apply a replacement of a dataset by `parts`; returns the names that vanished."""
    root, commit = source.root, target.commit
    with commit.whole():
        carrier = Carrier(parts, target, [source])
        carrier.stage()
        gone = sorted(set(files_of_episodes(root)) - carrier.names)
        for name in gone:
            commit.remove(name)
    return gone


def files_of_episodes(root: Path) -> list[str]:
    """Every file that belongs to single episodes or to several of them, committed or not."""
    patterns = [*OLD_FILES, *(f"{template.partition('/')[0]}/**/episode_*" for template in SIDE_PATHS)]
    found = {p for pattern in patterns for p in root.glob(pattern) if p.is_file()}
    return sorted(str(p.relative_to(root)) for p in found)


def _copy(out: Path, parts: Sequence[Part], layout: Layout, disk: Disk, show: Show) -> Change:
    """A new dataset in one commit; what a killed attempt left is removed, or finished when it was whole."""
    out = Path(out)
    sources = list({id(p.source): p.source for p in parts}.values())
    with lock(out):
        recover(out, disk)
        if not (out / INFO).exists():
            _write(
                out,
                parts,
                sources,
                Target(commit=Commit(out, disk, ADD), layout=layout, info=sources[0].info, show=show),
            )
        elif (out / STATS).exists() or not _is_copy(out, parts):
            raise DataError(f"{out} already holds a dataset; choose another folder")
        refresh_stats(out, disk)
    before = [_sizes(source.root) for source in sources]
    return _change(out, {key: sum(sizes[key] for sizes in before) for key in ("files", "bytes")})


def _write(out: Path, parts: Sequence[Part], sources: Sequence[Source], target: Target) -> None:
    with target.commit.whole():
        _stage_words(target.commit, sources[0])
        Carrier(parts, target, sources).stage()


def _is_copy(out: Path, parts: Sequence[Part]) -> bool:
    """Whether a dataset is what an interrupted attempt at the same copy left, whole but for its statistics."""
    made = Dataset(out).episodes
    return [(e.length, e.tasks) for e in made] == [(p.record.length, tuple(p.record.tasks)) for p in parts]


def _stage_words(commit: Commit, source: Source) -> None:
    """Contract and labels as they are."""
    for name in (CONTRACT, LABELS):
        if (source.root / name).is_file():
            commit.stage_bytes(name, (source.root / name).read_bytes())


def _require_alike(one: Source, other: Source) -> None:
    """Raises ContractMismatch naming every difference that forbids one dataset of both."""

    def facts(source: Source) -> dict[str, Any]:
        labels = Dataset.read_json(source.root, LABELS)
        return {
            "fps": source.info.fps,
            "robot": source.info.robot,
            "features": {k: {**f.to_json(), "info": {}} for k, f in source.info.features.items()},
            "contract": Dataset.read_json(source.root, CONTRACT),
            "labels": {name: written.get("digest") for name, written in labels.items()},
        }

    found = differences(facts(one), facts(other))
    if found:
        raise ContractMismatch(f"{other.root}, to be merged with {one.root},", found)


def _sizes(root: Path) -> dict[str, int]:
    own = [p for p in root.rglob("*") if p.is_file() and not {STAGING, QUARANTINE} & set(p.relative_to(root).parts)]
    return {"files": sum(p.suffix in (".parquet", ".mp4") for p in own), "bytes": sum(p.stat().st_size for p in own)}


def _change(root: Path, before: dict[str, int]) -> Change:
    after, data = _sizes(root), Dataset(root)
    return Change(
        episodes=data.num_episodes,
        frames=data.num_frames,
        files_before=before["files"],
        files_after=after["files"],
        bytes_before=before["bytes"],
        bytes_after=after["bytes"],
    )
