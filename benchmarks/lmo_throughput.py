"""How fast the controller's training is: physics alone, environment, whole training, and beside its peers.

    python benchmarks/lmo_throughput.py [--quick] [--peers FOLDER]

Env-steps per second; one is a control tick of 20 ms of one world, four physics steps of 5 ms. Recipe `x2-lmo` (1024
worlds, its networks and epochs) on 2 threads, at its first stage, rounds interleaved, medians over rounds:
`physics_sps` steps the engine from states of the running task, without anything else; `env_sps` runs the environment
under random actions; `train_sps` is a whole iteration, rollout and update. `share_*`: where an iteration's time goes.

With an accelerator the same at 4096 and 16384 worlds on engine `warp` (`gpu`), where shares of an iteration say only
when work was handed over; without one it says why not.

Peers (`sh benchmarks/peers/setup.sh FOLDER` makes their environments): mjlab 1.6.0 and UniLab 1.5.2 on the same G1
MJCF (`benchmarks/peers/g1_model.py`: 29 joints, eight sole spheres), 512-256-128 networks with normalisers, 24 ticks
an iteration, 5 epochs of 4 minibatches, the same number of worlds, 2 threads, each with rewards and observations of its
own flat G1 walking task (theirs drive 29 joints, ours 13 while the arms move by themselves). Order: ours, peer, ours.
`mjlab_ratio` and `unilab_ratio` are ours over theirs, medians over iterations; null with a reason where not installed.

Last line: one JSON object. The long form writes docs/results/lmo_throughput.json.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from peers.g1_model import write_g1  # pyright: ignore[reportImplicitRelativeImport]
from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.learner import Learner, LearnerConfig
from wbvla.lmo.plant import FULL
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import LmoConfig, Training
from wbvla.recipes.lmo import x2_lmo
from wbvla.robots.platforms import load_robot
from wbvla.sim.engines import WARP

TARGET_SPS = 12000.0
GPU_WORLDS = (4096, 16384)
THREADS = 2
PEERS = {"mjlab": "mjlab_run.py", "unilab": "unilab_run.py"}
SAME_LEARNER = LearnerConfig(horizon=24, epochs=5, minibatches=4, hidden=(512, 256, 128))
RESULT = Path(__file__).parents[1] / "docs" / "results" / "lmo_throughput.json"


class Clock:
    """Seconds spent in wrapped calls of one object's methods, by label."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._wrapped: list[tuple[Any, str]] = []

    def wrap(self, owner: Any, method: str, label: str) -> None:
        """Count the time in `owner.method` until `unwrap`."""
        call: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - began

        setattr(owner, method, timed)
        self._wrapped.append((owner, method))

    def unwrap(self) -> None:
        """Put the methods back."""
        for owner, method in self._wrapped:
            delattr(owner, method)


@contextmanager
def sharing(training: Training):
    """A clock over the parts of an iteration."""
    clock, env = Clock(), training.env
    clock.wrap(env.engine, "step", "physics")
    clock.wrap(env, "observations", "observation")
    clock.wrap(env, "_frame", "reward_inputs")
    clock.wrap(env, "reset", "reset")
    clock.wrap(env, "look", "look")
    clock.wrap(env, "step", "environment")
    clock.wrap(training.learner, "update", "update")
    clock.wrap(training.learner.ppo, "act", "act")
    try:
        yield clock
    finally:
        clock.unwrap()


def now(device: str) -> float:
    """Clock [s] once the device has done what it was told."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def physics_round(env: LmoEnvironment, ticks: int) -> float:
    """Env-steps per second of the engine alone, from where the worlds are; they are put back."""
    before, spent = env.engine.snapshot(), 0.0
    for tick in range(ticks):
        if tick % 5 == 0:
            env.engine.restore(before)
        began = now(env.config.device)
        env.engine.step(env.substeps)
        spent += now(env.config.device) - began
    env.engine.restore(before)
    return env.config.num_worlds * ticks / spent


def environment_round(training: Training, ticks: int) -> float:
    """Env-steps per second of the environment under the actions of the untrained policy's spread."""
    env = training.env
    actions = 0.3 * torch.randn(ticks, env.config.num_worlds, env.num_actions, device=env.device)
    began = now(env.config.device)
    for action in actions:
        training.obs, *_ = env.step(action)
    return env.config.num_worlds * ticks / (now(env.config.device) - began)


