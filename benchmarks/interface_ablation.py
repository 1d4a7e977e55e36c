"""Does the discrete command help? The scripted expert over the flag-driven and over a velocity-tracking controller.

    python benchmarks/interface_ablation.py --task box-loading --velocity FOLDER [--trials 50] [--quick]

FOLDER is the artefact of recipe x2-lmo-velocity (`wbvla train x2-lmo-velocity`, then `wbvla lmo export`): the same
robot, rewards, randomisation and budget, but it tracks velocities. Default: the one in benchmarks/policies. Three ways:

- `discrete`: the shipped controller and three ternary flags
- `velocity_flags`: the velocity-tracking one at full goal speed or none, as three flags ask
- `velocity`: the same with speeds that fall with the error (1 /s, at least the slowest that it was trained on); they
  go past the flags of an action, which carry the signs only

The expert is the same, and knows how each reference goes on after a release (the velocity-tracking one: not at all).
A stop is each first standing still in a walk to a place; its errors are from the place to where the robot stands then,
before any correction. Seeds are shared. Last line: one JSON object; the long form adds the task to
docs/results/interface_ablation.json.
"""

import json
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tyro
from rich.progress import track

from wbvla.collect.approach import Approach, ApproachConfig
from wbvla.collect.expert import FELL
from wbvla.collect.stage import Outcome, Stage, StageConfig
from wbvla.core.command import Command, Shaping
from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.records import BodyState
from wbvla.core.run import provenance
from wbvla.deploy.lmo import LmoController
from wbvla.evaluate.statistics import exact_rate
from wbvla.evaluate.trials import TEST_SEED
from wbvla.robots.platforms import shipped_lmo

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "interface_ablation.json"
BASELINE = ROOT / "benchmarks" / "policies" / "agibot_x2_velocity"
WAYS = ("discrete", "velocity_flags", "velocity")
GAIN = 1.0
"""speed asked for per error [1/s]"""
SLOWEST = 0.2
"""share of the goal speed; `CommandConfig.slowest` of the training [-]"""


class Stops(Approach):
    """Notes how far off the robot is when it first stands still after moving along the axis that was farthest off."""

    def reset(self) -> None:
        """A new attempt."""
        super().reset()
        self.stops: list[tuple[float, float]] = []
        self._walking, self._farthest = False, -1

    def step(self, error: np.ndarray) -> np.ndarray:
        """Flags of the next period; keeps in mind that it walks."""
        if self._farthest < 0:
            self._farthest = int(np.argmax(np.abs(error) / np.array(self.config.accept)))
        walking, flags = self._walking, super().step(error)
        self._walking = walking or bool(flags[self._farthest])
        return flags

    def follow(self, wanted: np.ndarray) -> np.ndarray:
        """A stride has no place to be at."""
        self._walking = self._walking and not wanted.any()
        return super().follow(wanted)

    def arrived(self, error: np.ndarray, factor: float = 1.0) -> bool:
        """Asked at each period of a walk."""
        if self.settled and self._walking:
            self._walking = False
            self.stops.append((float(np.linalg.norm(error[:2])), abs(float(error[2]))))
        if self.settled:
            self._farthest = -1
        return super().arrived(error, factor)


class AtOnce(Stops):
    """Knows that a velocity is tracked from the first tick on."""

    def __init__(self, shaping: Shaping, config: ApproachConfig | None = None) -> None:
        super().__init__(replace(shaping, alpha=20.0, smoothing=1.0), config)

    def step(self, error: np.ndarray) -> np.ndarray:
        """Flags of the next period. Nothing coasts here, so that an axis without an error (of a turn on the spot) would
        for ever make up for what the robot went too far on it."""
        self._lag[error == 0.0] = 0.0
        return super().step(error)


class Proportional(AtOnce):
    """Shares of the goal speeds that fall with the error; the flags are their signs."""

    share: ClassVar[np.ndarray] = np.ones(3)
    """of the walk under way, whichever approach leads it"""

    def step(self, error: np.ndarray) -> np.ndarray:
        """Flags of the next period; `share` has how fast."""
        fast = np.array(self._shaping.goal_speed)
        Proportional.share = np.clip(GAIN * np.abs(error) / fast, SLOWEST, 1.0)
        self._goal_speed = fast * Proportional.share
        return super().step(error)

    def hold(self) -> np.ndarray:
        """Standing; strides without an error, which come next, go at full speed."""
        Proportional.share = np.ones(3)
        return super().hold()


