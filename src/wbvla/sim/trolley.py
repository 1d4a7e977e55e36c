"""A loading trolley with its brakes on: a bed on four posts and wheels, a handle at one end; it stands where placed."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from wbvla.robots.description import ShapeFacts
from wbvla.sim.appearance import add_shape
from wbvla.sim.contact import FIXED, NOTHING
from wbvla.sim.scene import World

STEEL, RUBBER = (0.55, 0.57, 0.60), (0.12, 0.12, 0.13)


@dataclass(frozen=True, kw_only=True)
class TrolleyConfig:
    """Sizes; x is the way a robot looks that stands before the bed's near edge."""

    height_m: float = 0.54
    """top of the bed above the floor"""
    depth_m: float = 0.45
    """of the bed, along x"""
    width_m: float = 0.70
    """of the bed, along y"""
    thickness_m: float = 0.025
    """of the bed"""
    post_inset_m: float = 0.10
    """the posts stand this far inside the near and far edges, so that knees pass beside them"""
    wheel_m: float = 0.06
    """radius of the wheels"""
    handle_m: float = 0.34
    """the handle's bar rises this far above the bed"""


def add_trolley(scene: mujoco.MjSpec, name: str, config: TrolleyConfig, colour: Sequence[float]) -> mujoco.MjsBody:
    """A trolley whose origin is the middle of the bed's top; `World.place` puts it somewhere.

    It cannot be moved: its wheels are braked, and the few newtons of a box that is set down would not move it.
    """
    body = scene.worldbody.add_body(name=name, pos=(1.0, 1.0, config.height_m), mocap=True)
    depth, width, slab = config.depth_m / 2, config.width_m / 2, config.thickness_m / 2
    _part(body, "box", (depth, width, slab), (0.0, 0.0, -slab), colour).name = name
    foot = config.height_m - config.thickness_m - 2 * config.wheel_m
    for x in (depth - config.post_inset_m, config.post_inset_m - depth):
        for y in (width - 0.03, 0.03 - width):
            _part(body, "box", (0.015, 0.015, foot / 2), (x, y, -config.thickness_m - foot / 2), STEEL)
            low = config.wheel_m - config.height_m
            _part(body, "cylinder", (config.wheel_m, 0.018), (x, y, low), RUBBER, rpy=(np.pi / 2, 0.0, 0.0))
    for y in (width - 0.03, 0.03 - width):
        # Braces along x tie the posts together well inside, where no knee goes.
        reach = depth - config.post_inset_m
        _part(body, "box", (reach, 0.010, 0.010), (0.0, y, 0.16 - config.height_m), STEEL)
    end = width + 0.02
    for x in (depth - 0.06, 0.06 - depth):
        _part(body, "box", (0.012, 0.012, config.handle_m / 2), (x, end, config.handle_m / 2 - 0.04), STEEL)
    bar = (0.014, depth - 0.06)
    _part(body, "cylinder", bar, (0.0, end, config.handle_m - 0.04), RUBBER, rpy=(0.0, np.pi / 2, 0.0))
    stripe = add_shape(body, ShapeFacts(link=name, kind="box", size=(depth - 0.02, width - 0.02, 0.0006)), NOTHING)
    stripe.rgba = (*(0.55 * np.array(colour) + 0.2), 1.0)
    return body


def _part(
    body: mujoco.MjsBody,
    kind: str,
    size: tuple[float, ...],
    xyz: tuple[float, float, float],
    colour: Sequence[float],
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> mujoco.MjsGeom:
    geom = add_shape(body, ShapeFacts(link=body.name, kind=kind, size=size, xyz=xyz, rpy=rpy), FIXED)
    geom.rgba = (*colour, 1.0)
    return geom


def bed_half(world: World, name: str) -> np.ndarray:
    """Half depth, width and thickness of a trolley's bed [m]."""
    return world.model.geom(name).size.copy()
