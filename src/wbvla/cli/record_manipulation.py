"""`wbvla record manipulation`: bimanual work at a table by a simulated robot, in AgiBot World's layout."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.cli.bar import with_bar
from wbvla.collect.manipulation.layout import Layout
from wbvla.collect.manipulation.video import ManipulationVideoConfig, record_manipulation

Show = Callable[[float, float, str], None]


@dataclass(frozen=True, kw_only=True)
class Manipulation:
    """Video of two arms at work, by contact physics; `wbvla data import agibot-world` makes a dataset of it."""

    out: Path
    """folder of the recording; an existing one is continued"""
    config: Annotated[ManipulationVideoConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: ManipulationVideoConfig(processes=os.cpu_count() or 1)
    )
    """what"""


def record_work(options: Manipulation, console: Console) -> int:
    """Record with a progress bar over clips or head images; says what was recorded and what failed on the way."""
    config, found = options.config, list[Layout]()

    def work(show: Show) -> None:
        def on_clip(done: int, frames: int) -> None:
            if config.clips:
                show(done, config.clips, f"{frames} images")
            else:
                show(frames, config.num_frames, f"{done} clips")

        found.append(record_manipulation(config, options.out, on_clip))

    with_bar(work, console, "clips" if config.clips else "images")
    layout = found[0]
    console.print(
        f"{layout.num_clips} clips, {layout.num_frames} head images in {options.out}; "
        f"failed attempts, not kept: {layout.failures or 'none'}"
    )
    console.print(f"next: wbvla data import agibot-world {options.out} {options.out}-dataset")
    return 0
