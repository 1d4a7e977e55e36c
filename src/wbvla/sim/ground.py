"""What a robot stands on: an endless plane, a plane with round bumps, or a height field."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.sim.contact import GROUND

CAP_RADIUS_M = 0.25
"""of the spheres whose caps are the bumps: one of 2 cm is 20 cm wide [m]"""
BASE_M = 0.1
"""thickness of a height field below its lowest point [m]"""


@dataclass(frozen=True, kw_only=True)
class GroundConfig:
    """Flat, or uneven."""

    unevenness_m: float = 0.0
    """0: an endless plane; otherwise the grid's points have heights U(0, this) [m]"""
    shape: str = "field"
    """`field`: flat triangles between grid points; `caps`: a round bump in the plane at each grid point"""
    cell_m: float = 0.1
    """distance of the grid's points [m]"""
    half_size_m: float = 14.0
    """the grid reaches this far from the origin along x and y; beyond it `caps` are flat, a `field` ends [m]"""
    seed: int = 0
    """of the heights"""

    def __post_init__(self) -> None:
        if self.unevenness_m < 0 or not 0 < self.cell_m < self.half_size_m:
            raise ConfigError(f"ground needs unevenness >= 0 and 0 < cell < half size, not {self}")
        if self.shape not in ("field", "caps"):
            raise ConfigError(f"no shape of ground {self.shape!r}; known: field, caps")


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
        if self.is_flat or self.config.shape == "caps":
            model.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 1.0], **touch)
        if self.is_flat:
            return
        if self.config.shape == "caps":
            for x, y, top in self._caps():
                place = (x, y, top - CAP_RADIUS_M)
                size = [CAP_RADIUS_M, 0.0, 0.0]
                model.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=size, pos=place, **touch)
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

    def _caps(self) -> Float[np.ndarray, "cap 3"]:
        """Centre in the plane and height of each bump [m]."""
        c = self.config
        line = np.linspace(-c.half_size_m, c.half_size_m, self._heights.shape[0])
        y, x = np.meshgrid(line, line, indexing="ij")
        return np.stack([x.ravel(), y.ravel(), self._heights.ravel()], axis=1)

    def _over_caps(self, place_w: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
        """The highest of the plane and the caps near a place [m]."""
        c, last = self.config, self._heights.shape[0] - 1
        grid = np.nan_to_num(place_w) / c.cell_m + last / 2
        near, reach = np.round(grid).astype(np.int64), round(np.ceil(2 * CAP_RADIUS_M * 0.3 / c.cell_m))
        best = np.zeros(place_w.shape[:-1])
        for dx in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                point = np.clip(near + np.array([dx, dy]), 0, last)
                away2 = (((grid - point) * c.cell_m) ** 2).sum(-1)
                top = self._heights[point[..., 1], point[..., 0]] - CAP_RADIUS_M
                best = np.maximum(best, top + np.sqrt(np.maximum(CAP_RADIUS_M**2 - away2, 0.0)))
        return best

    def height(self, place_w: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
        """Of the ground at points of the plane, of a field between grid points bilinear; held beyond its edge [m]."""
        if self.is_flat:
            return np.zeros(place_w.shape[:-1])
        if self.config.shape == "caps":
            return self._over_caps(place_w)
        c, last = self.config, self._heights.shape[0] - 1
        grid = np.clip((np.nan_to_num(place_w) + c.half_size_m) / c.cell_m, 0, last - 1e-6)
        low = grid.astype(np.int64)
        u, v = np.moveaxis(grid - low, -1, 0)
        col, row = np.moveaxis(low, -1, 0)
        corner = self._heights
        near = (1 - u) * corner[row, col] + u * corner[row, col + 1]
        far = (1 - u) * corner[row + 1, col] + u * corner[row + 1, col + 1]
        return np.asarray((1 - v) * near + v * far)
