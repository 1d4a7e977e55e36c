"""The optimiser of every supervised run: AdamW, warm-up, a schedule that is a function of the step, clipping."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wbvla.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW (Loshchilov & Hutter 2019) and its learning-rate schedule."""

    learning_rate: float = 1e-4
    """peak learning rate"""
    weight_decay: float = 0.01
    """decoupled weight decay, on matrices and filters only (not on biases, norms and scales)"""
    betas: tuple[float, float] = (0.9, 0.95)
    """decay rates of the two moments"""
    warmup_steps: int = 0
    """steps of linear warm-up from zero"""
    schedule: Literal["cosine", "constant"] = "cosine"
    """what the rate does after the warm-up"""
    final_fraction: float = 0.0
    """share of the peak rate that cosine ends on"""
    clip_norm: float = 1.0
    """largest global gradient norm"""


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Rate used by update number `step` (from 0) out of `steps`: a pure function, so a resume needs no state."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return config.learning_rate * (config.final_fraction + (1.0 - config.final_fraction) * cosine)


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; raises ConfigError when every parameter is frozen."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ConfigError("the model has no trainable parameter; unfreeze the part that should learn")
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def apply_update(optimizer: torch.optim.AdamW, config: OptimConfig, step: int, steps: int) -> Tensor:
    """Clip, set this step's rate, update and clear; returns the gradient norm before clipping.

    A non-finite norm leaves the weights as they were.
    """
    norm = torch.nn.utils.clip_grad_norm_(parameters(optimizer), config.clip_norm)
    if bool(torch.isfinite(norm)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step, steps)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def parameters(optimizer: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    """Every parameter that the optimiser moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]
