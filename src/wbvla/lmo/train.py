"""Trains the low-level controller: rollouts, updates, a curriculum that follows the falls, checkpoints that resume."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from wbvla.core.errors import ConfigError
from wbvla.core.files import sha256_of
from wbvla.core.metrics import MetricLog
from wbvla.core.run import open_run
from wbvla.lmo.checkpoint import check_start, load_checkpoint, load_models, read_checkpoint, save_checkpoint
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.learner import Learner, LearnerConfig
from wbvla.lmo.ranks import Ranks, join, leave
from wbvla.lmo.reward_sets import needs_foot_forces
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class FadeConfig:
    """How the help fades: a little per iteration as long as falls are rare."""

    assist: float = 1.0
    """strength of the helping wrench at the start; 0: none [-]"""
    feed_forward: float = 1.0
    """strength of the open-loop gait at the start; 0: none [-]"""
    assist_step: float = 0.015
    """change of the assistance per iteration [-]"""
    feed_forward_step: float = 0.006
    """change of the feed-forward gait per iteration [-]"""
    few_falls: float = 8.0
    """below this many falls per robot-minute help fades"""
    many_falls: float = 20.0
    """above it the assist comes back by a third of a step"""


@dataclass(frozen=True, kw_only=True)
class LmoConfig:
    """One training of a low-level controller."""

    robot: str
    """name of the robot"""
    iterations: int
    """updates of the policy"""
    seed: int = 1
    """of networks and environment"""
    torch_threads: int = 1
    """CPU threads of the networks while the physics runs"""
    learn_threads: int = 1
    """CPU threads of the networks while they learn"""
    checkpoint_every: int = 25
    """iterations; one checkpoint is kept and replaced"""
    keep_every: int = 100
    """iterations; these checkpoints are kept besides"""
    film_every: int = 0
    """iterations between films of the controller as it learns, in the run's folder; 0: none"""
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    """what the robot lives in"""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """PPO"""
    fade: FadeConfig = field(default_factory=FadeConfig)
    """how the assistance goes away"""
    stages: tuple[Stage, ...] = (Stage(start_iteration=0),)
    """in order of their first iteration"""

    def __post_init__(self) -> None:
        starts = [stage.start_iteration for stage in self.stages]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ConfigError(f"stages must start at iteration 0 and rise, not at {starts}")
        feels = [needs_foot_forces(stage.apply(self.environment.weights)) for stage in self.stages]
        if any(feels) and not feels[0]:
            raise ConfigError("a later stage pays for stumbling, so the first one must have a weight for it as well")


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """What a progress bar needs."""

    iteration: int
    iterations: int
    env_steps: int
    env_steps_per_s: float
    remaining_s: float
    metrics: dict[str, float | int]


OnIteration = Callable[[TrainingProgress], None]


