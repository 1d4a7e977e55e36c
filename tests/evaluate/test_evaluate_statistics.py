"""Intervals against published values and against their own guarantee."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.evaluate.statistics import (
    binomial_cdf,
    bootstrap_mean,
    exact_rate,
    exact_upper,
    paired_difference,
    sign_test,
    spread,
    wilson_rate,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # quantiles of the beta distribution, as in R's binom.test
        (17, 20, 0.6210732, 0.9679291),
        (0, 10, 0.0, 0.3084971),
        (10, 10, 0.6915029, 1.0),
        (52, 75, 0.5761645, 0.7946824),
        (1, 2, 0.0125791, 0.9874209),
    ],
)
def test_exact_interval_equals_published_values(successes: int, trials: int, low: float, high: float) -> None:
    rate = exact_rate(successes, trials)
    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_exact_interval_equals_closed_form_at_the_ends() -> None:
    assert exact_rate(0, 50).high == pytest.approx(1 - 0.025 ** (1 / 50), abs=1e-12)
    assert exact_rate(50, 50).low == pytest.approx(0.025 ** (1 / 50), abs=1e-12)


@pytest.mark.parametrize(("trials", "bound"), [(50, 0.0582), (299, 0.00997), (2995, 0.0009998)])
def test_no_event_bound_is_the_rule_of_three(trials: int, bound: float) -> None:
    assert exact_upper(0, trials) == pytest.approx(bound, rel=3e-3)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(10, 0.49, 0.94), (20, 0.58, 0.92), (50, 0.67, 0.89), (100, 0.71, 0.87), (500, 0.76, 0.83)],
)
def test_wilson_interval_of_eighty_percent(n: int, low: float, high: float) -> None:
    rate = wilson_rate(8 * n // 10, n)
    assert (round(rate.low, 2), round(rate.high, 2)) == (low, high)


def test_difference_of_paired_trials_depends_on_the_pairs() -> None:
    """17 and 14 of 20: how sure one is depends on how many trials went differently."""
    alike, mixed = paired_difference(14, 3, 0, 3), paired_difference(11, 6, 3, 0)
    assert (alike.value, mixed.value) == (pytest.approx(0.15), pytest.approx(0.15))
    assert mixed.low < alike.low < 0.15 < alike.high < mixed.high
    none, every = paired_difference(10, 0, 0, 10), paired_difference(0, 10, 10, 0)
    assert -none.low == none.high < 0.12
    assert every.high == pytest.approx(0.40, abs=0.01)
    turned = paired_difference(11, 3, 6, 0)
    assert (turned.low, turned.high) == (pytest.approx(-mixed.high), pytest.approx(-mixed.low))
    # Newcombe 1998, pairs 36, 12, 2, 0, method 10
    example = paired_difference(36, 12, 2, 0)
    assert (example.low, example.high) == (pytest.approx(0.0569, abs=1e-4), pytest.approx(0.3404, abs=1e-4))


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.1, 0.2), (0.05, 0.45, 0.45, 0.05), (0.7, 0.05, 0.15, 0.1)])
def test_interval_of_a_paired_difference_covers(shares: tuple[float, ...]) -> None:
    rng = np.random.default_rng(3)
    truth = shares[1] - shares[2]
    drawn = [paired_difference(*(int(n) for n in row)) for row in rng.multinomial(30, shares, 2000)]
    assert np.mean([d.low <= truth <= d.high for d in drawn]) > 0.93


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 30), st.data())
def test_exact_interval_holds_its_promise(trials: int, data: st.DataObject) -> None:
    """Coverage, summed over all outcomes, is never below the promise."""
    truth = data.draw(st.floats(0.01, 0.99))
    covered = 0.0
    for k in range(trials + 1):
        rate = exact_rate(k, trials)
        assert rate.low <= k / trials <= rate.high
        if rate.low <= truth <= rate.high:
            covered += binomial_cdf(k, trials, truth) - binomial_cdf(k - 1, trials, truth)
    assert covered >= 0.95 - 1e-9


def test_sign_test_counts_only_pairs_that_differ() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 0) == pytest.approx(2 / 32)
    assert sign_test(3, 3) == 1.0


def test_spread_and_bootstrap_say_when_nothing_was_measured() -> None:
    assert spread([]) is None
    assert bootstrap_mean([]) is None
    alone = bootstrap_mean([12.3])
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.count) == (12.3, None, None, 1)
    assert exact_upper(0, 0) is None
    assert exact_rate(0, 0).value is None
    found = spread(np.arange(101.0))
    assert found is not None
    assert (found.p50, found.p95, found.p99, found.max) == (50.0, 95.0, 99.0, 100.0)


def test_bootstrap_is_seeded_and_covers() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 200)
    first, again = bootstrap_mean(values), bootstrap_mean(values)
    assert first == again
    assert first is not None
    assert first.low is not None
    assert first.high is not None
    assert first.low < 3.0 < first.high
    assert first.high - first.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 of 4"):
        exact_rate(5, 4)
    with pytest.raises(ConfigError, match="needs trials"):
        paired_difference(0, 0, 0, 0)
