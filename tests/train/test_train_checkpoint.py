"""Checkpoint files: whole or ignored, hashed, two kept, and what they leave out."""

import pytest
import torch
from torch import nn

from wbvla.core.errors import ArtefactError
from wbvla.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_model,
    model_tensors,
    newest_checkpoint,
    save_checkpoint,
)


def write(folder, step):
    tensors = {"model.w": torch.full((3,), float(step)), "rng.torch": torch.get_rng_state()}
    save_checkpoint(folder, Checkpoint(step=step, tensors=tensors, state={"best": 0.1 + step}))


def test_a_round_trip_keeps_every_bit(tmp_path):
    tensors = {
        "a": torch.randn(4, 3).T,
        "flag": torch.tensor(True),
        "count": torch.tensor(7),
        "half": torch.randn(2).to(torch.bfloat16),
    }
    save_checkpoint(tmp_path, Checkpoint(step=3, tensors=tensors, state={"best": 1 / 3, "none": None}))
    back = load_checkpoint(tmp_path, 3)
    assert back.state == {"best": 1 / 3, "none": None}
    assert all(torch.equal(back.tensors[k], v) and back.tensors[k].dtype == v.dtype for k, v in tensors.items())


def test_only_two_are_kept_and_a_file_without_its_manifest_does_not_exist(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, step)
    (tmp_path / "step_000000009.safetensors").write_bytes(b"killed before the manifest")
    assert newest_checkpoint(tmp_path).step == 3
    assert {p.stem for p in tmp_path.glob("step_*.json")} == {"step_000000002", "step_000000003"}


@pytest.mark.parametrize("name", ["step_000000002.json", "step_000000002.safetensors"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_any_damage_to_the_newest_is_seen(tmp_path, name, harm):
    write(tmp_path, 1)
    write(tmp_path, 2)
    path = tmp_path / name
    content = path.read_bytes()
    if harm == "flip":
        where = content.index(b"2.1") if name.endswith("json") else len(content) - 1
        path.write_bytes(content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :])
    elif harm == "truncate":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    assert newest_checkpoint(tmp_path).step == 1


def test_when_all_are_damaged_it_says_so_instead_of_starting_afresh(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "step_000000001.json").write_text("{}")
    with pytest.raises(ArtefactError, match="every checkpoint"):
        newest_checkpoint(tmp_path)


def test_frozen_weights_are_left_out_and_foreign_ones_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].requires_grad_(False)
    tensors = {k: v.detach().clone() for k, v in model_tensors(model).items()}
    assert "0.weight" not in tensors
    assert "1.running_mean" in tensors
    tensors["1.running_mean"] = torch.ones(2)
    load_model(model, tensors)
    assert model[1].running_mean.tolist() == [1.0, 1.0]
    with pytest.raises(ArtefactError, match=r"1\.weight"):
        load_model(model, {k: v for k, v in tensors.items() if k != "1.weight"})
