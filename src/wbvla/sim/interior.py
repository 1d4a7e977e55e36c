"""Furniture that is met: pieces that stand where a seed puts them, each a body with a hidden box that robots touch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.rotation import yaw_of
from wbvla.sim import furniture
from wbvla.sim.appearance import COLLISION_GROUP
from wbvla.sim.contact import FIXED
from wbvla.sim.furniture import PIECE, Spot
from wbvla.sim.mjcf import camera_quat
from wbvla.sim.scene import RoomConfig, World

BOX, CYLINDER, ELLIPSOID = furniture.BOX, furniture.CYLINDER, furniture.ELLIPSOID
Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One kind of furniture; its frame is at the floor against the wall, x out of the wall."""

    build: Callable[[Spot], None]
    """what is seen"""
    low: Pair
    """the corner of its footprint at the wall, to the right [m]"""
    high: Pair
    """the other corner [m]"""
    height_m: float
    """of what is met [m]"""


def kitchen_table(spot: Spot) -> None:
    """A table with a bowl of fruit and a mug."""
    wood = (0.72, 0.55, 0.38)
    spot.add(BOX, (0.36, 0.58, 0.018), (0.38, 0.0, 0.742), wood, "wood")
    spot.add(BOX, (0.30, 0.52, 0.04), (0.38, 0.0, 0.69), (0.60, 0.45, 0.30))
    for x, y in ((0.07, 0.53), (0.69, 0.53), (0.07, -0.53), (0.69, -0.53)):
        spot.add(BOX, (0.028, 0.028, 0.36), (x, y, 0.36), (0.60, 0.45, 0.30))
    spot.add(CYLINDER, (0.13, 0.03, 0.0), (0.36, 0.12, 0.79), (0.90, 0.90, 0.88))
    for x, y, colour in (
        (0.33, 0.09, (0.85, 0.20, 0.15)),
        (0.40, 0.15, (0.95, 0.62, 0.12)),
        (0.34, 0.18, (0.5, 0.7, 0.2)),
    ):
        spot.add(ELLIPSOID, (0.045, 0.045, 0.045), (x, y, 0.845), colour)
    spot.add(CYLINDER, (0.038, 0.045, 0.0), (0.52, -0.26, 0.805), (0.20, 0.36, 0.62))


def fridge(spot: Spot) -> None:
    """A white fridge with two doors."""
    spot.add(BOX, (0.31, 0.31, 0.88), (0.32, 0.0, 0.89), (0.91, 0.92, 0.93))
    for z, half in ((0.50, 0.44), (1.36, 0.39)):
        spot.add(BOX, (0.012, 0.30, half), (0.64, 0.0, z), (0.96, 0.96, 0.96))
        spot.add(BOX, (0.016, 0.012, 0.14), (0.665, 0.25, z + 0.12), furniture.STEEL)
    spot.add(BOX, (0.006, 0.05, 0.035), (0.655, -0.1, 1.5), (0.85, 0.35, 0.30))
    spot.add(BOX, (0.006, 0.035, 0.05), (0.655, 0.02, 1.44), (0.95, 0.85, 0.35))


def low_table(spot: Spot) -> None:
    """A low table for the middle of a room."""
    spot.add(BOX, (0.28, 0.42, 0.02), (0.0, 0.0, 0.40), (0.50, 0.36, 0.25), "wood")
    for x, y in ((0.23, 0.36), (-0.23, 0.36), (0.23, -0.36), (-0.23, -0.36)):
        spot.add(BOX, (0.02, 0.02, 0.19), (x, y, 0.19), furniture.STEEL)
    spot.add(BOX, (0.09, 0.12, 0.012), (0.05, -0.12, 0.432), (0.30, 0.42, 0.60))


def shelf_with_plant(spot: Spot) -> None:
    """A bookcase with a plant at its side."""
    furniture.shelf(spot)
    furniture.plant(Spot(spot.body, f"{spot.name}_plant", spot.along - 0.78))


PIECES: dict[str, Piece] = {
    "kitchen_table": Piece(build=kitchen_table, low=(0.0, -0.60), high=(0.76, 0.60), height_m=0.76),
    "fridge": Piece(build=fridge, low=(0.0, -0.32), high=(0.67, 0.32), height_m=1.77),
    "sofa": Piece(build=furniture.sofa, low=(0.0, -0.86), high=(0.78, 0.86), height_m=0.62),
    "cabinet": Piece(build=furniture.cabinet, low=(0.0, -0.55), high=(0.45, 0.55), height_m=0.78),
    "shelf_with_plant": Piece(build=shelf_with_plant, low=(0.0, -1.0), high=(0.42, 0.52), height_m=1.72),
    "shelf": Piece(build=furniture.shelf, low=(0.0, -0.52), high=(0.32, 0.52), height_m=1.72),
    "low_table": Piece(build=low_table, low=(-0.28, -0.42), high=(0.28, 0.42), height_m=0.42),
}
"""by name of the body"""
OVERVIEW = "overview"
STANDING = ("shelf_", "door_", "cabinet_", "sofa_", "plant_")
"""what `furnish` puts along the walls that a room with pieces of its own has no place for"""


