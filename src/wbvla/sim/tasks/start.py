"""Where a robot starts before what it shall reach: the ranges of the paper by difficulty, in view or to be searched."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.errors import ConfigError
from wbvla.sim.scene import World

VIEW, SEARCH = "view", "search"
SEEN_SHARE = 0.5
"""a target of which the head camera sees less than this share at the start has to be searched [-]"""
ASPECT = 4.0 / 3.0
"""width over height of the robot's own pictures [-]"""
DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start, seen from the target's own axis, along which the robot will stand before it."""

    distance_m: float
    """robot's root to target, along the axis [m]"""
    lateral_m: float = 0.0
    """robot left of the axis [m]"""
    heading_rad: float = 0.0
    """robot turned left of the axis [rad]"""


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Ranges of the paper's start-pose study (arXiv 2512.11047): 1.0 to 1.5 m, +-75 cm, +-60 degrees."""

    distance_m: tuple[float, float] = (1.0, 1.5)
    """nearest start, and the farthest at full difficulty [m]"""
    lateral_m: float = 0.75
    """farthest beside the axis at full difficulty [m]"""
    heading_rad: float = np.pi / 3
    """largest turn at full difficulty [rad]"""
    difficulty: float = 0.5
    """0 = straight ahead at the nearest distance, 1 = all of the ranges [-]"""
    split: str = VIEW
    """`view`: at least half of the target is in the head camera's picture; `search`: less"""

    def __post_init__(self) -> None:
        if self.split not in (VIEW, SEARCH) or not 0.0 <= self.difficulty <= 1.0:
            raise ConfigError(f"starts need a split in ({VIEW}, {SEARCH}) and a difficulty in 0..1, not {self}")


def draw_start(rng: np.random.Generator, config: StartConfig) -> Start:
    """One start from all of the ranges, whether in view or not."""
    near, far = config.distance_m
    lateral, heading = rng.uniform(-1, 1, 2) * (config.lateral_m, config.heading_rad) * config.difficulty
    return Start(
        distance_m=float(rng.uniform(near, near + (far - near) * config.difficulty)),
        lateral_m=float(lateral),
        heading_rad=float(heading),
    )


def place_robot(world: World, target_xy: Float[np.ndarray, "2"], axis_rad: float, start: Start) -> None:
    """Put the robot at a start; everything else goes back to where the scene put it, so place objects after this."""
    ahead = np.array([np.cos(axis_rad), np.sin(axis_rad)])
    left = np.array([-ahead[1], ahead[0]])
    xy = np.asarray(target_xy) - start.distance_m * ahead + start.lateral_m * left
    world.reset((float(xy[0]), float(xy[1])), axis_rad + start.heading_rad)


def draw_in_split(
    world: World,
    config: StartConfig,
    rng: np.random.Generator,
    place: Callable[[Start], None],
    target: str,
    camera: str = "head",
) -> Start:
    """The first start that belongs to the split, with the world placed there by `place`; seen by a camera or not.

    Raises ConfigError when none of many does: nothing near is out of view, or nothing far is in view.
    """
    for _ in range(DRAWS):
        start = draw_start(rng, config)
        place(start)
        if (seen_share(world, target, camera) >= SEEN_SHARE) == (config.split == VIEW):
            return start
    raise ConfigError(f"none of {DRAWS} starts of {config} is in the split {config.split!r}: change the difficulty")


def seen_share(world: World, target: str, camera: str = "head") -> float:
    """Share of a body's largest box that falls into a camera's picture; what stands before it is not looked at."""
    seen = in_picture(world, _grid(world, target), camera)
    return float(seen.mean())


def in_picture(
    world: World, points_w: Float[np.ndarray, "point 3"], camera: str = "head"
) -> Bool[np.ndarray, " point"]:
    """Which points of the world fall into a camera's picture of 4:3."""
    view = world.data.camera(camera)
    seen = (points_w - view.xpos) @ view.xmat.reshape(3, 3)
    half, depth = np.tan(np.deg2rad(float(world.model.camera(camera).fovy[0])) / 2), -seen[:, 2]
    return (depth > 0) & (np.abs(seen[:, 1]) < half * depth) & (np.abs(seen[:, 0]) < half * ASPECT * depth)


def _grid(world: World, target: str) -> Float[np.ndarray, "point 3"]:
    """Points all through the largest geometry of a body, in the world."""
    model, body = world.model, world.model.body(target)
    geoms = range(int(body.geomadr[0]), int(body.geomadr[0] + body.geomnum[0]))
    largest = max(geoms, key=lambda g: float(np.prod(model.geom_aabb[g, 3:])))
    steps = np.array(np.meshgrid(*[np.linspace(-1, 1, 5)] * 3)).reshape(3, -1).T
    local = model.geom_aabb[largest, :3] + steps * model.geom_aabb[largest, 3:]
    return world.data.geom_xpos[largest] + local @ world.data.geom_xmat[largest].reshape(3, 3).T
