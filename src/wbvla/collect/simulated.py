"""Motion primitives shown by the simulated robot itself: the robot loop walks them, the collector records them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.collect.collector import Collector, CollectorConfig, lockstep
from wbvla.collect.prompts import SAID
from wbvla.core.command import Command
from wbvla.core.contract import open_artefact
from wbvla.core.errors import ConfigError
from wbvla.core.records import Action, Observation
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import LoopReport, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import CONTROL_HZ, SimBody, SimBodyConfig
from wbvla.sim.tasks import tasks

FLAGS: Mapping[str, tuple[int, int, int]] = {
    "advance": (1, 0, 0),
    "back_away": (-1, 0, 0),
    "sidestep_left": (0, 1, 0),
    "sidestep_right": (0, -1, 0),
    "turn_left": (0, 0, 1),
    "turn_right": (0, 0, -1),
    "squat_down": (0, 0, 0),
    "stand_up": (0, 0, 0),
    "stop_ready": (0, 0, 0),
}
"""flags s_x, s_y, s_psi of the primitives that a command alone can show; `approach_near` needs an eye for the thing"""
SETTLE_S = 1.0
"""before each clip the robot stands (or squats, to stand up) [s]"""
DEPTH_OF_SQUAT = 0.7
"""share of the height range that a squat goes down [-]"""


@dataclass(frozen=True, kw_only=True)
class SimFilmConfig:
    """What the simulated robot shows, and how it is recorded."""

    robot: str = "agibot_x2"
    """robot by name"""
    task: str = "box-lift"
    """world by the name of its task"""
    primitives: tuple[str, ...] = tuple(FLAGS)
    """in this order, again and again"""
    clips: int = 9
    """clips that are added"""
    seconds: float = 2.0
    """of each [s]"""
    fps: int = 10
    """rows per second; divides 50 [Hz]"""
    width: int = 160
    """of each camera [px]"""
    height: int = 120
    """[px]"""
    depth: bool = True
    """keep the head camera's depth"""
    seed: int = 0
    """of the start of the first clip; the next has the next seed"""

    def __post_init__(self) -> None:
        unknown = [name for name in self.primitives if name not in FLAGS]
        if unknown or not self.primitives:
            raise ConfigError(f"the robot shows {', '.join(FLAGS)} by command, not {unknown}; the expert approaches")
        if self.clips < 1 or self.seconds <= 0.0 or round(CONTROL_HZ) % self.fps:
            raise ConfigError(f"clips and seconds are positive, and fps divides {round(CONTROL_HZ)}, not {self}")


class PrimitiveDriver:
    """A `Driver` that settles, then gives one command until time is over."""

    def __init__(self, spec: RobotSpec, primitive: str, seconds: float) -> None:
        low, high = spec.height_range_m
        squat_m = spec.nominal_height_m - DEPTH_OF_SQUAT * (min(spec.nominal_height_m, high) - low)
        upright, down = Command(height_m=spec.nominal_height_m), Command(height_m=squat_m)
        self.instruction = SAID[primitive][0]
        self._before = down if primitive == "stand_up" else upright
        s_x, s_y, s_psi = FLAGS[primitive]
        moving = Command(s_x=s_x, s_y=s_y, s_psi=s_psi, height_m=spec.nominal_height_m)
        self._then = down if primitive == "squat_down" else moving
        self._arms = spec.column("default")[spec.indices(spec.arm_joints)]
        self._seconds, self._start_s = seconds, float("nan")

    def reset(self) -> None:
        """The next observation is the first."""
        self._start_s = float("nan")

    def act(self, observation: Observation) -> Action | None:
        """The next half second; None when the clip is over."""
        now_s = observation.state.time_s
        self._start_s = now_s if np.isnan(self._start_s) else self._start_s
        if now_s - self._start_s > SETTLE_S + self._seconds + 0.5:
            return None
        command = self._before if now_s - self._start_s < SETTLE_S - 1e-6 else self._then
        return Action(
            rate_hz=10.0,
            arm_targets=np.tile(self._arms, (5, 1)),
            grippers=np.ones((5, 2)),
            flags=np.tile(np.array(command.flags), (5, 1)),
            height_m=np.full(5, command.height_m),
        )


def record_sim(
    folder: Path, config: SimFilmConfig, show: Callable[[float, float, str], None] = lambda done, total, note: None
) -> dict[str, int]:
    """Add clips to a dataset; one in which the safety layer trips is discarded. Returns how many were kept and not."""
    spec = load_robot(config.robot)
    task = tasks.build(config.task)
    world = task.build(spec)
    task.reset(world, config.seed)
    depths = spec.camera_names[:1] if config.depth else ()
    sight = SimBodyConfig(
        image_width=config.width, image_height=config.height, image_hz=float(config.fps), depths=depths
    )
    body = SimBody(world, sight)
    kept = {"kept": 0, "discarded": 0}
    try:
        with Collector(folder, body, spec, lockstep(CollectorConfig(fps=config.fps))) as collector:
            for clip in range(config.clips):
                task.reset(world, config.seed + clip)
                body.reset()
                primitive = config.primitives[clip % len(config.primitives)]
                news = _clip(collector, body, PrimitiveDriver(spec, primitive, config.seconds), primitive, config)
                kept["kept" if news["kind"] == "committed" else "discarded"] += 1
                show(clip + 1, config.clips, f"{primitive} {news['kind']}")
    finally:
        body.close()
    return kept


def _clip(
    collector: Collector, body: SimBody, driver: PrimitiveDriver, primitive: str, config: SimFilmConfig
) -> dict[str, Any]:
    spec, artefact = body.world.spec, shipped_lmo(body.world.spec.name)
    lmo, source, report = LmoController.load(artefact, spec), LocalSource(driver), LoopReport()
    loop = RobotLoop(body, spec, lmo, source, SafetyLayer(spec, control_hz=body.control_hz), [collector])
    first, last = (round(s * CONTROL_HZ) for s in (SETTLE_S, SETTLE_S + config.seconds))
    notes = {"instructed_by": "a fixed command", "consent": "none needed: simulated"}
    notes["lmo"] = open_artefact(artefact, "lmo").digest
    for _ in loop.ticks(report, last, driver.instruction):
        if report.ticks == first:
            collector.start(driver.instruction, primitive, notes)
    if report.trip or not collector.is_collecting:
        return collector.discard() if collector.is_collecting else {"kind": "discarded", "text": report.trip}
    collector.mark(None)
    return collector.stop()
