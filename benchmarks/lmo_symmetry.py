"""Left-right symmetry in the controller's learning: half a batch mirrored, against rsl_rl's batch of twice the size.

    python benchmarks/lmo_symmetry.py [--quick] [--runs FOLDER] [--seeds 1 2]

Cost: time of one PPO update on rollouts of recipe x2-lmo's size, the three ways in turn, paired; medians. Worth: the
same short training (see `lmo_ablation.py`) each way; how unsymmetrical the policy is at its end (mean difference of an
action and the mirrored action of the mirrored observation, over the actions' spread) and its tracking. Last line: one
JSON object; the long form writes docs/results/lmo_symmetry.json. Keys: update_s, cost_ratio (rsl_rl's / ours).
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmo_ablation import short
from wbvla.core.files import write_json
from wbvla.core.metrics import read_metrics
from wbvla.core.run import provenance
from wbvla.lmo.learner import AUGMENT, NONE, REPLACE
from wbvla.lmo.train import METRICS, Training, train

RESULT = Path(__file__).parents[1] / "docs" / "results" / "lmo_symmetry.json"
WAYS = (REPLACE, AUGMENT, NONE)


def update_times(rounds: int, worlds: int) -> dict[str, float]:
    """Median seconds of an update, each way on rollouts of its own policy, in turn."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as aside:
        runs = {}
        for way in WAYS:
            config = short()
            small = replace(config.environment, num_worlds=worlds)
            config = replace(config, environment=small, learner=replace(config.learner, symmetry=way))
            runs[way] = Training(config, Path(aside) / way)
            runs[way].begin(None)
        for _ in range(rounds):
            for way, run in runs.items():
                run.obs = run.learner.rollout(run.env, run.obs)
                began = time.perf_counter()
                run.learner.update(0, run.env.stage)
                seconds[way].append(time.perf_counter() - began)
    return {way: round(float(np.median(values)), 3) for way, values in seconds.items()}


@torch.no_grad()
def asymmetry(run: Training) -> float:
    """|pi(o) - M pi(M o)| over the spread of the actions, mean over worlds and joints."""
    learner, seen = run.learner, run.obs
    one = learner.actor(seen)
    mirrored = seen.clone()
    mirrored["policy"] = run.env.actor_mirror(seen["policy"])
    other = learner.action_mirror(learner.actor(mirrored))
    return float((one - other).abs().mean() / one.std(dim=0).mean())


def learn(way: str, seed: int, folder: Path) -> dict[str, Any]:
    """One short training; its tracking errors and rewards are means over the last 20 iterations."""
    config = short()
    seeded = replace(config.environment, seed=seed)
    config = replace(config, seed=seed, environment=seeded, learner=replace(config.learner, symmetry=way))
    train(config, folder)
    rows = read_metrics(folder / METRICS)
    run = Training(config, folder)
    run.begin(None)
    last = {
        k: round(float(np.mean([r[k] for r in rows[-20:]])), 4) for k in ("reward", "error_x", "error_y", "error_yaw")
    }
    return {"way": way, "seed": seed, "asymmetry": round(asymmetry(run), 4), "train_s": rows[-1]["seconds"], **last}


def main() -> int:
    """0 when it ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="cost only, fewer worlds; writes no file")
    parser.add_argument("--runs", type=Path, default=Path("runs/lmo_symmetry"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    options = parser.parse_args()
    times = update_times(2 if options.quick else 8, 256 if options.quick else 1024)
    result: dict[str, Any] = {"update_s": times, "cost_ratio": round(times[AUGMENT] / times[REPLACE], 3)}
    if not options.quick:
        plan = [(way, seed) for way in WAYS for seed in options.seeds]
        result["runs"] = [learn(way, seed, options.runs / f"{way}_{seed}") for way, seed in plan]
        write_json(RESULT, {**result, **provenance()})
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
