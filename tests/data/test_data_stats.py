"""Statistics: equal to numpy over all frames, however the episodes are cut and merged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording import HEAD, make_dataset

from wbvla.core.errors import DataError
from wbvla.data.dataset_stats import write_stats
from wbvla.data.reader import Dataset
from wbvla.data.stats import QUANTILES, ImageTally, Tally, describe, summarize, tally_columns

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=40), min_size=1, max_size=6))
def test_merged_tallies_equal_numpy_over_everything(parts):
    """Merging unequal episodes: moments to rounding, quantiles within one bin (not a mean of quantiles)."""
    whole = np.concatenate([np.array(p) for p in parts])
    merged = Tally()
    for part in parts:
        tally = Tally()
        tally.add(np.array(part))
        merged.merge(tally)
    assert merged.count == len(whole)
    assert (merged.low, merged.high) == (whole.min(), whole.max())
    scale = max(np.abs(whole).max(), 1e-9)
    assert merged.mean == pytest.approx(whole.mean(), abs=1e-9 * scale)
    assert np.sqrt(merged.spread / merged.count) == pytest.approx(whole.std(), abs=1e-6 * scale)
    for q in QUANTILES.values():
        assert abs(merged.quantile(q) - np.quantile(whole, q)) <= merged.bin_width


def test_order_of_merging_does_not_matter():
    rng = np.random.default_rng(0)
    parts = [rng.normal(m, s, n) for m, s, n in ((0, 1, 500), (100, 1e-3, 7), (-3, 40, 90))]
    forth, back = Tally(), Tally()
    for part in parts:
        forth.add(part)
    for part in reversed(parts):
        back.add(part)
    assert (forth.exponent, forth.first_bin) == (back.exponent, back.first_bin)
    np.testing.assert_array_equal(forth.counts, back.counts)
    assert len(forth.counts) <= 8192
    assert forth.bin_width < (forth.high - forth.low) / 2000


def test_constant_and_empty_columns():
    (tally,) = tally_columns([np.full(5, 0.66, np.float32)])
    stats = summarize([tally])
    assert stats["std"] == [0.0]
    assert stats["q01"] == stats["q99"] == [float(np.float32(0.66))]
    with pytest.raises(DataError, match="NaN"):
        Tally().add(np.array([np.nan]))


def test_image_tally_equals_numpy_on_the_same_pixels():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 200, (6, 8, 12, 3), dtype=np.uint8)
    first, second = ImageTally(every=1, stride=1), ImageTally(every=1, stride=1)
    for frame in frames[:4]:
        first.add(frame)
    for frame in frames[4:]:
        second.add(frame)
    first.merge(second)
    stats = first.summary()
    pixels = frames.reshape(-1, 3) / 255.0
    np.testing.assert_allclose(np.ravel(stats["mean"]), pixels.mean(0))
    np.testing.assert_allclose(np.ravel(stats["std"]), pixels.std(0))
    np.testing.assert_allclose(np.ravel(stats["max"]), pixels.max(0))
    np.testing.assert_allclose(np.ravel(stats["q10"]), np.quantile(pixels, 0.1, axis=0), atol=1 / 255)
    assert stats["count"] == [6]


def test_dataset_statistics(tmp_path):
    """stats.json over unequal episodes: columns like numpy, cameras in [0, 1] with LeRobot's shape."""
    root = make_dataset(tmp_path / "d", [2, 9, 5])
    write_stats(root)
    data = Dataset(root)
    for name in ("observation.state", "action", "success"):
        whole = data.column(name).astype(np.float64).reshape(len(data), -1)
        exact = describe(whole)
        for key in ("mean", "std", "min", "max"):
            np.testing.assert_allclose(data.stats[name][key], exact[key], atol=1e-9)
        for key in QUANTILES:
            width = (whole.max(0) - whole.min(0)) / 4000 + 1e-9
            assert (np.abs(np.array(data.stats[name][key]) - exact[key]) <= width).all()
    assert data.stats["action"]["count"] == [16]
    assert np.shape(data.stats[HEAD]["q99"]) == (3, 1, 1)
    assert 0.0 <= np.ravel(data.stats[HEAD]["min"]).min() <= np.ravel(data.stats[HEAD]["max"]).max() <= 1.0
    assert "note" not in data.stats
