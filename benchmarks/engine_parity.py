"""The same actions and the same plants on both physics engines: how far do their states part?

    python benchmarks/engine_parity.py [--quick] [--device cpu]

Robots with plants of their own (friction, masses, payloads, gains) move for two seconds on the engine `mujoco`
(float64); what was then asked of the motors and pressed on the bodies in the next 100 control steps is recorded, with
the state before. Both robots walk, turn and stand by their shipped policies. The record is replayed on `mujoco` and on
`warp` (float32).

A difference is the largest over all of a world's positions and velocities [m, rad, m/s, rad/s]. Parts of a row:

- `free`: both run all 100 steps from the same state by themselves. `median`, `max` over worlds and steps, `by_step`.
- `rounded`: `mujoco` against itself, begun from the state rounded to float32: what of `free` is chaos of the contacts.
- `resynced`: `warp` begins every control step from `mujoco`'s state: the error of one step.

Models: `x2` all 31 joints, as in every evaluation; `x2_training` as in training, where the solver stops after 8
iterations, solved or not; `x2_training_solved` the same with 20; `g1` all 29. `protocol` (long form): the paper's
protocol of the shipped policy on both engines with the same draws.

`median_state_diff` and `max_state_diff` are `free` of `x2`. Last line: one JSON object. The long form writes
docs/results/engine_parity.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from wbvla.core.contract import open_artefact
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.conditions import plain
from wbvla.lmo.plant import build_model, training_options
from wbvla.lmo.protocol import DIRECTIONS, walk_and_stop
from wbvla.lmo.randomize import CENTRED, Plants
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.engine import Engine
from wbvla.sim.engines import open_engine

TICKS, WARM_UP = 100, 100
"""control steps that are replayed, and that pass before"""
STATE = ("qpos", "qvel")
BEGIN = ("qpos", "qvel", "qacc_warmstart")
GIVEN = ("ctrl", "xfrc_applied", "qfrc_applied")
SEED = 0
LIMIT = 1e-3
"""of the median difference (the project's aim)"""
RESULT = Path(__file__).parents[1] / "docs" / "results" / "engine_parity.json"
Row = dict[str, Tensor]


@dataclass
class Record:
    """What a replay needs."""

    spec: RobotSpec
    model: mujoco.MjModel
    begin: Row
    """state before the first step"""
    given: list[Row]
    """per call of the engine's `step`, two to a control step"""
    substeps: int
    num_worlds: int


def rows(engine: Engine, names: tuple[str, ...]) -> Row:
    """Copies of states, on the host in float64."""
    return {name: engine.state(name).to("cpu", torch.float64, copy=True) for name in names}


def put(engine: Engine, values: Row) -> None:
    """Overwrite states."""
    for name, tensor in values.items():
        engine.state(name).copy_(tensor)


def record(engine: Engine, tick: Callable[[], object], spec: RobotSpec, model: mujoco.MjModel) -> Record:
    """Let `tick` drive the engine and remember what each physics step was given."""
    for _ in range(WARM_UP):
        tick()
    kept = Record(spec, model, rows(engine, BEGIN), [], 0, engine.num_worlds)
    step = engine.step

    def heard(substeps: int) -> None:
        kept.given.append(rows(engine, GIVEN))
        kept.substeps = substeps
        step(substeps)

    engine.step = heard  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(TICKS):
        tick()
    engine.step = step  # pyright: ignore[reportAttributeAccessIssue]
    return kept


def by_policy(spec: RobotSpec, worlds: int, training: bool) -> Record:
    """The shipped policy walks in six directions, or stands."""
    config = TrialConfig(num_robots=worlds, seed=SEED, num_threads=1)
    options = training_options(spec) if training else config.physics.options
    config = replace(config, physics=replace(config.physics, options=options))
    trial = Trial(shipped_lmo(spec.name), spec, config)
    wishes = np.array([*DIRECTIONS.values(), (0, 0, 0)], dtype=np.float64)
    flags, height = wishes[np.arange(worlds) % len(wishes)], np.full(worlds, spec.nominal_height_m)
    return record(trial.engine, lambda: trial.step(flags, height), spec, build_model(spec, options))


def open_with_plants(name: str, kept: Record, device: str) -> Engine:
    """An engine whose worlds have the plants of the recording."""
    engine = open_engine(name, kept.model, kept.num_worlds, ("sensordata",), device if name == "warp" else "cpu")
    Plants(engine, kept.model, kept.spec).draw(CENTRED, SEED)
    put(engine, kept.begin)
    return engine


def replay(kept: Record, engine: Engine, sync: list[Row] | None = None) -> list[Row]:
    """States after each control step; with `sync` each begins from the state given there."""
    seen = []
    for call, given in enumerate(kept.given):
        if sync is not None and call % 2 == 0:
            put(engine, sync[call // 2])
        put(engine, given)
        engine.step(kept.substeps)
        if call % 2:
            seen.append(rows(engine, BEGIN))
    engine.check()
    return seen


def apart(ours: list[Row], theirs: list[Row]) -> dict[str, Any]:
    """Median and largest difference."""
    both = [[torch.cat([seen[name] for name in STATE], dim=1) for seen in run] for run in (ours, theirs)]
    entries = (torch.stack(both[0]) - torch.stack(both[1])).abs()
    largest = entries.amax(dim=2)
    steps = [0, 1, 4, 9, 24, 49, 74, 99]
    return {
        "median": float(largest.median()),
        "max": float(largest.max()),
        "median_of_entries": float(entries.median()),
        "by_step": {f"{i + 1}": float(largest[i].median()) for i in steps},
        "worlds_within_limit_at_the_end": round(float((largest[-1] <= LIMIT).double().mean()), 4),
    }


def compare(kept: Record, device: str) -> dict[str, Any]:
    """All replays of one record."""
    truth = replay(kept, open_with_plants("mujoco", kept, device))
    rounded = open_with_plants("mujoco", kept, device)
    put(rounded, {name: tensor.float().double() for name, tensor in kept.begin.items()})
    return {
        "free": apart(truth, replay(kept, open_with_plants("warp", kept, device))),
        "rounded": apart(truth, replay(kept, rounded)),
        "resynced": apart(truth, replay(kept, open_with_plants("warp", kept, device), [kept.begin, *truth[:-1]])),
        "worlds": kept.num_worlds,
        "steps": TICKS,
        "substeps_of_a_step": 2 * kept.substeps,
        "joints": kept.model.nv - 6,
        "solver_iterations": kept.model.opt.iterations,
    }


def solved(kept: Record) -> Record:
    """The same with a solver that runs to its tolerance."""
    model = build_model(kept.spec, training_options(kept.spec))
    model.opt.iterations, model.opt.ls_iterations = 20, 20
    return replace(kept, model=model)


def protocol(spec: RobotSpec, robots_each: int, device: str) -> dict[str, Any]:
    """Errors of the shipped policy on each engine, and the means in which they differ by more than chance (95 %)."""
    config = replace(plain(SEED), num_threads=1)
    errors: dict[str, dict[str, Any]] = {}
    for name in ("mujoco", "warp"):
        one = replace(config, engine=name, device=device if name == "warp" else "cpu")
        errors[name] = walk_and_stop(shipped_lmo(spec.name), spec, one, robots_each)
    differ = []
    for side, cells in errors["mujoco"].items():
        other = errors["warp"][side]
        for cell in (c for c in cells if f"half_{c}" in cells):
            chance = float(np.hypot(cells[f"half_{cell}"], other[f"half_{cell}"]))
            if abs(cells[cell] - other[cell]) > chance:
                differ.append(f"{side}.{cell}: {cells[cell]} against {other[cell]}")
    cells = sum(1 for row in errors["mujoco"].values() for c in row if c.startswith("half_"))
    return {**errors, "robots_each": robots_each, "cells": cells, "cells_that_differ": differ}


def main() -> int:
    """0 when the median difference is within its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few worlds, no protocol; writes no file")
    parser.add_argument("--device", default="cpu", help="of the engine `warp`")
    options = parser.parse_args()
    began, worlds = time.perf_counter(), 7 if options.quick else 98
    torch.set_num_threads(1)
    x2, g1 = load_robot("agibot_x2"), load_robot("unitree_g1")
    table = {"x2": compare(by_policy(x2, worlds, training=False), options.device)}
    if not options.quick:
        walking = by_policy(x2, worlds, training=True)
        table["x2_training"] = compare(walking, options.device)
        table["x2_training_solved"] = compare(solved(walking), options.device)
        table["g1"] = compare(by_policy(g1, worlds, training=False), options.device)
    for name, row in table.items():
        parts = "  ".join(
            f"{p} {row[p]['median']:.1e} (max {row[p]['max']:.1e})" for p in ("free", "rounded", "resynced")
        )
        print(f"{name:18} {parts}")
    result: dict[str, Any] = {
        "median_state_diff": table["x2"]["free"]["median"],
        "max_state_diff": table["x2"]["free"]["max"],
        "resynced_median_state_diff": table["x2"]["resynced"]["median"],
        "worlds": worlds,
        "steps": TICKS,
        "engines": ["mujoco", f"warp on {options.device}"],
        "models": table,
    }
    if not options.quick:
        result["protocol"] = protocol(x2, 16, options.device)
        print(f"protocol: {result['protocol']['cells_that_differ'] or 'no cell differs by more than chance'}")
    result |= {"seed": SEED, "limit": LIMIT, "policy": open_artefact(shipped_lmo("agibot_x2"), "lmo").digest[:16]}
    result["seconds"] = round(time.perf_counter() - began, 1)
    if not options.quick:
        write_json(RESULT, {**result, **provenance()})
    print(json.dumps(result))
    return 0 if result["median_state_diff"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
