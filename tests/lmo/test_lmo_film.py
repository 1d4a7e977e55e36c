"""A film is a playable mp4 of the real robot, and filming a training leaves it as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wbvla.core.errors import RobotError
from wbvla.data.video import VideoReader
from wbvla.lmo.checkpoint import read_checkpoint
from wbvla.lmo.film import FilmConfig, caption, film, film_training, films_as_it_learns, scenes, smoothed
from wbvla.lmo.trace import Act
from wbvla.lmo.train import CHECKPOINT, Training, train
from wbvla.recipes.lmo import tiny_lmo
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC = load_robot("agibot_x2")
SMALL = FilmConfig(width=96, height=112, fps=10, samples=0)


def test_film_shows_what_was_commanded(tmp_path: Path) -> None:
    low = SPEC.height_range_m[0]
    squat = (Act(seconds=0.2, height_m=SPEC.nominal_height_m), Act(seconds=1.4, height_m=low))
    trace = film(shipped_lmo("agibot_x2"), SPEC, squat, tmp_path / "squat.mp4", SMALL)
    reader = VideoReader(tmp_path / "squat.mp4", 10)
    frames = reader.read(list(range(reader.num_frames)))
    assert frames.shape == (16, 112, 96, 3)
    assert trace.position_w[-1, 0, 2] < low + 0.04
    bright = (frames[:, :88].min(axis=3) > 235).any(axis=2)  # the robot's white shells
    top = [int(np.flatnonzero(rows)[0]) for rows in bright]
    assert top[-1] > top[0] + 6, "its head has sunk in the picture"
    assert "stand at" in caption(trace, squat, 70)


def test_scenes_are_the_five_skills() -> None:
    every = scenes(SPEC)
    assert list(every) == ["forward", "side-step", "turn", "squat", "push recovery"]
    for scene in every.values():
        seconds = sum(act.seconds for act in scene.script)
        assert 0 <= scene.highlights_s[0] < scene.highlights_s[1] <= seconds
    assert any(np.hypot(*act.force_n) >= 150 for act in every["push recovery"].script)


def test_the_dolly_averages_the_way() -> None:
    way = np.stack([np.arange(9.0), np.zeros(9)], axis=1)
    assert smoothed(way, 4)[4] == pytest.approx([4.0, 0.0])
    assert smoothed(way, 4)[0] == pytest.approx([1.0, 0.0])
    assert np.ptp(smoothed(way, 1000), axis=0) == pytest.approx([0.0, 0.0])


def test_filming_a_training_changes_nothing(tmp_path: Path) -> None:
    """The checkpoint written after an iteration is the same, to the bit, with and without a film before it."""
    states = []
    for filmed in (False, True):
        training = Training(replace(tiny_lmo(), iterations=2), tmp_path / str(filmed))
        training.begin(None)
        training.iterate()
        if filmed:
            film_training(training, training.folder / "film.mp4", replace(SMALL, width=32, height=48))
        training.iterate()
        training.save()
        states.append(read_checkpoint(training.folder / CHECKPOINT)[0])
    assert states[0].keys() == states[1].keys()
    assert [key for key in states[0] if not torch.equal(states[0][key], states[1][key])] == []
    assert VideoReader(tmp_path / "True" / "film.mp4", 10).num_frames == 70


def test_a_run_is_filmed_as_often_as_its_config_says(tmp_path: Path) -> None:
    config = replace(tiny_lmo(), iterations=2, film_every=2)
    train(config, tmp_path, watch=films_as_it_learns)
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["000002.mp4"]


def test_a_computer_that_cannot_draw_says_so_and_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RobotError("no OpenGL")

    monkeypatch.setattr("wbvla.lmo.film.film_training", broken)
    with pytest.warns(UserWarning, match="no film of iteration 1: no OpenGL"):
        path = train(replace(tiny_lmo(), iterations=1, film_every=1), tmp_path, watch=films_as_it_learns)
    assert path.is_file()
