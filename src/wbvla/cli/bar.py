"""A progress bar with times around work that reports what is done, of how much, and a note."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def with_bar(work: Callable[[Callable[[float, float, str], None]], None], console: Console, what: str) -> None:
    """Run `work`, which reports done, total and a note."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    ends = (TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, *ends, console=console) as progress:
        row = progress.add_task(what, total=1, note="")
        work(lambda done, total, note: progress.update(row, completed=done, total=total, note=note))
