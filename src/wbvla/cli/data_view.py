"""`wbvla data view PATH`: an episode as a page for any browser, or as a recording for Rerun's viewer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.markup import escape

from wbvla.core.files import write_bytes
from wbvla.data.check import check
from wbvla.data.format import LEGACY_VERSIONS
from wbvla.data.reader import Dataset
from wbvla.data.rerun_file import write_rerun
from wbvla.data.view import SheetConfig, render


@dataclass(frozen=True)
class View:
    """One file to look at an episode with: an HTML page that needs nothing else, or a Rerun recording.

    For example:

        wbvla data view recordings/boxes
        wbvla data view recordings/boxes --episode 12 --out episode12.html
        wbvla data view recordings/boxes --episode 12 --format rrd   (then: rerun boxes-12.rrd)
    """

    path: tyro.conf.Positional[Path]
    """folder of the dataset"""
    episode: int = 0
    """the episode shown in full; the page shows frames of others beside it"""
    out: Path | None = None
    """file to write; default: NAME-EPISODE.html or .rrd in the folder you stand in"""
    format: Literal["html", "rrd"] = "html"
    """`html`: pictures, signals, statistics, faults; `rrd`: every frame and number on a timeline (extra `view`)"""

    def run(self, console: Console) -> int:
        data = Dataset(self.path)
        out = self.out or Path(f"{data.root.resolve().name}-{self.episode}.{self.format}")
        with console.status("reading"):
            if self.format == "rrd":
                write_rerun(data, self.episode, out)
            else:
                faults = None if data.info.version in LEGACY_VERSIONS else check(self.path, hashes=False)
                write_bytes(out, render(data, SheetConfig(episode=self.episode), faults).encode())
        data.close()
        console.print(f"{escape(str(out))} written, {out.stat().st_size / 2**20:.1f} MiB")
        return 0
