"""`wbvla preflight`: the checklist before training and before a robot moves, each line measured."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.cli import doctor
from wbvla.cli.checks import Devices, Needs, parts
from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import provenance


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure compute, camera, data, simulator, network, models and controller; say what to do about what fails.

    A workspace is a folder of datasets, training runs and a `bundle`, as `wbvla demo` makes it. The defaults ask what
    a full-size training needs, so a workspace in miniature fails some lines.
    """

    workspace: Path = Path("workspace")
    """folder with what has been made so far"""
    only: tuple[str, ...] = ()
    """parts to look at, by name; empty = all"""
    robot: str = "agibot_x2"
    """robot by name"""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = field(default_factory=Devices)
    """camera and network"""
    needs: Needs = field(default_factory=Needs)
    """what the lines ask for"""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """JSON file with every line, what was found and asked, and when"""


def main(argv: list[str]) -> int:
    """Exit code 0 when every required line passes, else 1."""
    options = tyro.cli(Options, args=argv, prog="wbvla preflight")
    if not options.workspace.is_dir():
        raise ConfigError(f"{options.workspace} is no folder; `wbvla demo` makes a workspace, --workspace names one")
    known = parts(options.workspace, options.robot, options.needs, options.devices)
    if unknown := sorted(set(options.only) - set(known)):
        raise ConfigError(f"no part {', '.join(unknown)} of the checklist; known: {', '.join(known)}")
    console, rows = Console(), []
    for name in options.only or known:
        with console.status(f"measuring: {name}"):
            found = list(known[name]())
        console.print(f"\n[bold]{name}[/bold]", doctor.table(found), sep="\n")
        rows += [{"part": name, **asdict(finding)} for finding in found]
    failed = [row["subject"] for row in rows if row["required"] and not row["ok"]]
    if options.out is not None:
        write_json(options.out, {"lines": rows, "failed": failed, "needs": asdict(options.needs), **provenance()})
    console.print(f"\n[red]not ready: {', '.join(failed)}[/red]" if failed else "\n[green]ready[/green]")
    return 1 if failed else 0
