"""`wbvla record expert|egovideo|manipulation|realsense|sim`: collect episodes, resumable, with counts."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.cli.bar import with_bar
from wbvla.cli.record_ego import Egovideo, draw_people
from wbvla.cli.record_film import Film, film
from wbvla.cli.record_manipulation import Manipulation, record_work
from wbvla.cli.record_sim import Sim, film_sim
from wbvla.collect.record import RecordConfig, Tally, record_expert

__all__ = ["main", "record_expert", "with_bar"]


@dataclass(frozen=True, kw_only=True)
class Expert:
    """Demonstrations by the scripted teleoperator; only successes are kept, all attempts are counted."""

    out: Path
    """folder of the dataset; an existing recording is continued"""
    task: str = "box-lift"
    """task by name"""
    episodes: int = 50
    """successful episodes the dataset shall hold"""
    seed: int = 0
    """of starts, objects and words"""
    config: Annotated[RecordConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: RecordConfig(processes=os.cpu_count() or 1)
    )
    """how"""


Options = (
    Annotated[Expert, tyro.conf.subcommand("expert")]
    | Annotated[Egovideo, tyro.conf.subcommand("egovideo")]
    | Annotated[Film, tyro.conf.subcommand("realsense")]
    | Annotated[Sim, tyro.conf.subcommand("sim")]
    | Annotated[Manipulation, tyro.conf.subcommand("manipulation")]
)


def main(argv: list[str]) -> int:
    """Exit code 0; a refusal is an error of `wbvla`."""
    options, console = tyro.cli(Options, args=argv, prog="wbvla record"), Console(soft_wrap=True)
    if isinstance(options, Film):
        return film(options, console)
    if isinstance(options, Manipulation):
        return record_work(options, console)
    if isinstance(options, Sim):
        with_bar(lambda show: film_sim(options, show), console, "clips")
        return 0
    if isinstance(options, Egovideo):
        with_bar(lambda show: draw_people(options, show), console, "frames" if options.config.hours else "clips")
        return 0
    tallies: list[Tally] = []
    given = (options.out, options.task, options.episodes, options.seed)
    with_bar(lambda show: tallies.append(record_expert(*given, show, options.config)), console, "episodes")
    tally, out = tallies[0], options.out
    console.print(f"{tally.kept} episodes of {tally.attempts} attempts in {out}; failures {dict(tally.failures)}")
    return 0
