"""Loss and accuracy of predicted latent-action codes; frames without a stream's label count for nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from wbvla.vla.model import StreamConfig, Vla
from wbvla.vla.samples import LATENT, NO_CODE, Samples, as_tensors, spread

INPUT_KEYS = ("images", "present", "text", "text_mask")


def code_loss(
    logits: Mapping[str, Float[Tensor, "batch token code"]], batch: Mapping[str, Tensor]
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Cross-entropy per labelled token [nat], summed over streams (WholeBodyVLA states no weights)."""
    total = next(iter(logits.values())).new_zeros(())
    figures = {}
    for name, rows in logits.items():
        codes = batch[LATENT + name]
        summed = F.cross_entropy(rows.flatten(0, 1).float(), codes.flatten(), ignore_index=NO_CODE, reduction="sum")
        count = (codes != NO_CODE).sum()
        loss = summed / count.clamp(min=1)
        total = total + loss
        if bool(count):
            figures[f"ce_{name}"] = float(loss.detach())
    return total, figures


def majority_codes(parts: Sequence[Samples], streams: Sequence[StreamConfig]) -> dict[str, Int[np.ndarray, " token"]]:
    """The most frequent code of every token position over the training frames, per labelled stream."""
    result = {}
    for stream in streams:
        labelled = [p.codes[stream.name] for p in parts if stream.name in p.codes]
        if labelled:
            codes = np.concatenate(labelled)
            counts = [np.bincount(c[c != NO_CODE], minlength=stream.num_codes) for c in codes.T]
            result[stream.name] = np.array([int(c.argmax()) for c in counts])
    return result


@torch.inference_mode()
def predict_codes(
    model: Vla, samples: Samples, frames: Int[np.ndarray, " sample"], device: torch.device, blind: bool = False
) -> dict[str, Int[np.ndarray, "sample token"]]:
    """Arg-max codes; `blind` gives every frame the picture of another one, to see what words alone tell."""
    found: dict[str, list[np.ndarray]] = {s.name: [] for s in model.config.streams}
    for start in range(0, len(frames), 64):
        part = frames[start : start + 64]
        rows = samples.batch(part)
        if blind:
            others = np.random.default_rng(start).integers(len(samples), size=len(part))
            rows["images"] = samples.batch(others)["images"]
        batch = as_tensors(rows, samples.instructions(part), samples.inputs)
        logits = model.code_logits(model.encode(*(batch[k].to(device) for k in INPUT_KEYS)))
        for name, values in logits.items():
            found[name].append(values.argmax(dim=-1).cpu().numpy())
    return {name: np.concatenate(rows) for name, rows in found.items()}


def code_figures(
    model: Vla, held_out: Sequence[Samples], majority: Mapping[str, Int[np.ndarray, " token"]], num_frames: int
) -> dict[str, float]:
    """Per stream: `accuracy_*`, that of the majority code, and that with another frame's picture [share of tokens]."""
    device = model.queries.device
    hits: dict[str, list[np.ndarray]] = {}
    for samples in held_out:
        frames = spread(samples, num_frames)
        seen = predict_codes(model, samples, frames, device)
        blind = predict_codes(model, samples, frames, device, blind=True)
        for name in samples.codes:
            codes = samples.codes[name][frames]
            guesses = (seen[name], np.broadcast_to(majority[name], codes.shape), blind[name])
            right = np.stack([guess == codes for guess in guesses], axis=-1)
            hits.setdefault(name, []).append(right[codes != NO_CODE])
    result = {"frames": float(sum(len(spread(samples, num_frames)) for samples in held_out))}
    for name, rows in hits.items():
        accuracy = np.concatenate(rows).mean(axis=0)
        for kind, value in zip(("accuracy", "majority", "blind"), accuracy):
            result[f"{kind}_{name}"] = float(value)
    return result
