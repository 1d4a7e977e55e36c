"""Augmented training batches: pictures, words and mirrored actions change together, the same for the same step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import write_dataset
from wbvla.core.errors import ConfigError
from wbvla.data.augment import OFF, POLICY, draw
from wbvla.data.features import ACTION, IMAGE, STATE, action_names, contract_for, features_for
from wbvla.data.mirror import WindowMirror
from wbvla.data.phrases import load_phrases
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot
from wbvla.vla.pretrain import PretrainConfig, build, train
from wbvla.vla.samples import NO_CODE, Batches, Samples

CAMERAS = ("head", "left_hand", "right_hand")
WORDS = "Pick up the box with your left hand"
SPEC = load_robot("agibot_x2")


@pytest.fixture(scope="module")
def three_cameras(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("augmented") / "hands"
    config = DatasetConfig(
        fps=10, robot=SPEC.name, features=features_for(SPEC, CAMERAS, 24, 32), contract=contract_for(SPEC)
    )
    rng = np.random.default_rng(0)
    with DatasetWriter.create(root, config) as writer:
        for _ in range(2):
            with writer.episode(task=WORDS) as episode:
                for t in range(6):
                    action = rng.normal(size=20).astype(np.float32)
                    action[16:19] = (t % 3 - 1, 1, -1)
                    frame = {ACTION: action, STATE: rng.normal(size=70).astype(np.float32)}
                    frame |= {
                        IMAGE + c: np.full((24, 32, 3), 60 + 60 * i, np.uint8) + np.arange(32, dtype=np.uint8)[:, None]
                        for i, c in enumerate(CAMERAS)
                    }
                    episode.add(frame)
                episode.fill("success", 1)
                episode.commit()
    return Dataset(root)


@pytest.fixture(scope="module")
def samples(three_cameras: Dataset, pretrain_config: PretrainConfig) -> Samples:
    model = replace(pretrain_config.model, cameras=CAMERAS)
    _, inputs = build(replace(pretrain_config, model=model), [three_cameras])
    return Samples(three_cameras, [0, 1], inputs, model)


def test_a_batch_is_a_function_of_its_step(samples: Samples) -> None:
    config = replace(POLICY, mirror=0.5)
    first, second = (Batches([samples], [1.0], 6, config) for _ in range(2))
    second.batch(0, np.random.default_rng([0, 0]))
    ours, theirs = (b.batch(4, np.random.default_rng([0, 4])) for b in (first, second))
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    other = first.batch(5, np.random.default_rng([0, 5]))
    assert not torch.equal(other["images"], ours["images"])


def test_off_gives_the_frames_themselves(samples: Samples) -> None:
    batch = Batches([samples], [1.0], 5, OFF).batch(0, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rng.multinomial(5, [1.0])
    plain = samples.batch(rng.integers(len(samples), size=5))
    for name, value in plain.items():
        np.testing.assert_array_equal(batch[name].numpy(), value)


def test_mirrored_samples_swap_cameras_arms_flags_and_state(samples: Samples) -> None:
    frames, turned = np.array([1, 1]), np.array([False, True])
    batch = samples.batch(frames, turned)
    plain, mirrored = batch["images"]
    for camera, partner in ((0, 0), (1, 2), (2, 1)):
        np.testing.assert_array_equal(mirrored[camera], plain[partner][:, ::-1])
    assert (batch["flags"][1, :, 1:] - 1).tolist() == (1 - batch["flags"][0, :, 1:]).tolist()
    assert batch["flags"][1, :, 0].tolist() == batch["flags"][0, :, 0].tolist()
    rows = samples.actions[frames[:1]]
    mirror = WindowMirror(samples.dataset.features, SPEC)
    image, _ = mirror({ACTION: rows, STATE: samples.state[frames[:1]]}, "go")
    np.testing.assert_array_equal(batch["arms"][1, :1], samples.inputs.config.arms.apply(image[ACTION][:, :14]))
    np.testing.assert_array_equal(batch["grippers"][1, 0], rows[0, [15, 14]])
    np.testing.assert_array_equal(batch["state"][1:], samples.inputs.state(image[STATE]))
    assert list(action_names(SPEC))[14:16] == ["left_gripper.opening", "right_gripper.opening"]


def test_words_are_put_in_other_words_and_mirrored(samples: Samples) -> None:
    config = replace(OFF, paraphrase=1.0, mirror=1.0)
    batches = Batches([samples], [1.0], 64, config)
    frames = np.zeros(64, np.int64)
    draws = draw(config, np.arange(128).reshape(64, 2))
    _, words = batches._changed(samples, frames, draws)
    allowed = {t.replace("left", "right") for t in load_phrases("train").all_paraphrases(WORDS)}
    assert set(words) <= allowed
    assert len(set(words)) > 3
    assert all("right hand" in w for w in words)
    _, kept = Batches([samples], [1.0], 64, OFF)._changed(samples, frames, draw(OFF, np.arange(128).reshape(64, 2)))
    assert set(kept) == {WORDS}


def test_one_draw_per_episode_holds_over_steps(samples: Samples) -> None:
    """Frames of one episode are changed alike whenever they are drawn; another seed changes them otherwise."""
    config = replace(OFF, brightness=0.3, per="episode")
    batches = Batches([samples], [1.0], 12, config, seed=3)
    plain = samples.batch(np.arange(12))["images"].astype(int)
    seen: dict[int, set[int]] = {0: set(), 1: set()}
    for step in range(3):
        keys = batches._keys(0, np.arange(12), np.random.default_rng(step))
        rows, _ = batches._changed(samples, np.arange(12), draw(config, keys))
        for i in range(12):
            seen[i // 6].add(round(float((rows["images"][i].astype(int) - plain[i]).mean())))
    assert len(seen[0]) == len(seen[1]) == 1
    assert seen[0] != seen[1]
    assert not np.array_equal(
        keys, Batches([samples], [1.0], 12, config, seed=4)._keys(0, np.arange(12), np.random.default_rng(0))
    )


def test_mirroring_is_refused_where_it_would_be_wrong(
    dataset: Path, samples: Samples, pretrain_config: PretrainConfig, tmp_path: Path
) -> None:
    mirrored = replace(pretrain_config, augment=replace(OFF, mirror=0.5))
    with pytest.raises(ConfigError, match="codes of mirrored"):
        train(mirrored, tmp_path / "run", [dataset])
    _, inputs = build(pretrain_config, [Dataset(dataset)])
    lonely = Samples(Dataset(dataset), [0], inputs, pretrain_config.model)
    with pytest.raises(ConfigError, match="left_hand"):
        Batches([lonely], [1.0], 4, replace(OFF, mirror=0.5))


def test_mirrored_samples_have_no_codes(tmp_path: Path, pretrain_config: PretrainConfig) -> None:
    """The other half of the batch keeps its codes."""
    data = Dataset(write_dataset(tmp_path / "coded", episodes=2, length=6))
    model = replace(pretrain_config.model, cameras=("head",))
    _, inputs = build(replace(pretrain_config, model=model), [data])
    samples = Samples(data, [0, 1], inputs, model)
    samples.__dict__["mirror"] = WindowMirror({k: f for k, f in data.features.items() if "left_hand" not in k}, SPEC)
    codes = samples.batch(np.array([0, 0]), np.array([False, True]))["latent.locomotion"]
    assert (codes[0] != NO_CODE).all()
    assert (codes[1] == NO_CODE).all()
