"""A journey: stations in order, each with a bar, an outcome kept on disk, and a figure beside its trivial baseline."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wbvla.core.files import write_json


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One honest number and what doing nothing clever would give."""

    name: str
    value: float
    baseline_name: str
    baseline: float | None
    better: str = "higher"
    """`higher` or `lower`"""
    samples: int
    """what the figure was counted over"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a station made, where it lies, and its figure."""

    made: str
    where: str
    figure: Figure | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Bar:
    """The progress of one station; `advance_to(done, total)` may be called as often as one likes."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance_to(self, done: float, total: float, text: str = "") -> None:
        """Show `done` of `total`, with a word on how it goes."""
        self._progress.update(self._task, completed=done, total=total, note=text)


@dataclass(frozen=True, kw_only=True)
class Station:
    """One step of the journey; `run` gets a bar and returns an outcome, and must itself be resumable."""

    name: str
    title: str
    run: Callable[[Bar], Outcome]


def travel(stations: list[Station], folder: Path, console: Console) -> list[dict[str, Any]]:
    """Run each station that has no outcome in `folder` yet; returns all outcomes, in order."""
    outcomes = []
    for number, station in enumerate(stations, 1):
        heading = f"[bold]{number}/{len(stations)} {station.title}[/bold]"
        record = folder / f"{station.name}.json"
        if record.is_file():
            outcome = json.loads(record.read_text())
            console.print(f"{heading} [dim](kept from an earlier run)[/dim]")
        else:
            started = time.monotonic()
            console.print(heading)
            with _bar(console, station.title) as bar:
                outcome = {"station": station.name, "title": station.title, **asdict(station.run(bar))}
            outcome["wall_s"] = round(time.monotonic() - started, 1)
            write_json(record, outcome)
        _tell(outcome, console)
        outcomes.append(outcome)
    return outcomes


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Bar]:
    columns = (
        TextColumn("   "),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=None, note=""))


def _tell(outcome: dict[str, Any], console: Console) -> None:
    console.print(f"    {escape(outcome['made'])}  [dim]{outcome['wall_s']:.0f} s[/dim]", soft_wrap=True)
    console.print(f"    [cyan]{escape(outcome['where'])}[/cyan]", soft_wrap=True)
    if outcome["figure"]:
        console.print(f"    {sentence(outcome['figure'])}", soft_wrap=True)


def sentence(figure: dict[str, Any]) -> str:
    """A figure and its baseline in words."""
    baseline = "not measured" if figure["baseline"] is None else f"{figure['baseline']:.3g}"
    return (
        f"{escape(figure['name'])}: [bold]{figure['value']:.3g}[/bold]; {figure['baseline_name']}: {baseline} "
        f"({figure['better']} is better, n = {figure['samples']})"
    )


def summary(outcomes: list[dict[str, Any]]) -> Table:
    """All figures side by side."""
    table = Table("station", "figure", "value", "trivial baseline", "n", title="What was made in this run")
    for outcome in outcomes:
        figure = outcome["figure"]
        if figure:
            baseline = "not measured" if figure["baseline"] is None else f"{figure['baseline']:.3g}"
            value = f"{figure['value']:.3g}"
            row = (escape(figure["name"]), value, f"{figure['baseline_name']}: {baseline}", str(figure["samples"]))
            table.add_row(outcome["title"], *row)
    return table
