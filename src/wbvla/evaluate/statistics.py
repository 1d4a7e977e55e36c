"""Intervals for rates, differences and times, exact where possible, so that few trials are not oversold."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A count out of trials with its confidence interval; zero trials mean `not measured`."""

    successes: int
    trials: int
    low: float
    """lower end of the interval [-]"""
    high: float
    """upper end of the interval [-]"""
    confidence: float = 0.95
    """coverage that the interval guarantees [-]"""

    @property
    def value(self) -> float | None:
        """Observed share, or None without a trial."""
        return self.successes / self.trials if self.trials else None


def _check_counts(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials:
        raise ConfigError(f"a rate needs 0 <= successes <= trials, not {successes} of {trials}")
    if not 0.0 < confidence < 1.0:
        raise ConfigError(f"confidence must lie in (0, 1), not {confidence}")


def binomial_cdf(successes: int, trials: int, probability: float) -> float:
    """P(X <= successes) for X ~ Binomial(trials, probability), summed in logarithms from the larger side."""
    if successes < 0:
        return 0.0
    if successes >= trials or probability <= 0.0:
        return 1.0
    if probability >= 1.0:
        return 0.0
    lower = successes + 1 <= trials - successes
    part = slice(0, successes + 1) if lower else slice(successes + 1, trials + 1)
    choose, count = _log_choose(trials)
    logs = choose[part] + count[part] * math.log(probability) + (trials - count[part]) * math.log1p(-probability)
    total = float(np.exp(logs).sum())
    return min(1.0, max(0.0, total if lower else 1.0 - total))


@functools.lru_cache(maxsize=64)
def _log_choose(trials: int) -> tuple[Float[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """log C(trials, k), and k, for k = 0 .. trials."""
    sums = np.array([math.lgamma(k + 1) for k in range(trials + 1)])
    return sums[-1] - sums - sums[::-1], np.arange(trials + 1.0)


def _solve_falling(successes: int, trials: int, target: float) -> float:
    """The probability at which `binomial_cdf`, which falls with it, equals `target`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if binomial_cdf(successes, trials, middle) > target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def exact_rate(successes: int, trials: int, confidence: float = 0.95) -> Rate:
    """Clopper-Pearson interval: covers the true rate with at least `confidence`, whatever the rate.

    Clopper & Pearson, Biometrika 26 (1934). Raises ConfigError on impossible counts.
    """
    _check_counts(successes, trials, confidence)
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else _solve_falling(successes - 1, trials, 1.0 - tail)
    high = 1.0 if successes == trials else _solve_falling(successes, trials, tail)
    return Rate(successes=successes, trials=trials, low=low, high=high, confidence=confidence)


def exact_upper(events: int, trials: int, confidence: float = 0.95) -> float | None:
    """One-sided exact upper bound of a rate of unwanted events (falls); None without a trial.

    For zero events of n it is 1 - (1 - confidence)^(1/n), close to 3/n.
    """
    _check_counts(events, trials, confidence)
    if trials == 0:
        return None
    return 1.0 if events == trials else _solve_falling(events, trials, 1.0 - confidence)


def wilson_rate(successes: int, trials: int, confidence: float = 0.95) -> Rate:
    """Wilson score interval (JASA 22, 1927): shorter than the exact one, right on average only."""
    _check_counts(successes, trials, confidence)
    if trials == 0:
        return Rate(successes=0, trials=0, low=0.0, high=1.0, confidence=confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2.0) / (1.0 + spread)
    half = z * math.sqrt(share * (1.0 - share) / trials + spread / (4.0 * trials)) / (1.0 + spread)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Rate(successes=successes, trials=trials, low=low, high=high, confidence=confidence)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Estimate with the ends of its interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95
    """coverage of the interval [-]"""


def paired_difference(both: int, first: int, second: int, neither: int, confidence: float = 0.95) -> Difference:
    """Interval of `rate(first) - rate(second)` of the same trials, by how many succeeded with both, one or neither.

    Newcombe, Statistics in Medicine 17 (1998) 2635, method 10 for paired data: square-and-add with the correlation of
    the pairs. Raises ConfigError without a trial.
    """
    total = both + first + second + neither
    if total == 0:
        raise ConfigError("a difference of rates needs trials")
    ours, theirs = both + first, both + second
    a, b = wilson_rate(ours, total, confidence), wilson_rate(theirs, total, confidence)
    pa, pb = ours / total, theirs / total
    margins = ours * (total - ours) * theirs * (total - theirs)
    excess = both * neither - first * second
    excess = max(excess - total / 2, 0.0) if excess > 0 else excess
    phi = excess / math.sqrt(margins) if margins else 0.0
    below, above = (pa - a.low, b.high - pb), (a.high - pa, pb - b.low)
    low, high = (math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)) for x, y in (below, above))
    return Difference(value=pa - pb, low=pa - pb - low, high=pa - pb + high, confidence=confidence)


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p-value that paired trials which differ are a fair coin (McNemar's exact test)."""
    n = better + worse
    if n == 0:
        return 1.0
    return min(1.0, 2.0 * binomial_cdf(min(better, worse), n, 0.5))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Distribution of a measured quantity, in that quantity's unit."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


def spread(values: Sequence[float] | Float[np.ndarray, " sample"]) -> Spread | None:
    """Mean, percentiles (linear interpolation) and maximum; None, i.e. not measured, without a value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    p50, p95, p99 = (float(v) for v in np.percentile(array, [50, 95, 99]))
    return Spread(count=int(array.size), mean=float(array.mean()), p50=p50, p95=p95, p99=p99, max=float(array.max()))


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Mean with the ends of its interval, which are None where there are too few values for one."""

    value: float
    low: float | None
    high: float | None
    count: int
    confidence: float = 0.95
    """coverage of the interval [-]"""


FEW = 5
"""fewer values than this tell nothing of their own spread: a bootstrap of one value has an interval of no width"""


def bootstrap_mean(
    values: Sequence[float] | Float[np.ndarray, " sample"],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Mean | None:
    """Mean with a percentile-bootstrap interval, the same for the same seed, from `FEW` values on; None without one."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    if array.size < FEW:
        return Mean(value=float(array.mean()), low=None, high=None, count=int(array.size), confidence=confidence)
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, array.size, size=(resamples, array.size))].mean(axis=1)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(means, [tail, 100.0 - tail])
    count = int(array.size)
    return Mean(value=float(array.mean()), low=float(low), high=float(high), count=count, confidence=confidence)
