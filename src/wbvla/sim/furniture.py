"""Furniture that is seen and never met: along the walls, on the ceiling, and loose things that a task may scatter."""

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

from wbvla.sim.appearance import CEILING_GROUP
from wbvla.sim.contact import NOTHING
from wbvla.sim.texture import add_sheet, add_surface, add_wrap, outside, spines, surface

Triple = tuple[float, float, float]
BOX, PLANE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_PLANE
CYLINDER, ELLIPSOID = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_ELLIPSOID
UPRIGHT = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)
"""turns a plane that faces up to face x (quat_wxyz)"""
DOWN = (0.0, 1.0, 0.0, 0.0)
"""turns a plane that faces up to face down (quat_wxyz)"""
OAK, WALNUT, WHITE, STEEL = (0.76, 0.60, 0.42), (0.42, 0.30, 0.21), (0.93, 0.93, 0.91), (0.34, 0.35, 0.38)
PIECE = "room."
"""geometries of a piece of furniture are named `room.<piece>.<number>`"""


@dataclass(frozen=True)
class Spot:
    """A piece's place on a body: the wall's foot, with x out of the wall, y along it and z up; or a loose body."""

    body: mujoco.MjsBody
    name: str
    along: float = 0.0
    """[m]"""

    def add(self, kind: mujoco.mjtGeom, size: Triple, xyz: Triple, colour: Triple, material: str = "") -> None:
        """One part of the piece; `size` and `xyz` [m]."""
        number = sum(geom.name.startswith(f"{PIECE}{self.name}.") for geom in self.body.geoms)
        geom = self.body.add_geom(
            name=f"{PIECE}{self.name}.{number}",
            type=kind,
            size=size,
            pos=(xyz[0], xyz[1] + self.along, xyz[2]),
            mass=0.0,
            contype=NOTHING.contype,
            conaffinity=NOTHING.conaffinity,
            rgba=(*colour, 1.0),
        )
        if kind == PLANE:
            geom.quat = UPRIGHT
        if material:
            geom.material = material


def _shade(colour: Triple, factor: float) -> Triple:
    r, g, b = np.clip(np.array(colour) * factor, 0.0, 1.0)
    return float(r), float(g), float(b)


# Pieces along a wall.


def window(spot: Spot) -> None:
    """A window with a cross, a sill and curtains; outside are hills."""
    spot.add(PLANE, (0.55, 0.7, 0.1), (0.012, 0.0, 1.5), (0.99, 0.99, 0.99), "outside")
    for y, half in ((-0.72, 0.03), (0.0, 0.016), (0.72, 0.03)):
        spot.add(BOX, (0.022, half, 0.58), (0.01, y, 1.5), WHITE)
    for z in (0.94, 2.06):
        spot.add(BOX, (0.02, 0.74, 0.026), (0.01, 0.0, z), WHITE)
    spot.add(BOX, (0.07, 0.8, 0.014), (0.07, 0.0, 0.9), WHITE)
    for y in (-0.88, 0.88):
        spot.add(BOX, (0.03, 0.13, 0.66), (0.04, y, 1.5), (0.72, 0.66, 0.58), "cloth")


def door(spot: Spot) -> None:
    """A closed door in its frame."""
    spot.add(BOX, (0.02, 0.5, 1.04), (0.0, 0.0, 1.04), WHITE)
    spot.add(BOX, (0.022, 0.43, 1.0), (0.008, 0.0, 1.0), (0.80, 0.78, 0.74), "wood")
    for z, half in ((0.52, 0.36), (1.45, 0.36)):
        spot.add(BOX, (0.012, 0.3, half), (0.024, 0.0, z), (0.74, 0.72, 0.68))
    spot.add(BOX, (0.028, 0.05, 0.01), (0.045, 0.34, 1.0), (0.70, 0.66, 0.52))


def shelf(spot: Spot) -> None:
    """An open bookcase with books."""
    tall, wide, deep = 0.86, 0.5, 0.15
    spot.add(BOX, (0.008, wide, tall), (0.008, 0.0, tall), _shade(WALNUT, 0.8))
    for y in (-wide, wide):
        spot.add(BOX, (deep, 0.014, tall), (deep, y, tall), WALNUT)
    for level in np.linspace(0.06, 2 * tall - 0.014, 5):
        spot.add(BOX, (deep, wide, 0.013), (deep, 0.0, float(level)), WALNUT)
    for level, half, y in ((0.06, 0.44, 0.0), (0.47, 0.3, -0.14), (0.88, 0.38, 0.06), (1.29, 0.24, 0.2)):
        spot.add(BOX, (0.1, half, 0.13), (0.12, y, level + 0.143), (0.95, 0.95, 0.95), "books")


