"""Whether there is enough sound data to train on: hours of video, manipulation, demonstrations of each task."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wbvla.core.errors import WbvlaError
from wbvla.core.machine import Finding
from wbvla.data.check import check
from wbvla.data.features import ACTION, SUCCESS
from wbvla.data.format import INFO
from wbvla.data.reader import Dataset
from wbvla.data.summary import Summary, summarize_dataset

HOUR_S = 3600.0


@dataclass(frozen=True)
class Set:
    """A dataset found in the workspace."""

    name: str
    faults: tuple[str, ...]
    """what `wbvla data check` says"""
    broken: int
    """episodes that a fault concerns"""
    summary: Summary | None
    """None when it cannot be read"""
    kind: str
    """`video` (no actions), `demonstrations` (a robot's, with success), `manipulation` (other actions)"""


def find_sets(workspace: Path) -> tuple[Set, ...]:
    """All datasets of a workspace, checked in full."""
    return tuple(_look(path.parents[1]) for path in sorted(workspace.glob(f"*/{INFO}")))


def video_lines(sets: Sequence[Set], hours_needed: float) -> Iterator[Finding]:
    """Hours in all and per primitive, of sound datasets."""
    found = [s for s in sets if s.kind == "video"]
    yield from (_sound(s) for s in found)
    seconds: defaultdict[str, float] = defaultdict(float)
    for one in found:
        if one.summary and not one.faults:
            for count in one.summary.primitives:
                seconds[count.name] += count.seconds
    hours = sum(seconds.values()) / HOUR_S
    each = ", ".join(f"{name} {s / 60:.1f} min" for name, s in sorted(seconds.items()))
    yield Finding(
        subject="video",
        found=f"{hours:.2f} h of {hours_needed:g} h; {each or 'no primitive'}",
        ok=hours >= hours_needed,
        remedy="film more: `wbvla record realsense`; or draw it: `wbvla record egovideo`",
    )


def manipulation_lines(sets: Sequence[Set]) -> Iterator[Finding]:
    """Datasets with actions for the latent actions of the hands."""
    found = [s for s in sets if s.kind != "video"]
    yield from (_sound(s) for s in found)
    if not found:
        remedy = "import some: `wbvla data import`; or record demonstrations"
        yield Finding(subject="manipulation data", found="no dataset with actions", ok=False, remedy=remedy)


def demonstration_lines(sets: Sequence[Set], needed: int) -> Iterator[Finding]:
    """Enough per task; only successes of episodes without a fault count."""
    found = [s for s in sets if s.kind == "demonstrations"]
    for one in found:
        good = max(0, one.summary.outcomes.get("yes", 0) - one.broken) if one.summary else 0
        yield Finding(
            subject=f"demonstrations of {one.name}",
            found=f"{good} valid successes of {needed}",
            ok=good >= needed,
            remedy=f"record more: `wbvla record expert --task {one.name}`, or by teleoperation",
        )
    if not found:
        remedy = "`wbvla record expert --task box-lift`, or record by teleoperation"
        yield Finding(subject="demonstrations", found="none", ok=False, remedy=remedy)


def _look(root: Path) -> Set:
    """Check a dataset and count it."""
    faults = check(root)
    broken = len({f.episode for f in faults if f.episode is not None})
    try:
        data = Dataset(root)
        kind = (
            "video" if ACTION not in data.features else "demonstrations" if SUCCESS in data.features else "manipulation"
        )
        summary = summarize_dataset(data)
        data.close()
    except (WbvlaError, OSError) as error:
        return Set(root.name, (*map(str, faults), str(error)), broken, None, "manipulation")
    return Set(root.name, tuple(map(str, faults)), broken, summary, kind)


def _sound(one: Set) -> Finding:
    """Whether a dataset is what it says."""
    size = f"{one.summary.episodes} episodes, {one.summary.seconds / 60:.1f} min" if one.summary else "unreadable"
    return Finding(
        subject=f"dataset {one.name}",
        found=f"{size}, {'sound' if not one.faults else f'{len(one.faults)} faults, first: {one.faults[0]}'}",
        ok=not one.faults,
        remedy=f"`wbvla data check {one.name}` names all, `wbvla data repair` keeps every valid episode",
    )
