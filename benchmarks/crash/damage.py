"""Damage for `data_crash.py`: one fault in one file, and which episodes it hits by the file's own layout of bytes."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import pyarrow.parquet as pq

from crash.work import flip_bit

KINDS: Mapping[str, str] = {
    "parquet": "data/**/*.parquet",
    "mp4": "videos/**/*.mp4",
    "episodes meta": "meta/episodes/**/*.parquet",
    "manifest": "meta/manifest/**/*.json",
    "info": "meta/info.json",
    "seal": "meta/seal.json",
    "tasks": "meta/tasks.parquet",
    "stats": "meta/stats.json",
    "contract": "meta/contract.json",
    "truth": "truth/*.npz",
}
"""every kind of file of a dataset"""


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """What was done."""

    what: str
    hit: frozenset[int]
    """episodes whose frames or columns lie, in part, where the damage is"""


def damage_one(root: Path, kind: str, turn: int, rng: random.Random) -> Damaged:
    """Do one fault of a kind; files of every kind take turns."""
    return DAMAGE[kind](root, turn, rng)


def _choose(root: Path, turn: int, rng: random.Random) -> Path:
    pattern = list(KINDS.values())[turn % len(KINDS)]
    return rng.choice(sorted(root.glob(pattern)))


def _flip(root: Path, turn: int, rng: random.Random) -> Damaged:
    path = _choose(root, turn, rng)
    at = rng.randrange(path.stat().st_size)
    hit = _owners(root, path, at)
    flip_bit(path, at, rng.randrange(8))
    return Damaged(what=f"a bit of byte {at} of {path.relative_to(root)} flipped", hit=hit)


def _truncate(root: Path, turn: int, rng: random.Random) -> Damaged:
    path = _choose(root, turn, rng)
    size = rng.randrange(1, path.stat().st_size)
    hit = _owners(root, path, None)
    path.write_bytes(path.read_bytes()[:size])
    return Damaged(what=f"{path.relative_to(root)} cut to {size} bytes", hit=hit)


def _empty(root: Path, turn: int, rng: random.Random) -> Damaged:
    path = _choose(root, turn, rng)
    hit = _owners(root, path, None)
    path.write_bytes(b"")
    return Damaged(what=f"{path.relative_to(root)} emptied", hit=hit)


def _gap(root: Path, turn: int, rng: random.Random) -> Damaged:
    """A file is gone: by turns a parquet, a video, a meta row, a manifest."""
    kind = ("parquet", "mp4", "episodes meta", "manifest")[turn % 4]
    path = rng.choice(sorted(root.glob(KINDS[kind])))
    hit = _owners(root, path, None)
    path.unlink()
    return Damaged(what=f"{path.relative_to(root)} removed", hit=hit)


DAMAGE: Mapping[str, Callable[[Path, int, random.Random], Damaged]] = {
    "bit flip": _flip,
    "truncation": _truncate,
    "empty file": _empty,
    "gap": _gap,
}


def _owners(root: Path, path: Path, at: int | None) -> frozenset[int]:
    """Episodes whose data lie at a byte of a file, or anywhere in it; all where the byte is the file's index."""
    name = str(path.relative_to(root))
    if name.startswith("data/"):
        parts = _row_groups(path)
    elif name.startswith("videos/"):
        parts = _clips(root, path)
    else:
        return frozenset()
    everyone = frozenset(episode for episode, _ in parts)
    if at is None:
        return everyone
    hit = frozenset(episode for episode, spans in parts if any(a <= at < b for a, b in spans))
    return hit or everyone


Parts = list[tuple[int, list[tuple[int, int]]]]


def _row_groups(path: Path) -> Parts:
    """Per episode the bytes of its row group."""
    file = pq.ParquetFile(path)
    parts: Parts = []
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = [group.column(c) for c in range(group.num_columns)]
        starts = [c.dictionary_page_offset or c.data_page_offset for c in chunks]
        episode = file.read_row_group(number, columns=["episode_index"]).column(0)[0].as_py()
        parts.append((episode, [(s, s + c.total_compressed_size) for s, c in zip(starts, chunks)]))
    return parts


def _clips(root: Path, path: Path) -> Parts:
    """Per episode the bytes of its packets, by the meta rows."""
    camera, chunk, file = path.parts[-3], int(path.parent.name[6:]), int(path.stem[5:])
    with av.open(str(path)) as container:
        spans = [
            (float(p.pts * p.time_base), (p.pos, p.pos + p.size))
            for p in container.demux(video=0)
            if p.pts is not None and p.time_base is not None and p.pos is not None
        ]
    parts: Parts = []
    for meta in sorted((root / "meta/episodes").glob("*/*.parquet")):
        for row in pq.read_table(meta).to_pylist():
            if (row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"]) == (chunk, file):
                first, last = row[f"videos/{camera}/from_timestamp"], row[f"videos/{camera}/to_timestamp"]
                inside = [span for seconds, span in spans if first - 0.01 <= seconds < last - 0.01]
                parts.append((row["episode_index"], inside))
    return parts
