"""A room while it is furnished: solids with the looks of a split, what they cover, and what they offer to touch."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.collect.ego.arms import Solid
from wbvla.collect.ego.goals import Footprint, Landmark, Target
from wbvla.collect.ego.looks import Rgb, palette, shade
from wbvla.core.rotation import quat_from_rpy, quat_multiply, quat_rotate
from wbvla.sim.furniture import UPRIGHT
from wbvla.sim.scene import Vector
from wbvla.sim.texture import add_sheet, add_wrap, outside, spines, surface

BOX, CYLINDER, PLANE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_PLANE
ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE
GLOW = {"lamp": (1.0, 0.95, 0.82), "screen": (0.16, 0.24, 0.34)}
"""materials that shine by themselves"""


class Spot:
    """A place with its own axes: at a wall x out of it, y along it, z up; or anywhere on the floor."""

    def __init__(self, origin: Vector, yaw: float) -> None:
        self.yaw = yaw
        self._quat = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        self._origin = np.array([origin[0], origin[1], 0.0])

    @staticmethod
    def at_wall(half: Float[np.ndarray, "2"], wall: int, along: float) -> "Spot":
        """On wall 0..3 (+x, -x, +y, -y) of a room with half sizes, so far from the wall's middle [m]."""
        yaw = (np.pi, 0.0, -np.pi / 2, np.pi / 2)[wall]
        quat = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        return Spot(quat_rotate(quat, np.array([-half[wall // 2], along, 0.0])), yaw)

    def at(self, xyz: Vector) -> Float[np.ndarray, "3"]:
        """A point of the spot in the world [m]."""
        return self._origin + quat_rotate(self._quat, np.array(xyz, dtype=np.float64))

    def turned(self, x: float, y: float, yaw: float) -> "Spot":
        """A spot within this one."""
        return Spot(self.at((x, y, 0.0)), self.yaw + yaw)

    def rectangle(self, low: tuple[float, float], high: tuple[float, float]) -> Footprint:
        """A rectangle of the spot as one along the walls; exact for spots at right angles to them."""
        corners = np.array([self.at((x, y, 0.0))[:2] for x in (low[0], high[0]) for y in (low[1], high[1])])
        a, b = corners.min(axis=0), corners.max(axis=0)
        return Footprint(low=(float(a[0]), float(a[1])), high=(float(b[0]), float(b[1])))


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A surface that can carry a box."""

    spot: Spot
    support: str
    """as it is called"""
    front: float
    """distance of its front edge from the spot's origin [m]"""
    width: float
    """[m]"""
    height: float
    """[m]"""


class Draft:
    """What pieces of furniture are added to."""

    def __init__(self, rng: np.random.Generator, split: str) -> None:
        self.rng, self.split, self.looks = rng, split, palette(split)
        self.model = mujoco.MjSpec()
        self.footprints: list[Footprint] = []
        self.landmarks: list[Landmark] = []
        self.targets: list[Target] = []
        self.shelves: list[Shelf] = []
        self.num_solids = 0
        self._materials: set[str] = set()

    def one_of(self, colours: tuple[Rgb, ...]) -> Rgb:
        """A colour near one of a list."""
        return shade(self.rng, colours[int(self.rng.integers(len(colours)))])

    def wood(self) -> Rgb:
        """Of a piece of furniture."""
        return self.one_of(self.looks.woods)

    def cloth(self) -> Rgb:
        """Of cushions, blankets and curtains."""
        return self.one_of(self.looks.cloths)

    def paint(self) -> Rgb:
        """Of doors and fronts."""
        return self.one_of(self.looks.paints)

    def material(self, name: str) -> str:
        """A material by name, made when it is first asked for: a glow, `books`, `outside`, or a surface as a wrap."""
        if name not in self._materials:
            self._materials.add(name)
            if name in GLOW:
                self.model.add_material(name=name, rgba=(*GLOW[name], 1.0), emission=0.7)
            elif name == "outside":
                add_sheet(self.model, name, outside(self.rng)).emission = 0.35
            else:
                image = np.rot90(spines(self.rng)) if name == "books" else surface(name, (0.95, 0.95, 0.95), self.rng)
                add_wrap(self.model, name, image)
        return name

    def solid(
        self, spot: Spot, kind: mujoco.mjtGeom, size: Vector, at: Vector, colour: Vector, material: str = ""
    ) -> mujoco.MjsGeom:
        """One part, in the axes of its spot; `size` and `at` [m]."""
        full = [*size, *([0.0] * (3 - len(size)))]
        quat = quat_from_rpy(np.array([0.0, 0.0, spot.yaw]))
        if kind == PLANE:
            quat = quat_multiply(quat, np.array(UPRIGHT))
        name = f"solid_{self.num_solids}"
        geom = self.model.worldbody.add_geom(name=name, type=kind, size=full, pos=spot.at(at), quat=quat)
        geom.contype, geom.conaffinity, geom.rgba = 0, 0, (*np.clip(colour, 0.0, 1.0), 1.0)
        if material:
            geom.material = self.material(material)
        self.num_solids += 1
        return geom

    def block(self, spot: Spot, kind: str, low: tuple[float, float], high: tuple[float, float]) -> Footprint:
        """Cover a part of the floor with a piece that others are told apart by; a soft shadow lies under it."""
        place = spot.rectangle(low, high)
        self.footprints.append(place)
        if kind:
            self.landmarks.append(Landmark(kind=kind, place=place))
        middle, half = (np.array(high) + low) / 2.0, (np.array(high) - low) / 2.0 + 0.05
        shadow = self.solid(spot, BOX, (*half, 0.0005), (*middle, 0.0095), (0.0, 0.0, 0.0))
        shadow.rgba = (0.0, 0.0, 0.0, 0.28)
        return place

    def offer(self, spot: Spot, noun: str, at: Vector, half: Vector, own: Footprint | None = None) -> None:
        """Let the part added last be touched, under a name; `round` is an ellipsoid."""
        x, y, z = (float(v) for v in spot.at(at))
        size = (float(half[0]), float(half[1]), float(half[2]))
        geom = self.model.geom(f"solid_{self.num_solids - 1}")
        solid = Solid(xyz=(x, y, z), half=size, yaw=spot.yaw, round=geom.type == ELLIPSOID)
        self.targets.append(Target(noun=noun, solid=solid, own=own, shape=self.num_solids - 1))

    def carry(self, spot: Spot, support: str, front: float, width: float, height: float) -> None:
        """Declare a surface that boxes may stand on."""
        self.shelves.append(Shelf(spot=spot, support=support, front=front, width=width, height=height))

    def put_box(self, spot: Spot, colour: str, half: Vector, at: Vector, support: str) -> None:
        """A coloured box with a strip of tape; `at` is the middle of its underside [m]."""
        x, y, z = at
        rgb = shade(self.rng, self.looks.boxes[colour])
        middle = (x, y, z + half[2])
        tape = np.array(rgb) * 0.45 + 0.5
        self.solid(spot, BOX, (half[0] + 0.001, 0.16 * half[1], half[2] + 0.001), middle, tape)
        self.solid(spot, BOX, half, middle, rgb)
        place, own = spot.at(middle), None
        if not support:
            low, high = (x - half[0], y - half[1]), (x + half[0], y + half[1])
            own = spot.rectangle(low, high)
            self.block(spot, "", low, high)
        solid = Solid(
            xyz=(float(place[0]), float(place[1]), float(place[2])),
            half=(float(half[0]), float(half[1]), float(half[2])),
            yaw=spot.yaw,
        )
        number = self.num_solids - (1 if support else 2)
        self.targets.append(Target(noun=f"{colour} box", solid=solid, support=support, own=own, shape=number))
