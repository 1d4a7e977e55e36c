"""`wbvla data VERB PATH`: what a dataset holds, what it looks like, what is wrong with it, and how to change it."""

from typing import Any, Union

import tyro
from rich.console import Console

from wbvla.cli import data_change, data_choose, data_export, data_import, data_look, data_mend, data_view

VERBS: tuple[Any, ...] = (
    *(data_look.Info, data_view.View, data_look.Stats),
    *(data_mend.Check, data_mend.Repair),
    *(data_change.Compact, data_change.Expand, data_change.Migrate),
    *(data_choose.Merge, data_choose.Split, data_choose.Delete),
    *(data_import.Import, data_export.Export),
)
"""Dataclasses with `run(console) -> exit code`; the docstring of each is its help."""


def main(argv: list[str]) -> int:
    """Exit code 0 when done or sound, 1 when faults were found."""
    command = tyro.cli(Union[VERBS], args=argv, prog="wbvla data", description=__doc__)  # type: ignore[arg-type]  # noqa: UP007
    return command.run(Console(soft_wrap=True))
