"""How often the scripted expert succeeds: seeded attempts through the deployed loop, exact interval, failures sorted.

python benchmarks/expert_success.py --task box-loading       # 100 seeds, writes docs/results/expert_box_loading.json
python benchmarks/expert_success.py --quick                  # a few seeds, under a minute, writes nothing

All cores are used. Every finished attempt is kept in runs/expert_success, under a name that changes with the code and
the controller, so that a run that was stopped goes on where it was. Of each kind of failure the first one is run again
and filmed, from the head and from outside: docs/films/expert_<task>_<kind>_<seed>.mp4. Last line: one JSON object.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console

from wbvla.cli.record import with_bar
from wbvla.collect.expert import FELL, ExpertConfig
from wbvla.collect.stage import Outcome, Stage, StageConfig
from wbvla.core.contract import open_artefact
from wbvla.core.files import write_bytes, write_json
from wbvla.core.run import plain, provenance, rebuild
from wbvla.evaluate.film import Film, Frame
from wbvla.evaluate.statistics import exact_rate
from wbvla.evaluate.trials import TEST_SEED
from wbvla.robots.platforms import shipped_lmo
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.person_contact import summarise_contact
from wbvla.sim.tasks import tasks

ROOT = Path(__file__).resolve().parents[1]
RESULTS, FILMS, KEPT = ROOT / "docs" / "results", ROOT / "docs" / "films", ROOT / "runs" / "expert_success"
ACTING = ("core", "robots", "deploy", "sim", "collect")
"""packages that an attempt runs through"""
VIEW = "view"
"""the camera outside"""
Show = Callable[[float, float, str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the expert."""

    task: str = "box-lift"
    """task by name"""
    trials: int = 100
    """attempts"""
    quick: bool = False
    """4 attempts; nothing is kept or written"""
    perturbation: float = 0.0
    """0 = as well as it can; recordings use 0.5"""
    lmo: str = ""
    """folder of a low-level controller; empty = the shipped one"""
    processes: int = os.cpu_count() or 1
    """attempts at the same time"""
    kept: Path = KEPT
    """folder of the attempts that are finished"""
    films: Path = FILMS
    """folder of the films of failures"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One finished attempt."""

    outcome: Outcome
    cpu_s: float
    """processor time it took [s]"""


_stages: list[Stage] = []


def enter(config: StageConfig) -> None:
    """Build the stage of this process."""
    _stages.append(Stage(config))


def attempt(seed: int) -> Attempt:
    """One attempt in this process."""
    before = time.process_time()
    return Attempt(outcome=_stages[0].run(seed), cpu_s=time.process_time() - before)


def lmo_folder(options: Options) -> Path:
    """The low-level controller that is used."""
    return Path(options.lmo) if options.lmo else shipped_lmo("agibot_x2")


def kept_in(options: Options) -> Path:
    """Folder of the attempts of this task, code, controller and expert."""
    digest = hashlib.sha256(f"{options.perturbation} {open_artefact(lmo_folder(options), 'lmo').digest}".encode())
    for package in ACTING:
        for file in sorted((ROOT / "src" / "wbvla" / package).rglob("*.py")):
            digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return options.kept / f"{options.task}-{digest.hexdigest()[:12]}"


def measure(options: Options, config: StageConfig, seeds: Sequence[int], show: Show) -> list[Attempt]:
    """All attempts in the order of their seeds; those that are kept are not made again."""
    folder, done = kept_in(options), {}
    files = {} if options.quick else {seed: folder / f"{seed}.json" for seed in seeds}
    for seed, file in files.items():
        if file.is_file():
            done[seed] = rebuild(Attempt, json.loads(file.read_text()))
    show(len(done), len(seeds), f"{len(done)} kept")
    left = [seed for seed in seeds if seed not in done]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, min(options.processes, len(left))), spawn, enter, (config,)) as pool:
        for future in as_completed([pool.submit(attempt, seed) for seed in left]):
            one = future.result()
            seed = one.outcome.seed
            if seed in files:
                folder.mkdir(parents=True, exist_ok=True)
                write_json(files[seed], plain(one))
            done[seed] = one
            failed = sum(not a.outcome.success for a in done.values())
            show(len(done), len(seeds), f"{failed} failed; seed {seed}: {one.outcome.reason}")
    return [done[seed] for seed in seeds]


class Outside:
    """Third-person pictures of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._renderer = Renderer(stage.world.model, (VIEW,), RenderConfig(width=320, height=240, shadows=True))

    def picture(self) -> Frame:
        """The world as it is now."""
        return self._renderer.render(self._stage.world.data)[VIEW]

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()


def film_failures(options: Options, config: StageConfig, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The first failure of each kind again, as a film; the same seed fails the same way. Old films go."""
    for old in options.films.glob(f"expert_{options.task}_*.mp4"):
        old.unlink()
    films = {}
    for kind, seed in sorted({o.reason: o.seed for o in reversed(outcomes) if not o.success}.items()):
        stage = Stage(replace(config, cameras=("policy",), width=320, height=240))
        outside = Outside(stage)
        with closing(stage), closing(outside), closing(Film(outside, stage.spec.camera_names[0])) as film:
            stage.run(seed, [film])
            films[kind] = f"expert_{options.task}_{kind.replace(': ', '-').replace(' ', '-')}_{seed}.mp4"
            options.films.mkdir(parents=True, exist_ok=True)
            write_bytes(options.films / films[kind], film.finish())
    return films


def felt(outcome: Outcome) -> dict[str, Any]:
    """Contact force on the person, where there is one [N]."""
    contact = outcome.contact
    if contact is None:
        return {}
    return {"person_max_n": round(contact.max_n, 2), "person_filtered_n": round(contact.filtered_n, 2)}


def summary(options: Options, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The keys of the benchmark."""
    outcomes = [one.outcome for one in attempts]
    rate = exact_rate(sum(o.success for o in outcomes), len(outcomes))
    failures = [o.reason for o in outcomes if not o.success]
    done = [o.duration_s for o in outcomes if o.success]
    goals = outcomes[0].subgoals_s
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
        "family": tasks.build(options.task).family,
        "person_contact": summarise_contact([o.contact for o in outcomes if o.contact is not None]),
        "perturbation": options.perturbation,
        "sim_s_per_cpu_s": round(sum(o.duration_s for o in outcomes) / sum(one.cpu_s for one in attempts), 2),
        "first_seed": TEST_SEED,
        "lmo": open_artefact(lmo_folder(options), "lmo").digest[:16],
        "attempts": [
            {"seed": o.seed, "reason": o.reason, "time_s": round(o.duration_s, 2), "attempts": o.attempts} | felt(o)
            for o in outcomes
        ],
    }


def main() -> None:
    """Measure, film, print, and write the long form."""
    options = tyro.cli(Options)
    seeds = range(TEST_SEED, TEST_SEED + (4 if options.quick else options.trials))
    config = StageConfig(task=options.task, lmo=options.lmo, expert=ExpertConfig(perturbation=options.perturbation))
    attempts: list[Attempt] = []
    with_bar(lambda show: attempts.extend(measure(options, config, seeds, show)), Console(), options.task)
    figures = summary(options, attempts)
    if not options.quick and options.perturbation == 0.0 and not options.lmo:
        figures["films"] = film_failures(options, config, [one.outcome for one in attempts])
        name = f"expert_{options.task.replace('-', '_')}.json"
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(RESULTS / name, {**figures, **provenance()})
        print(f"written to docs/results/{name}")
    print(json.dumps({k: v for k, v in figures.items() if k != "attempts"}))


if __name__ == "__main__":
    main()
