"""Augmented frame pairs: both frames alike, cameras kept apart, a function of the step's generator."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lam_clips import SIDE, record
from test_lam_train import CONFIG

from wbvla.core.contract import open_artefact
from wbvla.core.errors import ConfigError
from wbvla.core.metrics import read_metrics
from wbvla.data.augment import OFF, VIDEO
from wbvla.data.features import IMAGE
from wbvla.data.reader import Dataset
from wbvla.lam.changed import change_pairs, require_possible
from wbvla.lam.model import LamConfig
from wbvla.lam.pairs import Pairs, PairSource
from wbvla.lam.train import train
from wbvla.train.loop import METRICS

HANDS = (IMAGE + "left_hand", IMAGE + "right_hand")


def pairs(count: int, side: int = 24) -> dict[str, torch.Tensor]:
    """Two hand cameras side by side: the left picture dark, the right one bright, both frames the same."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(60, 110, (count, side, 2 * side, 3), dtype=np.uint8)
    rgb[:, :, side:] += 90
    both = torch.from_numpy(rgb)
    return {"now": both, "later": both.clone()}


def test_both_frames_of_a_pair_are_changed_alike() -> None:
    before = pairs(6)
    after = change_pairs(before, VIDEO, HANDS, np.random.default_rng(1))
    assert torch.equal(after["now"], after["later"])
    assert after["now"].dtype == torch.uint8
    assert after["now"].shape == before["now"].shape
    assert not torch.equal(after["now"], before["now"])
    means = after["now"].float().mean(dim=(1, 2, 3))
    assert len(set(means.tolist())) == 6, "each pair has a draw of its own"


def test_motion_between_the_frames_is_kept() -> None:
    """A picture that moves 4 px to the right still does after a rotation of both; not so if each had its own draw."""
    rng = np.random.default_rng(3)
    blocks = torch.from_numpy(rng.integers(40, 200, (1, 8, 16, 3), dtype=np.uint8))
    first = blocks.repeat_interleave(10, 1).repeat_interleave(10, 2)
    later = torch.roll(first, 4, dims=2)
    config = replace(OFF, rotation_deg=10.0)
    after = change_pairs({"now": first, "later": later}, config, (IMAGE + "head",), np.random.default_rng(0))
    now, then = (after[k].numpy().astype(int)[0, 20:-20, 30:-30] for k in ("now", "later"))
    assert np.abs(then[:, 4:] - now[:, :-4]).mean() < 0.35 * np.abs(then - now).mean()


def test_cameras_do_not_bleed_into_each_other() -> None:
    """The bright camera stays on its side of the seam under shift and rotation; mirrored, the two change places."""
    moved = replace(OFF, rotation_deg=10.0, shift=0.1)
    before = pairs(8)
    after = change_pairs(before, moved, HANDS, np.random.default_rng(2))["now"].float()
    assert after[:, :, :24].max() < 115 < 145 < after[:, :, 24:].min()
    mirrored = change_pairs(before, replace(OFF, mirror=1.0), HANDS, np.random.default_rng(2))
    assert torch.equal(mirrored["now"], before["now"].flip(2))
    again = change_pairs(mirrored, replace(OFF, mirror=1.0), HANDS, np.random.default_rng(9))
    assert torch.equal(again["now"], before["now"])


def test_off_is_the_identity_and_draws_nothing() -> None:
    rng = np.random.default_rng(4)
    before = pairs(2)
    assert change_pairs(before, OFF, HANDS, rng)["now"] is before["now"]
    assert rng.integers(100) == np.random.default_rng(4).integers(100)


def test_what_pairs_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="no partner"):
        require_possible(VIDEO, HANDS[:1])
    for wrong in ({"paraphrase": 0.5}, {"camera_dropout": 0.1}, {"per": "episode"}):
        with pytest.raises(ConfigError, match="per window"):
            require_possible(replace(VIDEO, **wrong), HANDS)


def test_an_augmented_batch_is_a_function_of_its_step(tmp_path) -> None:
    """So a resumed run sees the pairs an uninterrupted one would have seen."""
    data = Dataset(record(tmp_path / "clips", episodes=3, frames=8))
    config = LamConfig(stream="locomotion", cameras=(IMAGE + "head",), height=SIDE, width=SIDE, gap_s=0.2)
    part = Pairs.of(data, config, [0, 1, 2], in_memory=True)
    first, second = (PairSource([part], 8, VIDEO) for _ in range(2))
    second.batch(0, np.random.default_rng([0, 0]))
    for step in (3, 1):
        ours, theirs = (s.batch(step, np.random.default_rng([0, step])) for s in (first, second))
        assert torch.equal(ours["now"], theirs["now"])
        assert torch.equal(ours["later"], theirs["later"])
    plain = PairSource([part], 8).batch(1, np.random.default_rng([0, 1]))
    assert not torch.equal(plain["now"], ours["now"])


def test_an_interrupted_augmented_run_ends_where_an_undisturbed_one_ends(tmp_path) -> None:
    """2 steps, plug pulled, resumed to 4: the same losses and the same artefact, pairs being augmented fully."""
    recording = record(tmp_path / "clips", episodes=6, frames=10)
    config = replace(CONFIG, augment=VIDEO)

    class Off(RuntimeError):
        pass

    def pull_the_plug(progress) -> None:
        if progress.step == 3:
            raise Off

    whole = train(config, tmp_path / "whole", [recording])
    with pytest.raises(Off):
        train(config, tmp_path / "cut", [recording], on_step=pull_the_plug)
    resumed = train(config, tmp_path / "cut", [recording])
    curves = [[r["loss"] for r in read_metrics(tmp_path / name / METRICS)] for name in ("whole", "cut")]
    assert curves[0] == curves[1]
    assert open_artefact(whole.artefact, "lam").digest == open_artefact(resumed.artefact, "lam").digest
    plain = train(CONFIG, tmp_path / "plain", [recording])
    assert open_artefact(plain.artefact, "lam").digest != open_artefact(whole.artefact, "lam").digest
