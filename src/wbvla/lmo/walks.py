"""Events that rewards are paid for once: feet that touch down, walks that have come to an end."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wbvla.lmo.worlds import Worlds

STILL_MPS = 0.05
STILL_RADPS = 0.1
"""slower than both, by filtered velocities, a robot stands still again"""


def touch_down(worlds: Worlds, contact: Bool[Tensor, "world 2"], dt_s: float) -> Float[Tensor, "world 2"]:
    """How long the feet that touch down in this tick were in the air [s]; 0 for the others."""
    landed = worlds.air_s * contact
    worlds.air_s.copy_((worlds.air_s + dt_s) * ~contact)
    return landed


def end_walks(worlds: Worlds, off_rad: Float[Tensor, " world"]) -> Float[Tensor, " world"]:
    """Heading error of the walks that end in this tick [rad]; 0 for the others.

    A walk is the paper's episode of J_dir (arXiv 2512.11047): it begins when a flag leaves 0, goes on over any further
    commands, and ends when all are 0 and the robot stands still. `off_rad` is what the robot turned in this tick less
    what the reference asked for.
    """
    w, flagged = worlds, worlds.flags.abs().amax(1) > 0
    w.walk_error.copy_(torch.where(w.on_walk, w.walk_error, 0.0) + off_rad * (w.on_walk | flagged))
    calm = (w.velocity_f[:, :2].norm(dim=1) < STILL_MPS) & (w.velocity_f[:, 2].abs() < STILL_RADPS)
    ended = w.on_walk & ~flagged & ~w.moving & calm
    w.on_walk.copy_((w.on_walk | flagged) & ~ended)
    return w.walk_error * ended
