"""How often the scripted expert succeeds: seeded attempts through the deployed loop, exact interval, failures sorted.

python benchmarks/expert_success.py --task box-loading       # 100 seeds, writes docs/results/expert_box_loading.json
python benchmarks/expert_success.py --task box-loading --films FOLDER   # and one film of each kind of failure
python benchmarks/expert_success.py --quick                  # a few seeds, under a minute, writes nothing
"""

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from wbvla.collect.expert import FELL, ExpertConfig
from wbvla.collect.stage import Outcome, Stage, StageConfig
from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.records import Tick
from wbvla.core.run import provenance
from wbvla.evaluate.statistics import exact_rate
from wbvla.evaluate.trials import TEST_SEED
from wbvla.robots.platforms import shipped_lmo

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the expert."""

    task: str = "box-lift"
    """task by name"""
    trials: int = 100
    """attempts"""
    quick: bool = False
    """4 attempts; nothing is written"""
    perturbation: float = 0.0
    """0 = as well as it can; recordings use 0.5"""
    lmo: str = ""
    """folder of a low-level controller; empty = the shipped one"""
    films: Path | None = None
    """folder for one film of each kind of failure, made by running its first seed again"""
    processes: int = 2
    """attempts at the same time"""


_stages: list[Stage] = []


def enter(config: StageConfig) -> None:
    """Build the stage of this process."""
    _stages.append(Stage(config))


def attempt(seed: int) -> tuple[Outcome, float]:
    """One attempt in this process, and the processor time it took [s]."""
    before = time.process_time()
    return _stages[0].run(seed), time.process_time() - before


def measure(options: Options) -> dict[str, Any]:
    """All attempts and what they add up to."""
    trials = 4 if options.quick else options.trials
    expert = ExpertConfig(perturbation=options.perturbation)
    config = StageConfig(task=options.task, lmo=options.lmo, expert=expert)
    outcomes, cpu_s = [], 0.0
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn, enter, (config,)) as pool:
        for outcome, spent_s in pool.map(attempt, range(TEST_SEED, TEST_SEED + trials)):
            outcomes.append(outcome)
            cpu_s += spent_s
            print(f"seed {outcome.seed}: {outcome.reason} after {outcome.duration_s:.1f} s", flush=True)
    return summary(options, outcomes, cpu_s)


def film_failures(options: Options, config: StageConfig, outcomes: list[Outcome]) -> list[str]:
    """One film per kind of failure, from the head and from outside; the same seed fails the same way again."""
    kinds = {o.reason: o.seed for o in reversed(outcomes) if not o.success}
    if options.films is None or not kinds:
        return []
    options.films.mkdir(parents=True, exist_ok=True)
    cameras = ("head", "view")
    stage = Stage(replace(config, cameras=cameras, width=320, height=240))
    names = []
    for kind, seed in sorted(kinds.items()):
        reel = Reel(cameras)
        stage.run(seed, [reel])
        name = f"{options.task}_{kind.replace(': ', '_').replace(' ', '_')}_{seed}.mp4"
        write_film(options.films / name, reel.pictures, fps=10)
        names.append(name)
    stage.close()
    return names


class Reel:
    """Keeps the pictures of an attempt, side by side."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        self.pictures: list[np.ndarray] = []
        self._cameras = cameras

    def observe(self, tick: Tick) -> None:
        """One picture per observation."""
        if tick.observation is not None:
            images = tick.observation.images
            self.pictures.append(np.hstack([images[name].rgb for name in self._cameras]))


def summary(options: Options, outcomes: list[Outcome], cpu_s: float) -> dict[str, Any]:
    """The keys of the benchmark."""
    rate = exact_rate(sum(o.success for o in outcomes), len(outcomes))
    failures = [o.reason for o in outcomes if not o.success]
    done = [o.duration_s for o in outcomes if o.success]
    simulated = sum(o.duration_s for o in outcomes)
    goals = outcomes[0].subgoals_s
    lmo = Path(options.lmo) if options.lmo else shipped_lmo("agibot_x2")
    return {
        "task": options.task,
        "assist": False,
        "trials": rate.trials,
        "success": rate.value,
        "ci_low": rate.low,
        "ci_high": rate.high,
        "subgoals": {g: sum(o.subgoals_s[g] is not None for o in outcomes) / len(outcomes) for g in goals},
        "failures": {reason: failures.count(reason) for reason in sorted(set(failures))},
        "falls": failures.count(FELL) / len(outcomes),
        "mean_time_s": float(np.mean(done)) if done else None,
        "first_attempt": sum(o.success and o.attempts == 1 for o in outcomes) / len(outcomes),
        "perturbation": options.perturbation,
        "sim_s_per_cpu_s": round(simulated / cpu_s, 2),
        "first_seed": TEST_SEED,
        "lmo": open_artefact(lmo, "lmo").digest[:16],
        "attempts": [
            {"seed": o.seed, "reason": o.reason, "time_s": round(o.duration_s, 2), "attempts": o.attempts}
            for o in outcomes
        ],
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    figures = measure(options)
    if not options.quick and options.perturbation == 0.0 and not options.lmo:
        name = f"expert_{options.task.replace('-', '_')}.json"
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(RESULTS / name, {**figures, **provenance()})
        print(f"written to docs/results/{name}")
    print(json.dumps({k: v for k, v in figures.items() if k != "attempts"}))


if __name__ == "__main__":
    main()
