"""Whether what was trained is fit to go on with, by the figures that each training wrote."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.machine import Finding
from wbvla.core.metrics import read_metrics


def model_lines(workspace: Path, code_use: float) -> Iterator[Finding]:
    """Latent action models and VLAs of a workspace.

    Args:
        code_use: least share of a codebook's codes in use, mean over its tokens [-].
    """
    figures = {path.parent: json.loads(path.read_text()) for path in sorted(workspace.glob("*/figures.json"))}
    lams = {path: f["quality"] for path, f in figures.items() if "quality" in f}
    vlas = {path: f for path, f in figures.items() if any(k.startswith(("accuracy_", "arms_l1")) for k in f)}
    for path, quality in lams.items():
        yield _used(path, quality, code_use)
    for path, values in vlas.items():
        yield _learned(path, values)
    for kind, found in (("latent actions", lams), ("vla", vlas)):
        if not found:
            yield Finding(subject=kind, found="none trained", ok=False, remedy="`wbvla train --help` lists recipes")


def _used(folder: Path, quality: Mapping[str, Any], code_use: float) -> Finding:
    """A codebook in use, past its gate."""
    use = float(np.mean(quality["usage"]))
    faults = "; ".join(quality["faults"]) or "passed its gate"
    return Finding(
        subject=f"latent actions {folder.name}",
        found=f"{100 * use:.0f} % of the codes in use, code gain {quality['code_gain']['value']:.2f}; {faults}",
        ok=use > code_use and not quality["faults"],
        remedy="more varied data, a smaller codebook, or longer training; `wbvla train --help` lists recipes",
    )


def _learned(folder: Path, figures: dict[str, float]) -> Finding:
    """A VLA's loss falls, and on held-out frames it beats the trivial answer."""
    losses = [row["loss"] for row in read_metrics(folder / "metrics.jsonl") if "loss" in row]
    pairs = {
        **{k: (v, figures[k.replace("accuracy", "majority")]) for k, v in figures.items() if k.startswith("accuracy_")},
        **{k: (-v, -figures["arms_l1_mean_rad"]) for k, v in figures.items() if k == "arms_l1_rad"},
    }
    words = ", ".join(f"{name} {abs(ours):.3f} (trivial {abs(base):.3f})" for name, (ours, base) in pairs.items())
    falls = len(losses) > 1 and losses[-1] < losses[0]
    return Finding(
        subject=f"vla {folder.name}",
        found=f"loss {losses[0]:.2f} to {losses[-1]:.2f}; held out: {words}" if losses else "no loss written",
        ok=falls and all(ours > base for ours, base in pairs.values()),
        remedy="train longer or on more demonstrations; `tensorboard --logdir` shows the curve",
    )
