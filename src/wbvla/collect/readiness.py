"""Whether the simulator draws, and steps a whole task faster than the clock."""

import time
from collections.abc import Iterator

from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.machine import Finding


def simulator_lines(robot: str, task: str = "box-lift") -> Iterator[Finding]:
    """One attempt of the scripted expert, against the clock."""
    stage = Stage(StageConfig(robot=robot, task=task))
    began = time.monotonic()
    outcome = stage.run(0)
    speed = outcome.duration_s / (time.monotonic() - began)
    stage.close()
    yield Finding(
        subject="simulator",
        found=f"the scripted expert at {task}: {outcome.reason} after {outcome.duration_s:.1f} s, simulated at "
        f"{speed:.1f} times real time",
        ok=outcome.success and speed >= 1.0,
        remedy="other programs take the cores: close them; if it fails alone, `make test` says where",
    )
