"""Checkpoints of a controller's training: one safetensors file with everything, written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tensordict import TensorDict
from torch import Tensor

from wbvla.core.errors import ArtefactError
from wbvla.core.files import replaced
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.learner import Learner
from wbvla.lmo.worlds import Progress, load_tensors, tensors_of

Metadata = dict[str, Any]


def save_checkpoint(
    path: Path, learner: Learner, env: LmoEnvironment, obs: TensorDict, iteration: int, notes: Metadata
) -> None:
    """Weights, normalisers, optimiser, random states, curriculum, environment, simulator, observations."""
    tensors: dict[str, Tensor] = {"torch_rng": torch.get_rng_state()}
    if env.device.type == "cuda":
        tensors["cuda_rng"] = torch.cuda.get_rng_state(env.device)
    for name, model in (("actor", learner.actor), ("critic", learner.critic)):
        tensors |= {f"{name}.{key}": value for key, value in model.state_dict().items()}
    for index, slots in learner.ppo.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in slots.items()}
    tensors |= {f"env.{key}": value for key, value in environment_state(env).items()}
    tensors |= {f"obs.{key}": obs[key] for key in ("policy", "critic")}
    meta = {
        "iteration": iteration,
        "learning_rate": learner.ppo.learning_rate,
        "progress": asdict(env.progress),
        **notes,
    }
    whole = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    with replaced(path) as aside:
        save_file(whole, str(aside), metadata={"wbvla": json.dumps(meta)})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """Tensors and notes; raises ArtefactError when the file is no checkpoint of ours."""
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {})["wbvla"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path} is no readable LMO checkpoint: {error}") from error
    return tensors, meta


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries under a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def environment_state(env: LmoEnvironment) -> dict[str, Tensor]:
    """All that an environment needs to continue to the bit; its plants follow from seed and stage."""
    out = {f"world.{name}": value for name, value in tensors_of(env.worlds).items()}
    out |= {f"arm.{name}": value for name, value in tensors_of(env.arms.state).items()}
    out |= {f"engine.{name}": value for name, value in env.engine.snapshot().items()}
    return out | {"rng": env.rng.get_state()}


def load_environment(env: LmoEnvironment, state: Mapping[str, Tensor]) -> None:
    """Inverse of `environment_state`."""
    load_tensors(env.worlds, part(state, "world."))
    load_tensors(env.arms.state, part(state, "arm."))
    env.engine.restore(part(state, "engine."))
    env.rng.set_state(state["rng"])
    env.bumps.put(env.worlds)
    env.look()


def check_start(path: Path, meta: Metadata, wanted: Metadata) -> None:
    """Raises ArtefactError when the weights of `path` were trained for something else, naming every difference."""
    known = {name: meta[name] for name in wanted if name in meta}
    apart = [f"{name} is {known[name]}, this run has {wanted[name]}" for name in known if known[name] != wanted[name]]
    if apart:
        raise ArtefactError(f"{path} does not fit as a start: {'; '.join(apart)}")


def load_models(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    """Weights and observation statistics only: a warm start."""
    learner.actor.load_state_dict(part(tensors, "actor."))
    learner.critic.load_state_dict(part(tensors, "critic."))


def load_checkpoint(path: Path, learner: Learner, env: LmoEnvironment) -> tuple[TensorDict, Metadata]:
    """Put everything back; returns the observations to act on, and the notes."""
    tensors, meta = read_checkpoint(path)
    load_models(learner, tensors)
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in part(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        slots.setdefault(int(index), {})[name] = value
    groups = learner.ppo.optimizer.state_dict()["param_groups"]
    learner.ppo.learning_rate = float(meta["learning_rate"])
    for group in groups:
        group["lr"] = learner.ppo.learning_rate
    learner.ppo.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    load_environment(env, part(tensors, "env."))
    env.progress = Progress(**meta["progress"])
    torch.set_rng_state(tensors["torch_rng"])
    if env.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["cuda_rng"], env.device)
    seen = part(tensors, "obs.")
    obs = TensorDict(seen, batch_size=[len(seen["policy"])]).to(env.device)
    env.seen = obs["policy"]
    return obs, meta