class Training:
    """The objects of one run; `train` drives it."""

    def __init__(self, config: LmoConfig, folder: Path, ranks: Ranks | None = None) -> None:
        self.config, self.folder, self.ranks = config, folder, ranks or Ranks()
        torch.set_num_threads(config.torch_threads)
        torch.manual_seed(config.seed + self.ranks.apart)
        world = config.environment
        world = replace(world, seed=world.seed + self.ranks.apart, device=self.ranks.device(world.device))
        self.env = LmoEnvironment(load_robot(config.robot), world, config.stages[0])
        self.env.progress.assist, self.env.progress.feed_forward = config.fade.assist, config.fade.feed_forward
        self.learner = Learner(self.env, config.learner, self.ranks)
        self.iteration = 0
        self.seconds = 0.0
        self.start: dict[str, Any] | None = None

    @property
    def steps_per_iteration(self) -> int:
        return self.ranks.world * self.config.environment.num_worlds * self.config.learner.horizon

    def begin(self, warm_start: Path | None) -> None:
        """Continue the folder's checkpoint, or start afresh (from the weights of `warm_start`, if given)."""
        if self.ranks.first:
            open_run(self.folder, self.config, self.config.seed)
        path = self.folder / CHECKPOINT
        if path.is_file():
            if not self.ranks.first:
                path = self._beside(int(read_checkpoint(path)[1]["iteration"]))
            self.obs, meta = load_checkpoint(path, self.learner, self.env)
            self.iteration, self.seconds = int(meta["iteration"]), float(meta["seconds"])
            self.start = meta.get("start")
            self.env.enter(self.config.stages[self.env.progress.stage])
            return
        self.obs = self.env.observations()
        if warm_start is not None:
            tensors, meta = read_checkpoint(warm_start)
            check_start(warm_start, meta, self.seam())
            load_models(self.learner, tensors)
            kept = {key: meta[key] for key in ("iteration", "seconds", "start") if key in meta}
            self.start = {"file": str(warm_start), "sha256": sha256_of(warm_start), **kept}
            self.env.progress.assist = self.env.progress.feed_forward = 0.0
            return
        for _ in range(self.config.learner.horizon):
            noise = torch.randn(len(self.obs), self.env.num_actions, device=self.env.device)
            self.obs, *_ = self.env.step(self.config.learner.initial_std * noise)
            self.learner.warm_normalizers(self.obs)
        self.env.tally.drain()

    def iterate(self) -> dict[str, float | int]:
        """One rollout and update; returns what goes to the log."""
        self._enter_stage()
        began = time.perf_counter()
        self.obs = self.learner.rollout(self.env, self.obs)
        collected = time.perf_counter()
        torch.set_num_threads(self.config.learn_threads)
        learned = self.learner.update(self.iteration, self.env.stage)
        torch.set_num_threads(self.config.torch_threads)
        ended = time.perf_counter()
        self.iteration += 1
        self.seconds += ended - began
        sums = self.ranks.mean(self.env.tally.drain())
        self._fade(sums["falls_per_minute"] + sums["stalls_per_minute"])
        progress = self.env.progress
        return {
            "step": self.iteration,
            "env_steps": self.iteration * self.steps_per_iteration,
            "seconds": round(self.seconds, 3),
            "collect_s": round(collected - began, 4),
            "learn_s": round(ended - collected, 4),
            "reward": sum(v for k, v in sums.items() if k.startswith("reward/")),
            "assist": progress.assist,
            "feed_forward": progress.feed_forward,
            "stage": progress.stage,
            **sums,
            **learned,
        }

    def _enter_stage(self) -> None:
        """Take the last stage whose start has been reached."""
        index = max(i for i, s in enumerate(self.config.stages) if s.start_iteration <= self.iteration)
        self.env.progress.stage = index
        self.env.enter(self.config.stages[index])

    def _fade(self, falls_per_minute: float) -> None:
        """Less help when falls are rare, first the wrench, then the feed-forward gait."""
        progress, fade = self.env.progress, self.config.fade
        first = progress.falls_per_minute < 0
        ema = falls_per_minute if first else 0.8 * progress.falls_per_minute + 0.2 * falls_per_minute
        progress.falls_per_minute = ema
        if progress.assist > 0:
            if ema < fade.few_falls:
                progress.assist = max(0.0, progress.assist - fade.assist_step)
            elif ema > fade.many_falls:
                progress.assist = min(1.0, progress.assist + fade.assist_step / 3)
        elif progress.feed_forward > 0 and ema < fade.few_falls:
            progress.feed_forward = max(0.0, progress.feed_forward - fade.feed_forward_step)

    def save(self, name: str = CHECKPOINT) -> None:
        """Write a checkpoint."""
        if name != CHECKPOINT:
            if self.ranks.first:
                self._write(self.folder / name)
            return
        beside = self._beside(self.iteration)
        if not self.ranks.first:
            self._write(beside)
        self.ranks.wait()  # the first rank's file is the one that counts: it comes when all others are there
        if self.ranks.first:
            self._write(self.folder / name)
        self.ranks.wait()
        for old in self.folder.glob(beside.name.replace(f"_{self.iteration:06d}", "_*")):
            if old != beside:
                old.unlink()

    def _write(self, path: Path) -> None:
        notes = {"seconds": self.seconds, **self.seam(), **({"start": self.start} if self.start else {})}
        save_checkpoint(path, self.learner, self.env, self.obs, self.iteration, notes)

    def seam(self) -> dict[str, Any]:
        """What two runs must share for one to start from the other's weights."""
        world = self.config.environment
        return {
            "robot": self.config.robot,
            "preset": world.preset,
            "interface": world.commands.interface,
            "joints": list(self.env.spec.lmo_joints),
            "arms": list(self.env.layout.arm_names),
            "action_scale": world.action_scale,
            "hidden": list(self.config.learner.hidden),
        }

    def _beside(self, iteration: int) -> Path:
        """Checkpoint of a rank that is not the first, by iteration: two of them exist while one is replaced."""
        return self.folder / f"rank{self.ranks.rank:03d}_{iteration:06d}.safetensors"


def train(
    config: LmoConfig,
    folder: Path,
    on_iteration: OnIteration | None = None,
    stop_after: int | None = None,
    warm_start: Path | None = None,
    watch: Callable[["Training"], None] | None = None,
) -> Path:
    """Train, or continue, in `folder`; returns the path of the last checkpoint.

    Args:
        on_iteration: called after each iteration, for progress bars.
        stop_after: leave after this iteration (a later call continues); None for all.
        watch: called after each iteration with the live run, to film it; must leave the run as it is.
        warm_start: checkpoint whose weights and statistics to start from (a fresh schedule; not a resume).
    """
    ranks = join(config.environment.device)
    training = Training(config, folder, ranks)
    training.begin(warm_start)
    log = MetricLog(folder / METRICS, keep_below_step=training.iteration + 1) if ranks.first else None
    last = config.iterations if stop_after is None else min(stop_after, config.iterations)
    try:
        while training.iteration < last:
            row = training.iterate()
            if log is not None:
                log.write(row)
            if training.iteration % config.keep_every == 0:
                training.save(f"checkpoint_{training.iteration:06d}.safetensors")
            if training.iteration % config.checkpoint_every == 0 or training.iteration == last:
                training.save()
            if on_iteration is not None and ranks.first:
                on_iteration(_progress(training, row))
            if watch is not None and ranks.first:
                watch(training)
    finally:
        if log is not None:
            log.close()
        leave(ranks)
    return folder / CHECKPOINT


def _progress(training: Training, row: dict[str, float | int]) -> TrainingProgress:
    per_iteration = row["collect_s"] + row["learn_s"]
    return TrainingProgress(
        iteration=training.iteration,
        iterations=training.config.iterations,
        env_steps=training.iteration * training.steps_per_iteration,
        env_steps_per_s=training.steps_per_iteration / per_iteration,
        remaining_s=per_iteration * (training.config.iterations - training.iteration),
        metrics=row,
    )
