"""From where the scripted expert succeeds: success against start distance, lateral offset and heading, per task.

    python benchmarks/expert_range.py --task box-loading [--seeds 10] [--quick]
    python benchmarks/expert_range.py --plot                       # draws what has been measured

One quantity is changed at a time, the others stay at `distance_m`, 0 and 0. The values hold those of the paper's study
of start poses (arXiv 2512.11047: 1.0 to 1.5 m, +-75 cm, +-60 degrees) and go on beyond. `in_view` is the share of the
starts at which the head camera sees at least half of the target. Last line: one JSON object; the long form adds the
task to docs/results/expert_range.json and draws docs/images/expert_range.webp.
"""

import json
import math
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import tyro

from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.evaluate.statistics import exact_rate
from wbvla.evaluate.trials import TEST_SEED
from wbvla.robots.description import RobotSpec
from wbvla.sim.scene import World
from wbvla.sim.tasks.start import SEEN_SHARE, Start, seen_share
from wbvla.sim.tasks.task import Task

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULT, PLOT = DOCS / "results" / "expert_range.json", DOCS / "images" / "expert_range.webp"
TARGETS = {"box-lift": "box", "box-loading": "box", "bag-packing": "bag", "cart-pushing": "cart_bar"}
"""the body that the robot walks to"""
AXES = {
    "distance_m": (0.75, 1.0, 1.25, 1.5, 2.0),
    "lateral_m": (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75),
    "heading_deg": (-60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0),
}


@runtime_checkable
class Placeable(Protocol):
    """A task whose start can be chosen."""

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own."""
        ...


class StartingAt(Task):
    """A task that starts where it is told to, whatever its own distribution says."""

    def __init__(self, task: Task) -> None:
        if not isinstance(task, Placeable):
            raise ConfigError(f"task {task.name!r} has no `reset_at`: its start cannot be chosen")
        self._task, self._placeable = task, task
        self.start, self.in_view = Start(distance_m=1.0), False
        self.name, self.time_limit_s, self.subgoals = task.name, task.time_limit_s, task.subgoals
        self.train_instructions, self.test_instructions = task.train_instructions, task.test_instructions

    def build(self, spec: RobotSpec) -> World:
        """The task's own world."""
        return self._task.build(spec)

    def reset(self, world: World, seed: int) -> None:
        """The seed's objects and looks, the robot at `start`."""
        self._placeable.reset_at(world, seed, self.start)
        self.in_view = seen_share(world, TARGETS[self.name]) >= SEEN_SHARE

    def progress(self, world: World) -> Mapping[str, bool]:
        """The task's own sub-goals."""
        return self._task.progress(world)

    def success(self, world: World) -> bool:
        """The task's own success."""
        return self._task.success(world)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the expert's range."""

    task: str = "box-loading"
    """task by name"""
    seeds: int = 10
    """attempts at each start"""
    distance_m: float = 1.25
    """distance while another quantity is changed [m]"""
    lmo: str = ""
    """folder of a low-level controller; empty = the shipped one"""
    processes: int = 2
    """attempts at the same time"""
    quick: bool = False
    """one attempt at three starts; nothing is written"""
    plot: bool = False
    """only draw what docs/results/expert_range.json holds"""


@dataclass(frozen=True)
class Case:
    """One attempt to make."""

    axis: str
    value: float
    start: Start
    seed: int


@dataclass(frozen=True)
class Result:
    """What came of it."""

    case: Case
    success: bool
    in_view: bool
    reason: str


def start_at(axis: str, value: float, distance_m: float) -> Start:
    """The start with one quantity changed."""
    changed = {"distance_m": distance_m, "lateral_m": 0.0, "heading_deg": 0.0} | {axis: value}
    return Start(
        distance_m=changed["distance_m"],
        lateral_m=changed["lateral_m"],
        heading_rad=math.radians(changed["heading_deg"]),
    )


def cases(options: Options) -> list[Case]:
    """All attempts; the same seeds at each start."""
    count = 1 if options.quick else options.seeds
    chosen = {"distance_m": (1.0,), "lateral_m": (0.5,), "heading_deg": (-30.0,)} if options.quick else AXES
    return [
        Case(axis, value, start_at(axis, value, options.distance_m), TEST_SEED + index)
        for axis, values in chosen.items()
        for value in values
        for index in range(count)
    ]


