"""`wbvla data compact|expand|migrate PATH`: how a dataset lies on disk changed in place, in one commit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from wbvla.cli.record import with_bar
from wbvla.data import rearrange
from wbvla.data.migrate import migrate
from wbvla.data.rearrange import Change
from wbvla.data.sharing import MIB, Layout

Folder = tyro.conf.Positional[Path]


def shown(console: Console, what: str, work: Any) -> int:
    """Run `work(show)` with a bar, then say what the dataset was and is."""
    results: list[Change] = []
    with_bar(lambda show: results.append(work(in_mib(show))), console, what)
    change = results[0]
    console.print(
        f"{change.episodes} episodes, {change.frames} frames; files {change.files_before} -> {change.files_after}, "
        f"{change.bytes_before / MIB:.1f} -> {change.bytes_after / MIB:.1f} MiB"
    )
    return 0


def in_mib(show: Any) -> Any:
    return lambda done, total, note: show(done / MIB, max(total / MIB, 1e-9), f"MiB {note}")


@dataclass(frozen=True)
class Compact:
    """Join episodes into rolling files as LeRobot has them, in place; nothing is decoded.

    For example:

        wbvla data compact recordings/boxes
    """

    path: Folder
    """folder of the dataset"""
    data_mb: int = 100
    """a parquet is closed before it exceeds this [MiB]"""
    video_mb: int = 200
    """an mp4 is closed before it exceeds this [MiB]"""

    def run(self, console: Console) -> int:
        layout = Layout(data_bytes=self.data_mb * MIB, video_bytes=self.video_mb * MIB)
        return shown(console, "compacting", lambda show: rearrange.compact(self.path, layout, show=show))


@dataclass(frozen=True)
class Expand:
    """Give every episode files of its own, in place: the inverse of compact.

    For example:

        wbvla data expand recordings/boxes
    """

    path: Folder
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        return shown(console, "expanding", lambda show: rearrange.expand(self.path, show=show))


@dataclass(frozen=True)
class Migrate:
    """Bring a dataset of LeRobot v2.1, of another program or of an older release to the present format, in place.

    For example:

        wbvla data migrate downloads/pusht
    """

    path: Folder
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        done: list[str] = []
        with_bar(lambda show: done.extend(migrate(self.path, show=in_mib(show))), console, "migrating")
        for step in done:
            console.print(step)
        console.print("migrated" if done else "already in the present format")
        return 0
