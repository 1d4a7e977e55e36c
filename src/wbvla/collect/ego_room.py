"""A furnished room with coloured boxes, and the camera and hands of a person in it, as a MuJoCo model for drawing."""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from wbvla.core.rotation import quat_from_rpy, quat_multiply, quat_rotate
from wbvla.data.features import pinhole
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.mjcf import camera_quat
from wbvla.sim.scene import RoomConfig, Vector, add_room
from wbvla.sim.texture import add_surface, surface

COLOURS = {
    "red": (0.82, 0.12, 0.10),
    "green": (0.12, 0.60, 0.20),
    "blue": (0.10, 0.25, 0.80),
    "yellow": (0.93, 0.80, 0.12),
    "orange": (0.95, 0.48, 0.08),
    "purple": (0.50, 0.18, 0.62),
}
WOODS = ((0.72, 0.56, 0.40), (0.45, 0.31, 0.21), (0.85, 0.80, 0.72), (0.30, 0.31, 0.34), (0.93, 0.93, 0.92))
BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE


@dataclass(frozen=True, kw_only=True)
class Target:
    """A coloured box a person may want."""

    colour: str
    place: str
    """`floor`, `table` or `cabinet`"""
    xyz: tuple[float, float, float]
    """its middle [m]"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What stands on the floor, as a rectangle along the walls [m]."""

    low: tuple[float, float]
    high: tuple[float, float]


