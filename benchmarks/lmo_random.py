"""How the shipped low-level controller follows random commands: 100 seeded robots of the full model, 20 s each.

    python benchmarks/lmo_random.py [--quick] [--robot agibot_x2] [--policy FOLDER]

Each robot has its own plant (friction .5-1.25, gains .9-1.1, torso mass, payloads in the hands), sensor noise,
0-20 ms of actuation delay and arms that go to random poses of their full range. The controller runs through
`wbvla.deploy.lmo`, as on a robot. Last line: one JSON object. The long form writes docs/results/lmo_random.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from results import result_of
from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.protocol import RandomWalkConfig, random_walk
from wbvla.lmo.trial import TrialConfig
from wbvla.robots.platforms import load_robot, shipped_lmo

TARGETS = {
    "fall_rate": 0.05,
    "err_x_mps": 0.15,
    "err_y_mps": 0.12,
    "err_yaw_radps": 0.2,
    "err_height_m": 0.03,
}


def measure(policy: Path, robot: str, episodes: int, seed: int) -> dict[str, Any]:
    """One run of the benchmark, with what is needed to trace it."""
    began = time.perf_counter()
    config = TrialConfig(num_robots=episodes, seed=seed)
    row = random_walk(policy, load_robot(robot), config, RandomWalkConfig())
    missed = [name for name, limit in TARGETS.items() if not row[name] <= limit]
    return {
        **row,
        "seed": seed,
        "missed_targets": missed,
        "policy": open_artefact(policy, "lmo").digest[:16],
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 episodes; writes no file")
    parser.add_argument("--robot", default="agibot_x2")
    parser.add_argument("--policy", type=Path, help="artefact folder; default: the shipped one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    policy = options.policy or shipped_lmo(options.robot)
    result = measure(policy, options.robot, 20 if options.quick else 100, options.seed)
    for name, limit in TARGETS.items():
        print(f"{name:14} {result[name]:8.4f}   target <= {limit}")
    if not options.quick and options.policy is None:
        write_json(result_of("lmo_random", options.robot), {**result, "targets": TARGETS, **provenance()})
    print(json.dumps(result))
    return 1 if result["missed_targets"] else 0


if __name__ == "__main__":
    sys.exit(main())
