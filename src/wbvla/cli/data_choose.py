"""`wbvla data merge|split|delete`: which episodes a dataset holds; each in one commit."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.markup import escape

from wbvla.cli.data_change import Folder, shown
from wbvla.core.errors import ConfigError
from wbvla.data import rearrange


@dataclass(frozen=True)
class Merge:
    """Write a new dataset with all episodes of several; differences between them are named and refused.

    For example:

        wbvla data merge all monday tuesday
    """

    out: Folder
    """folder of the new dataset"""
    sources: tyro.conf.Positional[tuple[Path, ...]]
    """folders of the datasets, in order"""

    def run(self, console: Console) -> int:
        return shown(console, "merging", lambda show: rearrange.merge(self.out, self.sources, show=show))


@dataclass(frozen=True)
class Split:
    """Write a new dataset with some episodes, or two (train/ and test/) by a fraction; the source stays.

    For example:

        wbvla data split recordings/boxes first-fifty --episodes 0:50,60
        wbvla data split recordings/boxes parted --fraction 0.9
    """

    path: Folder
    """folder of the dataset"""
    out: Folder
    """folder of the new dataset, or of train/ and test/"""
    episodes: str = ""
    """numbers and half-open ranges, such as `0:50,60`"""
    fraction: float = 0.0
    """share of the episodes that goes to train/, drawn with `seed` [-]"""
    seed: int = 0
    """of the draw"""

    def run(self, console: Console) -> int:
        if bool(self.episodes) == bool(self.fraction):
            raise ConfigError("say which episodes: either --episodes 0:50,60 or --fraction 0.9")
        if self.episodes:
            chosen = rearrange.chosen(self.episodes)
            return shown(console, "splitting", lambda show: rearrange.split(self.path, self.out, chosen, show=show))
        made = rearrange.split_by_fraction(self.path, self.out, self.fraction, self.seed)
        for name, change in made.items():
            console.print(f"{escape(str(self.out / name))}: {change.episodes} episodes, {change.frames} frames")
        return 0


@dataclass(frozen=True)
class Delete:
    """Take episodes out and number the others anew; they go to quarantine/, as a dataset that can be merged back.

    For example:

        wbvla data delete recordings/boxes --episodes 3,7:9
    """

    path: Folder
    """folder of the dataset"""
    episodes: str
    """numbers and half-open ranges, such as `3,7:9`"""
    forever: bool = False
    """keep nothing of them"""

    def run(self, console: Console) -> int:
        gone = rearrange.chosen(self.episodes)
        return shown(
            console, "deleting", lambda show: rearrange.delete(self.path, gone, forever=self.forever, show=show)
        )
