"""One run in real time, to see which rates are really held and how long the policy takes."""

import os
from dataclasses import dataclass

from wbvla.deploy.link import Link
from wbvla.deploy.runtime import RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.evaluate.efficiency import HeldRates, held_rates
from wbvla.evaluate.rollout import Arena
from wbvla.evaluate.trials import Trial
from wbvla.sim.body import SimBody, SimBodyConfig


@dataclass(frozen=True, kw_only=True)
class RealTime:
    """What was measured, in full for the plots."""

    rates: HeldRates | None
    load_average: float
    """processes that wanted a core of this machine in the last minute; above the cores, rates suffer"""
    periods_ms: list[float]
    round_trips_ms: list[float]


def measure_rates(arena: Arena, link: Link, trial: Trial, seconds: float) -> RealTime:
    """Drive the robot loop against the wall clock with the served policy for `seconds` [s], pictures drawn aside."""
    spec, config, task = arena.spec, arena.config, arena.task
    task.reset(arena.world, trial.seed)
    before = len(link.status().rtt_ms)
    size = SimBodyConfig(realtime=True, image_width=config.image_width, image_height=config.image_height)
    robot = SimBody(arena.world, size)
    try:
        loop = RobotLoop(robot, spec, arena.lmo, link, SafetyLayer(spec, control_hz=robot.control_hz))
        report = loop.run(round(seconds * robot.control_hz), trial.instruction)
    finally:
        robot.close()
    trips = link.status().rtt_ms[before:]
    return RealTime(
        rates=held_rates(report.periods_s, [t / 1e3 for t in trips]),
        load_average=os.getloadavg()[0],
        periods_ms=[p * 1e3 for p in report.periods_s],
        round_trips_ms=list(trips),
    )
