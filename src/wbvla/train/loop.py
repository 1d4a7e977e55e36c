"""The supervised loop, once: seeded batches, guarded losses, checkpoints that resume equal to the bit, metrics, ETA."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError, TrainingDiverged
from wbvla.core.metrics import MetricLog
from wbvla.core.run import plain
from wbvla.train.checkpoint import (
    Checkpoint,
    frozen_digest,
    load_model,
    load_optimizer,
    model_tensors,
    newest_checkpoint,
    optimizer_tensors,
    save_checkpoint,
    save_tensors,
)
from wbvla.train.interrupt import StopRequest, stop_on_interrupt
from wbvla.train.optim import OptimConfig, apply_update, build_optimizer

log = logging.getLogger(__name__)
CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Length, seed and rhythm of one supervised run."""

    steps: int
    """updates of the weights"""
    batch_size: int
    """samples per update, over all micro-batches"""
    micro_batches: int = 1
    """parts a batch is split into, their gradients averaged, when it does not fit in memory"""
    seed: int = 0
    """seed of batches, dropout and everything random inside the loss"""
    log_every: int = 50
    """steps per line of metrics.jsonl (a mean over them)"""
    checkpoint_every: int = 500
    """steps between checkpoints"""
    evaluate_every: int = 0
    """steps between calls of `Hooks.evaluate`; 0 evaluates only after the last step"""
    device: str = "cpu"
    """torch device"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """arithmetic of forward and backward (weights and optimiser stay float32)"""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """optimiser and schedule"""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.micro_batches, self.log_every, self.checkpoint_every) < 1:
            raise ConfigError("steps, batch_size, micro_batches, log_every and checkpoint_every must be at least 1")
        if self.batch_size % self.micro_batches:
            raise ConfigError(
                f"batch_size {self.batch_size} cannot be split into {self.micro_batches} equal micro-batches"
            )


@runtime_checkable
class Source(Protocol):
    """Where batches come from."""

    def batch(self, step: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """The batch of update `step`: a pure function of it and of `rng`, which is seeded by (seed, step)."""
        ...


Loss = Callable[[nn.Module, Mapping[str, Tensor], torch.Generator], tuple[Tensor, dict[str, float]]]
"""`loss(model, batch, rng)` -> (scalar to minimise, figures to log); `rng` is a CPU generator kept in checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a progress bar shows after a step."""

    step: int
    steps: int
    seconds: float
    """time in this call of `fit` [s]"""
    eta_s: float
    """estimated time left [s]"""
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a trainer adds to the loop."""

    on_step: Callable[[Progress], None] | None = None
    """called after each step"""
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None
    """figures on held-out data, computed in eval mode without gradients"""
    best: str = ""
    """evaluated figure whose best weights are kept in best.safetensors; empty keeps none"""
    higher_is_better: bool = False
    """direction of `best`"""
    data: Mapping[str, Any] = field(default_factory=dict)
    """what the batches come from and how they are made (JSON-ready): a run goes on with the same alone"""