def add_pieces(scene: mujoco.MjSpec, names: Iterable[str]) -> None:
    """Pieces as bodies to be placed; the room's own furniture is taken away, its windows and pictures stay."""
    for index in range(4):
        for geom in list(scene.body(f"wall_{index}").geoms):
            if geom.name.startswith(tuple(PIECE + kind for kind in STANDING)):
                scene.delete(geom)
    for name in names:
        piece = PIECES[name]
        body = scene.worldbody.add_body(name=name, mocap=True)
        half = (np.array(piece.high) - np.array(piece.low)) / 2.0
        centre = (np.array(piece.high) + np.array(piece.low)) / 2.0
        met = body.add_geom(
            name=f"{name}.met",
            type=BOX,
            size=(*half, piece.height_m / 2.0),
            pos=(*centre, piece.height_m / 2.0),
            mass=0.0,
            contype=FIXED.contype,
            conaffinity=FIXED.conaffinity,
            friction=FIXED.friction,
            condim=FIXED.condim,
        )
        met.group = COLLISION_GROUP
        piece.build(Spot(body, name))


def add_overview(scene: mujoco.MjSpec, room: RoomConfig, aside: float = 1.35) -> None:
    """A camera `overview` outside, above the room, that sees all of its floor; walls are open from behind, and with
    shadows there is no ceiling.

    Args:
        aside: where it stands along x, in half lengths of the room [-].
    """
    x, y = aside * room.half_x, -1.9 * room.half_y
    quat = camera_quat(0.66, float(np.arctan2(-y, -x)))
    scene.worldbody.add_camera(name=OVERVIEW, pos=(x, y, 2.4 * room.height), quat=quat, fovy=42.0)


def corners(world: World, name: str) -> Float[np.ndarray, "4 2"]:
    """Corners of a piece's footprint in the world [m]."""
    piece, (xyz, quat) = PIECES[name], world.body_pose(name)
    local = np.array([(x, y) for x in (piece.low[0], piece.high[0]) for y in (piece.low[1], piece.high[1])])
    yaw = float(yaw_of(quat))
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    return xyz[:2] + local @ turn.T


def front(world: World, name: str, away_m: float) -> tuple[Float[np.ndarray, "2"], float]:
    """A place so far before a piece's front [m], and the heading that looks at the piece [rad]."""
    piece, (xyz, quat) = PIECES[name], world.body_pose(name)
    yaw, middle = float(yaw_of(quat)), (piece.low[1] + piece.high[1]) / 2.0
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    return xyz[:2] + (piece.high[0] + away_m) * ahead + middle * left, yaw + np.pi


def from_front_m(world: World, name: str, xy: Float[np.ndarray, "2"]) -> float:
    """Distance of a point from the nearest point of a piece's footprint; 0 inside [m]."""
    piece, (xyz, quat) = PIECES[name], world.body_pose(name)
    yaw, way = float(yaw_of(quat)), xy - xyz[:2]
    local = np.array([np.cos(yaw) * way[0] + np.sin(yaw) * way[1], -np.sin(yaw) * way[0] + np.cos(yaw) * way[1]])
    nearest = np.clip(local, piece.low, piece.high)
    return float(np.linalg.norm(local - nearest))


class Touches:
    """An `Actor` that notes which bodies of the world, floor apart, the robot has met since the reset."""

    def __init__(self, world: World) -> None:
        model = world.model
        self._robot = np.asarray(model.body_rootid == world.root)
        soles = [world.model.geom(i).name for i in range(model.ngeom)]
        self._sole: Bool[np.ndarray, " geom"] = np.array(["_sole_" in name for name in soles])
        self.met: dict[str, float] = {}
        """body -> when it was first met [s]"""
        world.actors.append(self)

    def reset(self) -> None:
        """Nothing has been met."""
        self.met = {}

    def move(self, world: World) -> None:
        """It only watches."""

    def feel(self, world: World) -> None:
        """Look at the contacts of the last step."""
        if not world.data.ncon:
            return
        pairs = world.data.contact.geom[world.data.contact.dist < 0.0]
        pairs = pairs[~self._sole[pairs].any(axis=1)]
        for pair in pairs:
            first, second = (int(world.model.geom_bodyid[geom]) for geom in pair)
            if self._robot[first] != self._robot[second]:
                name = world.model.body(second if self._robot[first] else first).name
                self.met.setdefault(name, world.time_s)
