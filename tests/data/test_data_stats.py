"""Statistics: equal to numpy over all frames, however the episodes are cut and merged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import HEAD, make_dataset

from wbvla.core.errors import DataError
from wbvla.data import dataset_stats
from wbvla.data.dataset_stats import num_sampled, sampled_frames, write_stats
from wbvla.data.format import Feature, vector
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import merge
from wbvla.data.stats import QUANTILES, ImageTally, Tally, describe, summarize, tally_columns, tally_features
from wbvla.data.writer import DatasetConfig, DatasetWriter

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


@given(
    lengths=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4), min_size=1, max_size=4),
    shape=st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2)]),
    kind=st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_quantiles_of_merged_datasets_are_numpys_within_one_bin(lengths, shape, kind, seed):
    """Datasets of unequal episodes, each far from the other (a mean of their quantiles would be far off)."""
    rng = np.random.default_rng(seed)
    datasets = [
        [(rng.normal(size=(n, *shape)) * 10.0 ** (i - 1) + 50 * i).astype(kind) for n in episodes]
        for i, episodes in enumerate(lengths)
    ]
    per_dataset = [tally_features({"x": e} for e in episodes)["x"] for episodes in datasets]
    merged = [Tally() for _ in per_dataset[0]]
    for tallies in per_dataset:
        for ours, theirs in zip(merged, tallies):
            ours.merge(theirs)
    whole = np.concatenate([e for episodes in datasets for e in episodes]).astype(np.float64)
    flat = whole.reshape(len(whole), -1)
    found = summarize(merged, shape)
    widths = np.array([t.bin_width for t in merged])
    for name, q in QUANTILES.items():
        exact = np.quantile(flat, q, axis=0)
        assert (np.abs(np.ravel(found[name]) - exact) <= widths).all(), name
    np.testing.assert_allclose(np.ravel(found["mean"]), flat.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.ravel(found["std"]), flat.std(0), rtol=1e-6, atol=1e-6)
    assert np.shape(found["q50"]) == (shape if len(shape) > 1 else (flat.shape[1],))
    assert found["count"] == [len(whole)]


def test_a_mean_of_quantiles_would_fail_the_test_above():
    """The fault this project was warned of: one long calm dataset and one short wild one."""
    calm, wild = np.zeros(990), np.linspace(0, 100, 110)
    merged = Tally()
    for part in (calm, wild):
        merged.add(part)
    exact = np.quantile(np.concatenate([calm, wild]), 0.99)
    averaged = (np.quantile(calm, 0.99) * 990 + np.quantile(wild, 0.99) * 110) / 1100
    assert abs(merged.quantile(0.99) - exact) <= merged.bin_width
    assert abs(averaged - exact) > 1000 * merged.bin_width


def test_channels_must_agree_between_episodes():
    with pytest.raises(DataError, match="3 channels"):
        tally_features([{"x": np.zeros((4, 2))}, {"x": np.zeros((4, 3))}])


ARRAYS = {"grid": Feature(dtype="float32", shape=(2, 3)), "flags": vector(["a", "b"], "bool")}


def test_arrays_flags_and_codes_are_counted_and_blocks_do_not_matter(tmp_path, monkeypatch):
    """Every numeric column of a dataset: nested lists for arrays, booleans as 0 and 1, codes written later."""
    root, rng = tmp_path / "d", np.random.default_rng(0)
    given_arrays = [rng.normal(size=(n, 2, 3)).astype(np.float32) for n in (3, 17, 6)]
    with DatasetWriter.create(root, DatasetConfig(fps=10, robot="r", features=ARRAYS)) as writer:
        for array in given_arrays:
            with writer.episode(task="x") as episode:
                for grid in array:
                    episode.add({"grid": grid, "flags": grid[0, :2] > 0})
                episode.commit()
    codes = [{"latent.x": rng.integers(0, 16, (len(a), 4))} for a in given_arrays]
    write_labels(root, {"latent.x": Feature(dtype="int64", shape=(4,))}, codes, {"digest": "0" * 64})
    stats = write_stats(root)
    whole = np.concatenate(given_arrays).astype(np.float64)
    assert np.shape(stats["grid"]["q99"]) == (2, 3)
    np.testing.assert_allclose(stats["grid"]["mean"], whole.mean(0))
    np.testing.assert_allclose(stats["grid"]["q90"], np.quantile(whole, 0.9, axis=0), atol=np.ptp(whole) / 2000)
    np.testing.assert_allclose(stats["flags"]["mean"], (whole[:, 0, :2] > 0).mean(0))
    every = np.concatenate([c["latent.x"] for c in codes])
    assert stats["latent.x"]["q50"] == np.quantile(every, 0.5, axis=0).tolist()
    assert stats["latent.x"]["max"] == every.max(0).tolist()
    monkeypatch.setattr(dataset_stats, "BLOCK_FRAMES", 4)
    small = write_stats(root)
    assert small["grid"]["q10"] == stats["grid"]["q10"]
    np.testing.assert_allclose(small["grid"]["std"], stats["grid"]["std"], rtol=1e-12)


@pytest.mark.parametrize(
    ("frames", "sampled"), [(0, 0), (7, 7), (100, 100), (400, 100), (10_000, 1000), (10**9, 10_000)]
)
def test_number_of_sampled_pictures(frames, sampled):
    assert num_sampled(frames) == pytest.approx(sampled, abs=1)


def test_samples_are_spread_over_all_episodes_in_order(tmp_path):
    data = Dataset(make_dataset(tmp_path / "d", [30, 2, 90]))
    seen = [(e, f) for e, frames in sampled_frames(data) for f in frames]
    assert len(seen) == len(set(seen)) == 100
    assert seen == sorted(seen)
    assert {e for e, _ in seen} == {0, 1, 2}
    assert seen[0] == (0, 0)
    assert seen[-1] == (2, 89)


def test_statistics_of_a_merged_dataset_are_numpys_over_all_its_frames(tmp_path):
    """Two datasets of unequal episodes and unequal values become one: its stats.json, not a mean of theirs."""
    rng = np.random.default_rng(0)
    features = {"action": vector(["x", "y"])}
    for name, lengths, centre in (("short", (3, 7), 0.0), ("long", (400, 5, 90), 40.0)):
        with DatasetWriter.create(tmp_path / name, DatasetConfig(fps=10, robot="r", features=features)) as writer:
            for length in lengths:
                with writer.episode(task="go") as episode:
                    for _ in range(length):
                        episode.add({"action": centre + rng.standard_cauchy(2).clip(-500, 500)})
                    episode.commit()
    merge(tmp_path / "all", [tmp_path / "short", tmp_path / "long"])
    data = Dataset(tmp_path / "all")
    values, stats = data.column("action").astype(np.float64), data.stats["action"]
    assert len(values) == 505
    widths = [tally.bin_width for tally in tally_columns([values])]
    for name, q in QUANTILES.items():
        assert (np.abs(np.array(stats[name]) - np.quantile(values, q, axis=0)) <= widths).all(), name
    np.testing.assert_allclose(stats["mean"], values.mean(0), rtol=1e-9)
    np.testing.assert_allclose(stats["std"], values.std(0), rtol=1e-9)
    assert (stats["min"], stats["max"], stats["count"]) == (values.min(0).tolist(), values.max(0).tolist(), [505])
