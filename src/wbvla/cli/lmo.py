"""`wbvla lmo check | play | export`: measure a low-level controller, drive it, turn a training run into an artefact."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from wbvla.core.run import read_run
from wbvla.lmo.check import PAGE, CheckConfig, run_check
from wbvla.lmo.export import export
from wbvla.lmo.play import PlayConfig, play
from wbvla.lmo.train import CHECKPOINT, LmoConfig
from wbvla.recipes.lmo import recipe_of
from wbvla.robots.platforms import load_robot, shipped_lmo


@dataclass(frozen=True, kw_only=True)
class Check:
    """Stage I tests, the paper's protocol, pushes and films, as a page; exit status 1 when a stage I test fails."""

    policy: Path | None = None
    """artefact folder; default: the one shipped for the robot"""
    robot: str = "agibot_x2"
    robots_each: int = 16
    """robots per command"""
    quick: bool = False
    """4 robots per command whatever else is said, and films of 10 frames per second"""
    seed: int = 0
    out: Path = Path("runs/lmo_check")
    """folder of index.html, check.json and the films"""


@dataclass(frozen=True, kw_only=True)
class Play:
    """Drive a controller by keyboard, in a window or in the browser."""

    policy: Path | None = None
    """artefact folder; default: the one shipped for the robot"""
    robot: str = "agibot_x2"
    how: Annotated[PlayConfig, tyro.conf.arg(name="")] = field(default_factory=PlayConfig)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the artefact of a training run: ONNX, contract, card, learning curve."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of the run, or one of its checkpoints"""
    out: Annotated[Path, tyro.conf.Positional]
    """folder of the artefact; an older one there is replaced"""


def _check(options: Check, console: Console) -> int:
    policy, spec = options.policy or shipped_lmo(options.robot), load_robot(options.robot)
    size = {"robots_each": 4, "fps": 10} if options.quick else {"robots_each": options.robots_each}
    config = CheckConfig(seed=options.seed, **size)
    bars: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description:<20}"), BarColumn(), TimeElapsedColumn(), console=console) as progress:

        def on_part(name: str, done: int, of: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=of)
            progress.update(bars[name], completed=done)

        stage = run_check(policy, spec, config, options.out, on_part)
    console.print("\n".join(stage.lines()), highlight=False)
    console.print(f"{options.out / PAGE}", soft_wrap=True)
    return 0 if stage.passed else 1


def main(argv: list[str]) -> int:
    """Check, play or export."""
    verbs = {"check": Check, "play": Play, "export": Export}
    options = tyro.extras.subcommand_cli_from_dict(verbs, args=argv, prog="wbvla lmo")
    console = Console()
    if isinstance(options, Check):
        return _check(options, console)
    if isinstance(options, Play):
        return play(options.policy or shipped_lmo(options.robot), load_robot(options.robot), options.how, console.print)
    checkpoint = options.run / CHECKPOINT if options.run.is_dir() else options.run
    config = read_run(checkpoint.parent, LmoConfig)
    made = export(checkpoint, config.environment, options.out, recipe_of(config), config.seed)
    console.print(f"{made.folder}  {made.digest[:16]}", soft_wrap=True)
    return 0
