"""The shipped low-level controller, unchanged, in other physics than it was trained in.

    python benchmarks/lmo_transfer.py [--quick] [--robot agibot_x2] [--policy FOLDER] [--only NAME ...]

One change at a time against `nominal` (full model, pyramidal cones, implicitfast, 5 ms, sole spheres, plane): time step
1 and 2 ms; elliptic cones; Euler at 5 and at 2 ms; joint limits and efforts of the X2 v1.3.0; friction 0.4 and 1.2; all
masses and inertias -20 and +20 %; 40 ms more actuation delay; box feet; the sole spheres of the G1 (half the width) and
the vendor's twelve; uneven ground.

The bumps are round caps of 0 to 2 cm in the plane, up to 20 cm wide, one every 20 cm; four seeds. `field_2cm_pads` is a
height field of 0 to 2 cm on a grid of 10 cm instead. On one MuJoCo gives small geometries false contact normals where
they cross an inner edge of the grid: on sole spheres of 5 mm most robots fall even where it is flat to 0.2 mm, box feet
slide away, pads of 2 cm in the place of the spheres suffer least. `field_flat_pads` (0.2 mm) shows what of the falls is
that fault: the difference between the two is the ground.

Per variant 96 robots of the protocol (5 s of standing, 5 s of one of six commands, 10 s of settling) and 100 episodes
of 20 s of random commands, arms at full amplitude, plants, noise and 0-20 ms delay as in `lmo_random.py`. `fall_rate`
is over both with its exact 95 % interval; `position_m`, `heading_rad` are total displacement and heading against v_goal
x 5 s; `settle_m`, `settle_rad` those of the settling alone; `err_*` are errors of velocity over a stride; `half_*` are
half widths of 95 % intervals. Height is measured over the ground under the feet.
Last line: one JSON object. The long form writes docs/results/lmo_transfer.json (other robots: lmo_transfer_ROBOT.json).
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from results import result_of
from wbvla.core.contract import open_artefact
from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.evaluate.statistics import exact_rate
from wbvla.lmo.plant import FULL, PhysicsConfig
from wbvla.lmo.protocol import DIRECTIONS, RandomWalkConfig, random_walk, walk_and_stop
from wbvla.lmo.randomize import CENTRED
from wbvla.lmo.trial import TrialConfig
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.robots.variants import G1_SOLES, X2_VENDOR_SOLES, other_soles, scaled_masses, x2_v1_3_0
from wbvla.sim.ground import GroundConfig

MOST_FALLS = 0.05
QUICK = (
    "nominal", "timestep_2ms", "elliptic_cone", "euler_2ms", "masses_+20%", "delay_+40ms", "feet_box", "x2_v1.3.0",
    "bumps_2cm_seed0",
)  # fmt: skip


def variants(spec: RobotSpec, config: TrialConfig) -> dict[str, TrialConfig]:
    """Every variant by name; those of the X2's own figures only for the X2."""

    def physics(**changes: Any) -> TrialConfig:
        return replace(config, physics=PhysicsConfig(**changes))

    def options(**changes: Any) -> TrialConfig:
        return physics(options=replace(FULL, **changes))

    def caps(seed: int) -> TrialConfig:
        ground = GroundConfig(shape="caps", unevenness_m=0.02, seed=seed, cell_m=0.2, half_size_m=5.0)
        return replace(physics(ground=ground), scatter_m=2.5)

    def field(unevenness_m: float) -> TrialConfig:
        ground = GroundConfig(unevenness_m=unevenness_m)
        return replace(physics(ground=ground, options=replace(FULL, soles="pads")), scatter_m=4.0)

    table = {
        "nominal": config,
        "timestep_1ms": options(timestep=0.001),
        "timestep_2ms": options(timestep=0.002),
        "elliptic_cone": options(cone="elliptic"),
        "euler_5ms": options(integrator="euler"),
        "euler_2ms": options(integrator="euler", timestep=0.002),
        "friction_0.4": replace(config, plant=replace(CENTRED, friction=(0.4, 0.4))),
        "friction_1.2": replace(config, plant=replace(CENTRED, friction=(1.2, 1.2))),
        "masses_-20%": physics(body=scaled_masses(spec, 0.8)),
        "masses_+20%": physics(body=scaled_masses(spec, 1.2)),
        "delay_+40ms": replace(config, more_delay=4),
        "feet_box": options(soles="box"),
        "feet_pads": options(soles="pads"),
    }
    if spec.name == "agibot_x2":
        table["x2_v1.3.0"] = physics(body=x2_v1_3_0(spec))
        table["feet_g1_spheres"] = physics(body=other_soles(spec, G1_SOLES))
        table["feet_vendor_spheres"] = physics(body=other_soles(spec, X2_VENDOR_SOLES))
    table |= {f"bumps_2cm_seed{seed}": caps(seed) for seed in range(4)}
    return table | {"field_flat_pads": field(0.0002), "field_2cm_pads": field(0.02)}


