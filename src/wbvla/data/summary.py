"""What a dataset holds, counted: hours, episodes per instruction and primitive, outcomes, versions, storage, labels."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wbvla.data.features import FAILED, PRIMITIVE, SUCCEEDED, SUCCESS, success_of
from wbvla.data.reader import Dataset

OUTCOMES: Mapping[int, str] = {SUCCEEDED: "yes", FAILED: "no"}
MANIFESTS = "meta/manifest"
PRIMITIVES = "primitives"
"""key of the contract that names the numbers of the column `primitive`"""


@dataclass(frozen=True, kw_only=True)
class Count:
    """One instruction or primitive."""

    name: str
    episodes: int
    seconds: float
    """time it holds [s]"""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A dataset in figures."""

    episodes: int
    frames: int
    fps: int
    seconds: float
    """length of all episodes [s]"""
    robot: str
    version: str
    """of the format: v2.1, v3.0"""
    layout: str
    """whether episodes have files of their own or share them"""
    size_bytes: int
    cameras: tuple[str, ...]
    depths: tuple[str, ...]
    tasks: tuple[Count, ...]
    """per instruction, the longest first"""
    primitives: tuple[Count, ...]
    """per motion primitive, by number; empty without such a column"""
    outcomes: Mapping[str, int]
    """episodes whose goal was reached: yes, no, unknown; empty without such a column"""
    labels: Mapping[str, str]
    """latent column -> digest of the model that wrote it"""


def summarize_dataset(data: Dataset) -> Summary:
    """Count a dataset; of the columns only `task_index`, `primitive` and `success` are read."""
    names = [n for n in ("task_index", PRIMITIVE, SUCCESS) if n in data.info.columns]
    frames: dict[str, Counter[int]] = {n: Counter() for n in names}
    episodes: dict[str, Counter[int]] = {n: Counter() for n in names}
    results: Counter[str] = Counter()
    for record in data.episodes:
        columns = data.columns(record.index, names)
        for name in (n for n in names if n != SUCCESS):
            numbers, counts = np.unique(columns[name], return_counts=True)
            frames[name] += Counter(dict(zip(numbers.tolist(), counts.tolist())))
            episodes[name] += Counter(numbers.tolist())
        if SUCCESS in names:
            results[outcome(columns[SUCCESS])] += 1
    tasks = [
        Count(name=data.tasks[i], episodes=episodes["task_index"][i], seconds=n / data.fps)
        for i, n in frames.get("task_index", Counter()).most_common()
    ]
    named = data.contract.get(PRIMITIVES)
    primitives = [
        Count(name=_primitive(named, i), episodes=episodes[PRIMITIVE][i], seconds=n / data.fps)
        for i, n in sorted(frames.get(PRIMITIVE, Counter()).items())
    ]
    return Summary(
        episodes=data.num_episodes,
        frames=data.num_frames,
        fps=data.fps,
        seconds=data.num_frames / data.fps,
        robot=data.robot,
        version=data.info.version,
        layout=_layout(data),
        size_bytes=sum(p.stat().st_size for p in data.root.rglob("*") if p.is_file()),
        cameras=data.cameras,
        depths=data.depths,
        tasks=tuple(tasks),
        primitives=tuple(primitives),
        outcomes={k: results[k] for k in ("yes", "no", "unknown")} if SUCCESS in names else {},
        labels={n: str(source.get("digest", "unknown")) for n, source in data.labels.items()},
    )


def outcome(column: np.ndarray | None) -> str:
    """`yes`, `no` or `unknown` from an episode's `success` column."""
    return "unknown" if column is None else OUTCOMES.get(success_of(column), "unknown")


def hours(seconds: float) -> str:
    """A length of time as people read it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _primitive(named: object, number: int) -> str:
    return str(named[number]) if isinstance(named, list) and 0 <= number < len(named) else f"primitive {number}"


def _layout(data: Dataset) -> str:
    files = {e.data for e in data.episodes}
    own = len(files) == data.num_episodes
    hashed = "hashed" if (data.root / MANIFESTS).is_dir() else "without hashes"
    return f"{'a file per episode' if own else f'{len(files)} shared files'}, {hashed}"


def describe_summary(summary: Summary) -> list[str]:
    """The same in lines for a terminal: the whole first, then instructions, primitives, outcomes, labels."""
    size = f"{summary.size_bytes / 2**20:.1f} MiB, {summary.layout}"
    lines = [
        f"{summary.episodes} episodes, {summary.frames} frames at {summary.fps} Hz ({summary.seconds / 3600:.3f} h), "
        f"robot {summary.robot}, {summary.version}, {size}"
    ]
    for kind, counts in (("instruction", summary.tasks), ("primitive", summary.primitives)):
        lines += [f"{c.episodes:6d} episodes {c.seconds / 3600:8.3f} h  {kind}: {c.name}" for c in counts]
    if summary.outcomes:
        lines.append("goal reached: " + ", ".join(f"{k} {n}" for k, n in summary.outcomes.items()))
    return lines + [f"{name} written by {digest[:12]}" for name, digest in summary.labels.items()]
