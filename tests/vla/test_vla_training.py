"""Both trainers: they learn a known rule, resume to the bit, and what they save is what acts."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wbvla.cli import export
from wbvla.core.contract import Contract, write_artefact
from wbvla.core.errors import ArtefactError, ContractMismatch, DataError
from wbvla.core.records import BodyState, Image, Observation
from wbvla.data.features import ACTION, IMAGE, STATE
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.deploy.bundle import open_bundle, write_bundle
from wbvla.train.loop import LoopConfig
from wbvla.vla import finetune, pretrain
from wbvla.vla.artefact import load_vla
from wbvla.vla.finetune import FinetuneConfig
from wbvla.vla.policy import PolicyConfig, load_policy
from wbvla.vla.pretrain import PretrainConfig, Trained
from wbvla.vla.samples import Samples, as_tensors, flag_weights

WALK, LIFT = "walk to the bright side of the room", "lift the box"


def short(loop: LoopConfig) -> LoopConfig:
    """Four steps, a checkpoint every two."""
    return replace(loop, steps=4, checkpoint_every=2)


@pytest.fixture(scope="session")
def pretrained(dataset: Path, pretrain_config: PretrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return pretrain.train(pretrain_config, tmp_path_factory.mktemp("pretrained"), [dataset])


@pytest.fixture(scope="session")
def finetuned(
    dataset: Path, pretrained: Trained, finetune_config: FinetuneConfig, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    return finetune.train(finetune_config, tmp_path_factory.mktemp("finetuned"), [dataset], pretrained.artefact)


def observe(rgb: np.ndarray, instruction: str, cameras: tuple[str, ...] = ("head", "left_hand")) -> Observation:
    zeros = np.zeros(31)
    state = BodyState(
        time_s=0.0, q=zeros, dq=zeros, torque=zeros, gripper=np.zeros(2), gyro_b=np.zeros(3), gravity_b=np.zeros(3)
    )
    images = {c: Image(rgb=rgb, time_s=0.0) for c in cameras}
    return Observation(sequence=0, state=state, images=images, instruction=instruction)


def half_bright(left: bool) -> np.ndarray:
    rgb = np.full((24, 32, 3), 75, np.uint8)
    rgb[:, :16] += np.uint8(130 if left else 0)
    rgb[:, 16:] += np.uint8(0 if left else 130)
    return rgb


def test_pretraining_reads_picture_and_words(pretrained: Trained) -> None:
    figures = pretrained.figures
    for stream in ("manipulation", "locomotion"):
        assert figures[f"majority_{stream}"] < 0.6
        assert figures[f"accuracy_{stream}"] > 0.9
        assert figures[f"blind_{stream}"] < figures[f"accuracy_{stream}"] - 0.1


def test_finetuning_beats_the_mean_action(finetuned: Trained) -> None:
    figures = finetuned.figures
    assert figures["arms_l1_rad"] < 0.3 * figures["arms_l1_mean_rad"]
    assert figures["height_l1_m"] < 0.3 * figures["height_l1_mean_m"]
    assert figures["balanced_accuracy_s_y"] > 0.7 > figures["balanced_accuracy_s_y_majority"]


def test_policy_acts_on_picture_and_words(finetuned: Trained) -> None:
    policy, contract = load_policy(finetuned.artefact)
    assert contract.details["stage"] == "ready"
    assert contract.robot == "agibot_x2"
    left, right = (policy.act(observe(half_bright(side), WALK)) for side in (True, False))
    assert left.flags[0, 1] == 1
    assert right.flags[0, 1] == -1
    lift = policy.act(observe(half_bright(True), LIFT))
    assert lift.flags.any() == False  # noqa: E712
    assert abs(lift.height_m[0] - 0.5) < 0.03 < abs(left.height_m[0] - 0.5)
    assert np.abs(lift.arm_targets - 0.5).max() < 0.15
    black, white = (policy.act(observe(np.full((24, 32, 3), v, np.uint8), WALK)) for v in (0, 255))
    assert not np.array_equal(black.vectors(), white.vectors())
    one = policy.act(observe(half_bright(True), WALK, ("head",)))
    assert one.flags[0, 1] == 1
    with pytest.raises(ContractMismatch, match="camera: 'head' here"):
        policy.act(observe(half_bright(True), WALK, ("left_hand",)))


def test_policy_equals_model_in_training_preprocessing(dataset: Path, finetuned: Trained) -> None:
    """Serving a recorded frame gives what evaluation computes from the dataset, merged or not."""
    loaded = load_vla(finetuned.artefact)
    source = Dataset(dataset)
    samples = Samples(source, [3], loaded.inputs, loaded.model.config)
    frames = np.array([5])
    batch = as_tensors(samples.batch(frames), samples.instructions(frames), loaded.inputs)
    with torch.inference_mode():
        encoding = loaded.model.encode(*(batch[k] for k in ("images", "present", "text", "text_mask")))
        expected = loaded.inputs.config.arms.invert(loaded.model.chunk(encoding, batch["state"]).arms[0].numpy())
    row = source.columns(3, [STATE])[STATE][5].astype(np.float64)
    state = BodyState(
        time_s=0.0, q=row[:31], dq=row[31:62], torque=np.zeros(31), gripper=row[62:64], gyro_b=row[64:67],
        gravity_b=row[67:],
    )  # fmt: skip
    images = {c: Image(rgb=source.frames(IMAGE + c, 3, [5])[0], time_s=0.0) for c in ("head", "left_hand")}
    seen = Observation(sequence=1, state=state, images=images, instruction=source.instruction(3))
    for merge in (True, False):
        policy, _ = load_policy(finetuned.artefact, PolicyConfig(merge=merge))
        np.testing.assert_allclose(policy.act(seen).arm_targets, expected, atol=1e-4)


def test_pretrained_artefact_is_no_policy(pretrained: Trained) -> None:
    with pytest.raises(ArtefactError, match="pretrained only"):
        load_policy(pretrained.artefact)


def test_artefact_reloads_equal_and_is_guarded(finetuned: Trained, tmp_path: Path) -> None:
    tensors = load_file(finetuned.artefact / "model.safetensors")
    loaded = load_vla(finetuned.artefact)
    state = loaded.model.state_dict()
    assert set(state) == set(tensors)
    assert all(torch.equal(state[n], t) for n, t in tensors.items())
    assert any("lora_B" in n for n in tensors)
    assert any(n.startswith("action_decoder") for n in tensors)
    assert not loaded.model.training
    copy = tmp_path / "copy"
    shutil.copytree(finetuned.artefact, copy)
    contract = json.loads((copy / "contract.json").read_text())
    contract["details"]["action"]["steps"] = 3
    (copy / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(ArtefactError, match=r"contract\.json is missing or differs"):
        load_vla(copy)


def stop_after(step: int):
    def on_step(progress) -> None:
        if progress.step == step:
            raise InterruptedError

    return on_step


def same_weights(one: Path, two: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    return set(first) == set(second) and all(torch.equal(first[n], second[n]) for n in first)


def test_pretraining_resumes_to_the_bit(dataset: Path, pretrain_config: PretrainConfig, tmp_path: Path) -> None:
    config = replace(pretrain_config, loop=short(pretrain_config.loop))
    whole = pretrain.train(config, tmp_path / "whole", [dataset])
    with pytest.raises(InterruptedError):
        pretrain.train(config, tmp_path / "cut", [dataset], on_step=stop_after(3))
    resumed = pretrain.train(config, tmp_path / "cut", [dataset])
    assert same_weights(whole.artefact, resumed.artefact)
    assert whole.figures == resumed.figures


def test_finetuning_resumes_to_the_bit_with_dropout(
    dataset: Path, pretrained: Trained, finetune_config: FinetuneConfig, tmp_path: Path
) -> None:
    lora = replace(finetune_config.lora, dropout=0.2)
    config = replace(finetune_config, loop=short(finetune_config.loop), lora=lora)
    whole = finetune.train(config, tmp_path / "whole", [dataset], pretrained.artefact)
    with pytest.raises(InterruptedError):
        finetune.train(config, tmp_path / "cut", [dataset], pretrained.artefact, on_step=stop_after(3))
    resumed = finetune.train(config, tmp_path / "cut", [dataset], pretrained.artefact)
    assert same_weights(whole.artefact, resumed.artefact)
    assert whole.figures == resumed.figures
    with pytest.raises(DataError, match="fine-tuned already"):
        finetune.train(config, tmp_path / "again", [dataset], whole.artefact)


def test_labels_of_another_lam_are_refused(
    dataset: Path, pretrained: Trained, finetune_config: FinetuneConfig, pretrain_config: PretrainConfig, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    source = Dataset(other)
    names = {n: source.features[n] for n in ("latent.manipulation", "latent.locomotion")}
    labels = [dict(source.columns(e.index, list(names))) for e in source.episodes]
    write_labels(other, names, labels, {"digest": "1" * 64})
    with pytest.raises(ContractMismatch, match="labelling LAM"):
        finetune.train(finetune_config, tmp_path / "run", [other], pretrained.artefact)
    with pytest.raises(DataError, match="label all datasets with the same LAM"):
        pretrain.train(pretrain_config, tmp_path / "run", [dataset, other])


def test_demonstrations_of_two_robots_are_refused(
    dataset: Path, pretrained: Trained, finetune_config: FinetuneConfig, tmp_path: Path
) -> None:
    """Of the same widths, with joints in another order."""
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    info = json.loads((other / "meta" / "info.json").read_text())
    names = info["features"][STATE]["names"]
    info["features"][STATE]["names"] = names[1:] + names[:1]
    (other / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(ContractMismatch, match=STATE):
        finetune.train(finetune_config, tmp_path / "run", [dataset, other], pretrained.artefact)


def test_windows_end_with_their_episode_and_targets_line_up(dataset: Path, pretrained: Trained) -> None:
    loaded = load_vla(pretrained.artefact)
    source = Dataset(dataset)
    samples = Samples(source, [1, 4], loaded.inputs, loaded.model.config)
    assert len(samples) == 24
    batch = samples.batch(np.array([10, 11, 12]))
    assert batch["valid"].tolist() == [[True, True], [True, False], [True, True]]
    rows = np.concatenate([source.columns(e, [ACTION])[ACTION] for e in (1, 4)])
    np.testing.assert_allclose(batch["height_m"][2], rows[12:14, -1])
    assert (batch["flags"][2] - 1).tolist() == rows[12:14, 16:19].tolist()
    assert batch["latent.locomotion"][0].tolist() == [-1, -1]
    assert samples.instructions(np.array([0, 12])) == [LIFT, WALK]
    weights = flag_weights([samples], 14).numpy()
    flags = rows[:, 17].astype(int) + 1
    np.testing.assert_allclose(weights[1][flags].mean(), 1.0, rtol=1e-5)
    lazy = Samples(source, [1, 4], loaded.inputs, loaded.model.config, in_memory=False)
    frames = np.array([3, 23, 12])
    assert np.array_equal(lazy.batch(frames)["images"], samples.batch(frames)["images"])


def fake_lmo(folder: Path, robot: str, height_range_m: tuple[float, float]) -> Path:
    contract = Contract(kind="lmo", robot=robot, rate_hz=50.0, details={"height_range_m": list(height_range_m)})
    write_artefact(folder, contract, {}, "card", {"policy.onnx": b"bytes"})
    return folder


def test_bundle_binds_what_fits(finetuned: Trained, pretrained: Trained, tmp_path: Path, capsys) -> None:
    lmo = fake_lmo(tmp_path / "lmo", "agibot_x2", (0.48, 0.66))
    run = finetuned.artefact.parent
    assert export.main([str(run), str(lmo), str(tmp_path / "bundle")]) == 0
    assert "bundle for agibot_x2" in capsys.readouterr().out
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.vla.digest == load_vla(finetuned.artefact).artefact.digest
    load_policy(tmp_path / "bundle" / "vla")
    assert export.main([str(finetuned.artefact), "shipped", str(tmp_path / "with_shipped")]) == 0
    assert open_bundle(tmp_path / "with_shipped").robot == "agibot_x2"
    with pytest.raises(ContractMismatch, match="robot: 'agibot_x2' here, 'unitree_g1' there"):
        write_bundle(tmp_path / "b", finetuned.artefact, fake_lmo(tmp_path / "g1", "unitree_g1", (0.48, 0.66)))
    with pytest.raises(ContractMismatch, match="height_range_m"):
        write_bundle(tmp_path / "b", finetuned.artefact, fake_lmo(tmp_path / "low", "agibot_x2", (0.3, 0.66)))
    with pytest.raises(ArtefactError, match="fine-tune it first"):
        write_bundle(tmp_path / "b", pretrained.artefact, lmo)
    assert not (tmp_path / "b").exists()
    shutil.rmtree(tmp_path / "bundle" / "lmo")
    shutil.copytree(fake_lmo(tmp_path / "new", "agibot_x2", (0.48, 0.67)), tmp_path / "bundle" / "lmo")
    with pytest.raises(ArtefactError, match="export the bundle again"):
        open_bundle(tmp_path / "bundle")
