"""Capture times: the wrong order, rate or skew is refused with its numbers; what is only unusual is reported."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.stamps import StampRules, check_stamps

NAMES, RULES = ("body", "head"), StampRules()


def times(rate_hz: float, count: int = 60, start_s: float = 1e5) -> np.ndarray:
    return start_s + np.arange(count) / rate_hz


def both(head: np.ndarray, body: np.ndarray | None = None) -> np.ndarray:
    return np.stack([head if body is None else body, head], axis=1)


@given(rate=st.integers(1, 120), count=st.integers(1, 200), jitter=st.floats(0.0, 0.04), start=st.floats(0.0, 1e7))
def test_true_stamps_pass(rate, count, jitter, start):
    noise = np.random.default_rng(count).uniform(-jitter, jitter, count) / rate
    stamps = both(times(rate, count, start) + noise)
    if count > 1 and (np.diff(stamps[:, 1]) <= 0).any():
        return
    assert check_stamps(stamps, NAMES, rate, RULES) == []


@pytest.mark.parametrize(
    ("captured_hz", "fps", "speed"), [(60, 30, "0.50"), (30, 60, "2.00"), (30, 10, "0.33"), (11.5, 10, "0.87")]
)
def test_another_rate_than_promised_is_refused_in_numbers(captured_hz, fps, speed):
    with pytest.raises(DataError, match=rf"'head'.*{captured_hz:.2f} Hz.*says {fps} Hz.*{speed} times its speed"):
        check_stamps(both(times(captured_hz), times(fps)), NAMES, fps, StampRules(max_skew_s=1e6))


def test_tolerance_is_a_setting():
    stamps = both(times(11.5))
    assert check_stamps(stamps, NAMES, 10, StampRules(rate_tolerance=0.2)) == []
    with pytest.raises(DataError, match="tolerance 5%"):
        check_stamps(both(times(10.7)), NAMES, 10, StampRules(rate_tolerance=0.05))


def test_lost_frames_show_in_the_mean_where_the_median_looks_right():
    kept = np.delete(times(10, 100), slice(20, 60))
    with pytest.raises(DataError, match=r"5\.96 Hz \(mean of 59"):
        check_stamps(both(kept), NAMES, 10, RULES)


@pytest.mark.parametrize(("ticks_hz", "fps"), [(50, 30), (50, 20), (100, 30), (200, 60)])
def test_ticks_of_another_grid_at_the_right_rate_pass(ticks_hz, fps):
    """A robot's newest tick at each frame: 20 and 40 ms apart at 30 Hz, and right all the same."""
    head = times(fps, 120, 0.007)
    body = np.floor(head * ticks_hz) / ticks_hz
    assert check_stamps(np.stack([body, head], axis=1), NAMES, fps, RULES) == []


def test_bursts_that_a_pause_makes_up_for_are_refused():
    kept = np.concatenate([times(60, 100, 0.0), times(60, 100, 5.1)])
    with pytest.raises(DataError, match=r"60\.00 Hz \(median of 199"):
        check_stamps(both(kept), NAMES, 30, RULES)


def test_a_gap_is_reported_with_its_place():
    kept = np.delete(times(10, 100), [40])
    found = check_stamps(both(kept), NAMES, 10, RULES)
    assert len(found) == 2
    assert "'head' has 1 gaps longer than 150 ms, the longest 200 ms after frame 39" in found


@pytest.mark.parametrize("change", [0.0, -0.5])
def test_stamps_that_stand_still_or_go_back_are_refused(change):
    head = times(10)
    head[31] = head[30] + change
    with pytest.raises(DataError, match=r"'head' do not increase.*at frame 30"):
        check_stamps(both(head, times(10)), NAMES, 10, RULES)


def test_sensors_apart_are_reported_then_refused():
    body = times(10)
    assert check_stamps(both(body + 0.04, body), NAMES, 10, RULES) == []
    (found,) = check_stamps(both(body + 0.06, body), NAMES, 10, RULES)
    assert "60 ms lie between 'body' and 'head'" in found
    with pytest.raises(DataError, match=r"150 ms lie between 'body' and 'head'.*at most 100 ms"):
        check_stamps(both(body + 0.15, body), NAMES, 10, RULES)
    with pytest.raises(DataError, match="lie between 'head' and 'body'"):
        check_stamps(both(body[:1] - 1.0, body[:1]), NAMES, 10, RULES)


def test_a_capture_shown_twice_is_reported_where_it_may_be():
    head = times(10, 50)
    head[[10, 20, 30]] = head[[9, 19, 29]]
    with pytest.raises(DataError, match="do not increase"):
        check_stamps(both(head, times(10, 50)), NAMES, 10, RULES)
    loose = StampRules(max_repeats=0.1, max_skew_s=0.2)
    found = check_stamps(both(head, times(10, 50)), NAMES, 10, loose)
    assert "'head' shows the capture before again at 3 of 50 frames" in found
    # not a way around the rate: a 5 Hz camera whose every picture is shown twice
    with pytest.raises(DataError, match=r"5\.00 Hz \(median"):
        check_stamps(both(times(5, 50).repeat(2)[:50]), NAMES, 10, StampRules(max_repeats=0.6, max_skew_s=9.0))
    head[40] = head[39] - 0.01
    with pytest.raises(DataError, match="at frame 39"):
        check_stamps(both(head, times(10, 50)), NAMES, 10, loose)


@pytest.mark.parametrize("change", [{"rate_tolerance": 0.0}, {"rate_tolerance": 1.0}, {"max_skew_s": 0.0}])
def test_rules_that_mean_nothing_are_refused(change):
    with pytest.raises(ConfigError, match="stamps need"):
        StampRules(**change)
    with pytest.raises(ConfigError, match="above 1"):
        StampRules(gap_periods=1.0)
