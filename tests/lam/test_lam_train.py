"""From a recording to labels: split by episode, bit-equal resume, the gate, codes on disk, the read-out of motion."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from lam_clips import FPS, SIDE, record

from wbvla.core.contract import open_artefact
from wbvla.core.errors import ArtefactError, ConfigError, ContractMismatch, DataError
from wbvla.core.metrics import read_metrics
from wbvla.data.reader import Dataset
from wbvla.lam.artefact import open_lam
from wbvla.lam.label import NO_CODE, label
from wbvla.lam.model import LamConfig, LatentActionModel
from wbvla.lam.pairs import Pairs, PairSource, open_datasets
from wbvla.lam.probe import ProbeConfig, motion_of_pairs, probe
from wbvla.lam.quality import QualityConfig, judge
from wbvla.lam.quantizer import QuantizerConfig
from wbvla.lam.train import LamTrainConfig, build, split_pairs, train
from wbvla.lam.warp import WarpConfig
from wbvla.train.checkpoint import newest_checkpoint
from wbvla.train.loop import CHECKPOINTS, METRICS, LoopConfig
from wbvla.train.optim import OptimConfig

MODEL = LamConfig(
    stream="locomotion",
    height=SIDE,
    width=SIDE,
    gap_s=0.4,
    net=WarpConfig(channels=(8, 16, 16), hidden=32),
    quantizer=QuantizerConfig(num_tokens=2, num_codes=4, dim=4, warmup_batches=1),
)
CONFIG = LamTrainConfig(
    model=MODEL,
    loop=LoopConfig(steps=4, batch_size=8, log_every=1, checkpoint_every=1, optim=OptimConfig(learning_rate=1e-3)),
    held_out=0.25,
    quality=QualityConfig(pairs=64, resamples=50),
    probe=ProbeConfig(kind="ridge", pairs=64),
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp("clips") / "data", episodes=8, frames=12)


@pytest.fixture(scope="module")
def short_run(recording, tmp_path_factory):
    """Four steps: far too few, so the gate must refuse it."""
    folder = tmp_path_factory.mktemp("run")
    return train(CONFIG, folder, [recording]), folder


def test_pairs_never_cross_an_episode_and_are_the_gap_apart(recording):
    data = Dataset(recording)
    pairs = Pairs.of(data, MODEL, [1, 3], in_memory=True)
    assert len(pairs) == 2 * (12 - 4)
    drawn = pairs.get([0, 8])
    whole = data.frames("observation.images.head", 3, range(12))
    np.testing.assert_array_equal(drawn["now"][1], whole[0])
    np.testing.assert_array_equal(drawn["later"][1], whole[4])
    streamed = Pairs.of(data, MODEL, [1, 3], in_memory=False).get([0, 8])
    assert torch.equal(streamed["later"], drawn["later"])


def test_held_out_episodes_are_never_drawn_for_training(recording):
    (seen,), (unseen,) = split_pairs([Dataset(recording)], CONFIG)
    assert not {*seen.where[:, 0]} & {*unseen.where[:, 0]}
    assert {*unseen.where[:, 0]} == {6, 7}, "neighbours, as the VLA holds them out"


def test_a_short_recording_gets_as_many_pairs_as_a_long_one(recording, tmp_path):
    short = record(tmp_path / "short", episodes=2, frames=6, seed=9)
    parts = [Pairs.of(Dataset(r), MODEL, range(Dataset(r).num_episodes), True) for r in (recording, short)]
    source = PairSource(parts, 400)
    known = {p.tobytes() for p in parts[1].get(range(len(parts[1])))["now"].numpy()}
    drawn = source.batch(0, np.random.default_rng(0))["now"].numpy()
    is_short = np.array([f.tobytes() in known for f in drawn])
    assert 0.4 < is_short.mean() < 0.6
    pieces = is_short.reshape(4, 100).mean(1)
    assert ((pieces > 0.3) & (pieces < 0.7)).all(), "a micro-batch is mixed as well"


def test_a_run_without_codes_at_its_end_is_refused_at_its_beginning():
    with pytest.raises(ConfigError, match=r"warmup_batches"):
        dataclasses.replace(CONFIG, loop=dataclasses.replace(CONFIG.loop, steps=MODEL.quantizer.warmup_batches))


def test_a_missing_camera_and_too_few_episodes_are_named(recording):
    with pytest.raises(DataError, match=r"no camera .*left_hand.*; it has .*head"):
        open_datasets([recording], dataclasses.replace(MODEL, cameras=("observation.images.left_hand",)))


def test_two_steps_then_two_more_equal_four_to_the_bit_k_means_included(recording, tmp_path):
    class Off(RuntimeError):
        pass

    def pull_the_plug(progress):
        if progress.step == 3:
            raise Off

    train(CONFIG, tmp_path / "whole", [recording])
    with pytest.raises(Off):
        train(CONFIG, tmp_path / "cut", [recording], pull_the_plug)
    assert newest_checkpoint(tmp_path / "cut" / CHECKPOINTS).step == 2
    train(CONFIG, tmp_path / "cut", [recording])
    whole, cut = (newest_checkpoint(tmp_path / n / CHECKPOINTS) for n in ("whole", "cut"))
    assert "model.quantizer.vq._codebook.embed_avg" in whole.tensors
    assert all(torch.equal(v, cut.tensors[k]) for k, v in whole.tensors.items())
    assert read_metrics(tmp_path / "whole" / METRICS) == read_metrics(tmp_path / "cut" / METRICS)
    digests = [open_artefact(tmp_path / n / "lam", "lam").digest for n in ("whole", "cut")]
    assert digests[0] == digests[1], "the artefact is the same file for file"


def test_the_artefact_says_what_it_was_made_from(short_run, recording):
    trained, folder = short_run
    _, artefact = open_lam(trained.artefact)
    details = artefact.contract.details
    (origin,) = details["datasets"]
    assert origin["sha256"] == Dataset(recording).digest
    assert len(origin["held_out"]) == 2
    assert (details["num_codes"], details["num_tokens"], details["gap_s"]) == (4, 2, 0.4)
    assert artefact.contract.rate_hz == FPS
    card = (trained.artefact / "card.md").read_text()
    assert "may NOT label data" in card
    assert "R2 of codes -> true right" in card
    assert json.loads((folder / "figures.json").read_text())["quality"]["pairs"] == 16


def test_a_model_that_fails_the_gate_does_not_label_unless_forced(short_run, recording, tmp_path):
    trained, _ = short_run
    assert not trained.quality.passed
    before = Dataset(recording).digest
    with pytest.raises(ContractMismatch, match="may not label data"):
        label(trained.artefact, recording)
    assert Dataset(recording).digest == before, "a refusal leaves the recording alone"


def test_labels_are_the_models_codes_and_frames_without_a_partner_have_none(short_run, tmp_path):
    trained, _ = short_run
    root = record(tmp_path / "data", episodes=2, frames=11, seed=3)
    done = []
    name = label(trained.artefact, root, force=True, on_episode=lambda *a: done.append(a))
    assert (name, done) == ("latent.locomotion", [(1, 2), (2, 2)])
    model, artefact = open_lam(trained.artefact)
    data = Dataset(root)
    codes = data.columns(1, [name])[name]
    assert (codes[-4:] == NO_CODE).all()
    assert (codes[:-4] >= 0).all()
    frames = torch.from_numpy(data.frames("observation.images.head", 1, range(11)))
    np.testing.assert_array_equal(codes[:-4], model.encode(frames[:-4], frames[4:]))
    note = data.labels[name]
    assert note["digest"] == artefact.digest
    assert (note["gap_frames"], note["passed_gate"]) == (4, False)
    label(trained.artefact, root, force=True)
    np.testing.assert_array_equal(Dataset(root).columns(1, [name])[name], codes)


def test_a_damaged_model_does_not_label(short_run, recording, tmp_path):
    trained, _ = short_run
    copy = tmp_path / "lam"
    copy.mkdir()
    for path in trained.artefact.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        label(copy, recording, force=True)


@pytest.mark.parametrize("collapse", ["one code", "deaf decoder"])
def test_the_gate_sees_a_collapsed_model_although_it_gains_over_copying(recording, collapse):
    """A blur beats a copy without any code: gain over copying alone would let it pass."""
    model = build(CONFIG)
    (seen,), (unseen,) = split_pairs([Dataset(recording)], CONFIG)
    batch = seen.get(range(48))
    for _ in range(3):
        model(batch["now"], batch["later"])
    model.eval()
    with torch.no_grad():
        if collapse == "one code":
            model.quantizer.vq._codebook.embed[:, 1:] = 1e3
        else:
            for layer in model.decoder.up:
                layer.film.weight.zero_()
    quality = judge(model, [unseen], CONFIG.quality)
    assert not quality.passed
    assert any("code gain" in f for f in quality.faults)
    if collapse == "one code":
        assert quality.perplexity == pytest.approx((1.0, 1.0))
        assert any("token 1 has perplexity 1.00" in f for f in quality.faults)


def test_one_held_out_episode_cannot_pass_the_gate(recording):
    """An interval over episodes has no width with one of them."""
    model, data = build(CONFIG), Dataset(recording)
    batch = Pairs.of(data, MODEL, [0], in_memory=True).get(range(8))
    for _ in range(3):
        model(batch["now"], batch["later"])
    model.eval()
    alone, two = (judge(model, [Pairs.of(data, MODEL, e, in_memory=True)], CONFIG.quality) for e in ([6], [6, 7]))
    assert "one held-out episode" in alone.faults[0]
    assert not any("one held-out episode" in f for f in two.faults)


class Oracle(LatentActionModel):
    """Knows the motion: its first token tells right from left, its second down from up."""

    def __init__(self, motion):
        super().__init__(MODEL)
        self.motion = motion

    def encode(self, frames_t, frames_tk):
        return torch.stack([(m > 0).long() for m in self.motion[frames_t.numpy().tobytes()].T], 1)


def test_the_probe_finds_motion_in_codes_that_carry_it_and_none_in_dealt_out_ones(recording):
    (seen,), (unseen,) = split_pairs([Dataset(recording)], CONFIG)
    motion = {}
    for part in (seen, unseen):
        chosen = part.spread(64)
        for start in range(0, len(chosen), 128):
            key = part.get(chosen[start : start + 128])["now"].numpy().tobytes()
            motion[key] = torch.from_numpy(motion_of_pairs(part, chosen[start : start + 128], CONFIG.probe))
    for kind in ("ridge", "mlp"):
        config = dataclasses.replace(CONFIG.probe, kind=kind, steps=150)
        result = probe(Oracle(motion), seen, unseen, config, seed=0)
        assert min(result.r2.values()) > 0.3, kind
        assert max(result.shuffled.values()) < 0.2, kind


def test_the_probe_says_which_truth_is_missing(recording):
    (seen,), _ = split_pairs([Dataset(recording)], CONFIG)
    with pytest.raises(DataError, match="no truth 'hand_twist'; it has camera_twist"):
        motion_of_pairs(seen, [0], dataclasses.replace(CONFIG.probe, truth="hand_twist"))
