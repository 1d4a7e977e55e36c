"""`wbvla record egovideo`: draws people who walk through rooms, so many clips of them or so many hours."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from wbvla.collect.ego.video import EgoVideoConfig, record_egovideo


@dataclass(frozen=True, kw_only=True)
class Egovideo:
    """Action-free video of people walking through rooms."""

    out: Path
    """folder of the dataset; an existing recording is continued"""
    clips: int = 600
    """clips the dataset shall hold, unless `--hours` says so"""
    config: Annotated[EgoVideoConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: EgoVideoConfig(processes=os.cpu_count() or 1)
    )
    """how"""


def draw_people(options: Egovideo, show: Callable[[float, float, str], None]) -> None:
    """Record, and show clips or, where hours are asked for, frames."""
    config = replace(options.config, num_clips=options.clips)

    def tell(clips: int, frames: int) -> None:
        if config.hours:
            show(frames, config.num_frames, f"{clips} clips")
        else:
            show(clips, config.num_clips, f"{frames} frames")

    tell(0, 0)
    record_egovideo(config, options.out, tell)