def cabinet(spot: Spot) -> None:
    """A sideboard with two doors and a lamp on it."""
    spot.add(BOX, (0.21, 0.55, 0.36), (0.21, 0.0, 0.42), OAK, "wood")
    spot.add(BOX, (0.18, 0.5, 0.03), (0.19, 0.0, 0.03), STEEL)
    for y in (-0.27, 0.27):
        spot.add(BOX, (0.008, 0.255, 0.32), (0.425, y, 0.42), _shade(OAK, 1.12))
        spot.add(BOX, (0.012, 0.008, 0.05), (0.436, y * 0.2, 0.5), STEEL)
    spot.add(CYLINDER, (0.07, 0.012, 0.0), (0.2, 0.34, 0.79), STEEL)
    spot.add(CYLINDER, (0.012, 0.13, 0.0), (0.2, 0.34, 0.93), STEEL)
    spot.add(CYLINDER, (0.12, 0.09, 0.0), (0.2, 0.34, 1.12), (0.98, 0.92, 0.74), "lamp")


def sofa(spot: Spot) -> None:
    """A two-seater."""
    cloth = (0.36, 0.44, 0.50)
    spot.add(BOX, (0.36, 0.72, 0.2), (0.4, 0.0, 0.22), cloth, "cloth")
    spot.add(BOX, (0.1, 0.72, 0.2), (0.13, 0.0, 0.6), _shade(cloth, 0.92), "cloth")
    for y in (-0.78, 0.78):
        spot.add(BOX, (0.37, 0.08, 0.3), (0.4, y, 0.32), _shade(cloth, 0.86), "cloth")
    spot.add(BOX, (0.07, 0.18, 0.17), (0.3, 0.45, 0.58), (0.80, 0.60, 0.28), "cloth")


def plant(spot: Spot) -> None:
    """A green plant in a pot."""
    rng = np.random.default_rng(7)
    spot.add(CYLINDER, (0.15, 0.16, 0.0), (0.3, 0.0, 0.16), (0.70, 0.42, 0.30))
    spot.add(CYLINDER, (0.018, 0.2, 0.0), (0.3, 0.0, 0.5), (0.36, 0.26, 0.18))
    for _ in range(5):
        x, y, z = (float(v) for v in rng.uniform((0.18, -0.14, 0.62), (0.42, 0.14, 1.15)))
        r, s, t = (float(v) for v in rng.uniform(0.1, 0.19, 3))
        spot.add(ELLIPSOID, (r, s, t), (x, y, z), (0.13, float(rng.uniform(0.3, 0.46)), 0.16))


def picture(spot: Spot) -> None:
    """A framed picture."""
    spot.add(BOX, (0.014, 0.36, 0.26), (0.012, 0.0, 1.55), (0.16, 0.13, 0.11))
    spot.add(BOX, (0.01, 0.32, 0.22), (0.02, 0.0, 1.55), WHITE)
    spot.add(PLANE, (0.16, 0.26, 0.1), (0.032, 0.0, 1.55), (0.9, 0.86, 0.8), "outside")


def clock(spot: Spot) -> None:
    """A square clock at five past ten."""
    spot.add(BOX, (0.012, 0.15, 0.15), (0.012, 0.0, 1.85), STEEL)
    spot.add(BOX, (0.012, 0.13, 0.13), (0.016, 0.0, 1.85), WHITE)
    spot.add(BOX, (0.012, 0.006, 0.05), (0.02, 0.0, 1.89), (0.1, 0.1, 0.1))
    spot.add(BOX, (0.012, 0.045, 0.006), (0.02, 0.03, 1.86), (0.1, 0.1, 0.1))


Build = Callable[[Spot], None]
WALLS: tuple[tuple[tuple[Build, float], ...], ...] = (
    ((window, -0.50), (picture, 0.36), (shelf, 0.62)),
    ((shelf, -0.66), (door, -0.02), (picture, 0.36), (cabinet, 0.62)),
    ((sofa, -0.60), (window, -0.10), (plant, 0.24), (clock, 0.40), (cabinet, 0.60)),
    ((door, -0.68), (cabinet, -0.30), (picture, 0.02), (window, 0.36), (plant, 0.72)),
)
"""per wall (+x, -x, +y, -y): pieces and where they stand, as a share of half the wall's length from its middle"""
SLACK_M = 0.16
"""a piece may stand this far from its place along the wall without meeting its neighbour in the default room [m]"""


# Loose things for the floor and for tabletops; `BELOW` hides what is not used.


def _parcels(spot: Spot) -> None:
    spot.add(BOX, (0.17, 0.22, 0.13), (0.0, 0.0, 0.13), (0.72, 0.54, 0.35), "wrap_cardboard")
    spot.add(BOX, (0.12, 0.15, 0.08), (0.03, -0.02, 0.34), (0.78, 0.62, 0.44), "wrap_cardboard")


def _bucket(spot: Spot) -> None:
    spot.add(CYLINDER, (0.13, 0.14, 0.0), (0.0, 0.0, 0.14), (0.30, 0.34, 0.40))
    spot.add(CYLINDER, (0.115, 0.004, 0.0), (0.0, 0.0, 0.282), (0.08, 0.08, 0.09))


