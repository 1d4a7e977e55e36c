"""Augmentation changes pixels, keeps order, is one draw per window, and is the same whenever it is asked for."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.data import augment as augment_module
from wbvla.data.augment import OFF, POLICY, VIDEO, AugmentConfig, Draws, augment, colour_matrices, draw

SIZE = 48
ONE = np.array([[5, 7]])
RANGES = {
    "rotation_deg": 10.0,
    "scale": 0.1,
    "shift": 0.1,
    "brightness": 0.2,
    "contrast": 0.3,
    "saturation": 0.5,
    "hue_deg": 30.0,
    "blur": 0.03,
}
"""every range that changes pixels, switched on alone"""


def scene(seed: int = 0) -> np.ndarray:
    """A coloured scene with edges in both directions and a gradient, away from black and white."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    rgb = np.stack([60 + x, 60 + y, np.full_like(x, 90)], axis=-1)
    for _ in range(4):
        top, left = rng.integers(4, SIZE - 20, 2)
        rgb[top : top + 12, left : left + 14] = rng.integers(50, 200, 3)
    return rgb.astype(np.uint8)


def windows(num: int, frames: int = 2, cameras: int = 2) -> np.ndarray:
    """The same two frames for every window and camera."""
    pair = np.stack([scene(i) for i in range(frames)])
    return np.broadcast_to(pair[None, :, None], (num, frames, cameras, SIZE, SIZE, 3)).copy()


@pytest.mark.parametrize("name", RANGES)
def test_each_range_alone_changes_pixels(name: str) -> None:
    """And keeps the number, order and size of frames: frame i still is nearest to frame i."""
    images = windows(4)
    changed = augment(images, draw(replace(OFF, **{name: RANGES[name]}), np.arange(8).reshape(4, 2)), [True, True])
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    difference = np.abs(changed.astype(int) - images)
    assert (difference > 2).mean() > 0.01, f"{name} changed nothing"
    assert (changed != 0).any()
    for window, camera, i in np.ndindex(4, 2, 2):
        errors = [np.abs(changed[window, i, camera].astype(int) - images[window, j, camera]).mean() for j in range(2)]
        assert int(np.argmin(errors)) == i


def test_every_range_is_tested_here() -> None:
    ranges = {f.name for f in fields(AugmentConfig) if f.type is float or f.type == "float"}
    assert ranges - set(RANGES) == {"share", "mirror", "paraphrase", "camera_dropout"}


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_equal_frames_of_a_window_stay_equal(seed: int, step: int) -> None:
    """One draw for both frames of a pair and for all cameras: what did not move before does not move after."""
    images = windows(2)
    images[:, 1] = images[:, 0]
    changed = augment(images, draw(VIDEO, np.array([[seed, step, 0], [seed, step, 1]])), [True, True])
    np.testing.assert_array_equal(changed[:, 0], changed[:, 1])
    np.testing.assert_array_equal(changed[:, :, 0], changed[:, :, 1])
    assert not np.array_equal(changed[0], changed[1]), "two windows, two draws"


@given(keys=st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**31)), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_a_draw_is_a_function_of_its_key(keys: list[tuple[int, int]]) -> None:
    """However many windows are drawn with it, and in whatever order: a resumed run sees the same pictures."""
    together = draw(POLICY, np.array(keys))
    for i, key in enumerate(keys):
        alone = draw(POLICY, np.array([key]))
        for field in fields(Draws):
            np.testing.assert_array_equal(getattr(together, field.name)[i], getattr(alone, field.name)[0])


def test_nothing_happens_at_zero_range() -> None:
    images = windows(3)
    np.testing.assert_array_equal(augment(images, draw(OFF, np.arange(6).reshape(3, 2)), [True, True]), images)
    none = replace(VIDEO, share=0.0)
    np.testing.assert_array_equal(augment(images, draw(none, np.arange(6).reshape(3, 2)), [True, True]), images)


def test_the_input_is_left_alone() -> None:
    images = windows(1)
    before = images.copy()
    augment(images, draw(VIDEO, ONE), [True, True])
    np.testing.assert_array_equal(images, before)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_draws_stay_in_their_ranges(seed: int) -> None:
    drawn = draw(VIDEO, np.array([[seed, i] for i in range(20)]))
    assert np.abs(np.degrees(drawn.angle)).max() <= 10.0
    assert 0.9 <= drawn.scale.min() <= drawn.scale.max() <= 1.1
    assert np.abs(drawn.shift).max() <= VIDEO.shift
    assert 0.0 <= drawn.blur.min() <= drawn.blur.max() <= VIDEO.blur


def test_ranges_are_used_to_their_ends_and_evenly() -> None:
    drawn = draw(VIDEO, np.arange(4000).reshape(2000, 2))
    angles = np.degrees(drawn.angle)
    assert angles.min() < -9.9
    assert angles.max() > 9.9
    assert abs(angles.mean()) < 0.5
    assert drawn.mirrored.mean() == pytest.approx(0.5, abs=0.04)
    assert draw(replace(VIDEO, mirror=0.0), np.arange(200).reshape(100, 2)).mirrored.sum() == 0


