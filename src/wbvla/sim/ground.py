"""What a robot stands on: an endless plane, or a height field of random bumps."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.sim.contact import GROUND

BASE_M = 0.1
"""thickness of a height field below its lowest point [m]"""


@dataclass(frozen=True, kw_only=True)
class GroundConfig:
    """Flat, or uneven."""

    unevenness_m: float = 0.0
    """0: an endless plane; otherwise grid points of height U(0, this), flat triangles between them [m]"""
    cell_m: float = 0.1
    """distance of the grid's points [m]"""
    half_size_m: float = 14.0
    """the height field reaches this far from the origin along x and y [m]"""
    seed: int = 0
    """of the heights"""

    def __post_init__(self) -> None:
        if self.unevenness_m < 0 or not 0 < self.cell_m < self.half_size_m:
            raise ConfigError(f"ground needs unevenness >= 0 and 0 < cell < half size, not {self}")


class Ground:
    """One piece of ground: goes into a model, and tells its height."""

    def __init__(self, config: GroundConfig) -> None:
        self.config = config
        points = 2 * round(config.half_size_m / config.cell_m) + 1
        self._heights = np.random.default_rng(config.seed).uniform(0.0, 1.0, (points, points))
        self._heights -= self._heights.min()
        self._heights *= config.unevenness_m / self._heights.max()

    @property
    def is_flat(self) -> bool:
        return self.config.unevenness_m == 0

    def add(self, model: mujoco.MjSpec) -> None:
        """Put the ground into a model as geometry `floor`."""
        touch = {"contype": GROUND.contype, "conaffinity": GROUND.conaffinity}
        if self.is_flat:
            model.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 1.0], **touch)
            return
        c, points = self.config, self._heights.shape[0]
        model.add_hfield(
            name="floor",
            nrow=points,
            ncol=points,
            size=[c.half_size_m, c.half_size_m, c.unevenness_m, BASE_M],
            userdata=(self._heights / c.unevenness_m).flatten().tolist(),
        )
        model.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname="floor", **touch)

    def height(self, place_w: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
        """Of the ground at points of the plane, between grid points bilinear; held beyond its edge [m]."""
        if self.is_flat:
            return np.zeros(place_w.shape[:-1])
        c, last = self.config, self._heights.shape[0] - 1
        grid = np.clip((np.nan_to_num(place_w) + c.half_size_m) / c.cell_m, 0, last - 1e-6)
        low = grid.astype(np.int64)
        u, v = np.moveaxis(grid - low, -1, 0)
        col, row = np.moveaxis(low, -1, 0)
        corner = self._heights
        near = (1 - u) * corner[row, col] + u * corner[row, col + 1]
        far = (1 - u) * corner[row + 1, col] + u * corner[row + 1, col + 1]
        return np.asarray((1 - v) * near + v * far)
