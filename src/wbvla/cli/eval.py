"""`wbvla eval BUNDLE`: seeded trials through the deployed loop, beside the expert and a random policy, and a report."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wbvla.collect.experts import expert_for
from wbvla.collect.experts import experts as scripted
from wbvla.collect.rollouts import RolloutRecorder, summary_of
from wbvla.deploy.bundle import open_bundle
from wbvla.deploy.sources import LocalSource
from wbvla.evaluate.campaign import Assignment, CampaignConfig, evaluate_bundle
from wbvla.evaluate.rollout import Player
from wbvla.robots.platforms import load_robot
from wbvla.sim.tasks import Task, tasks

OUT = Path("runs/eval")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Run every driver through the same seeded trials and write report.html and report.json."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """folder made by `wbvla export`"""
    task: str = "box-lift"
    """task to try"""
    out: Path = OUT
    """folder of the report"""
    record: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """dataset to which the policy's trials are added as episodes, failures included"""
    campaign: Annotated[CampaignConfig, tyro.conf.arg(name="")] = field(default_factory=CampaignConfig)
    """how much"""


def experts(task: Task) -> list[Player]:
    """The scripted teleoperator, for tasks that have one."""
    if task.name not in scripted:
        return []
    return [
        Player(
            name="expert",
            description="scripted teleoperator that sees the simulator's state",
            make_source=lambda arena, trial: LocalSource(expert_for(arena.task, arena.world, seed=trial.seed)),
            sees=False,
        )
    ]


def shown(report: dict[str, Any]) -> Table:
    """Success and falls, one row per driver."""
    table = Table("driver", "success", "exact 95 %", "falls", title=f"{report['task']} on {report['robot']}")
    for row in report["contenders"]:
        rate, safe = row["success"], row["safety"]
        ends = f"{100 * rate['low']:.0f} to {100 * rate['high']:.0f} %"
        table.add_row(row["name"], f"{rate['successes']} of {rate['trials']}", ends, str(safe["falls"]))
    return table


def main(argv: list[str]) -> int:
    """Exit code 0 when the report is written, whatever it says."""
    options = tyro.cli(Options, args=argv, prog="wbvla eval")
    bundle, task, console = open_bundle(options.bundle), tasks.build(options.task), Console()
    times = (TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), TextColumn("{task.description}"))
    with contextlib.ExitStack() as stack:
        recorder = None
        if options.record is not None:
            facts = {"vla": bundle.vla.digest, "lmo": bundle.lmo.digest}
            recorder = RolloutRecorder(options.record, load_robot(bundle.robot), facts=facts)
            stack.enter_context(recorder)
        progress = stack.enter_context(Progress(BarColumn(), *times, console=console, transient=True))
        bar = progress.add_task("starting the policy server", total=None)
        report = evaluate_bundle(
            Assignment(bundle=bundle, task=task, others=experts(task), recorder=recorder),
            options.campaign,
            options.out,
            lambda done, total, words: progress.update(bar, completed=done, total=total, description=words),
        )
    console.print(shown(report))
    if recorder is not None:
        console.print(summary_of(recorder, options.record))
    console.print(f"report: [cyan]{options.out / 'report.html'}[/]", soft_wrap=True)
    return 0
