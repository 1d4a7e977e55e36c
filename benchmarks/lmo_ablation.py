"""What each part of the controller's training is worth: the same short budget with one part changed at a time.

    python benchmarks/lmo_ablation.py [--quick] [--runs FOLDER] [--only full velocity ...] [--seeds 1 2 3]

Budget of a run: 400 iterations, 9.8e6 steps: about 15 minutes of two cores. Stages and fading help keep their order in
that time, a third of the recipe's. Variants: `full` (recipe x2-lmo); the paper's table (`no_direction`: without J_dir;
`no_stage_2`; `no_stage_1`: the hardest stage from the first step on, with a beginner's exploration; `velocity`: the
velocity interface); each curriculum left out (`no_assist`, `no_stall`, `no_feed_forward`); the other observations
(`heading`, `clock`, `history`, `paper`). `full` and `velocity` run with all seeds, the others with the first.

Each run is measured by the protocol of `lmo_protocol.py`, plain and disturbed, always without help; `help_left` is what
its last iteration still had. Runs are kept in FOLDER, finished ones are not repeated, so several processes may share
the work with `--only`. Last line: one JSON object; the long form puts every run that FOLDER has into
docs/results/lmo_ablation.json, in place of an earlier one of the same variant and seed; each row names the
commit and machine that measured it, and under `trained_at` those that its run folder was opened with.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wbvla.core.contract import write_artefact
from wbvla.core.files import write_json
from wbvla.core.metrics import read_metrics
from wbvla.core.run import provenance
from wbvla.deploy.lmo import POLICY_FILE
from wbvla.lmo.checkpoint import part, read_checkpoint
from wbvla.lmo.commands import VELOCITY
from wbvla.lmo.conditions import cells, disturbed, plain
from wbvla.lmo.export import build_onnx, contract_of
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import METRICS, FadeConfig, LmoConfig, train
from wbvla.recipes.lmo import STAGE_1, x2_lmo
from wbvla.robots.platforms import load_robot

RESULT = Path(__file__).parents[1] / "docs" / "results" / "lmo_ablation.json"
STARTS = (0, 200, 250, 290, 325, 365)
BUDGET = 400
FADE = FadeConfig(assist_step=0.02, feed_forward_step=0.012)


EXPLORING: dict[str, Any] = {"start_iteration": 0, "max_std": 1.0, "entropy": 0.003, "target_kl": 0.015}
"""a beginner's exploration: what is left out is the easy task, not the chance to learn"""


def short() -> LmoConfig:
    """The recipe in a third of its time."""
    config = x2_lmo()
    stages = tuple(replace(stage, start_iteration=start) for stage, start in zip(config.stages, STARTS, strict=True))
    return replace(config, iterations=BUDGET, stages=stages, fade=FADE, keep_every=BUDGET, film_every=0)


def _stages(change: Callable[[Stage], Stage]) -> Callable[[LmoConfig], LmoConfig]:
    return lambda config: replace(config, stages=tuple(change(stage) for stage in config.stages))


def _world(**changes: Any) -> Callable[[LmoConfig], LmoConfig]:
    return lambda config: replace(config, environment=replace(config.environment, **changes))


def _velocity(config: LmoConfig) -> LmoConfig:
    return _world(commands=replace(config.environment.commands, interface=VELOCITY))(config)


VARIANTS: dict[str, Callable[[LmoConfig], LmoConfig]] = {
    "full": lambda config: config,
    "velocity": _velocity,
    "no_direction": _stages(lambda stage: replace(stage, direction=0.0)),
    "no_stage_2": lambda config: replace(config, stages=config.stages[:STAGE_1]),
    "no_stage_1": lambda config: replace(config, stages=(replace(config.stages[-1], **EXPLORING),)),
    "no_assist": lambda config: replace(config, fade=replace(FADE, assist=0.0)),
    "no_stall": _world(stall_s=0.0),
    "no_feed_forward": lambda config: replace(config, fade=replace(FADE, feed_forward=0.0)),
    **{preset: _world(preset=preset) for preset in ("heading", "clock", "history", "paper")},
}
REPEATED = ("full", "velocity")


def run(name: str, seed: int, folder: Path, quick: bool) -> dict[str, Any]:
    """Train one variant (or go on with it), measure it, keep the row beside the run."""
    kept = folder / "row.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    config = VARIANTS[name](short())
    config = replace(config, seed=seed, environment=replace(config.environment, seed=seed))
    if quick:
        small = replace(config.environment, num_worlds=32)
        alone = replace(config.fade, assist=0.0, feed_forward=0.0)
        config = replace(config, iterations=2, stages=config.stages[:1], environment=small, fade=alone)
    checkpoint = train(config, folder, _report(name, seed))
    told = json.loads((folder / "run.json").read_text())
    trained_at = told.get("commits", [told["commit"]])
    each, rows = (2 if quick else 32), read_metrics(folder / METRICS)
    row: dict[str, Any] = {"name": name, "seed": seed, "env_steps": rows[-1]["env_steps"]}
    row |= {
        "train_s": round(rows[-1]["seconds"], 1),
        "robots_each": each,
        "help_left": max(rows[-1]["assist"], rows[-1]["feed_forward"]),
        "trained_at": trained_at,
    }
    spec, calm = load_robot(config.robot), plain(seed)
    # not `export`, which refuses a policy that still leans on help: here that is a result
    content = {POLICY_FILE: build_onnx(part(read_checkpoint(checkpoint)[0], "actor."))}
    artefact = write_artefact(
        folder / "artefact", contract_of(spec, config.environment), {}, "Part of an ablation.\n", content
    )
    policy = artefact.folder
    row |= cells(policy, spec, calm, each)
    row |= {f"disturbed_{k}": v for k, v in cells(policy, spec, disturbed(calm), each).items()}
    write_json(kept, {**row, **provenance()})
    return row


def joined(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the result file, with `rows` in place of those of the same variant and seed."""
    held = json.loads(RESULT.read_text())["rows"] if RESULT.is_file() else []
    every = {(row["name"], row["seed"]): row for row in (*held, *rows)}
    return [every[key] for key in sorted(every)]


def _report(name: str, seed: int) -> Callable[[Any], None]:
    def show(progress: Any) -> None:
        if progress.iteration % 20 == 0:
            left = progress.remaining_s / 60
            print(f"{name} seed {seed}: {progress.iteration}/{progress.iterations}, {left:.0f} min left", flush=True)

    return show


def main() -> int:
    """0 when everything asked for has run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two variants, 2 iterations each; writes no file")
    parser.add_argument("--runs", type=Path, default=Path("runs/lmo_ablation"))
    parser.add_argument("--only", nargs="+", choices=sorted(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    options = parser.parse_args()
    names = ["full", "velocity"] if options.quick else options.only
    seeds = options.seeds[:1] if options.quick else options.seeds
    plan = [(n, seed) for n in names for seed in (seeds if n in REPEATED else seeds[:1])]
    with tempfile.TemporaryDirectory() as aside:
        base = Path(aside) if options.quick else options.runs
        rows = [run(name, seed, base / f"{name}_{seed}", options.quick) for name, seed in plan]
    if not options.quick:
        kept = [json.loads(path.read_text()) for path in sorted(options.runs.glob("*/row.json"))]
        write_json(RESULT, {"budget_iterations": BUDGET, "rows": joined(kept), **provenance()})
    print(json.dumps({"rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
