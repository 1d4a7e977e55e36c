"""`wbvla data info|stats PATH`: what a dataset holds, in a terminal."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from wbvla.data.dataset_stats import write_stats
from wbvla.data.reader import Dataset
from wbvla.data.summary import describe_summary, summarize_dataset


@dataclass(frozen=True)
class Info:
    """What a dataset holds: hours, episodes per instruction and primitive, outcomes, columns, labels, storage.

    For example:

        wbvla data info recordings/boxes
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        data = Dataset(self.path)
        lines = describe_summary(summarize_dataset(data))
        console.print(f"{escape(str(self.path))}: {escape(lines[0])}")
        columns = (Column("feature", no_wrap=True, min_width=30), "type", "shape", "mean", "q01", "q99")
        shown = Table(*columns, box=None, pad_edge=False)
        for name, feature in data.features.items():
            stats = data.stats.get(name, {})
            spans = [_short(stats.get(key)) for key in ("mean", "q01", "q99")]
            shown.add_row(escape(name), feature.dtype, "x".join(map(str, feature.shape)), *spans)
        console.print(shown)
        for line in lines[1:]:
            console.print(escape(line))
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
    flat = np.ravel(values or []).tolist()
    return ", ".join(f"{v:.3g}" for v in flat[:3]) + (" ..." if len(flat) > 3 else "")