def _ball(spot: Spot) -> None:
    spot.add(ELLIPSOID, (0.12, 0.12, 0.12), (0.0, 0.0, 0.12), (0.85, 0.42, 0.16), "wrap_checks")


def _stool(spot: Spot) -> None:
    spot.add(CYLINDER, (0.17, 0.02, 0.0), (0.0, 0.0, 0.43), (0.70, 0.50, 0.34))
    for x, y in ((0.1, 0.1), (0.1, -0.1), (-0.1, 0.1), (-0.1, -0.1)):
        spot.add(CYLINDER, (0.014, 0.205, 0.0), (x, y, 0.205), STEEL)


def _crate(spot: Spot) -> None:
    spot.add(BOX, (0.2, 0.15, 0.12), (0.0, 0.0, 0.12), (0.22, 0.44, 0.34), "wrap_checks")


def _pouf(spot: Spot) -> None:
    spot.add(CYLINDER, (0.24, 0.17, 0.0), (0.0, 0.0, 0.17), (0.56, 0.36, 0.42))


def _mug(spot: Spot) -> None:
    spot.add(CYLINDER, (0.038, 0.045, 0.0), (0.0, 0.0, 0.045), (0.86, 0.84, 0.78))
    spot.add(CYLINDER, (0.031, 0.002, 0.0), (0.0, 0.0, 0.09), (0.24, 0.15, 0.10))


def _book(spot: Spot) -> None:
    spot.add(BOX, (0.075, 0.105, 0.014), (0.0, 0.0, 0.014), (0.22, 0.36, 0.56))


def _bottle(spot: Spot) -> None:
    spot.add(CYLINDER, (0.032, 0.08, 0.0), (0.0, 0.0, 0.08), (0.25, 0.52, 0.44))
    spot.add(CYLINDER, (0.014, 0.035, 0.0), (0.0, 0.0, 0.19), (0.92, 0.92, 0.90))


def _packet(spot: Spot) -> None:
    spot.add(BOX, (0.035, 0.06, 0.085), (0.0, 0.0, 0.085), (0.84, 0.62, 0.24), "wrap_print")


LOOSE: dict[str, Build] = {
    "parcels": _parcels,
    "bucket": _bucket,
    "ball": _ball,
    "stool": _stool,
    "crate": _crate,
    "pouf": _pouf,
}
"""for the floor"""
SMALL: dict[str, Build] = {"mug": _mug, "book": _book, "bottle": _bottle, "packet": _packet}
"""for tabletops"""
BELOW = (0.0, 0.0, -3.0)
"""where loose things are kept when they are not used [m]"""


def add_materials(scene: mujoco.MjSpec, rng: np.random.Generator) -> None:
    """Materials of furniture, of lamps, and of wraps for objects (`wrap_<surface>`)."""
    light = (0.8, 0.8, 0.8)
    for name, edge_m in (("cloth", 0.08), ("wood", 0.7)):
        add_surface(scene, name, surface(name, light, rng), edge_m)
    add_sheet(scene, "outside", outside(rng)).emission = 0.35
    add_wrap(scene, "books", np.rot90(spines(rng)))
    scene.add_material(name="ceiling", rgba=(0.86, 0.86, 0.84, 1.0), emission=0.45)
    scene.add_material(name="lamp", rgba=(1.0, 0.97, 0.90, 1.0), emission=0.9)
    for name in ("cardboard", "cloth", "checks", "print", "stripes", "wood"):
        add_wrap(scene, f"wrap_{name}", surface(name, light, rng))


def furnish(scene: mujoco.MjSpec, half: tuple[float, float], height: float) -> None:
    """Pieces along the walls `wall_0` .. `wall_3`, a ceiling with lamps, and loose things below the floor."""
    for index, pieces in enumerate(WALLS):
        length = half[1] if index < 2 else half[0]
        for number, (build, share) in enumerate(pieces):
            build(Spot(scene.body(f"wall_{index}"), f"{build.__name__}_{index}{number}", share * length))
    world = scene.worldbody
    ceiling = world.add_geom(name=f"{PIECE}ceiling", type=PLANE, size=(*half, 0.1), pos=(0, 0, height), quat=DOWN)
    ceiling.material = "ceiling"
    panels = [
        world.add_geom(type=PLANE, size=(0.3, 0.6, 0.1), pos=(x * half[0], y * half[1], height - 0.01), quat=DOWN)
        for x, y in ((-0.45, -0.4), (-0.45, 0.4), (0.45, -0.4), (0.45, 0.4))
    ]
    for number, geom in enumerate((ceiling, *panels)):
        geom.contype, geom.conaffinity, geom.group = NOTHING.contype, NOTHING.conaffinity, CEILING_GROUP
        if number:
            geom.name, geom.material = f"{PIECE}lamp.{number}", "lamp"
    for name, build in (LOOSE | SMALL).items():
        build(Spot(world.add_body(name=f"{PIECE}{name}", pos=BELOW), name))
