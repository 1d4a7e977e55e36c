"""Sums over ticks and worlds for the training log: rewards per term, falls, stalls, tracking errors."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wbvla.lmo.reward_frame import Frame

AXES = ("x", "y", "yaw")
SETTLED = 0.9
"""a command counts as settled when a smoothed flag is above this [-]"""


class Tally:
    """Adds up ticks on the device of the worlds until it is drained."""

    def __init__(self, num_worlds: int, dt_s: float) -> None:
        self._num_worlds, self._dt_s = num_worlds, dt_s
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None
        self._ticks = 0

    def add(
        self,
        frame: Frame,
        parts: dict[str, Tensor],
        ended: tuple[Bool[Tensor, " world"], Bool[Tensor, " world"]],
        flags: Float[Tensor, "world 3"],
        sbar: Float[Tensor, "world 3"],
    ) -> None:
        """One tick; `parts` are the mean weighted rewards, `ended` who fell and who stalled."""
        row = {f"reward/{name}": value for name, value in parts.items()}
        row |= {name: who.sum() for name, who in zip(("falls", "stalls"), ended)}
        settled = frame.moving & (sbar.abs().amax(1) > SETTLED)
        for axis, name in enumerate(AXES):
            on = settled & (flags[:, axis] != 0)
            row[f"error_{name}"] = torch.where(on, frame.error_filtered[:, axis].abs(), 0.0).sum()
            row[f"count_{name}"] = on.sum()
        row["error_height"] = frame.height_error.abs().mean()
        values = torch.stack([value.float() for value in row.values()]).double()
        self._names = tuple(row)
        self._sums = values if self._sums is None else self._sums + values
        self._ticks += 1

    def drain(self) -> dict[str, float]:
        """Means since the last call; falls and stalls per robot-minute; then starts anew."""
        sums = dict(zip(self._names, self._sums.tolist())) if self._sums is not None else {}
        ticks = max(1, self._ticks)
        self._sums, self._ticks = None, 0
        minutes = ticks * self._num_worlds * self._dt_s / 60
        out = {name: value / ticks for name, value in sums.items() if name.startswith(("reward/", "error_height"))}
        for name in AXES:
            out[f"error_{name}"] = sums.get(f"error_{name}", 0.0) / max(1.0, sums.get(f"count_{name}", 0.0))
        for name in ("falls", "stalls"):
            out[f"{name}_per_minute"] = sums.get(name, 0.0) / minutes
        return out
