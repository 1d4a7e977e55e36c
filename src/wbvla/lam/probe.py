"""What codes know about true motion: a read-out learned on training episodes, scored on held-out ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import nn

from wbvla.core.errors import DataError
from wbvla.lam.model import LatentActionModel
from wbvla.lam.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Size of the read-out."""

    truth: str = "camera_twist"
    """array (frame, channel) in the recording's truth/ files; the target is its mean over the pair's gap"""
    kind: Literal["ridge", "mlp"] = "mlp"
    """linear read-out, or one hidden layer"""
    pairs: int = 4000
    """most pairs to learn from and to score on"""
    hidden: int = 64
    """width of the hidden layer"""
    steps: int = 600
    """updates of the `mlp`"""
    penalty: float = 1.0
    """ridge penalty, in pairs"""


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """How well a read-out does on held-out episodes."""

    r2: Mapping[str, float]
    """explained share of variance per channel; 0 is a constant guess"""
    shuffled: Mapping[str, float]
    """the same after the codes were dealt to other pairs: what chance gives"""
    pairs: int
    """held-out pairs scored"""
    constant: tuple[str, ...] = field(default=())
    """channels that do not move in the held-out episodes and cannot be scored"""


def encode_pairs(
    model: LatentActionModel, pairs: Pairs, indices: Sequence[int], batch: int = 128
) -> Int64[np.ndarray, "pair token"]:
    """Codes of some pairs."""
    device = next(model.parameters()).device
    parts = []
    for start in range(0, len(indices), batch):
        drawn = pairs.get(indices[start : start + batch])
        parts.append(model.encode(drawn["now"].to(device), drawn["later"].to(device)).cpu().numpy())
    return np.concatenate(parts)


def motion_of_pairs(pairs: Pairs, indices: Sequence[int], config: ProbeConfig) -> Float[np.ndarray, "pair channel"]:
    """Mean of the true motion over each pair's gap; raises DataError when the recording has no such truth."""
    whole: dict[int, np.ndarray] = {}
    rows = []
    for episode, frame in pairs.where[list(indices)].tolist():
        if episode not in whole:
            truth = pairs.data.truth(episode)
            if config.truth not in truth:
                have = ", ".join(truth) or "none"
                raise DataError(f"{pairs.data.root}: episode {episode} has no truth {config.truth!r}; it has {have}")
            whole[episode] = np.asarray(truth[config.truth], dtype=np.float64)
        rows.append(whole[episode][frame : frame + pairs.gap].mean(0))
    return np.stack(rows)


def has_truth(pairs: Pairs, config: ProbeConfig) -> bool:
    """Whether the recording keeps the motion that the probe reads out."""
    return config.truth in pairs.data.truth(int(pairs.where[0, 0]))


def probe(model: LatentActionModel, train: Pairs, held_out: Pairs, config: ProbeConfig, seed: int) -> ProbeResult:
    """Read motion out of codes; `train` and `held_out` must not share episodes."""
    chosen = [part.spread(config.pairs) for part in (train, held_out)]
    codes = [_one_hot(encode_pairs(model, p, i), model) for p, i in zip((train, held_out), chosen, strict=True)]
    motion = [motion_of_pairs(p, i, config) for p, i in zip((train, held_out), chosen, strict=True)]
    moving = motion[1].std(0) > 1e-6
    order = np.random.default_rng(seed).permutation(len(codes[1]))
    predict = _ridge(codes[0], motion[0], config) if config.kind == "ridge" else _mlp(codes[0], motion[0], config, seed)
    scores = [_r2(predict(x), motion[1]) for x in (codes[1], codes[1][order])]
    names = channel_names(held_out, config.truth, len(moving))
    r2, shuffled = ({n: float(v) for n, v, m in zip(names, s, moving, strict=True) if m} for s in scores)
    still = tuple(n for n, m in zip(names, moving, strict=True) if not m)
    return ProbeResult(r2=r2, shuffled=shuffled, pairs=len(codes[1]), constant=still)


def channel_names(pairs: Pairs, truth: str, count: int) -> list[str]:
    """Names of a truth array's channels as the recording's contract gives them, or numbers."""
    given = pairs.data.contract.get("truth", {}).get(truth, [])
    return list(given) if len(given) == count else [f"{truth}_{i}" for i in range(count)]


def _one_hot(codes: Int64[np.ndarray, "pair token"], model: LatentActionModel) -> Float[np.ndarray, "pair feature"]:
    return np.eye(model.config.quantizer.num_codes)[codes].reshape(len(codes), -1)


def _r2(predicted: np.ndarray, true: np.ndarray) -> Float[np.ndarray, " channel"]:
    residual = ((true - predicted) ** 2).mean(0)
    return 1.0 - residual / np.maximum(true.var(0), 1e-12)


def _ridge(x: np.ndarray, y: np.ndarray, config: ProbeConfig):
    mean_x, mean_y = x.mean(0), y.mean(0)
    centred = x - mean_x
    gram = centred.T @ centred + config.penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (y - mean_y))
    return lambda fresh: (fresh - mean_x) @ weights + mean_y


def _mlp(x: np.ndarray, y: np.ndarray, config: ProbeConfig, seed: int):
    mean, scale = y.mean(0), np.maximum(y.std(0), 1e-9)
    inputs, targets = torch.tensor(x).float(), torch.tensor((y - mean) / scale).float()
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(x.shape[1], config.hidden), nn.GELU(), nn.Linear(config.hidden, y.shape[1]))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    for _ in range(config.steps):
        rows = torch.randint(len(inputs), (256,), generator=rng)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(inputs[rows]), targets[rows]).backward()
        optimizer.step()

    def predict(fresh: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net(torch.tensor(fresh).float()).numpy() * scale + mean

    return predict
