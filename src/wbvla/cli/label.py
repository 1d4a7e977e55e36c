"""`wbvla label LAM DATASET`: write a trained latent action model's codes into a recording."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from wbvla.lam.label import label


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write latent action codes into a dataset; a model that failed its quality gate is refused."""

    lam: Annotated[Path, tyro.conf.Positional]
    """artefact of a latent action model (RUN/lam of `wbvla train`)"""
    dataset: Annotated[Path, tyro.conf.Positional]
    """recording to label"""
    column: str = ""
    """column to write; empty takes `latent.<stream of the model>`"""
    force: bool = False
    """label although the model failed its gate; the dataset's labels.json says so"""
    device: str = "cpu"
    """torch device"""


def main(argv: list[str]) -> int:
    """Exit code 0; a refusal is an error of `wbvla`."""
    options = tyro.cli(Options, args=argv, prog="wbvla label")
    console = Console(soft_wrap=True)
    with Progress(console=console) as progress:
        task = progress.add_task("labelling", total=None)
        name = label(
            options.lam,
            options.dataset,
            options.column,
            options.force,
            lambda done, total: progress.update(task, completed=done, total=total),
            options.device,
        )
    console.print(f"column {name} written to {options.dataset}")
    return 0