_stages: list[tuple[Stage, StartingAt]] = []


def enter(config: StageConfig) -> None:
    """Build the stage of this process; its expert knows the inner task."""
    stage = Stage(config)
    stage.task = task = StartingAt(stage.task)
    _stages.append((stage, task))


def attempt(case: Case) -> Result:
    """One attempt in this process."""
    stage, task = _stages[0]
    task.start = case.start
    outcome = stage.run(case.seed)
    return Result(case, outcome.success, task.in_view, outcome.reason)


def measure(options: Options) -> dict[str, Any]:
    """Success at every start."""
    results: list[Result] = []
    spawn = multiprocessing.get_context("spawn")
    config = StageConfig(task=options.task, lmo=options.lmo)
    with ProcessPoolExecutor(options.processes, spawn, enter, (config,)) as pool:
        for result in pool.map(attempt, cases(options)):
            results.append(result)
            print(f"{result.case.axis} {result.case.value:+.2f} seed {result.case.seed}: {result.reason}", flush=True)
    return {
        "task": options.task,
        "base_distance_m": options.distance_m,
        "first_seed": TEST_SEED,
        "trials": len(results),
        "success": round(sum(r.success for r in results) / len(results), 4),
        "starts": {axis: points(results, axis) for axis in AXES},
    }


def points(results: Sequence[Result], axis: str) -> list[dict[str, Any]]:
    """Rate and exact interval at each value of one axis."""
    rows = []
    for value in sorted({r.case.value for r in results if r.case.axis == axis}):
        mine = [r for r in results if r.case.axis == axis and r.case.value == value]
        failures = [r.reason for r in mine if not r.success]
        rate = exact_rate(sum(r.success for r in mine), len(mine))
        named = {"success": rate.value, "ci_low": rate.low, "ci_high": rate.high, "trials": rate.trials}
        reasons = {reason: failures.count(reason) for reason in sorted(set(failures))}
        in_view = sum(r.in_view for r in mine) / len(mine)
        rows.append({"value": value, **named, "in_view": in_view, "failures": reasons})
    return rows


def draw(tasks: Mapping[str, Any]) -> None:
    """One row per task, one panel per quantity; hollow where the target is out of view at the start."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(tasks), 3, figsize=(10.5, 2.5 * len(tasks)), sharey=True, squeeze=False, layout="constrained"
    )
    labels = {"distance_m": "start distance [m]", "lateral_m": "lateral offset [m]", "heading_deg": "heading [deg]"}
    for row, (task, found) in zip(axes, sorted(tasks.items())):
        for panel, (axis, label) in zip(row, labels.items()):
            rows = found["starts"][axis]
            x, y = [p["value"] for p in rows], [p["success"] for p in rows]
            low, high = [p["success"] - p["ci_low"] for p in rows], [p["ci_high"] - p["success"] for p in rows]
            panel.errorbar(x, y, (low, high), color="#3572b0", linewidth=1.2, capsize=3)
            for point in rows:
                face = "#3572b0" if point["in_view"] >= 0.5 else "white"
                panel.plot(point["value"], point["success"], "o", color="#3572b0", markerfacecolor=face, markersize=6)
            panel.set(xlabel=label, ylim=(-0.05, 1.05))
            panel.grid(alpha=0.3)
        row[0].set_ylabel(f"{task}\nsuccess")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=100)
    plt.close(figure)


def main() -> None:
    """Measure, print, write the long form and draw."""
    options = tyro.cli(Options)
    if options.task not in TARGETS:
        raise SystemExit(f"task {options.task!r} has no target here; known: {', '.join(TARGETS)}")
    held = json.loads(RESULT.read_text())["tasks"] if RESULT.is_file() else {}
    if options.plot:
        draw(held)
        print(json.dumps({"tasks": sorted(held), "plot": PLOT.name}))
        return
    figures = measure(options)
    if not options.quick:
        mine = {**figures, "options": asdict(options), **provenance()}
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        write_json(RESULT, {"tasks": held | {options.task: mine}})
        draw(held | {options.task: mine})
        print(f"written to docs/results/{RESULT.name} and docs/images/{PLOT.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