class RoomPlan:
    """Furnishes a room piece by piece, all of it drawn from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.model = mujoco.MjSpec()
        self.half = np.array([rng.uniform(2.6, 3.6), rng.uniform(2.2, 3.0)])
        self.targets: list[Target] = []
        self.footprints: list[Footprint] = []
        room = RoomConfig(
            half_x=self.half[0],
            half_y=self.half[1],
            height=rng.uniform(2.4, 2.9),
            floor=str(rng.choice(["planks", "tiles", "carpet"])),
            floor_colour=self._tint(rng.uniform(0.35, 0.75), 0.12),
            wall=str(rng.choice(["plaster", "stripes", "plaster"])),
            wall_colour=self._tint(rng.uniform(0.62, 0.92), 0.10),
            light=rng.uniform(0.75, 1.15),
            seed=int(rng.integers(1 << 31)),
            furnished=False,
        )
        add_room(self.model, room)
        self.model.visual.map.znear = 0.02
        self.colours = list(rng.permutation(list(COLOURS)))
        self._rug()
        for wall in range(4):
            self._furnish_wall(wall)
        for _ in range(2):
            self._loose_box()
        if not self.targets:
            self._put_box(0.0, 0.0)
        self._person()

    def _tint(self, level: float, spread: float) -> tuple[float, float, float]:
        r, g, b = np.clip(level + self.rng.uniform(-spread, spread, 3), 0.05, 0.98)
        return float(r), float(g), float(b)

    def _solid(
        self, kind: mujoco.mjtGeom, size: Vector, xyz: Vector, colour: Vector, yaw: float = 0.0
    ) -> mujoco.MjsGeom:
        full = [*size, *([0.0] * (3 - len(size)))]
        quat = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        geom = self.model.worldbody.add_geom(type=kind, size=full, pos=xyz, quat=quat, contype=0, conaffinity=0)
        geom.rgba = (*colour, 1.0)
        return geom

    def _rug(self) -> None:
        half = self.rng.uniform((0.7, 0.5), (1.3, 0.9))
        image = surface("carpet", self._tint(self.rng.uniform(0.3, 0.7), 0.2), self.rng)
        rug = self._solid(BOX, (*half, 0.004), (*self.rng.uniform(-0.6, 0.6, 2), 0.004), (1.0, 1.0, 1.0))
        rug.material = add_surface(self.model, "rug", image, 0.5)

    def _furnish_wall(self, wall: int) -> None:
        """Put pieces side by side along a wall, with gaps, and something on the wall above the low ones."""
        length = self.half[1 - wall // 2] - 0.3
        place = -length + self.rng.uniform(0.0, 0.5)
        while True:
            kind = str(self.rng.choice(["table", "cabinet", "shelf", "sofa", "plant", "door", "picture", "window"]))
            width = self.rng.uniform(*WIDTHS[kind])
            if place + width > length:
                return
            getattr(self, f"_{kind}")(Spot(self.half, wall, place + width / 2.0), width)
            place += width + self.rng.uniform(0.15, 0.7)

    def _block(self, spot: "Spot", depth: float, width: float) -> None:
        a, b = spot.at((0.0, -width / 2.0, 0.0)), spot.at((depth, width / 2.0, 0.0))
        low, high = np.minimum(a, b), np.maximum(a, b)
        self.footprints.append(Footprint(low=(low[0], low[1]), high=(high[0], high[1])))

    def _piece(
        self, spot: "Spot", size: Vector, at: Vector, colour: Vector, kind: mujoco.mjtGeom = BOX
    ) -> mujoco.MjsGeom:
        """A solid in a spot's own axes: x out of the wall, y along it."""
        return self._solid(kind, size, spot.at(at), colour, spot.yaw)

    def _wood(self) -> tuple[float, float, float]:
        return WOODS[int(self.rng.integers(len(WOODS)))]

    def _table(self, spot: "Spot", width: float) -> None:
        height, depth, wood = self.rng.uniform(0.68, 0.8), self.rng.uniform(0.5, 0.7), self._wood()
        self._piece(spot, (depth / 2, width / 2, 0.018), (depth / 2 + 0.03, 0, height - 0.018), wood)
        for x in (0.07, depth):
            for y in (0.05 - width / 2, width / 2 - 0.05):
                self._piece(spot, (0.022, 0.022, height / 2 - 0.018), (x, y, height / 2 - 0.018), wood)
        self._block(spot, depth, width)
        self._target(spot, "table", (depth - 0.14, self.rng.uniform(-0.25, 0.25) * width, height))

    def _cabinet(self, spot: "Spot", width: float) -> None:
        height, depth, wood = self.rng.uniform(0.75, 1.0), self.rng.uniform(0.38, 0.5), self._wood()
        self._piece(spot, (depth / 2, width / 2, height / 2), (depth / 2, 0, height / 2), wood)
        front = np.clip(np.array(wood) * 1.12, 0, 1)
        for y in (-width / 4, width / 4):
            self._piece(spot, (0.008, width / 4 - 0.015, height / 2 - 0.05), (depth, y, height / 2), front)
            self._piece(spot, (0.014, 0.01, 0.06), (depth + 0.01, y * 0.3, height * 0.6), (0.2, 0.2, 0.2))
        self._block(spot, depth, width)
        self._target(spot, "cabinet", (depth - 0.13, self.rng.uniform(-0.25, 0.25) * width, height))

    def _shelf(self, spot: "Spot", width: float) -> None:
        height, depth, wood = self.rng.uniform(1.4, 2.0), 0.3, self._wood()
        for y in (-width / 2, width / 2):
            self._piece(spot, (depth / 2, 0.015, height / 2), (depth / 2, y, height / 2), wood)
        self._piece(spot, (0.008, width / 2, height / 2), (0.01, 0, height / 2), np.array(wood) * 0.8)
        for level in np.arange(0.05, height, 0.38):
            self._piece(spot, (depth / 2, width / 2, 0.012), (depth / 2, 0, level), wood)
            for y in self.rng.uniform(-0.4, 0.4, 2) * width:
                tall = self.rng.uniform(0.09, 0.14)
                books = (0.09, self.rng.uniform(0.04, 0.12), tall)
                self._piece(spot, books, (0.13, y, level + 0.012 + tall), self.rng.uniform(0.1, 0.85, 3))
        self._block(spot, depth, width)

    def _sofa(self, spot: "Spot", width: float) -> None:
        cloth = self._tint(self.rng.uniform(0.25, 0.6), 0.2)
        self._piece(spot, (0.4, width / 2, 0.21), (0.42, 0, 0.21), cloth)
        self._piece(spot, (0.12, width / 2, 0.2), (0.14, 0, 0.58), np.array(cloth) * 0.9)
        for y in (-width / 2, width / 2):
            self._piece(spot, (0.4, 0.08, 0.3), (0.42, y, 0.3), np.array(cloth) * 0.85)
        self._block(spot, 0.84, width)

    def _plant(self, spot: "Spot", width: float) -> None:
        self._piece(spot, (0.13, 0.15), (0.25, 0, 0.15), (0.72, 0.42, 0.28), CYLINDER)
        for _ in range(4):
            offset = self.rng.uniform((-0.1, -0.1, 0.4), (0.1, 0.1, 0.95))
            leaf = (0.12, self.rng.uniform(0.3, 0.55), 0.15)
            self._piece(spot, self.rng.uniform(0.1, 0.2, 3), offset + np.array([0.25, 0.0, 0.0]), leaf, ELLIPSOID)
        self._block(spot, 0.4, 0.4)

    def _door(self, spot: "Spot", width: float) -> None:
        colour = self._tint(0.75, 0.15)
        self._piece(spot, (0.02, width / 2, 1.0), (0.0, 0, 1.0), colour)
        self._piece(spot, (0.012, width / 2 - 0.1, 0.85), (0.02, 0, 1.0), np.array(colour) * 0.9)
        self._piece(spot, (0.03, 0.06, 0.012), (0.05, width / 2 - 0.14, 1.0), (0.75, 0.7, 0.5))

    def _picture(self, spot: "Spot", width: float) -> None:
        self._piece(spot, (0.015, width / 2, width / 3), (0.01, 0, 1.55), (0.12, 0.1, 0.09))
        self._piece(spot, (0.008, width / 2 - 0.04, width / 3 - 0.04), (0.025, 0, 1.55), self.rng.uniform(0.2, 0.9, 3))

    def _window(self, spot: "Spot", width: float) -> None:
        self._piece(spot, (0.02, width / 2, 0.6), (0.0, 0, 1.45), (0.95, 0.95, 0.95))
        glass = self._piece(spot, (0.006, width / 2 - 0.06, 0.54), (0.02, 0, 1.45), (0.72, 0.85, 0.97))
        glass.rgba = (0.75, 0.88, 1.0, 1.0)
        self._piece(spot, (0.012, 0.02, 0.54), (0.025, 0, 1.45), (0.95, 0.95, 0.95))

    def _target(self, spot: "Spot", place: str, at: tuple[float, float, float]) -> None:
        """A coloured box on a piece, while colours last."""
        if not self.colours or self.rng.random() < 0.25:
            return
        half = self.rng.uniform((0.07, 0.08, 0.06), (0.11, 0.14, 0.12))
        colour = str(self.colours.pop())
        x, y, z = at
        self._piece(spot, half, (x, y, z + half[2]), COLOURS[colour])
        self._piece(spot, (half[0] + 0.001, 0.02, half[2] + 0.001), (x, y, z + half[2]), (0.9, 0.85, 0.75))
        gx, gy, gz = spot.at((x, y, z + half[2]))
        self.targets.append(Target(colour=colour, place=place, xyz=(gx, gy, gz)))

    def _loose_box(self) -> None:
        """A larger coloured box on the floor, away from the furniture."""
        for _ in range(20):
            x, y = self.rng.uniform(-(self.half - 1.0), self.half - 1.0)
            if self.colours and self.is_free(np.array([[x, y]]), 0.35).all():
                self._put_box(float(x), float(y))
                return

    def _put_box(self, x: float, y: float) -> None:
        half, colour = self.rng.uniform((0.13, 0.15, 0.11), (0.2, 0.22, 0.17)), str(self.colours.pop())
        yaw = self.rng.uniform(-0.4, 0.4)
        self._solid(BOX, half, (x, y, half[2]), COLOURS[colour], yaw)
        self._solid(BOX, (half[0] + 0.001, 0.03, half[2] + 0.001), (x, y, half[2]), (0.9, 0.85, 0.75), yaw)
        low, high = (x - half[0], y - half[1]), (x + half[0], y + half[1])
        self.footprints.append(Footprint(low=low, high=high))
        self.targets.append(Target(colour=colour, place="floor", xyz=(x, y, float(half[2]))))

    def is_free(self, xy: np.ndarray, margin: float) -> np.ndarray:
        """Per point: inside the room and off every footprint by a margin [m]."""
        free = np.asarray((np.abs(xy) < self.half - margin).all(axis=-1))
        for foot in self.footprints:
            inside = (xy > np.array(foot.low) - margin) & (xy < np.array(foot.high) + margin)
            free = free & ~inside.all(axis=-1)
        return free

    def _person(self) -> None:
        """The camera and two forearms with hands, moved from outside."""
        head = self.model.worldbody.add_body(name="person", mocap=True)
        head.add_camera(name="head", quat=camera_quat(0.0), fovy=self.rng.uniform(58.0, 68.0))
        skin = np.array((0.87, 0.67, 0.53)) * self.rng.uniform(0.5, 1.05)
        sleeve = self._tint(self.rng.uniform(0.15, 0.7), 0.25)
        for side, sign in (("left", 1.0), ("right", -1.0)):
            arm = self.model.worldbody.add_body(name=side, mocap=True)
            parts = (
                (CAPSULE, (0.042, 0.22, 0.0), (-0.26, 0.0, -0.01), sleeve, (0.0, np.pi / 2, 0.0)),
                (CAPSULE, (0.028, 0.03, 0.0), (-0.01, 0.0, 0.0), skin, (0.0, np.pi / 2, 0.0)),
                (ELLIPSOID, (0.055, 0.042, 0.02), (0.06, 0.0, 0.0), skin, (0.0, 0.0, 0.0)),
                (ELLIPSOID, (0.05, 0.036, 0.013), (0.125, 0.0, -0.012), skin, (0.0, 0.25, 0.0)),
                (CAPSULE, (0.012, 0.028, 0.0), (0.06, -sign * 0.048, 0.0), skin, (0.0, np.pi / 2, -sign * 0.5)),
            )
            for kind, size, xyz, colour, rpy in parts:
                quat = quat_from_rpy(np.array(rpy))
                geom = arm.add_geom(type=kind, size=size, pos=xyz, quat=quat, contype=0, conaffinity=0)
                geom.rgba = (*np.clip(colour, 0, 1), 1.0)


