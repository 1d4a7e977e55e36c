"""The VLA on disk: weights with adapters and decoder, tokenizer, preprocessing and contract in one folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from tokenizers import Tokenizer

from wbvla.core.contract import Artefact, Contract, open_artefact, write_artefact
from wbvla.core.run import plain, rebuild
from wbvla.data.reader import Dataset
from wbvla.vla.inputs import Inputs
from wbvla.vla.lora import LoraConfig, add_lora
from wbvla.vla.model import Vla, VlaConfig
from wbvla.vla.release import require_names, shapes

KIND, WEIGHTS, TOKENIZER = "vla", "model.safetensors", "tokenizer.json"
PRETRAINED, READY = "pretrained", "ready"


@dataclass(frozen=True, kw_only=True)
class LoadedVla:
    """A model with the preprocessing it was trained with."""

    model: Vla
    inputs: Inputs
    artefact: Artefact

    @property
    def stage(self) -> str:
        """`pretrained`: codes only; `ready`: actions too."""
        return self.artefact.contract.details["stage"]


def vla_contract(config: VlaConfig, inputs: Inputs, stage: str, datasets: Sequence[Dataset]) -> Contract:
    """The promises of a VLA; robot facts come from the contracts of the datasets it learnt actions from."""
    robots = [d.contract for d in datasets if "joint_names" in d.contract]
    robot = robots[0] if robots else {"robot": "any", "joint_names": [], "arm_joints": []}
    size = config.prismatic.image_size
    details = {
        "stage": stage,
        "cameras": {c: {"width": size, "height": size, "required": i == 0} for i, c in enumerate(config.cameras)},
        "instruction": plain(inputs.config.prompt),
        "state": {"channels": config.action.state, "normalise": inputs.config.state.to_json()},
        "action": {
            "steps": config.action.steps,
            "rate_hz": config.action.rate_hz,
            "arm_joints": list(robot["arm_joints"]),
            "grippers": config.action.grippers,
            "flags": ["s_x", "s_y", "s_psi"],
            "height_range_m": list(config.action.height_range_m),
            "normalise_arms": inputs.config.arms.to_json(),
        },
        "streams": [plain(s) for s in config.streams],
        "datasets": [{"name": d.root.name, "sha256": d.digest, "labels": d.labels} for d in datasets],
    }
    return Contract(
        kind=KIND,
        robot=robot["robot"],
        joint_names=tuple(robot["joint_names"]),
        rate_hz=config.action.rate_hz,
        details=details,
    )


def save_vla(
    folder: Path, model: Vla, inputs: Inputs, contract: Contract, lora: tuple[LoraConfig, tuple[str, ...]] | None = None
) -> Artefact:
    """Write the whole model; `lora` says which adapters it carries and which parts learnt in full beside them."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    config: dict[str, Any] = {"model": plain(model.config), "inputs": inputs.to_json(), "lora": None}
    if lora is not None:
        config["lora"] = {"config": plain(lora[0]), "trainable": list(lora[1])}
    files = {WEIGHTS: save(tensors), TOKENIZER: inputs.prompts.tokenizer.to_str().encode()}
    return write_artefact(folder, contract, config, _card(contract, model), files)


def load_vla(folder: Path) -> LoadedVla:
    """Open, verify and rebuild a VLA in eval mode; raises ArtefactError when weights and config do not fit."""
    artefact = open_artefact(folder, KIND)
    model = Vla(rebuild(VlaConfig, artefact.config["model"]))
    lora = artefact.config["lora"]
    if lora is not None:
        add_lora(model, rebuild(LoraConfig, lora["config"]), tuple(lora["trainable"]))
    tensors = load_file(artefact.file(WEIGHTS))
    require_names(shapes(model.state_dict()), shapes(tensors), str(folder))
    model.load_state_dict(tensors)
    tokenizer = Tokenizer.from_file(str(artefact.file(TOKENIZER)))
    inputs = Inputs.from_json(dict(artefact.config["inputs"]), tokenizer)
    return LoadedVla(model=model.eval(), inputs=inputs, artefact=artefact)


def _card(contract: Contract, model: Vla) -> str:
    count = sum(p.numel() for p in model.parameters())
    names = ", ".join(d["name"] for d in contract.details["datasets"])
    return (
        f"# VLA for {contract.robot}, {contract.details['stage']}\n\n"
        f"{count:,} parameters; cameras {', '.join(contract.details['cameras'])}; "
        f"{contract.details['action']['steps']} steps at {contract.rate_hz:g} Hz. Trained on: {names}.\n"
        "Load it with `wbvla.vla.policy.load_policy` or serve it with `wbvla serve`.\n"
    )
