"""`wbvla data info|stats PATH`: what a dataset holds, in a terminal."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from wbvla.data.dataset_stats import write_stats
from wbvla.data.reader import Dataset


@dataclass(frozen=True)
class Info:
    """What a dataset holds: episodes, hours, instructions, columns, labels, storage.

    For example:

        wbvla data info recordings/boxes
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        data = Dataset(self.path)
        seconds = data.num_frames / data.fps
        size = sum(p.stat().st_size for p in self.path.rglob("*") if p.is_file())
        console.print(
            f"{escape(str(self.path))}: {data.num_episodes} episodes, {data.num_frames} frames at {data.fps} Hz "
            f"({seconds / 3600:.3f} h), robot {escape(data.robot)}, {size / 2**20:.1f} MiB"
        )
        shown = Table(
            Column("feature", no_wrap=True, min_width=30),
            "type",
            "shape",
            "mean",
            "q01",
            "q99",
            box=None,
            pad_edge=False,
        )
        for name, feature in data.features.items():
            stats = data.stats.get(name, {})
            spans = [_short(stats.get(key)) for key in ("mean", "q01", "q99")]
            shown.add_row(name, feature.dtype, "x".join(map(str, feature.shape)), *spans)
        console.print(shown)
        for task in data.tasks:
            count = sum(task in e.tasks for e in data.episodes)
            console.print(f"{count:6d} episodes: {escape(task)}")
        for name, source in data.labels.items():
            console.print(f"{name} written by {escape(str(source.get('digest', 'unknown'))[:12])}")
        return 0


@dataclass(frozen=True)
class Stats:
    """Compute meta/stats.json anew: every column over all frames, cameras from a sample.

    For example:

        wbvla data stats recordings/boxes
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        with console.status("counting"):
            stats = write_stats(self.path)
        console.print(f"statistics of {len(stats)} features written")
        return 0


def _short(values: list | None) -> str:
    """The first numbers of a statistic."""
    flat = values or []
    while flat and isinstance(flat[0], list):
        flat = [v for part in flat for v in part]
    return ", ".join(f"{v:.3g}" for v in flat[:3]) + (" ..." if len(flat) > 3 else "")