def measure(policy: Path, spec: RobotSpec, config: TrialConfig, quick: bool) -> dict[str, Any]:
    """The row of one variant."""
    each, robots, seconds = (2, 12, 10.0) if quick else (16, 100, 20.0)
    walk = walk_and_stop(policy, spec, config, each)
    random = random_walk(policy, spec, replace(config, num_robots=robots), RandomWalkConfig(seconds=seconds))
    falls = random["falls"] + round(sum(walk[name]["fall_rate"] * each for name in DIRECTIONS))
    episodes = robots + each * len(DIRECTIONS)
    rate = exact_rate(falls, episodes)
    row = {"robots": episodes, "falls": falls, "fall_rate": round(falls / episodes, 4)}
    row["fall_interval"] = [round(rate.low, 4), round(rate.high, 4)]
    for field in ("position_m", "heading_rad", "settle_m", "settle_rad"):
        cells = [(walk[name][field], walk[name][f"half_{field}"]) for name in DIRECTIONS]
        means, halves = ([float("nan") if v is None else v for v in column] for column in zip(*cells))
        row[field], row[f"half_{field}"] = _number(np.mean(means)), _number(np.linalg.norm(halves) / len(cells))
    for field in ("err_x_mps", "err_y_mps", "err_yaw_radps"):
        row |= {field: random[field], f"half_{field}": random[f"half_{field}"]}
    return {**row, "err_height_m": random["err_height_m"]}


def _number(value: Any) -> float | None:
    """Four digits; None where a command left no robot standing."""
    return round(float(value), 4) if np.isfinite(value) else None


def main() -> int:
    """0 when at most 5 % fall in every variant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="9 variants, 24 robots each, 10 s episodes; writes no file"
    )
    parser.add_argument("--robot", default="agibot_x2")
    parser.add_argument("--policy", type=Path, help="artefact folder; default: the shipped one")
    parser.add_argument("--only", nargs="+", help="names of variants; writes no file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, policy, spec = time.perf_counter(), options.policy or shipped_lmo(options.robot), load_robot(options.robot)
    table = variants(spec, TrialConfig(seed=options.seed))
    unknown = [name for name in options.only or [] if name not in table]
    if unknown:
        raise ConfigError(f"no variants {unknown}; known: {list(table)}")
    rows: dict[str, dict[str, Any]] = {}
    for name in options.only or [n for n in table if n in QUICK or not options.quick]:
        rows[name] = row = measure(policy, spec, table[name], options.quick)
        errors = "  ".join(f"{field} {row[field]}" for field in ("position_m", "heading_rad", "err_x_mps", "err_y_mps"))
        print(f"{name:20} falls {row['falls']:3} of {row['robots']}  {errors}", flush=True)
    over = [name for name, row in rows.items() if row["fall_rate"] > MOST_FALLS]
    result: dict[str, Any] = {"variants": rows, "over_5_percent": over, "seed": options.seed}
    result |= {"policy": open_artefact(policy, "lmo").digest[:16], "seconds": round(time.perf_counter() - began, 1)}
    if not (options.quick or options.policy or options.only):
        write_json(result_of("lmo_transfer", options.robot), {**result, **provenance()})
    print(json.dumps(result))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
