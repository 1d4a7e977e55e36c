"""`wbvla record sim`: the simulated robot shows motion primitives and is recorded by the collector."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from wbvla.collect.simulated import SimFilmConfig, record_sim


@dataclass(frozen=True, kw_only=True)
class Sim:
    """The simulated robot walks primitives by command; every clip is added with cameras, depth, joints, IMU, hands."""

    out: Path
    """folder of the dataset; clips are added to an existing one"""
    config: Annotated[SimFilmConfig, tyro.conf.arg(name="")] = field(default_factory=SimFilmConfig)
    """what"""


def film_sim(options: Sim, show: Callable[[float, float, str], None]) -> None:
    """Record the clips."""
    show(0, options.config.clips, "")
    record_sim(options.out, options.config, show)
