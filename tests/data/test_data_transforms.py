"""Transforms: the inverse undoes them, JSON keeps them, and training and serving get the same numbers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wbvla.core.errors import ConfigError
from wbvla.data.mixture import Mixture
from wbvla.data.stats import describe
from wbvla.data.transforms import ImageTransform, Normalizer, resize


@given(st.sampled_from(["range", "gauss"]), st.integers(0, 10_000))
def test_normalizer_inverts_and_survives_json(mode, seed):
    rng = np.random.default_rng(seed)
    data = rng.normal(rng.uniform(-5, 5, 4), [1e-6, 0.1, 3.0, 50.0], (200, 4))
    fitted = Normalizer.fit(describe(data), mode)
    restored = Normalizer.from_json(json.loads(json.dumps(fitted.to_json())))
    assert restored == fitted
    y = restored.apply(data)
    assert y.dtype == np.float32
    np.testing.assert_allclose(restored.invert(y), data, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(y[:, 0], 0.0, atol=1e-4)
    if mode == "range":
        assert 0.97 < (np.abs(y[:, 1:]) <= 1.0 + 1e-5).mean() < 1.0
    else:
        np.testing.assert_allclose(y[:, 1:].std(0), 1.0, atol=1e-4)


def test_unknown_modes_are_refused():
    with pytest.raises(ConfigError, match="known: range, gauss"):
        Normalizer.fit(describe(np.zeros((3, 1))), "minmax")
    with pytest.raises(ConfigError, match="bicubic"):
        ImageTransform.from_json({**ImageTransform(height=4, width=4).to_json(), "resample": "nearest"})


def test_image_transform_inverts_and_survives_json():
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24, 3), dtype=np.uint8)
    transform = ImageTransform(height=16, width=24, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    restored = ImageTransform.from_json(json.loads(json.dumps(transform.to_json())))
    assert restored == transform
    pixels = restored.apply(rgb)
    assert pixels.shape == (2, 3, 3, 16, 24)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(restored.invert(pixels), rgb)
    np.testing.assert_allclose(pixels[0, 0, 1, 2, 3], (rgb[0, 0, 2, 3, 1] / 255 - 0.5) / 0.3, rtol=1e-5)


def test_resize_is_pillows_bicubic():
    rgb = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), dtype=np.uint8)
    small = resize(rgb, (12, 18))
    expected = Image.fromarray(rgb[1]).resize((18, 12), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(small[1], np.asarray(expected))
    assert resize(rgb, (30, 40)) is rgb


def test_mixture_is_a_pure_function_of_seed_and_step():
    mixture = Mixture([10, 1000, 5], [3.0, 1.0, 0.0], seed=4)
    source, index = mixture.draw(7, 4000)
    again = Mixture([10, 1000, 5], [3.0, 1.0, 0.0], seed=4).draw(7, 4000)
    np.testing.assert_array_equal(source, again[0])
    np.testing.assert_array_equal(index, again[1])
    assert not np.array_equal(source, mixture.draw(8, 4000)[0])
    assert (source == 0).mean() == pytest.approx(0.75, abs=0.03)
    assert not (source == 2).any()
    assert index[source == 0].max() == 9
    assert (index[source == 1] > 900).any()


@pytest.mark.parametrize(
    ("sizes", "weights"), [([], []), ([1], [1.0, 2.0]), ([0], [1.0]), ([1], [0.0]), ([1, 1], [1.0, -1.0])]
)
def test_impossible_mixtures_are_refused(sizes, weights):
    with pytest.raises(ConfigError):
        Mixture(sizes, weights, seed=0)
