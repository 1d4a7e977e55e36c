"""The paper's protocol on the low-level controller: 5 s of one command, 10 s of settling, plain and disturbed.

    python benchmarks/lmo_protocol.py [--quick] [--robot agibot_x2] [--policy FOLDER]

100 seeded robots per command, each with its own plant, sensor noise and delay, stand for 5 s before. Plain: arms at
rest. Disturbed: arm clips at 2.0x speed and 1.5x amplitude, blows of 0.2 s up to 150 N and 30 N.m about every 4 s.
`arms_*`, in the long form: the arm clips without the blows.

`*_pos_m`, `*_yaw_rad`: where the robot ends after all 15 s against v_goal x 5 s from where it began (total
displacement). `*_settle_m`, `*_settle_rad`: the settling phase alone, against where the integral of the reference from
the release on should have brought it. Means over robots that did not fall; falls are counted apart. Sway:
sqrt(1/T int |c - cbar|^2 dt) of the centre of mass over 10 s; height: mean absolute error over the squat range.
Last line: one JSON object. The long form writes docs/results/lmo_protocol.json (other robots: lmo_protocol_ROBOT.json).
"""

import argparse
import json
import sys
import time
from pathlib import Path

from results import result_of
from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.conditions import PAPER, arms_alone, cells, disturbed, plain, worse_than_paper
from wbvla.robots.platforms import load_robot, shipped_lmo


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
    spec, calm = load_robot(options.robot), plain(options.seed)
    rows = {"": cells(policy, spec, calm, each), "disturbed_": cells(policy, spec, disturbed(calm), each)}
    if not options.quick:
        rows["arms_"] = cells(policy, spec, arms_alone(calm), each)
    result = {f"{mark}{name}": value for mark, row in rows.items() for name, value in row.items()}
    for name, paper in PAPER.items():
        print(f"{name:16} {result[name]}  disturbed {result[f'disturbed_{name}']}   paper {paper}")
    missed = [f"{mark}{name}" for mark, row in rows.items() for name in worse_than_paper(row)]
    result |= {"seed": options.seed, "worse_than_paper": missed, "policy": open_artefact(policy, "lmo").digest[:16]}
    result["seconds"] = round(time.perf_counter() - began, 1)
    if not options.quick and options.policy is None:
        write_json(result_of("lmo_protocol", options.robot), {**result, "paper": PAPER, **provenance()})
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