class Throttled(LmoController):
    """Takes shares of the goal speeds from beside the flags."""

    def step(self, state: BodyState, command: Command) -> np.ndarray:
        """One tick with flags times shares."""
        flags = np.array([command.flags], dtype=np.float64) * Proportional.share
        q, dq = state.q[None, self._index], state.dq[None, self._index]
        seen = self._batch.observe(flags, state.gyro_b[None], state.gravity_b[None], q, dq)
        return self._batch.step(flags, np.array([command.height_m]), seen)[0]


APPROACHES: dict[str, type[Stops]] = {"discrete": Stops, "velocity_flags": AtOnce, "velocity": Proportional}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare the interfaces."""

    task: str = "box-loading"
    """task by name"""
    trials: int = 50
    """attempts each way"""
    velocity: Path = BASELINE
    """artefact of the velocity-tracking controller"""
    processes: int = 2
    """attempts at the same time"""
    quick: bool = False
    """1 attempt each way; nothing is written"""


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt."""

    way: str
    outcome: Outcome
    stops: list[tuple[float, float]]


_stages: dict[str, Stage] = {}


def enter(options: Options) -> None:
    """Build the stages of this process."""
    for way in WAYS:
        lmo = shipped_lmo("agibot_x2") if way == "discrete" else options.velocity
        stage = _stages[way] = Stage(StageConfig(task=options.task, lmo=str(lmo)))
        stage.expert.approach = APPROACHES[way](stage.spec.shaping, stage.expert.config.approach)
        if way == "velocity":
            stage.lmo = Throttled.load(lmo, stage.spec)


def attempt(way: str, seed: int) -> Attempt:
    """One attempt in this process."""
    stage = _stages[way]
    outcome = stage.run(seed)
    approach = stage.expert.approach
    return Attempt(way, outcome, approach.stops if isinstance(approach, Stops) else [])


def measure(options: Options) -> dict[str, Any]:
    """All attempts of all ways and what they add up to."""
    seeds = range(TEST_SEED, TEST_SEED + (1 if options.quick else options.trials))
    jobs = [(way, seed) for seed in seeds for way in WAYS]
    spawn, done = multiprocessing.get_context("spawn"), []
    with ProcessPoolExecutor(options.processes, spawn, enter, (options,)) as pool:
        for found in track(pool.map(attempt, *zip(*jobs)), description=options.task, total=len(jobs)):
            done.append(found)
    return {
        "task": options.task,
        "trials": len(seeds),
        "first_seed": TEST_SEED,
        "policies": {way: open_artefact(folder, "lmo").digest[:16] for way, folder in policies(options).items()},
        **{way: summary([a for a in done if a.way == way]) for way in WAYS},
    }


def policies(options: Options) -> dict[str, Path]:
    """Artefact of each interface."""
    return {"discrete": shipped_lmo("agibot_x2"), "velocity": options.velocity}


def summary(attempts: list[Attempt]) -> dict[str, Any]:
    """Success with its exact interval, time, and errors at stops with half of their 95 % intervals."""
    outcomes = [a.outcome for a in attempts]
    rate = exact_rate(sum(o.success for o in outcomes), len(outcomes))
    stops = np.array([stop for a in attempts for stop in a.stops]).reshape(-1, 2)
    failures = Counter(o.reason for o in outcomes if not o.success)
    times = [o.duration_s for o in outcomes if o.success]
    half = 1.96 * stops.std(axis=0, ddof=1) / np.sqrt(len(stops)) if len(stops) > 1 else np.full(2, np.nan)
    found = {
        "stop_position_m": stops[:, 0].mean() if len(stops) else np.nan,
        "stop_position_m_half": half[0],
        "stop_position_m_p90": np.quantile(stops[:, 0], 0.9) if len(stops) else np.nan,
        "stop_heading_rad": stops[:, 1].mean() if len(stops) else np.nan,
        "stop_heading_rad_half": half[1],
        "mean_time_s": np.mean(times) if times else np.nan,
    }
    return {
        "success": rate.value,
        "ci_low": rate.low,
        "ci_high": rate.high,
        "falls": failures[FELL],
        "failures": dict(sorted(failures.items())),
        "stops": len(stops),
        **{name: None if np.isnan(value) else round(float(value), 4) for name, value in found.items()},
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    figures = measure(options)
    if not options.quick:
        held = json.loads(RESULT.read_text())["tasks"] if RESULT.is_file() else {}
        write_json(RESULT, {"tasks": held | {options.task: {**figures, **provenance()}}})
        print(f"written to docs/results/{RESULT.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
