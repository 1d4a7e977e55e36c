"""Writing a trained model's codes into a recording as a column; refused when the model is not fit for it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from wbvla.core.contract import Artefact
from wbvla.core.errors import ContractMismatch
from wbvla.data.format import Feature
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.lam.artefact import open_lam
from wbvla.lam.model import LatentActionModel
from wbvla.lam.pairs import open_datasets, read_frames

NO_CODE = -1
"""code of a frame without a partner: the last `gap` frames of an episode"""
BATCH = 128


def label(
    artefact: Path,
    dataset: Path,
    column: str = "",
    force: bool = False,
    on_episode: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> str:
    """Write the codes of the pair (t, t + gap) to each frame t; returns the column's name.

    The last frames of an episode, `gap` of them, have no partner and get -1 in every token: pairing them with the
    last frame would call the end of every recording a stop. Trainers leave such frames out of the code loss.

    Args:
        column: name of the column; empty takes `latent.<stream>`.
        force: label although the model failed its quality gate.
        on_episode: called with (episodes done, episodes).
        device: torch device that encodes.

    Raises:
        ContractMismatch: the model failed its gate.
        DataError: the recording lacks a camera of the model.
        ArtefactError: the artefact is damaged.
    """
    model, opened = open_lam(artefact)
    if not force:
        require_quality(opened)
    model.to(device)
    (data,) = open_datasets([dataset], model.config)
    name = column or f"latent.{model.config.stream}"
    tokens = model.config.quantizer.num_tokens
    feature = Feature(dtype="int64", shape=(tokens,), names=tuple(f"token_{i}" for i in range(tokens)))
    write_labels(dataset, {name: feature}, _labels(model, data, name, on_episode), source_of(opened, model, data))
    return name


def require_quality(artefact: Artefact) -> None:
    """Raises ContractMismatch naming each check that the model failed on held-out episodes."""
    faults = artefact.contract.details["quality"]["faults"]
    if faults:
        subject = f"{artefact.folder} may not label data (train it longer, or force it); its quality"
        raise ContractMismatch(subject, list(faults))


def source_of(artefact: Artefact, model: LatentActionModel, data: Dataset) -> dict[str, object]:
    """What meta/labels.json says about the column."""
    config = model.config
    return {
        "digest": artefact.digest,
        "kind": "lam",
        "stream": config.stream,
        "num_tokens": config.quantizer.num_tokens,
        "num_codes": config.quantizer.num_codes,
        "gap_s": config.gap_s,
        "gap_frames": config.gap_frames(data.fps),
        "cameras": list(config.cameras),
        "without_partner": NO_CODE,
        "passed_gate": not artefact.contract.details["quality"]["faults"],
    }


def episode_codes(model: LatentActionModel, data: Dataset, episode: int) -> Int64[np.ndarray, "frame token"]:
    """Codes of every frame of one episode, -1 for the last `gap` frames."""
    length, gap = data.episodes[episode].length, model.config.gap_frames(data.fps)
    codes = np.full((length, model.config.quantizer.num_tokens), NO_CODE, dtype=np.int64)
    if length <= gap:
        return codes
    frames = torch.from_numpy(read_frames(data, model.config, episode, range(length)))
    device = next(model.parameters()).device
    for start in range(0, length - gap, BATCH):
        stop = min(start + BATCH, length - gap)
        pair = frames[start:stop].to(device), frames[start + gap : stop + gap].to(device)
        codes[start:stop] = model.encode(*pair).cpu().numpy()
    return codes


def _labels(
    model: LatentActionModel, data: Dataset, name: str, on_episode: Callable[[int, int], None] | None
) -> Iterator[Mapping[str, np.ndarray]]:
    for record in data.episodes:
        yield {name: episode_codes(model, data, record.index)}
        if on_episode:
            on_episode(record.index + 1, data.num_episodes)
