"""A trained latent action model as an artefact folder: written with its contract, opened only where it fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from wbvla.core.contract import Artefact, Contract, open_artefact, write_artefact
from wbvla.core.errors import ArtefactError
from wbvla.core.run import plain, rebuild
from wbvla.lam.model import LamConfig, LatentActionModel
from wbvla.train.checkpoint import frozen_digest, load_model, load_tensors, model_tensors

WEIGHTS = "model.safetensors"


def lam_contract(model: LatentActionModel, fps: int, details: Mapping[str, Any]) -> Contract:
    """What labels of this model mean, and `details` (datasets, quality) of how it came about."""
    config = model.config
    return Contract(
        kind="lam",
        robot="any",
        rate_hz=float(fps),
        details={
            "stream": config.stream,
            "num_tokens": config.quantizer.num_tokens,
            "num_codes": config.quantizer.num_codes,
            "gap_s": config.gap_s,
            "cameras": list(config.cameras),
            "image": {"height": config.height, "width": config.width, "resize": "bicubic, antialiased"},
            "frozen_sha256": frozen_digest(model),
            **details,
        },
    )


def save_lam(folder: Path, model: LatentActionModel, contract: Contract, card: str) -> Artefact:
    """Write model.safetensors (without frozen features), config, contract and card."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in model_tensors(model).items()}
    return write_artefact(folder, contract, plain(model.config), card, {WEIGHTS: save(tensors)})


def open_lam(folder: Path, device: str = "cpu") -> tuple[LatentActionModel, Artefact]:
    """The model in evaluation mode, and its verified artefact.

    Raises ArtefactError when a file is damaged, or when the frozen features here are not those it was trained on.
    """
    artefact = open_artefact(folder, "lam")
    with torch.random.fork_rng(devices=[]):  # the fresh weights drawn here are replaced at once
        model = LatentActionModel(rebuild(LamConfig, artefact.config))
    if frozen_digest(model) != artefact.contract.details["frozen_sha256"]:
        raise ArtefactError(f"the DINOv2 weights here are not those that {folder} was trained on; fetch the same")
    load_model(model, load_tensors(artefact.file(WEIGHTS)))
    return model.to(device).eval(), artefact
