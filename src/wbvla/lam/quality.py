"""The gate before labelling: a latent action model must predict by its codes, and use them, on held-out episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from wbvla.lam.model import LatentActionModel
from wbvla.lam.pairs import Pairs
from wbvla.lam.quantizer import code_usage


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """What a model has to reach, and how it is measured."""

    min_code_gain: float = 0.05
    """lower end of the interval of the gain over dealt-out codes must be above this [-]"""
    min_perplexity: float = 2.0
    """smallest perplexity a token may have (1 says it never changes)"""
    min_gain: float = 0.0
    """lower end of the interval of the gain over copying the first frame must be above this [-]"""
    pairs: int = 2000
    """most held-out pairs per dataset"""
    resamples: int = 500
    """bootstrap resamples, over episodes"""
    seed: int = 0
    """seed of the dealing-out and of the bootstrap"""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its 95 % bootstrap interval over episodes."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Figures on held-out episodes; `faults` is empty when the model may label."""

    gain: Estimate
    """(MSE of copying - MSE) / MSE of copying. Misleads alone: a collapsed model gains by blurring"""
    code_gain: Estimate
    """(MSE with codes of other pairs - MSE) / MSE with codes of other pairs: what the codes are worth"""
    mse: float
    copy_mse: float
    usage: tuple[float, ...]
    """share of the codebook in use, per token"""
    perplexity: tuple[float, ...]
    """effective number of codes, per token"""
    cycle: float
    """share of codes that come back when the prediction is encoded again"""
    pairs: int
    episodes: int
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class _Errors:
    """Per pair: its episode, codes, and three squared errors."""

    episode: Int64[np.ndarray, " pair"]
    codes: Int64[np.ndarray, "pair token"]
    again: Int64[np.ndarray, "pair token"]
    model: Float[np.ndarray, " pair"]
    copy: Float[np.ndarray, " pair"]
    dealt: Float[np.ndarray, " pair"]


def judge(model: LatentActionModel, parts: Sequence[Pairs], config: QualityConfig) -> Quality:
    """Measure a model on held-out pairs of one or more datasets and say what is wrong with it, if anything.

    Raises ConfigError when the model has no codes yet.
    """
    errors = _measure(model, parts, config)
    codes = torch.from_numpy(errors.codes)
    usage, perplexity = code_usage(codes, model.config.quantizer.num_codes)
    gain = _bootstrap(errors, lambda m, c, d: 1 - m / max(c, 1e-12), config)
    code_gain = _bootstrap(errors, lambda m, c, d: 1 - m / max(d, 1e-12), config)
    return Quality(
        gain=gain,
        code_gain=code_gain,
        mse=float(errors.model.mean()),
        copy_mse=float(errors.copy.mean()),
        usage=tuple(usage.tolist()),
        perplexity=tuple(perplexity.tolist()),
        cycle=float((errors.codes == errors.again).mean()),
        pairs=len(errors.model),
        episodes=len(np.unique(errors.episode)),
        faults=(*_too_few(errors), *_faults(gain, code_gain, perplexity.tolist(), config)),
    )


def _too_few(errors: _Errors) -> tuple[str, ...]:
    """An interval over episodes needs two of them; of one it has no width and says nothing."""
    if len(np.unique(errors.episode)) > 1:
        return ()
    return ("judged on one held-out episode, which gives no interval: record more, or raise held_out",)


def _faults(gain: Estimate, code_gain: Estimate, perplexity: Sequence[float], config: QualityConfig) -> tuple[str, ...]:
    faults = []
    if not gain.low > config.min_gain:
        faults.append(
            f"gain over copying is {gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}], must be above {config.min_gain}"
        )
    if not code_gain.low > config.min_code_gain:
        faults.append(
            f"code gain is {code_gain.value:.3f} [{code_gain.low:.3f}, {code_gain.high:.3f}], must be above "
            f"{config.min_code_gain}: predictions hardly depend on the codes"
        )
    for token, value in enumerate(perplexity):
        if value < config.min_perplexity:
            faults.append(f"token {token} has perplexity {value:.2f}, must reach {config.min_perplexity}: collapsed")
    return tuple(faults)


def _measure(model: LatentActionModel, parts: Sequence[Pairs], config: QualityConfig) -> _Errors:
    rng = np.random.default_rng(config.seed)
    rows: list[dict[str, np.ndarray]] = []
    for number, part in enumerate(parts):
        chosen = rng.permutation(part.spread(config.pairs))  # dealt among neighbours in this order
        for start in range(0, len(chosen), 128):
            indices = chosen[start : start + 128].tolist()
            episode = part.where[indices, 0] + number * 1_000_000
            rows.append({"episode": episode, **_batch_errors(model, part.get(indices))})
    return _Errors(**{k: np.concatenate([r[k] for r in rows]) for k in rows[0]})


@torch.no_grad()
def _batch_errors(model: LatentActionModel, batch: dict[str, Tensor]) -> dict[str, np.ndarray]:
    device = next(model.parameters()).device
    model.encode(batch["now"][:1].to(device), batch["later"][:1].to(device))  # refuses a model without codes
    out = model(batch["now"].to(device), batch["later"].to(device))
    codes = out.quantized.codes
    dealt = model.predict(out.now, codes.roll(1, 0))
    again = model.quantizer(model.encoder(out.now, out.prediction)).codes

    def error(guess: Tensor) -> np.ndarray:
        return (guess - out.later).square().flatten(1).mean(1).double().cpu().numpy()

    return {
        "codes": codes.cpu().numpy(),
        "again": again.cpu().numpy(),
        "model": error(out.prediction),
        "copy": error(out.now),
        "dealt": error(dealt),
    }


def _bootstrap(errors: _Errors, figure: Callable[[float, float, float], float], config: QualityConfig) -> Estimate:
    """A ratio of means with its interval: episodes are resampled, because pairs of one are alike."""
    names, inverse = np.unique(errors.episode, return_inverse=True)
    sums = np.stack([np.bincount(inverse, e) for e in (errors.model, errors.copy, errors.dealt)], 1)
    rng = np.random.default_rng(config.seed)
    drawn = rng.integers(len(names), size=(config.resamples, len(names)))
    values = [figure(*sums[d].sum(0).tolist()) for d in drawn]
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return Estimate(value=figure(*sums.sum(0).tolist()), low=low, high=high)
