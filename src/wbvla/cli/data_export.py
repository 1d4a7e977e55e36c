"""`wbvla data export PATH TARGET --format v2.1|gr00t`: a dataset for programs that read older layouts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.markup import escape

from wbvla.cli.record import with_bar
from wbvla.data.export import Exported, export


@dataclass(frozen=True)
class Export:
    """Write a dataset anew as LeRobot v2.1 (openpi and older programs), or with what GR00T adds.

    Videos are copied or cut undecoded wherever an episode starts at a keyframe. For example:

        wbvla data export recordings/boxes boxes-gr00t --format gr00t
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""
    target: tyro.conf.Positional[Path]
    """new folder for the export; must not exist"""
    format: Literal["v2.1", "gr00t"] = "v2.1"
    """layout to write"""

    def run(self, console: Console) -> int:
        done: list[Exported] = []
        with_bar(
            lambda show: done.append(export(self.path, self.target, self.format, show)),
            console,
            f"exporting as {self.format}",
        )
        result = done[0]
        for name, reason in result.left_out.items():
            console.print(f"[yellow]{escape(name)} left out[/]: {escape(reason)}")
        console.print(
            f"{result.episodes} episodes, {result.frames} frames in {escape(str(self.target))}; videos: "
            f"{result.copied} copied, {result.remuxed} cut undecoded, {result.encoded} encoded anew"
        )
        return 0
