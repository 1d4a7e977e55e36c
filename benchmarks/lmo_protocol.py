"""The paper's protocol on the low-level controller: 5 s of one command, 10 s of settling, plain and disturbed.

    python benchmarks/lmo_protocol.py [--quick] [--robot agibot_x2] [--policy FOLDER]

100 seeded robots per command, each with its own plant, sensor noise and delay. Plain: arms at rest. Disturbed: arm
clips at 2.0x speed and 1.5x amplitude, blows of 0.2 s up to 150 N and 30 N.m about every 4 s.

`*_pos_m`, `*_yaw_rad`: where the robot ends after all 15 s against v_goal x 5 s from where it began (total
displacement). `*_settle_m`, `*_settle_rad`: the settling phase alone, against where the integral of the reference from
the release on should have brought it. Means over robots that did not fall; falls are counted apart. Sway:
sqrt(1/T int |c - cbar|^2 dt) of the centre of mass over 10 s; height: mean absolute error over the squat range.
Last line: one JSON object. The long form writes docs/results/lmo_protocol.json.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.perturb import ArmConfig
from wbvla.lmo.protocol import sway, track_heights, walk_and_stop
from wbvla.lmo.trial import TrialConfig
from wbvla.robots.platforms import load_robot, shipped_lmo

PAPER = {
    "forward_pos_m": 0.21, "forward_yaw_rad": 0.05, "lateral_pos_m": 0.55, "lateral_yaw_rad": 0.06,
    "turn_pos_m": 0.05, "turn_yaw_rad": 0.19, "sway_stand_m": 0.03, "sway_squat_m": 0.03,
}  # fmt: skip
PAIRS = {"forward": ("forward", "backward"), "lateral": ("left", "right"), "turn": ("turn_left", "turn_right")}
FIELDS = {"pos_m": "position_m", "yaw_rad": "heading_rad", "settle_m": "settle_m", "settle_rad": "settle_rad"}
REPLAY = ArmConfig(clip_share=1.0, clip_gain=1.5, warp=(1.6, 3.0, 0.25), rate_radps=(3.0, 6.0))
"""stage II's clips at twice the paper's clock and 1.5 of their way"""
RESULT = Path(__file__).parents[1] / "docs" / "results" / "lmo_protocol.json"


def cells(policy: Path, robot: str, config: TrialConfig, robots_each: int) -> dict[str, Any]:
    """The table of one condition."""
    spec = load_robot(robot)
    walk = walk_and_stop(policy, spec, config, robots_each)
    rest = sway(policy, spec, replace(config, num_robots=robots_each))
    heights = track_heights(policy, spec, replace(config, num_robots=robots_each))
    row: dict[str, Any] = {}
    for name, sides in PAIRS.items():
        for short, field in FIELDS.items():
            row[f"{name}_{short}"] = round(float(np.mean([walk[side][field] for side in sides])), 4)
            spread = [walk[side][f"half_{field}"] for side in sides]
            row[f"{name}_{short}_half"] = round(float(np.linalg.norm(spread)) / 2, 4)
    row |= {"sway_stand_m": rest["stand"]["sway_m"], "sway_squat_m": rest["squat"]["sway_m"]}
    row |= {"drift_stand_m": rest["stand"]["drift_m"], "drift_squat_m": rest["squat"]["drift_m"]}
    row["height_mae_m"] = heights["mae_m"]
    fallen = [walk[side]["fall_rate"] * robots_each for sides in PAIRS.values() for side in sides]
    fallen += [part["fall_rate"] * robots_each for part in (rest["stand"], rest["squat"], heights)]
    row["falls"], row["episodes"] = round(sum(fallen)), len(fallen) * robots_each
    row["speeds"] = [walk[side]["speed"] for sides in PAIRS.values() for side in sides]
    return row


def main() -> int:
    """0 when every cell is at least as good as the paper's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 robots per command; writes no file")
    parser.add_argument("--robot", default="agibot_x2")
    parser.add_argument("--policy", type=Path, help="artefact folder; default: the shipped one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, policy = time.perf_counter(), options.policy or shipped_lmo(options.robot)
    each = 8 if options.quick else 100
    plain = TrialConfig(seed=options.seed, arm_amplitude=0.0)
    disturbed = replace(plain, arm_amplitude=1.0, arms=REPLAY, wrench=(150.0, 30.0))
    result = cells(policy, options.robot, plain, each)
    result |= {f"disturbed_{k}": v for k, v in cells(policy, options.robot, disturbed, each).items()}
    for name, paper in PAPER.items():
        print(f"{name:16} {result[name]:7.3f}  disturbed {result[f'disturbed_{name}']:7.3f}   paper {paper}")
    missed = [k for k, v in PAPER.items() if not result[k] <= v]
    missed += [f"disturbed_{k}" for k, v in PAPER.items() if not result[f"disturbed_{k}"] <= v]
    result |= {"seed": options.seed, "worse_than_paper": missed, "policy": open_artefact(policy, "lmo").digest[:16]}
    result["seconds"] = round(time.perf_counter() - began, 1)
    if not options.quick and options.policy is None:
        write_json(RESULT, {**result, "paper": PAPER, **provenance()})
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
