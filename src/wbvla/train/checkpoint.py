"""Checkpoints of supervised runs: safetensors + JSON, atomic, hashed, the last two kept, damage survived."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wbvla.core.errors import ArtefactError
from wbvla.core.files import replaced, sha256_of, write_json

KEPT = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Tensors by name and a JSON-ready state, as they were after `step` updates."""

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix.`, with the prefix taken off."""
        return {k[len(prefix) + 1 :]: v for k, v in self.tensors.items() if k.startswith(f"{prefix}.")}


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _paths(folder: Path, step: int) -> tuple[Path, Path]:
    stem = f"step_{step:09d}"
    return folder / f"{stem}.safetensors", folder / f"{stem}.json"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the tensors, then the JSON that vouches for them (it makes the checkpoint exist); drop all but two."""
    tensors, manifest = _paths(folder, checkpoint.step)
    plain = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in checkpoint.tensors.items()}
    save_tensors(tensors, plain)
    state = json.loads(json.dumps(dict(checkpoint.state), allow_nan=False))
    head = {"step": checkpoint.step, "tensors_sha256": sha256_of(tensors), "state_sha256": _digest(state)}
    write_json(manifest, {**head, "state": state})
    _drop_older(folder)
    return manifest


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write one safetensors file atomically."""
    with replaced(path) as aside:
        save_file(dict(tensors), aside)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read one safetensors file onto the CPU; raises ArtefactError when it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path} cannot be read as safetensors: {error}") from error


def steps_saved(folder: Path) -> list[int]:
    """Steps that have a manifest, oldest first."""
    return sorted(int(p.stem.removeprefix("step_")) for p in folder.glob("step_*.json"))


def _drop_older(folder: Path) -> None:
    kept = set(steps_saved(folder)[-KEPT:])
    for step in steps_saved(folder):
        if step not in kept:
            tensors, manifest = _paths(folder, step)
            manifest.unlink()
            tensors.unlink(missing_ok=True)
    for left in folder.glob(".step_*.tmp"):
        left.unlink(missing_ok=True)


def load_checkpoint(folder: Path, step: int) -> Checkpoint:
    """Read one checkpoint and verify both hashes; raises ArtefactError when a file is missing or damaged."""
    tensors, manifest = _paths(folder, step)
    try:
        head = json.loads(manifest.read_text())
        sound = head["state_sha256"] == _digest(head["state"]) and head["step"] == step
        sound = sound and head["tensors_sha256"] == sha256_of(tensors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"checkpoint {manifest} cannot be read: {error}") from error
    if not sound:
        raise ArtefactError(f"checkpoint {manifest} or its tensors differ from what was written")
    return Checkpoint(step=step, tensors=load_tensors(tensors), state=head["state"])


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest sound checkpoint, or None where there is none; raises ArtefactError when all are damaged."""
    steps = steps_saved(folder)
    damage: list[str] = []
    for step in reversed(steps):
        try:
            found = load_checkpoint(folder, step)
        except ArtefactError as error:
            log.warning("%s; trying the one before it", error)
            damage.append(str(error))
            continue
        return found
    if damage:
        raise ArtefactError(
            f"every checkpoint in {folder} is damaged: {'; '.join(damage)}. Remove the folder to start afresh"
        )
    return None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What training may change: trainable parameters and persistent buffers (frozen weights stay at their source)."""
    frozen = {id(p) for p in model.parameters() if not p.requires_grad}
    return {k: v for k, v in model.state_dict(keep_vars=True).items() if id(v) not in frozen}


def frozen_digest(model: nn.Module) -> str:
    """SHA-256 over the frozen parameters, which a checkpoint leaves out and a resumed run must find unchanged."""
    total = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            total.update(name.encode())
            total.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put `model_tensors` back; raises ArtefactError on a missing or foreign name or another shape."""
    names = model_tensors(model)
    wrong = set(names) ^ set(tensors)
    wrong |= {k for k in names if k in tensors and names[k].shape != tensors[k].shape}
    if wrong:
        raise ArtefactError(f"the weights do not fit this model; they differ in {', '.join(sorted(wrong)[:8])}")
    with torch.no_grad():
        for name, target in names.items():
            target.copy_(tensors[name])


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as `<parameter>|<entry>`."""
    names = {id(p): n for n, p in model.named_parameters()}
    return {f"{names[id(p)]}|{key}": value for p, entries in optimizer.state.items() for key, value in entries.items()}


def load_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put `optimizer_tensors` back, on each parameter's device (the step counters stay on the CPU)."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, entry = key.rpartition("|")
        device = "cpu" if entry == "step" else parameters[name].device
        optimizer.state[parameters[name]][entry] = value.to(device).clone()
