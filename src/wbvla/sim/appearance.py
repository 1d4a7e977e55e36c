"""What robots and rooms look like: a palette of materials, and primitives that carry no mass and touch nothing."""

from collections.abc import Iterable

import mujoco
import numpy as np

from wbvla.core.errors import RobotError
from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.description import ShapeFacts
from wbvla.sim.contact import NOTHING, ContactKind

GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}
PALETTE = {
    "shell": ((0.90, 0.91, 0.93, 1.0), 0.5),
    "panel": ((0.62, 0.66, 0.72, 1.0), 0.4),
    "joint": ((0.20, 0.21, 0.24, 1.0), 0.3),
    "visor": ((0.03, 0.04, 0.06, 1.0), 0.9),
    "accent": ((0.10, 0.45, 0.85, 1.0), 0.5),
    "eye": ((0.35, 0.85, 1.0, 1.0), 0.6),
    "rubber": ((0.10, 0.10, 0.11, 1.0), 0.1),
    "skin": ((0.87, 0.67, 0.53, 1.0), 0.1),
    "sleeve": ((0.24, 0.32, 0.48, 1.0), 0.05),
}
"""colour (r, g, b, a) and specular share"""
CEILING_GROUP, VISUAL_GROUP, COLLISION_GROUP = 1, 2, 3
"""a ceiling is not drawn together with shadows: it would keep the sun out; what only collides is never drawn"""


def add_palette(spec: mujoco.MjSpec) -> None:
    """Add the materials of `PALETTE`."""
    for name, (rgba, specular) in PALETTE.items():
        spec.add_material(name=name, rgba=rgba, specular=specular, shininess=0.4)


def add_shells(spec: mujoco.MjSpec, shapes: Iterable[ShapeFacts]) -> None:
    """Draw shapes on their links; a colour outside the palette raises RobotError."""
    for shape in shapes:
        if shape.colour not in PALETTE:
            raise RobotError(f"no colour {shape.colour!r} for {shape.link}; there are {', '.join(PALETTE)}")
        geom = add_shape(spec.body(shape.link), shape, NOTHING)
        geom.material = shape.colour
        geom.group = VISUAL_GROUP


def add_colliders(spec: mujoco.MjSpec, shapes: Iterable[ShapeFacts], kind: ContactKind) -> None:
    """Give links shapes that touch; drawn only when group 3 is shown."""
    for shape in shapes:
        add_shape(spec.body(shape.link), shape, kind).group = COLLISION_GROUP


def add_shape(body: mujoco.MjsBody, shape: ShapeFacts, kind: ContactKind) -> mujoco.MjsGeom:
    """One massless geometry on a body."""
    if shape.kind not in GEOM_TYPES:
        raise RobotError(f"no shape {shape.kind!r} for {shape.link}; there are {', '.join(GEOM_TYPES)}")
    size = [*shape.size, *([0.0] * (3 - len(shape.size)))]
    return body.add_geom(
        type=GEOM_TYPES[shape.kind],
        size=size,
        pos=shape.xyz,
        quat=quat_from_rpy(np.array(shape.rpy)),
        mass=0.0,
        contype=kind.contype,
        conaffinity=kind.conaffinity,
        friction=kind.friction,
        condim=kind.condim,
        priority=kind.priority,
    )