def own_speed(config: LmoConfig, rounds: int) -> dict[str, Any]:
    """Medians over interleaved rounds on this machine's engine."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(config, Path(folder))
        training.begin(None)
        training.iterate()
        seen: dict[str, list[float]] = {"physics_sps": [], "env_sps": [], "train_sps": []}
        shares: dict[str, float] = {}
        for _round in range(rounds):
            seen["physics_sps"].append(physics_round(training.env, config.learner.horizon))
            seen["env_sps"].append(environment_round(training, config.learner.horizon))
            with sharing(training) as clock:
                began = now(config.environment.device)
                training.iterate()
                whole = now(config.environment.device) - began
            seen["train_sps"].append(training.steps_per_iteration / whole)
            for label, seconds in clock.seconds.items():
                shares[label] = shares.get(label, 0.0) + seconds / whole / rounds
    row: dict[str, Any] = {name: round(median(values), 1) for name, values in seen.items()}
    row |= {f"{name}_rounds": [round(v) for v in values] for name, values in seen.items()}
    return row | {f"share_{label}": round(value, 3) for label, value in shares.items()}


def gpu_speed(recipe: LmoConfig, rounds: int) -> dict[str, Any]:
    """The same on engine `warp` at the sizes of a GPU; a reason where there is none."""
    if not torch.cuda.is_available():
        return {"gpu": None, "gpu_reason": "not run: this machine has no accelerator"}
    rows = {}
    for worlds in GPU_WORLDS:
        environment = replace(recipe.environment, num_worlds=worlds, engine=WARP, device="cuda:0")
        rows[str(worlds)] = own_speed(replace(recipe, environment=environment), rounds)
    return {"gpu": rows, "gpu_device": torch.cuda.get_device_name(0)}


class SameTask:
    """Our trainer on the G1 under the peers' conditions."""

    def __init__(self, worlds: int) -> None:
        torch.set_num_threads(THREADS)
        config = EnvironmentConfig(num_worlds=worlds, num_threads=THREADS)
        self._env = LmoEnvironment(load_robot("unitree_g1"), config, Stage(start_iteration=0), FULL)
        self._learner = Learner(self._env, SAME_LEARNER)
        self._obs, self._count = self._env.observations(), 0
        self.iterate()

    def iterate(self) -> float:
        """Env-steps per second of one rollout and update."""
        began = time.perf_counter()
        self._obs = self._learner.rollout(self._env, self._obs)
        self._learner.update(self._count, self._env.stage)
        self._env.tally.drain()
        self._count += 1
        return self._env.config.num_worlds * SAME_LEARNER.horizon / (time.perf_counter() - began)


def peer_speed(python: Path, name: str, model: Path, worlds: int, iterations: int) -> list[float]:
    """Env-steps per second of each iteration but the first, as rsl_rl prints them."""
    with tempfile.TemporaryDirectory() as logs:
        script = Path(__file__).parent / "peers" / PEERS[name]
        call = [str(python), str(script), "--model", str(model), "--worlds", str(worlds), "--logs", logs]
        call += ["--iterations", str(iterations)]
        threads = {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE", "WANDB_MODE": "disabled"}
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(call, cwd=logs, env={**kept, **threads}, capture_output=True, text=True, check=False)
    found = [float(n) for n in re.findall(r"Steps per second:\s+([0-9.]+)", done.stdout)]
    if done.returncode or len(found) < 2:
        raise ConfigError(f"{name} did not train (exit {done.returncode}): {(done.stderr or done.stdout)[-600:]}")
    return found[1:]


def compare(peers: Path, worlds: dict[str, int], iterations: int) -> dict[str, Any]:
    """Ratios to each peer that is installed under `peers`; ours is measured before and after each."""
    row: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "g1.xml"
        write_g1(model)
        for name in PEERS:
            python = peers.absolute() / name / "bin" / "python"
            row |= {f"{name}_ratio": None}
            if not python.exists():
                row[f"{name}_reason"] = f"not run: {name} is not installed; sh benchmarks/peers/setup.sh FOLDER"
                continue
            ours = SameTask(worlds[name])
            mine = [ours.iterate() for _ in range(iterations)]
            theirs = peer_speed(python, name, model, worlds[name], iterations + 1)
            mine += [ours.iterate() for _ in range(iterations)]
            row |= {
                f"{name}_ratio": round(median(mine) / median(theirs), 2),
                f"{name}_sps": round(median(theirs), 1),
                f"{name}_ours_sps": round(median(mine), 1),
                f"{name}_worlds": worlds[name],
            }
    return row


def main() -> int:
    """0 when the recipe trains at 12,000 env-steps/s or more."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds, no peers; writes no file")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), help="folder that setup.sh filled")
    options = parser.parse_args()
    began, rounds = time.perf_counter(), 2 if options.quick else 10
    recipe = x2_lmo()
    result = own_speed(recipe, rounds) | gpu_speed(recipe, rounds)
    if options.quick:
        reason = "not run: the quick form leaves peers out"
        result |= {"mjlab_ratio": None, "mjlab_reason": reason, "unilab_ratio": None, "unilab_reason": reason}
    else:
        result |= compare(options.peers, {"mjlab": 256, "unilab": 1024}, 5)
    result |= {"worlds": recipe.environment.num_worlds, "threads": THREADS, "target_train_sps": TARGET_SPS}
    result["seconds"] = round(time.perf_counter() - began, 1)
    print(
        f"physics {result['physics_sps']:.0f}, environment {result['env_sps']:.0f}, training {result['train_sps']:.0f}"
    )
    if not options.quick:
        write_json(RESULT, {**result, **provenance()})
    print(json.dumps(result))
    return 0 if result["train_sps"] >= TARGET_SPS else 1


if __name__ == "__main__":
    sys.exit(main())
