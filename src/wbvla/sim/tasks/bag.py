"""A paper shopping bag: one free body of rigid parts (filled body, folded top, handles), resized by seed."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy
from wbvla.sim.contact import FREE, NOTHING
from wbvla.sim.scene import World

BOX, CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE
PAPER, FOLD, CORD, PRINT = "paper", "fold", "cord", "print"
ROOF_M, RIDGE_M = 0.045, 0.018
"""height of the slanted part above the body, and of the folded ridge on top of it [m]"""
HANDLE_HALF_M, HANDLE_RISE_M, CORD_M = 0.045, 0.075, 0.0035
"""half width and height of a handle, radius of its cord [m]"""
KRAFT = (0.72, 0.56, 0.38)
"""red, green, blue of the paper where no seed chooses another colour [0..1]"""
BRIGHTNESS = {PAPER: 1.0, FOLD: 0.88, CORD: 0.5, PRINT: 0.3}
"""of each part against the paper [-]"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One rigid geometry of the bag, in the frame of its body's middle."""

    name: str
    kind: mujoco.mjtGeom
    size: tuple[float, float, float]
    """as MuJoCo takes it: half sizes of a box; radius, half length, 0 of a capsule [m]"""
    xyz: tuple[float, float, float]
    """[m]"""
    pitch: float = 0.0
    """turn about y [rad]"""
    roll: float = 0.0
    """turn about x [rad]"""
    look: str = PAPER
    solid: bool = True
    """whether it is met; print and hem are only seen"""


def parts_of(half: Float[np.ndarray, "3"]) -> tuple[Part, ...]:
    """All parts of a bag whose filled body has these half sizes: depth, width, height [m]."""
    x, y, z = (float(v) for v in half)
    ridge = z + ROOF_M
    slope = float(np.hypot(x, ROOF_M))
    lean = float(np.arctan2(x, ROOF_M))
    parts = [
        Part(name="body", kind=BOX, size=(x, y, z), xyz=(0.0, 0.0, 0.0)),
        Part(name="ridge", kind=BOX, size=(0.006, 0.97 * y, RIDGE_M), xyz=(0.0, 0.0, ridge + RIDGE_M), look=FOLD),
        Part(name="hem", kind=BOX, size=(x + 5e-4, y + 5e-4, 0.006), xyz=(0.0, 0.0, 0.006 - z), look=FOLD, solid=False),
    ]
    for side, sign in (("front", -1), ("back", 1)):
        middle = (sign * x / 2, 0.0, z + ROOF_M / 2)
        roof, mark = (0.0012, 0.985 * y, slope / 2), (0.0006, 0.42 * y, 0.30 * z)
        middle, face = (sign * x / 2, 0.0, z + ROOF_M / 2), (sign * (x + 4e-4), 0.0, 0.0)
        parts.append(Part(name=f"roof_{side}", kind=BOX, size=roof, xyz=middle, pitch=-sign * lean))
        parts.append(Part(name=f"print_{side}", kind=BOX, size=mark, xyz=face, look=PRINT, solid=False))
        parts += _handle(side, sign, ridge)
    return tuple(parts)


def add_bag(scene: mujoco.MjSpec, name: str, half: Float[np.ndarray, "3"], mass: float) -> mujoco.MjsBody:
    """A free bag, standing on the floor until it is placed; the mass [kg] is spread over its filled body."""
    body = scene.worldbody.add_body(name=name, pos=(1.0, 0.0, float(half[2])))
    body.add_freejoint(name=name)
    for part in parts_of(half):
        contact = FREE if part.solid else NOTHING
        geom = body.add_geom(
            name=_geom_name(name, part),
            type=part.kind,
            size=part.size,
            pos=part.xyz,
            quat=_quat(part),
            mass=mass if part.name == "body" else 0.0,
            contype=contact.contype,
            conaffinity=contact.conaffinity,
            friction=contact.friction,
            condim=contact.condim,
        )
        geom.rgba = (*(BRIGHTNESS[part.look] * np.array(KRAFT)), 1.0)
    return body


def resize_bag(world: World, name: str, half: Float[np.ndarray, "3"], mass: float) -> None:
    """Give a bag another size [m] and mass [kg] without compiling again."""
    model, body = world.model, world.model.body(name)
    if (np.asarray(half) <= 0.0).any() or mass <= 0.0:
        raise ConfigError(f"bag {name!r} needs positive half sizes and mass, not {list(half)} m and {mass} kg")
    for part in parts_of(half):
        geom = model.geom(_geom_name(name, part)).id
        model.geom_size[geom], model.geom_pos[geom], model.geom_quat[geom] = part.size, part.xyz, _quat(part)
        radius, length, _ = part.size
        bounds = (radius, radius, radius + length) if part.kind == CAPSULE else part.size
        model.geom_aabb[geom, 3:] = bounds
        model.geom_rbound[geom] = radius + length if part.kind == CAPSULE else float(np.linalg.norm(part.size))
    squares = np.square(half)
    model.body_mass[body.id] = mass
    model.body_inertia[body.id] = mass * (squares.sum() - squares) / 3.0
    mujoco.mj_setConst(model, world.data)


def _handle(side: str, sign: int, ridge: float) -> list[Part]:
    """An arch of cord that stands out a little from the ridge."""
    x, low, high = sign * 0.012, ridge + RIDGE_M, ridge + RIDGE_M + HANDLE_RISE_M
    rise = (CORD_M, HANDLE_RISE_M / 2, 0.0)
    middle = (low + high) / 2
    legs = [
        Part(name=f"cord_{side}_{end}", kind=CAPSULE, size=rise, xyz=(x, way * HANDLE_HALF_M, middle), look=CORD)
        for end, way in (("left", 1), ("right", -1))
    ]
    across = (CORD_M, HANDLE_HALF_M, 0.0)
    top = Part(name=f"cord_{side}", kind=CAPSULE, size=across, xyz=(x, 0.0, high), roll=np.pi / 2, look=CORD)
    return [*legs, top]


def _quat(part: Part) -> Float[np.ndarray, "4"]:
    return quat_from_rpy(np.array([part.roll, part.pitch, 0.0]))


def _geom_name(name: str, part: Part) -> str:
    """The filled body bears the bag's own name, so that what is known of boxes holds for it."""
    return name if part.name == "body" else f"{name}_{part.name}"
