"""`wbvla data import FORMAT SRC DST`: what others recorded, as a dataset of ours; resumable, every rejection named."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from wbvla.cli.record import with_bar
from wbvla.data.importers.run import REPORT, ImportReport, import_dataset
from wbvla.data.importers.take import ImportConfig

SHOWN = 20
"""rejected episodes that are printed; the report has all"""


@dataclass(frozen=True)
class Import:
    """Bring a foreign dataset into one of ours; run it again to go on after a kill, or with more of the source.

    Formats: agibot-world, egocentric-10k, egodex, groot, primitives, tutorial, xr-teleoperate. Exit code 1 when an
    episode was rejected; meta/import_report.json says which and why. For example:

        wbvla data import agibot-world downloads/AgiBotWorld-Beta recordings/agibot --only "327/*" --processes 8
        wbvla data import tutorial manipulation recordings/boxes --fps 10 --robot agibot_x2
    """

    format: tyro.conf.Positional[str]
    """of the source, by name"""
    source: tyro.conf.Positional[Path]
    """its folder; nothing there is changed"""
    target: tyro.conf.Positional[Path]
    """folder of the dataset; an import that was broken off goes on"""
    config: Annotated[ImportConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: ImportConfig(processes=os.cpu_count() or 1)
    )
    """what is taken, and how"""

    def run(self, console: Console) -> int:
        done: list[ImportReport] = []
        with_bar(
            lambda show: done.append(import_dataset(self.format, self.source, self.target, self.config, show)),
            console,
            f"importing {self.format}",
        )
        return shown(console, done[0], self.target)


def shown(console: Console, report: ImportReport, target: Path) -> int:
    """Say what became of every episode; 1 when one was rejected."""
    for name, reason in list(report.rejected.items())[:SHOWN]:
        console.print(f"[yellow]{escape(name)} rejected[/]: {escape(reason)}")
    if len(report.rejected) > SHOWN:
        console.print(f"... and {len(report.rejected) - SHOWN} more, in {escape(str(target / REPORT))}")
    for remark, count in report.remarks.items():
        console.print(f"{count} episodes: {escape(remark)}")
    for name, count in report.left_out.items():
        console.print(f"{count} episodes: {escape(name)} left out, the dataset has it not")
    console.print(
        f"{report.episodes} episodes, {report.frames} frames in {escape(str(target))}, "
        f"{len(report.rejected)} rejected; {report.copied_videos} videos copied undecoded"
    )
    console.print(f"licence: {escape(report.licence)}")
    return 1 if report.rejected else 0
