"""Figures of an imitating policy on held-out frames, each beside what doing nothing clever would give."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from wbvla.vla.action_decoder import FLAG_CLASSES, Chunk
from wbvla.vla.codes import INPUT_KEYS
from wbvla.vla.model import Vla
from wbvla.vla.samples import Samples, as_tensors, spread

FLAGS = ("s_x", "s_y", "s_psi")


def target_chunk(batch: Mapping[str, Tensor]) -> Chunk:
    """What the dataset says, flags as one-hot rows."""
    return Chunk(
        arms=batch["arms"],
        grippers=batch["grippers"],
        flags=F.one_hot(batch["flags"], FLAG_CLASSES).to(batch["arms"].dtype),
        height_m=batch["height_m"],
    )


@torch.inference_mode()
def predict_chunks(model: Vla, samples: Samples, frames: Int[np.ndarray, " sample"]) -> tuple[Chunk, Chunk, Tensor]:
    """Decoded chunks, targets and which steps are valid, on the CPU."""
    device = model.queries.device
    found: list[tuple[Chunk, Chunk, Tensor]] = []
    for start in range(0, len(frames), 64):
        part = frames[start : start + 64]
        batch = as_tensors(samples.batch(part), samples.instructions(part), samples.inputs)
        encoding = model.encode(*(batch[k].to(device) for k in INPUT_KEYS))
        chunk = model.chunk(encoding, batch["state"].to(device))
        found.append((Chunk(*(v.float().cpu() for v in chunk)), target_chunk(batch), batch["valid"]))
    guess, target = (Chunk(*(torch.cat(v) for v in zip(*(f[i] for f in found)))) for i in (0, 1))
    return guess, target, torch.cat([f[2] for f in found])


def mean_action(parts: Sequence[Samples]) -> Float[np.ndarray, " action"]:
    """The mean row of `action` over training frames: the baseline that ignores everything."""
    return np.concatenate([s.actions for s in parts if s.actions is not None]).mean(axis=0)


def action_figures(
    model: Vla, held_out: Sequence[Samples], mean: Float[np.ndarray, " action"], num_frames: int
) -> dict[str, float]:
    """L1 of arms [rad], grippers [-] and height [m] beside the mean action's; balanced accuracy of each flag."""
    rows = [_errors(model, s, mean, spread(s, num_frames)) for s in held_out if s.actions is not None]
    figures = {k: float(np.concatenate([r[k] for r in rows]).mean()) for k in rows[0] if "flag" not in k}
    guess, truth = (np.concatenate([r[k] for r in rows]) for k in ("flag_guess", "flag_truth"))
    for i, name in enumerate(FLAGS):
        figures[f"balanced_accuracy_{name}"] = balanced_accuracy(guess[:, i], truth[:, i])
        figures[f"balanced_accuracy_{name}_majority"] = 1.0 / len(np.unique(truth[:, i]))
    return {**figures, "frames": float(sum(len(spread(s, num_frames)) for s in held_out))}


def _errors(
    model: Vla, samples: Samples, mean: Float[np.ndarray, " action"], frames: Int[np.ndarray, " sample"]
) -> dict[str, np.ndarray]:
    """Errors per valid step."""
    guess, target, valid = predict_chunks(model, samples, frames)
    use: Bool[np.ndarray, "sample step"] = valid.numpy()
    invert = samples.inputs.config.arms.invert
    arms = guess.arms.shape[-1]
    truth = invert(target.arms.numpy())[use]
    grippers, height = target.grippers.numpy()[use], target.height_m.numpy()[use]
    return {
        "arms_l1_rad": np.abs(invert(guess.arms.numpy())[use] - truth).mean(axis=-1),
        "arms_l1_mean_rad": np.abs(mean[:arms] - truth).mean(axis=-1),
        "grippers_l1": np.abs(guess.grippers.numpy()[use] - grippers).mean(axis=-1),
        "grippers_l1_mean": np.abs(mean[arms : arms + 2] - grippers).mean(axis=-1),
        "height_l1_m": np.abs(guess.height_m.numpy()[use] - height),
        "height_l1_mean_m": np.abs(mean[-1] - height),
        "flag_guess": guess.flags.argmax(dim=-1).numpy()[use],
        "flag_truth": target.flags.argmax(dim=-1).numpy()[use],
    }


def balanced_accuracy(guess: Int[np.ndarray, " n"], truth: Int[np.ndarray, " n"]) -> float:
    """Mean recall over the classes that occur; the majority class alone gets 1 / number of classes."""
    return float(np.mean([(guess[truth == c] == c).mean() for c in np.unique(truth)]))
