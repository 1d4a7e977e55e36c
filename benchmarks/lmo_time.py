"""How long the controller's training takes to pass the stage I tests, and to be as good as the paper's protocol.

    python benchmarks/lmo_time.py [--quick] [--runs FOLDER] [--seeds 1 2 3] [--recipe x2-lmo]

Trains a recipe (x2-lmo, x2-lmo-quick, g1-lmo) from nothing once per seed in FOLDER, with a checkpoint every 20
iterations, or takes the runs that are there. Then the checkpoints of each run are tried in order, without any help: the
first that passes all stage I tests (`wbvla lmo check`, 16 robots per command), and the first, among those after it
could walk, with no fall and every cell of the protocol, plain, at least as good as the paper's (32 robots per command).
The first of many is a lucky one: a later checkpoint may miss by a little again. `minutes` are the training's own,
without the tests, `alone` those that its steps take at the speed that `lmo_throughput.py` measured on a quiet machine.
What was found stays in the run's folder. Last line: one JSON object, null where it was not reached; the long form adds
the seeds of the recipe to docs/results/lmo_time.json, each with its commit and machine. Keys: stage_1_minutes,
stage_1_steps, protocol_minutes, protocol_steps (means over all seeds there), and `runs` by seed: with `tests`, the
minutes at which each stage I test was first passed, and `missed`, what the last tried checkpoint missed of them.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.contract import write_artefact
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.deploy.lmo import POLICY_FILE
from wbvla.lmo.checkpoint import part, read_checkpoint
from wbvla.lmo.conditions import cells, plain, worse_than_paper
from wbvla.lmo.export import build_onnx, contract_of
from wbvla.lmo.protocol import DIRECTIONS
from wbvla.lmo.stage_tests import Limits, StageTestConfig, run_stage_tests
from wbvla.lmo.train import LmoConfig, train
from wbvla.recipes.lmo import g1_lmo, x2_lmo, x2_lmo_quick
from wbvla.robots.platforms import load_robot

RESULT = Path(__file__).parents[1] / "docs" / "results" / "lmo_time.json"
SPEED = RESULT.with_name("lmo_throughput.json")
RECIPES = {"x2-lmo": x2_lmo, "x2-lmo-quick": x2_lmo_quick, "g1-lmo": g1_lmo}
EVERY = 20
WHAT = ("stage_1", "protocol")


def seeded(recipe: str, seed: int, quick: bool) -> LmoConfig:
    """The recipe with checkpoints close together and no films."""
    config = RECIPES[recipe]()
    config = replace(
        config, seed=seed, environment=replace(config.environment, seed=seed), keep_every=EVERY, film_every=0
    )
    if quick:
        small = replace(config.environment, num_worlds=64)
        config = replace(config, iterations=2, keep_every=1, stages=config.stages[:1], environment=small)
    return config


def first_good(config: LmoConfig, folder: Path, robots_each: int) -> dict[str, Any]:
    """Walk through the checkpoints of one run."""
    spec = load_robot(config.robot)
    found: dict[str, Any] = {"stage_1": None, "protocol": None, "tried": 0, "tests": {}, "missed": []}
    tests = StageTestConfig(robots_each=robots_each)
    with tempfile.TemporaryDirectory() as aside:
        for path in sorted(folder.glob("checkpoint_*.safetensors")):
            tensors, meta = read_checkpoint(path)
            content = {POLICY_FILE: build_onnx(part(tensors, "actor."))}
            made = Path(aside) / path.stem
            policy = write_artefact(
                made, contract_of(spec, config.environment), {}, "A checkpoint on trial.\n", content
            )
            steps = meta["iteration"] * config.environment.num_worlds * config.learner.horizon
            here = {"minutes": round(meta["seconds"] / 60, 2), "steps": steps, "iteration": meta["iteration"]}
            found["tried"] += 1
            if found["stage_1"] is None:
                result = run_stage_tests(policy.folder, spec, tests, Limits())
                passed = [test.name for test in result.tests if test.passed]
                print(f"{path.name}: passes {', '.join(passed) or 'nothing'}", flush=True)
                found["tests"] = {**dict.fromkeys(passed, here["minutes"]), **found["tests"]}
                found["missed"] = [line for line in result.lines() if line.startswith("FAIL")]
                found["stage_1"] = here if result.passed else None
            if found["protocol"] is None and set(DIRECTIONS) <= set(found["tests"]):
                row = cells(policy.folder, spec, plain(0), 2 * robots_each)
                worse, falls = worse_than_paper(row), row["falls"]
                print(
                    f"{path.name}: worse than the paper in {', '.join(worse) or 'nothing'}, {falls} falls", flush=True
                )
                found["protocol"] = None if worse or falls else here
            if found["stage_1"] and found["protocol"]:
                break
    return found


def alone(found: dict[str, Any]) -> dict[str, Any]:
    """What was found, with the minutes that its steps take on a quiet machine."""
    speed = json.loads(SPEED.read_text())["train_sps"] if SPEED.is_file() else None
    for what in WHAT:
        if found[what] is not None:
            found[what]["alone"] = None if speed is None else round(found[what]["steps"] / speed / 60, 2)
    return found


def one(recipe: str, seed: int, folder: Path, quick: bool) -> dict[str, Any]:
    """Train one seed (or go on with it), try its checkpoints, keep what was found beside the run."""
    kept = folder / "first_good.json"
    if not kept.is_file():
        config = seeded(recipe, seed, quick)
        if not (folder / f"checkpoint_{config.iterations:06d}.safetensors").is_file():
            train(config, folder)
        machine = json.loads((folder / "run.json").read_text())
        trained = {key: machine[key] for key in ("commit", "cpu", "cores")}
        write_json(kept, {"seed": seed, **first_good(config, folder, 2 if quick else 16), "trained": trained})
    return dict(json.loads(kept.read_text()))


def _mean(runs: list[dict[str, Any]], what: str, field: str) -> float | None:
    """Over all seeds; None when one of them never got there."""
    values = [run[what][field] for run in runs if run[what] is not None and run[what][field] is not None]
    return round(float(np.mean(values)), 2) if len(values) == len(runs) else None


def main() -> int:
    """0 when every seed passed the stage I tests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 iterations of 64 robots; writes no file")
    parser.add_argument("--runs", type=Path, default=Path("runs/lmo_time"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="x2-lmo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        base = Path(aside) if options.quick else options.runs
        seeds = options.seeds[:1] if options.quick else options.seeds
        runs = [one(options.recipe, seed, base / f"{options.recipe}_{seed}", options.quick) for seed in seeds]
    held = json.loads(RESULT.read_text()) if RESULT.is_file() and not options.quick else {}
    earlier = [run for run in held.get(options.recipe, {"runs": []})["runs"] if run["seed"] not in seeds]
    runs = [alone(run) for run in sorted((*earlier, *runs), key=lambda run: run["seed"])]
    result: dict[str, Any] = {"recipe": options.recipe, "runs": runs}
    for what in WHAT:
        result |= {f"{what}_{field}": _mean(runs, what, field) for field in ("minutes", "alone", "steps")}
    if not options.quick:
        write_json(RESULT, {**held, options.recipe: {**result, **provenance()}})
    print(json.dumps(result))
    return 0 if options.quick or result["stage_1_minutes"] is not None else 1


if __name__ == "__main__":
    sys.exit(main())
