"""`wbvla data info|check|repair PATH`: what a dataset holds, what is wrong with it, and how to keep what is good."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from wbvla.data.check import KINDS, check
from wbvla.data.reader import Dataset
from wbvla.data.repair import QUARANTINE, repair


@dataclass(frozen=True)
class Info:
    """What a dataset holds: episodes, hours, instructions, columns, labels, storage."""

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
class Check:
    """Name every fault; exit code 1 when there is one."""

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""
    hashes: bool = True
    """compare every file with its committed SHA-256 (reads all bytes)"""

    def run(self, console: Console) -> int:
        with console.status("checking"):
            faults = check(self.path, hashes=self.hashes)
        for fault in faults:
            console.print(f"[red]{fault.kind}[/] {escape(str(fault).partition(': ')[2])}")
        for kind in dict.fromkeys(f.kind for f in faults):
            console.print(f"  {kind}: {KINDS[kind]}")
        advice = f"[red]{len(faults)} faults[/]; `wbvla data repair {escape(str(self.path))}` keeps what is valid"
        console.print(advice if faults else "[green]sound[/]")
        return 1 if faults else 0


@dataclass(frozen=True)
class Repair:
    """Finish interrupted commits and take damaged episodes out; valid ones are kept and renumbered."""

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""

    def run(self, console: Console) -> int:
        with console.status("repairing"):
            result = repair(self.path)
        for index, reason in result.dropped.items():
            console.print(f"[yellow]episode {index} taken out[/]: {escape(reason)}")
        if result.quarantined:
            console.print(f"{len(result.quarantined)} files moved to {escape(str(self.path / QUARANTINE))}")
        console.print(f"{result.kept} episodes kept, {len(result.dropped)} taken out")
        return 0


def main(argv: list[str]) -> int:
    """Exit code 0 when done or sound, 1 when faults were found."""
    command = tyro.cli(Info | Check | Repair, args=argv, prog="wbvla data", description=__doc__)  # type: ignore[arg-type]
    return command.run(Console(soft_wrap=True))


def _short(values: list | None) -> str:
    """The first numbers of a statistic."""
    flat = values or []
    while flat and isinstance(flat[0], list):
        flat = [v for part in flat for v in part]
    return ", ".join(f"{v:.3g}" for v in flat[:3]) + (" ..." if len(flat) > 3 else "")