WIDTHS = {
    "table": (0.9, 1.4),
    "cabinet": (0.8, 1.2),
    "shelf": (0.7, 1.1),
    "sofa": (1.3, 1.7),
    "plant": (0.5, 0.5),
    "door": (0.8, 0.95),
    "picture": (0.5, 0.9),
    "window": (0.9, 1.4),
}
"""of the pieces along the wall [m]"""


class Spot:
    """A place at a wall with its own axes: x out of the wall, y along it, z up."""

    def __init__(self, half: np.ndarray, wall: int, along: float) -> None:
        self.yaw = (np.pi, 0.0, -np.pi / 2, np.pi / 2)[wall]
        quat = quat_from_rpy(np.array([0.0, 0.0, self.yaw]))
        back = half[wall // 2]
        self._quat = quat
        self._origin = quat_rotate(quat, np.array([-back, along, 0.0]))

    def at(self, xyz: Vector) -> np.ndarray:
        """A point of the spot in the world [m]."""
        return self._origin + quat_rotate(self._quat, np.array(xyz, dtype=np.float64))


class EgoRoom:
    """A compiled room that draws what a person sees."""

    def __init__(self, rng: np.random.Generator, config: RenderConfig) -> None:
        self.plan = RoomPlan(rng)
        self._model = self.plan.model.compile()
        self._data = mujoco.MjData(self._model)
        self._slots = {name: int(self._model.body(name).mocapid[0]) for name in ("person", "left", "right")}
        self._renderer = Renderer(self._model, ("head",), config)

    @property
    def intrinsics(self) -> dict[str, Any]:
        """Pinhole of the head camera, whose field of view differs from room to room."""
        fovy = float(self._model.camera("head").fovy[0])
        return pinhole(fovy, self._renderer.config.height, self._renderer.config.width)

    def see(self, xyz: np.ndarray, rpy: np.ndarray, hands_b: np.ndarray) -> np.ndarray:
        """The image from a head pose with the wrists at places relative to the heading (uint8, height x width x 3)."""
        zero, heading = np.zeros(3), quat_from_rpy(np.array([0.0, 0.0, rpy[2]]))
        self._put("person", xyz, quat_from_rpy(rpy))
        for name, wrist, sign in zip(("left", "right"), hands_b, (1.0, -1.0)):
            tilt = quat_from_rpy(np.array([sign * 0.5, 0.15 + 0.3 * (wrist[2] + 0.4), -sign * 0.25]) + zero)
            self._put(name, xyz + quat_rotate(heading, wrist), quat_multiply(heading, tilt))
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return self._renderer.render(self._data)["head"]

    def close(self) -> None:
        """Free OpenGL."""
        self._renderer.close()

    def _put(self, name: str, xyz: np.ndarray, quat: np.ndarray) -> None:
        slot = self._slots[name]
        self._data.mocap_pos[slot], self._data.mocap_quat[slot] = xyz, quat
