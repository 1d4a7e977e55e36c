"""`wbvla demo`: from nothing to a humanoid that acts on what it sees, station by station, resumable."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.cli.journey import summary, travel
from wbvla.cli.stations import all_stations, open_workspace
from wbvla.core.contract import differences
from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import plain, provenance
from wbvla.recipes.demo import DemoConfig, demo

CONFIG = "demo.json"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Collect, learn, deploy and evaluate in miniature; run it again after Ctrl-C or a kill and it goes on.

    Everything but the low-level controller is made in this run. Nothing is downloaded.
    """

    workspace: Path = Path("workspace")
    """folder for everything that is made"""
    from_scratch: bool = False
    """also train the low-level controller, live (about an hour more on two cores)"""
    demo: Annotated[DemoConfig, tyro.conf.arg(name="")] = field(default_factory=demo)
    """how much of everything"""


def claim(root: Path, options: Options) -> None:
    """Bind a workspace to its config; raises ConfigError where another demo has begun in it."""
    wanted = {"from_scratch": options.from_scratch, "demo": plain(options.demo)}
    path = root / CONFIG
    if path.is_file():
        found = differences(wanted, json.loads(path.read_text()))
        if found:
            lines = "\n  ".join(found)
            raise ConfigError(
                f"{root} holds a demo with other settings; choose another --workspace or remove it:\n  {lines}"
            )
    write_json(path, wanted)


def main(argv: list[str]) -> int:
    """Exit code 0 when the report is written, whatever the figures are."""
    options = tyro.cli(Options, args=argv, prog="wbvla demo", default=Options(demo=demo()))
    claim(options.workspace, options)
    console = Console()
    facts = provenance()
    console.print(f"[bold]wbvla demo[/bold]  commit {facts['commit']}, {facts['cpu']}, {facts['cores']} cores")
    space = open_workspace(options.workspace, options.demo, options.from_scratch)
    outcomes = travel(all_stations(space), space.outcomes(), console)
    console.print(summary(outcomes))
    console.print(f"report: [cyan]{space.report / 'report.html'}[/cyan]", soft_wrap=True)
    return 0
