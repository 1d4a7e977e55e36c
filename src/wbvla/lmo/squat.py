"""The squat the controller starts from: where the ankle is at its limit the trunk leans to keep balance.

The robot's squat table keeps the pelvis upright; at its lowest rows the ankle cannot bend further, the centre of mass
moves back over the heels, and a controller that starts from there learns to creep backwards instead of to squat.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.robots.description import RobotSpec
from wbvla.robots.kinematics import SquatTable, centre_of_mass, height_reference, link_poses, squat_table

COM_AHEAD_M = 0.03
"""of the ankles, as in the squat table [m]"""
MAX_LEAN = 0.6
"""[rad]"""


@dataclass(frozen=True)
class SquatReference:
    """Targets of the low-level joints at evenly spaced heights."""

    low_m: float
    """stance height of the first row [m]"""
    step_m: float
    rows: tuple[tuple[float, ...], ...]
    """[rad]"""


@lru_cache(maxsize=8)
def squat_reference(spec: RobotSpec) -> SquatReference:
    """Solved once per robot and process (it takes about a second)."""
    table = squat_table(spec)
    rows = leaning_reference(spec, table).tolist()
    step = float(table.height_m[1] - table.height_m[0])
    return SquatReference(float(table.height_m[0]), step, tuple(tuple(row) for row in rows))


class LegReference:
    """The same table for batched tensors: linear between rows, held beyond the ends."""

    def __init__(self, reference: SquatReference) -> None:
        self._low, self._step = reference.low_m, reference.step_m
        self._rows = torch.tensor(reference.rows, dtype=torch.float32)

    def __call__(self, height_m: Float[Tensor, " world"]) -> Float[Tensor, "world lmo"]:
        """Targets of the low-level joints for stance heights [rad]."""
        place = ((height_m - self._low) / self._step).clamp(0, len(self._rows) - 1.0001)
        row, blend = place.long(), (place % 1.0)[:, None]
        return (1 - blend) * self._rows[row] + blend * self._rows[row + 1]


def leaning_reference(spec: RobotSpec, table: SquatTable) -> Float[np.ndarray, "row lmo"]:
    """Targets of the low-level joints by height: the table's, leaning forward where it cannot stay upright [rad].

    Solves (knee, lean) for height and centre of mass with the ankle kept and the sole flat:
    hip = -knee - ankle - lean. Raises ConfigError when a row is not reached within 1 mm.
    """
    rows = height_reference(table, table.height_m)
    names = list(spec.lmo_joints)
    hip, knee = ([i for i, n in enumerate(names) if kind in n] for kind in ("hip_pitch", "knee"))
    goal = np.stack([table.height_m, np.full(len(rows), COM_AHEAD_M)], axis=1)
    x = np.stack([rows[:, knee[0]], np.zeros(len(rows))], axis=1)

    def pose(x: Float[np.ndarray, "row 2"]) -> Float[np.ndarray, "row lmo"]:
        out = rows.copy()
        shift = x[:, 0] - rows[:, knee[0]]
        out[:, knee] = x[:, :1]
        out[:, hip] = rows[:, hip] - (shift + x[:, 1])[:, None]
        return out

    active = goal[:, 1] - _stance(spec, rows, np.zeros(len(rows)))[:, 1] > 2e-3
    step = 1e-5
    for _ in range(30):
        now = _stance(spec, pose(x), x[:, 1])
        slopes = [(_stance(spec, pose(x + step * e), (x + step * e)[:, 1]) - now) / step for e in np.eye(2)]
        move = np.linalg.solve(np.stack(slopes, axis=-1) + 1e-9 * np.eye(2), (goal - now)[..., None])[..., 0]
        x = x + np.where(active[:, None], np.clip(move, -0.1, 0.1), 0.0)
        x[:, 1] = np.clip(x[:, 1], 0.0, MAX_LEAN)
    reached = _stance(spec, pose(x), x[:, 1])
    if np.abs(reached[:, 0] - table.height_m).max() > 1e-3:
        raise ConfigError(f"{spec.name}: no leaning squat reaches {table.height_m[0]:.3f} m; raise its height range")
    return pose(x)


def _stance(
    spec: RobotSpec, legs: Float[np.ndarray, "row lmo"], lean: Float[np.ndarray, " row"]
) -> Float[np.ndarray, "row 2"]:
    """Root above the sole and centre of mass before the left ankle, the root pitched forward by `lean` [m]."""
    q = np.tile(spec.column("default"), (len(legs), 1))
    q[:, spec.indices(spec.lmo_joints)] = legs
    ankle = link_poses(spec, q)[spec.foot_links[0]].xyz
    sole = min(point[2] for point in spec.sole_points) - spec.sole_radius
    ahead = centre_of_mass(spec, q) - ankle
    cos, sin = np.cos(lean), np.sin(lean)
    height = sin * ankle[:, 0] - cos * ankle[:, 2] - sole
    return np.stack([height, cos * ahead[:, 0] + sin * ahead[:, 2]], axis=1)
