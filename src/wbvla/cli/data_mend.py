"""`wbvla data check|repair PATH`: every fault by its name, and a dataset without them."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.markup import escape

from wbvla.data.check import KINDS, check
from wbvla.data.repair import QUARANTINE, repair


@dataclass(frozen=True)
class Check:
    """Name every fault; exit code 1 when there is one.

    For example:

        wbvla data check recordings/boxes
        wbvla data check recordings/boxes --no-hashes
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""
    hashes: bool = True
    """compare every file with its committed SHA-256 (reads all bytes)"""
    deep: bool = False
    """decode every frame of every video, for datasets without hashes"""

    def run(self, console: Console) -> int:
        with console.status("checking"):
            faults = check(self.path, hashes=self.hashes, deep=self.deep)
        for fault in faults:
            console.print(f"[red]{fault.kind}[/] {escape(str(fault).partition(': ')[2])}")
        for kind in dict.fromkeys(f.kind for f in faults):
            console.print(f"  {kind}: {KINDS[kind]}")
        advice = f"[red]{len(faults)} faults[/]; `wbvla data repair {escape(str(self.path))}` keeps what is valid"
        console.print(advice if faults else "[green]sound[/]")
        return 1 if faults else 0


@dataclass(frozen=True)
class Repair:
    """Finish interrupted commits and take damaged episodes out; valid ones are kept and renumbered.

    For example:

        wbvla data repair recordings/boxes
    """

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