def test_geometry_spares_the_cameras_it_is_not_allowed_for() -> None:
    """Colour still reaches them: the mean of a flat picture moves with brightness, an edge stays where it is."""
    config = replace(OFF, rotation_deg=10.0, moved=("head",))
    assert config.moves("observation.images.head")
    assert not config.moves("observation.images.left_hand")
    images = windows(1)
    changed = augment(images, draw(config, ONE), [config.moves(c) for c in ("head", "left_hand")])
    assert not np.array_equal(changed[:, :, 0], images[:, :, 0])
    np.testing.assert_array_equal(changed[:, :, 1], images[:, :, 1])
    bright = augment(images, draw(replace(config, brightness=0.2), ONE), [True, False])
    assert not np.array_equal(bright[:, :, 1], images[:, :, 1])


def drawn_as(**given: object) -> Draws:
    """A draw that does nothing but what is given."""
    return replace(draw(OFF, ONE), **given)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    """Counter-clockwise as seen, about the middle: equal to numpy's rot90 on a square picture."""
    images = windows(1)
    turned = augment(images, drawn_as(angle=np.array([np.pi / 2])), [True, True])
    np.testing.assert_array_equal(turned[0, 0, 0], np.rot90(images[0, 0, 0]))


def test_a_shift_moves_by_whole_pixels_and_repeats_the_edge() -> None:
    images = windows(1)
    moved = augment(images, drawn_as(shift=np.array([[5 / SIZE, -3 / SIZE]])), [True, True])[0, 0, 0]
    np.testing.assert_array_equal(moved[:-3, 5:], images[0, 0, 0, 3:, :-5])
    np.testing.assert_array_equal(moved[:-3, :5], np.repeat(images[0, 0, 0, 3:, :1], 5, axis=1))


def test_scale_spreads_points_from_the_middle() -> None:
    """A bright dot 10 px right of the middle lies 11 px right of it at scale 1.1."""
    picture = np.zeros((1, 1, 1, 64, 64, 3), np.uint8)
    picture[0, 0, 0, 30:34, 40:44] = 255
    larger = augment(picture, drawn_as(scale=np.array([1.1])), [True])[0, 0, 0, :, :, 0].astype(float)
    columns = np.arange(64) + 0.5
    assert (larger.sum(0) @ columns) / larger.sum() - 32 == pytest.approx(11.0, abs=0.3)
    assert larger.sum() == pytest.approx(16 * 255 * 1.21, rel=0.05)


@given(
    values=st.tuples(st.floats(-60, 60), st.floats(0.5, 1.5), st.floats(0.0, 2.0), st.floats(-3.0, 3.0)),
    level=st.integers(0, 255),
)
@settings(max_examples=60, deadline=None)
def test_saturation_and_hue_leave_grey_alone(values: tuple[float, float, float, float], level: int) -> None:
    brightness, contrast, saturation, hue = (np.array([v]) for v in values)
    (matrix,) = colour_matrices(brightness, contrast, saturation, hue)
    out = matrix[:, :3] @ np.full(3, float(level)) + matrix[:, 3]
    np.testing.assert_allclose(out, np.full(3, (level - 128.0) * contrast + 128.0 + brightness), atol=1e-6)


def test_hue_turns_red_to_green_and_no_saturation_is_grey() -> None:
    zero, one = np.zeros(1), np.ones(1)
    (third,) = colour_matrices(zero, one, one, np.array([2 * np.pi / 3]))
    np.testing.assert_allclose(third[:, :3] @ [255.0, 0.0, 0.0], [0.0, 255.0, 0.0], atol=1e-9)
    (grey,) = colour_matrices(zero, one, zero, zero)
    out = grey[:, :3] @ [200.0, 30.0, 90.0]
    np.testing.assert_allclose(out, out[0])


def test_wrong_sizes_and_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 draws"):
        augment(windows(1), draw(OFF, np.arange(4).reshape(2, 2)), [True, True])
    with pytest.raises(ConfigError, match="cameras"):
        augment(windows(1), draw(OFF, ONE), [True])
    for wrong in ({"mirror": 1.5}, {"scale": 1.0}, {"blur": -1.0}, {"shift": 0.7}):
        with pytest.raises(ConfigError):
            replace(OFF, **wrong)


def test_threads_change_nothing_but_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images, draws = windows(6), draw(VIDEO, np.arange(12).reshape(6, 2))
    alone = augment(images, draws, [True, False])
    monkeypatch.setattr(augment_module, "THREADED_BYTES", 0)
    monkeypatch.setattr(augment_module, "cpu_count", lambda: 4)
    np.testing.assert_array_equal(augment(images, draws, [True, False]), alone)
