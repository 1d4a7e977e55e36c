"""`wbvla lmo check | export`: measure a low-level controller, and turn a training run into what a robot loads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.export import export
from wbvla.lmo.protocol import pushes, sway, walk_and_stop
from wbvla.lmo.train import CHECKPOINT
from wbvla.lmo.trial import TrialConfig
from wbvla.recipes import lmo as lmo_recipes
from wbvla.robots.platforms import load_robot, shipped_lmo


@dataclass(frozen=True, kw_only=True)
class Check:
    """Run the paper's protocol (5 s command, 10 s settling), sway and pushes, on the full model."""

    policy: Path | None = None
    """artefact folder; default: the one shipped for the robot"""
    robot: str = "agibot_x2"
    robots_each: int = 16
    """robots per command"""
    seed: int = 0
    out: Path | None = None
    """JSON file to write"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the artefact of a training run: ONNX, contract, card, learning curve."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, or one of its checkpoints"""
    out: Annotated[Path, tyro.conf.Positional]
    """folder of the artefact; an older one there is replaced"""
    recipe: str = "x2-lmo"
    """the recipe the run was trained by"""


def _check(options: Check, console: Console) -> None:
    policy, spec = options.policy or shipped_lmo(options.robot), load_robot(options.robot)
    config = TrialConfig(num_robots=2 * options.robots_each, seed=options.seed)
    with console.status("walking and stopping"):
        walk = walk_and_stop(policy, spec, config, options.robots_each)
    _print(console, "5 s of command, 10 s of settling", walk)
    with console.status("standing and squatting"):
        rest = sway(policy, spec, config)
    _print(console, "10 s of standing still", rest)
    with console.status("pushing"):
        survived = pushes(policy, spec, config)
    _print(console, "share that survives a push of 0.2 s", {"all": survived})
    result = {"walk": walk, "sway": rest, "pushes": survived, "seed": options.seed}
    if options.out is not None:
        write_json(options.out, {**result, **provenance()})
    console.print_json(json.dumps(result), indent=None)


def _print(console: Console, title: str, rows: dict[str, dict[str, Any]]) -> None:
    table = Table("", *next(iter(rows.values())), title=title)
    for name, row in rows.items():
        table.add_row(name, *(str(value) for value in row.values()))
    console.print(table)


def main(argv: list[str]) -> int:
    """Check or export."""
    options = tyro.extras.subcommand_cli_from_dict({"check": Check, "export": Export}, args=argv, prog="wbvla lmo")
    console = Console()
    if isinstance(options, Check):
        _check(options, console)
        return 0
    config = lmo_recipes.recipes.build(options.recipe)
    checkpoint = options.run / CHECKPOINT if options.run.is_dir() else options.run
    made = export(checkpoint, config.environment, options.out, options.recipe, config.seed)
    console.print(f"{made.folder}  {made.digest[:16]}", soft_wrap=True)
    return 0
