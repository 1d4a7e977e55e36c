"""Released Prismatic and OpenVLA weights: read by their own names, converted from native files, tested once loaded."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from wbvla.core.errors import ArtefactError
from wbvla.vla.prismatic import Prismatic

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
NATIVE_PREFIXES = {
    "projector.0.": "projector.fc1.",
    "projector.2.": "projector.fc2.",
    "projector.4.": "projector.fc3.",
    "llm.": "language_model.",
    "dino_featurizer.": "vision_backbone.featurizer.",
    "siglip_featurizer.": "vision_backbone.fused_featurizer.",
    "featurizer.": "vision_backbone.featurizer.",
}


def native_to_release(name: str) -> str:
    """Name in a TRI-ML checkpoint (without its group) to the name in the Hugging Face files."""
    for native, released in NATIVE_PREFIXES.items():
        if name.startswith(native):
            name = released + name.removeprefix(native)
            break
    return name.removesuffix(".gamma") + ".scale_factor" if name.endswith(".gamma") else name


def convert_native(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """`checkpoint["model"]` of a native file (groups projector, llm_backbone, vision_backbone) under released names."""
    return {native_to_release(n): t.contiguous() for group in groups.values() for n, t in group.items()}


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder; raises ArtefactError when one is missing."""
    index = folder / INDEX
    names = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.is_file() else [SINGLE]
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise ArtefactError(f"{folder} lacks {name!r}; download the whole checkpoint again")
    return [folder / n for n in names]


def load_release(model: Prismatic, folder: Path) -> None:
    """Load a folder of safetensors shards one at a time and test that the result sees and reads.

    Raises ArtefactError naming missing, unexpected and misshapen tensors; the model is untouched in that case.
    """
    own = model.state_dict()
    files = shards(folder)
    found: dict[str, tuple[int, ...]] = {}
    for path in files:
        with safe_open(path, framework="pt") as shard:
            found |= {name: tuple(shard.get_slice(name).get_shape()) for name in shard.keys()}  # noqa: SIM118
    require_names(shapes(own), found, str(folder))
    with torch.no_grad():
        for path in files:
            with safe_open(path, framework="pt") as shard:
                for name in shard.keys():  # noqa: SIM118
                    own[name].copy_(shard.get_tensor(name))
    prove_sighted(model)


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def require_names(own: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raises ArtefactError unless both hold the same names and shapes."""
    faults = {
        "missing": sorted(set(own) - set(found)),
        "unexpected": sorted(set(found) - set(own)),
        "wrong shape": [f"{k} {found[k]} for {own[k]}" for k in own if k in found and found[k] != own[k]],
    }
    said = [f"{what} {', '.join(names[:5])} ({len(names)} in all)" for what, names in faults.items() if names]
    if said:
        raise ArtefactError(f"{source} does not fit this model: {'; '.join(said)}")


@torch.inference_mode()
def prove_sighted(model: Prismatic) -> None:
    """Load-time test: a black and a white picture, and two texts, must each change the next-token logits.

    Some loaders of this architecture drop the picture without a word (openvla issue 346). Raises ArtefactError.
    """
    channels, size = 3 * len(model.config.towers), model.config.image_size
    weight = model.projector.fc1.weight
    black = torch.full((1, channels, size, size), -1.0, dtype=weight.dtype, device=weight.device)
    words = torch.tensor([[model.config.bos_token, 11, 12, 13]], device=weight.device)
    others = torch.tensor([[model.config.bos_token, 14, 15, 16]], device=weight.device)
    first = model.logits(black, words)[:, -1]
    for what, logits in (
        ("the picture", model.logits(-black, words)[:, -1]),
        ("the text", model.logits(black, others)[:, -1]),
    ):
        if not bool(torch.isfinite(logits).all()):
            raise ArtefactError("the model's logits are not finite after loading; the weights are damaged")
        if torch.equal(first, logits):
            raise ArtefactError(f"{what} does not change the model's output after loading; the weights do not fit")