NO_HOOKS = Hooks()


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How a run ended."""

    steps: int
    metrics: Mapping[str, float]
    """figures of the last step and of the last evaluation"""
    best: float | None
    """best value of `Hooks.best`"""
    resumed_from: int
    """step the run went on from; 0 for a fresh one"""
    seconds: float
    """time in this call [s]"""


def fit(
    model: nn.Module,
    loss: Loss,
    source: Source,
    config: LoopConfig,
    folder: Path,
    hooks: Hooks = NO_HOOKS,
) -> FitResult:
    """Train `model` in place for `config.steps` updates, going on from the newest sound checkpoint in `folder`.

    A run that was killed and called again ends with the same weights and the same metric curve, to the bit, as
    one that was not. Ctrl-C finishes the step, saves and raises KeyboardInterrupt.

    Raises:
        TrainingDiverged: the loss or the gradient is not finite; the weights are those before that step.
        ContractMismatch: `folder` holds a run with another configuration, other data or other frozen weights.
        ArtefactError: every checkpoint in `folder` is damaged.
    """
    run = _Run(model, loss, source, config, Path(folder), hooks)
    return run.go()


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for this run; the caller's states come back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class _Run:
    """State of one call of `fit`."""

    def __init__(
        self, model: nn.Module, loss: Loss, source: Source, config: LoopConfig, folder: Path, hooks: Hooks
    ) -> None:
        self.model, self.loss, self.source, self.config = model, loss, source, config
        self.folder, self.hooks = folder, hooks
        self.device = torch.device(config.device)
        self.step = 0
        self.best: float | None = None
        self.window: dict[str, float] = {}
        self.window_steps = 0
        self.last: dict[str, float] = {}
        self.generator = torch.Generator().manual_seed(config.seed)

    def go(self) -> FitResult:
        self.model.to(self.device)
        self.optimizer = build_optimizer(self.model, self.config.optim)
        self.identity = {
            "config": _identity(self.config),
            "frozen_sha256": frozen_digest(self.model),
            "data": json.loads(json.dumps(dict(self.hooks.data))),
        }
        with _own_randomness(self.config.seed, self.device):
            resumed = self._resume()
            self.metrics = MetricLog(self.folder / METRICS, keep_below_step=self.step + 1)
            self.start_s, self.start_step = time.perf_counter(), self.step
            try:
                with stop_on_interrupt() as stop:
                    self._steps(stop)
            finally:
                self.metrics.close()
        self.model.eval()
        seconds = time.perf_counter() - self.start_s
        return FitResult(steps=self.step, metrics=self.last, best=self.best, resumed_from=resumed, seconds=seconds)

    def _steps(self, stop: StopRequest) -> None:
        while self.step < self.config.steps:
            figures = self._update()
            self.step += 1
            self._account(figures)
            self._evaluate_if_due()
            if self.hooks.on_step:
                self.hooks.on_step(self._progress(figures))
            asked, done = stop.asked, self.step == self.config.steps
            if asked or done or self.step % self.config.checkpoint_every == 0:
                self.save()
            if asked and not done:
                raise KeyboardInterrupt

    def _update(self) -> dict[str, float]:
        """One optimiser step; returns its figures."""
        self.model.train()
        rng = np.random.default_rng((self.config.seed, self.step))
        batch = {k: v.to(self.device) for k, v in self.source.batch(self.step, rng).items()}
        parts = self.config.micro_batches
        size = self.config.batch_size // parts
        figures: dict[str, float] = {}
        for part in range(parts):
            piece = {k: v[part * size : (part + 1) * size] for k, v in batch.items()} if parts > 1 else batch
            for name, value in self._backward(piece).items():
                figures[name] = figures.get(name, 0.0) + value / parts
        norm = float(apply_update(self.optimizer, self.config.optim, self.step, self.config.steps))
        self._require_finite("gradient norm", norm, figures)
        return {**figures, "grad_norm": norm, "learning_rate": self.optimizer.param_groups[0]["lr"]}

    def _backward(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        enabled = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            value, figures = self.loss(self.model, batch, self.generator)
        figures = {"loss": float(value.detach()), **figures}
        self._require_finite("loss", figures["loss"], figures)
        (value / self.config.micro_batches).backward()
        return figures

    def _require_finite(self, what: str, value: float, figures: Mapping[str, float]) -> None:
        if not math.isfinite(value):
            parts = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
            raise TrainingDiverged(
                f"{what} is {value} at step {self.step} of {self.config.steps} ({parts}). The checkpoints in "
                f"{self.folder} are from before it; lower the learning rate or look at that batch"
            )

    def _account(self, figures: Mapping[str, float]) -> None:
        self.last = dict(figures)
        self.window_steps += 1
        for name, value in figures.items():
            self.window[name] = self.window.get(name, 0.0) + value
        if self.step % self.config.log_every == 0 or self.step == self.config.steps:
            self.metrics.write({"step": self.step, **{k: v / self.window_steps for k, v in self.window.items()}})
            self.window, self.window_steps = {}, 0

    def _evaluate_if_due(self) -> None:
        every, done = self.config.evaluate_every, self.step == self.config.steps
        if self.hooks.evaluate is None or not (done or (every and self.step % every == 0)):
            return
        self.model.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            figures = self.hooks.evaluate(self.model)
        self.metrics.write({"step": self.step, "held_out": True, **figures})
        self.last.update(figures)
        if self.hooks.best:
            self._keep_best(figures[self.hooks.best])

    def _keep_best(self, value: float) -> None:
        sign = 1.0 if self.hooks.higher_is_better else -1.0
        if self.best is None or sign * value > sign * self.best:
            self.best = value
            weights = {k: v.detach().cpu().clone() for k, v in model_tensors(self.model).items()}
            save_tensors(self.folder / BEST, weights)

    def _progress(self, figures: Mapping[str, float]) -> Progress:
        seconds = time.perf_counter() - self.start_s
        left = seconds / (self.step - self.start_step) * (self.config.steps - self.step)
        return Progress(step=self.step, steps=self.config.steps, seconds=seconds, eta_s=left, metrics=figures)

    def save(self) -> None:
        """Write a checkpoint of everything the next step depends on."""
        tensors = {f"model.{k}": v for k, v in model_tensors(self.model).items()}
        tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(self.model, self.optimizer).items()}
        tensors |= {f"rng.{k}": v for k, v in self._generators().items()}
        state: dict[str, Any] = {**self.identity, "best": self.best, "last": self.last}
        state |= {"window": self.window, "window_steps": self.window_steps}
        save_checkpoint(self.folder / CHECKPOINTS, Checkpoint(step=self.step, tensors=tensors, state=state))

    def _generators(self) -> dict[str, Tensor]:
        states = {"torch": torch.get_rng_state(), "loss": self.generator.get_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _resume(self) -> int:
        """Put the newest sound checkpoint back; returns its step, 0 without one."""
        found = newest_checkpoint(self.folder / CHECKPOINTS)
        if found is None:
            return 0
        # a checkpoint of before data were noted says nothing of them
        ours = {name: value for name, value in self.identity.items() if name != "data" or name in found.state}
        require_match(f"the run in {self.folder}", ours, found.state)
        load_model(self.model, found.part("model"))
        load_optimizer(self.model, self.optimizer, found.part("optimizer"))
        self._load_generators(found.part("rng"))
        self.step, self.best, self.last = found.step, found.state["best"], dict(found.state["last"])
        self.window, self.window_steps = dict(found.state["window"]), found.state["window_steps"]
        log.info("going on from step %d of %s", self.step, self.folder)
        return found.step

    def _load_generators(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["torch"])
        self.generator.set_state(states["loss"])
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)


def _identity(config: LoopConfig) -> dict[str, Any]:
    """What must be equal for a resumed run to equal an uninterrupted one (how often it saves may change)."""
    return plain(replace(config, checkpoint_every=1))
