"""A world: one robot in a room with floor, walls and light, tables, boxes and containers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError, RobotError
from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.description import RobotSpec
from wbvla.sim.appearance import COLLISION_GROUP
from wbvla.sim.contact import FIXED, FREE, GROUND, NOTHING, ContactKind
from wbvla.sim.furniture import add_materials, furnish
from wbvla.sim.gripper import actuator_name, finger_travel
from wbvla.sim.mjcf import MjcfOptions, build_robot, joint_addresses
from wbvla.sim.texture import add_surface, surface

Vector = Sequence[float | int] | np.ndarray
"""three numbers in any container"""
Colour = Sequence[float | int]
"""red, green, blue [0..1]"""
DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
"""warnings after which MuJoCo has silently reset the state"""
BOX, PLANE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_PLANE


@dataclass(frozen=True, kw_only=True)
class RoomConfig:
    """A rectangular room around the world's origin."""

    half_x: float = 4.0
    """[m]"""
    half_y: float = 3.2
    """[m]"""
    height: float = 2.7
    """[m]"""
    floor: str = "planks"
    """surface of `sim/texture.py`"""
    floor_colour: tuple[float, float, float] = (0.66, 0.52, 0.38)
    """red, green, blue [0..1]"""
    wall: str = "plaster"
    """surface of `sim/texture.py`"""
    wall_colour: tuple[float, float, float] = (0.82, 0.84, 0.82)
    """red, green, blue [0..1]"""
    light: float = 1.0
    """brightness of lamps and ambient light [-]"""
    seed: int = 0
    """of the textures"""
    furnished: bool = True
    """furniture along the walls, a ceiling with lamps, and other floors and walls that a seed may choose
    (`sim/tasks/variation.py`); all of it is seen and never met"""


FLOORS = ("planks", "tiles", "carpet", "parquet", "concrete")
"""surfaces that a furnished room keeps ready as materials `floor_<surface>`"""
WALLS = ("plaster", "stripes", "bricks", "panels")
"""and as materials `wall_<surface>`"""


def build_scene(spec: RobotSpec, options: MjcfOptions, room: RoomConfig) -> mujoco.MjSpec:
    """The robot at the origin of a room, looking along x; add furniture and objects, then make a `World`."""
    scene = build_robot(spec, options)
    add_room(scene, room)
    return scene


def add_room(scene: mujoco.MjSpec, room: RoomConfig) -> None:
    """Floor, four walls with skirting, light and furniture; near clipping fit for cameras on hands."""
    rng = np.random.default_rng(room.seed)
    floor = add_surface(scene, "floor", surface(room.floor, room.floor_colour, rng), 1.0)
    wall = add_surface(scene, "wall", surface(room.wall, room.wall_colour, rng), 1.2)
    world = scene.worldbody
    ground = _geom(world, PLANE, (room.half_x, room.half_y, 0.1), (0, 0, 0), GROUND)
    ground.name, ground.material = "floor", floor
    sides = ((room.half_x, 0.0, np.pi), (-room.half_x, 0.0, 0.0), (0.0, room.half_y, -np.pi / 2))
    for index, (x, y, yaw) in enumerate((*sides, (0.0, -room.half_y, np.pi / 2))):
        half = room.half_y if index < 2 else room.half_x
        turn = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        _add_wall(world.add_body(name=f"wall_{index}", pos=(x, y, 0.0), quat=turn), half, room.height, wall)
    # The sky is the ceiling where none is drawn: in a room without furniture, and together with shadows.
    scene.add_texture(
        name="ceiling",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=(0.86, 0.86, 0.85),
        width=8,
        height=8,
    )
    _add_lamps(scene, room)
    if room.furnished:
        for group, kinds, edge_m in (("floor", FLOORS, 1.0), ("wall", WALLS, 1.2)):
            for kind in kinds:
                image = surface(kind, (0.85, 0.85, 0.85), rng)
                turned = image if group == "floor" else image.transpose(1, 0, 2)  # a wall's texture lies on its side
                add_surface(scene, f"{group}_{kind}", turned, edge_m)
        add_materials(scene, rng)
        furnish(scene, (room.half_x, room.half_y), room.height)


def _add_wall(body: mujoco.MjsBody, half: float, height: float, material: str) -> None:
    """What is seen is a plane, open from behind and without shadow; what is met is a hidden box behind it."""
    upright = quat_from_rpy(np.array([0.0, np.pi / 2, 0.0]))
    seen = _geom(body, PLANE, (height / 2, half, 0.1), (0, 0, height / 2), NOTHING)
    seen.name, seen.quat, seen.material = body.name, upright, material
    _geom(body, BOX, (0.05, half, height / 2), (-0.05, 0, height / 2), FIXED).group = COLLISION_GROUP
    _geom(body, BOX, (0.008, half, 0.05), (0.008, 0, 0.05), NOTHING).rgba = (0.93, 0.93, 0.91, 1.0)


def _add_lamps(scene: mujoco.MjSpec, room: RoomConfig) -> None:
    head, light = scene.visual.headlight, room.light
    head.ambient, head.diffuse, head.specular = (0.5 * light,) * 3, (0.22 * light,) * 3, (0.05,) * 3
    scene.visual.map.znear, scene.visual.map.zfar = 0.004, 12.0
    scene.visual.map.shadowclip = 3.0  # a floor at the edge of the shadow map would be speckled
    scene.stat.extent, scene.stat.center = 3.0, (0.0, 0.0, 0.8)
    for name, direction, strength in (("sun", (-0.35, 0.45, -1.0), 0.42), ("fill", (0.5, -0.4, -0.7), 0.18)):
        lamp = scene.worldbody.add_light(name=name, pos=(0.0, 0.0, room.height), dir=direction)
        lamp.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        lamp.diffuse, lamp.specular = (strength * light,) * 3, (0.15,) * 3
        lamp.castshadow = name == "sun"


def add_table(scene: mujoco.MjSpec, name: str, xyz: Vector, size: Vector, colour: Colour) -> mujoco.MjsBody:
    """A fixed table: `xyz` is the middle of its top surface, `size` depth, width and thickness of the top [m]."""
    body = scene.worldbody.add_body(name=name, pos=xyz)
    half = np.array(size) / 2.0
    _geom(body, BOX, half, (0, 0, -half[2]), FIXED).rgba = (*colour, 1.0)
    leg = (xyz[2] - size[2]) / 2.0
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        corner = (x * (half[0] - 0.04), y * (half[1] - 0.04), -size[2] - leg)
        _geom(body, BOX, (0.022, 0.022, leg), corner, FIXED).rgba = (0.25, 0.25, 0.27, 1.0)
    return body


def add_box(scene: mujoco.MjSpec, name: str, half: Vector, mass: float, colour: Colour) -> mujoco.MjsBody:
    """A free box with a strip of tape over its top, at rest on the floor until it is placed."""
    body = scene.worldbody.add_body(name=name, pos=(1.0, 0.0, half[2]))
    body.add_freejoint(name=name)
    geom = _geom(body, BOX, half, (0, 0, 0), FREE)
    geom.name, geom.mass, geom.rgba = name, mass, (*colour, 1.0)
    strip = _geom(body, BOX, (half[0] + 0.0008, half[1] * 0.16, half[2] + 0.0008), (0, 0, 0), NOTHING)
    strip.rgba = (*(0.45 * np.array(colour) + 0.5), 1.0)
    return body


def add_container(scene: mujoco.MjSpec, name: str, half: Vector, colour: Colour, mass: float = 0.0) -> mujoco.MjsBody:
    """An open-topped container with outer half sizes [m]; free when it has a mass [kg], else fixed where placed."""
    body = scene.worldbody.add_body(name=name, pos=(1.0, 0.0, half[2]))
    if mass > 0.0:
        body.add_freejoint(name=name)
    else:
        body.mocap = True
    x, y, z = half
    wall = 0.006
    plates = [((x, y, wall), (0, 0, wall - z))]
    plates += [((wall, y, z), (sign * (x - wall), 0, 0)) for sign in (1, -1)]
    plates += [((x - 2 * wall, wall, z), (0, sign * (y - wall), 0)) for sign in (1, -1)]
    for size, centre in plates:
        geom = _geom(body, BOX, size, centre, FREE if mass > 0.0 else FIXED)
        geom.mass, geom.rgba = mass / len(plates), (*colour, 1.0)
    return body


def _geom(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    size: Vector,
    xyz: Vector,
    contact: ContactKind,
) -> mujoco.MjsGeom:
    return body.add_geom(
        type=kind,
        size=size,
        pos=xyz,
        mass=0.0,
        contype=contact.contype,
        conaffinity=contact.conaffinity,
        friction=contact.friction,
        condim=contact.condim,
        priority=contact.priority,
    )


VARIED = (
    *("geom_rgba", "geom_matid", "geom_group", "geom_pos", "geom_friction", "mat_rgba", "body_pos", "body_quat"),
    *("light_dir", "light_diffuse", "cam_pos", "cam_quat", "cam_fovy", "geom_size"),
    *("body_mass", "body_inertia", "dof_frictionloss"),
)
"""fields of a model that tasks may change from seed to seed"""


class Actor(Protocol):
    """Someone or something in a world that acts or watches at every physics step, such as a person."""

    def move(self, world: "World") -> None:
        """Before a step."""
        ...

    def feel(self, world: "World") -> None:
        """After it."""
        ...


class World:
    """A compiled scene with its robot; joint arrays in `spec.joint_names` order."""

    def __init__(self, spec: RobotSpec, scene: mujoco.MjSpec) -> None:
        self.spec = spec
        self.model: mujoco.MjModel = scene.compile()
        head = self.model.vis.headlight
        lamp = {"head_ambient": head.ambient.copy(), "head_diffuse": head.diffuse.copy()}
        self.nominal: Mapping[str, np.ndarray] = {n: getattr(self.model, n).copy() for n in VARIED} | lamp
        """the fields of `VARIED` and the light at the camera as they were compiled"""
        self.data = mujoco.MjData(self.model)
        self.actors: list[Actor] = []
        addresses = joint_addresses(self.model, spec.joint_names)
        self.qpos, self.qvel, self.ctrl = (addresses[key] for key in ("qpos", "qvel", "ctrl"))
        self.root = int(self.model.body(spec.root_link).id)
        self.grippers = [self.model.actuator(actuator_name(hand)).id for hand in spec.hands]
        self._fingers = [self.model.joint(actuator_name(hand)).qposadr[0] for hand in spec.hands]
        self._travel = np.array([finger_travel(hand) for hand in spec.hands])
        self.reset()

    @property
    def time_s(self) -> float:
        """Simulated time since the last reset [s]."""
        return float(self.data.time)

    def reset(self, xy: Vector = (0.0, 0.0), yaw: float = 0.0) -> None:
        """Everything where the scene put it, cameras as they were compiled; the robot in its default pose at a place
        and heading, hands open."""
        mujoco.mj_resetData(self.model, self.data)
        for name in ("cam_pos", "cam_quat", "cam_fovy"):
            getattr(self.model, name)[:] = self.nominal[name]
        default = self.spec.column("default")
        self.data.qpos[:3] = (*xy, self.spec.nominal_height_m)
        self.data.qpos[3:7] = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        self.data.qpos[self.qpos] = default
        self.data.ctrl[self.ctrl] = default
        for finger, actuator, travel in zip(self._fingers, self.grippers, self._travel):
            self.data.qpos[finger] = travel
            self.data.ctrl[actuator] = 1.0
        for follow in (f"{hand.side}_gripper_follow" for hand in self.spec.hands):
            self.data.qpos[self.model.joint(follow).qposadr[0]] = self._travel[0]
        mujoco.mj_forward(self.model, self.data)

    def _step_with_actors(self, num_steps: int) -> None:
        for _ in range(num_steps):
            for actor in self.actors:
                actor.move(self)
            mujoco.mj_step(self.model, self.data)
            for actor in self.actors:
                actor.feel(self)

    def step(self, num_steps: int = 1) -> None:
        """Advance the physics; raises RobotError when it diverges."""
        if not self.actors:
            mujoco.mj_step(self.model, self.data, num_steps)
        else:
            self._step_with_actors(num_steps)
        if any(self.data.warning[kind].number for kind in DIVERGED):
            raise RobotError(f"the simulation diverged at {self.time_s:.3f} s; a smaller time step or gain helps")

    def gripper_opening(self) -> Float[np.ndarray, "2"]:
        """Left, right: 0 closed, 1 open."""
        return np.clip(self.data.qpos[self._fingers] / self._travel, 0.0, 1.0)

    def root_pose(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "4"]]:
        """Position [m] and `quat_wxyz` of the root link in the world."""
        return self.body_pose(self.spec.root_link)

    def body_pose(self, name: str) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "4"]]:
        """Position [m] and `quat_wxyz` of a body (link, table, box, container) in the world."""
        body = self.data.body(self._body(name))
        return body.xpos.copy(), body.xquat.copy()

    def palm_position(self, side: str) -> Float[np.ndarray, "3"]:
        """Grasp point of the `left` or `right` hand in the world [m]."""
        return self.data.site(f"{side}_palm").xpos.copy()

    def place(self, name: str, xyz: Vector, yaw: float = 0.0) -> None:
        """Put a free or fixed-where-placed object somewhere, at rest; raises ConfigError for other bodies."""
        body, quat = self.model.body(self._body(name)), quat_from_rpy(np.array([0.0, 0.0, yaw]))
        mocap, joint = int(body.mocapid[0]), int(body.jntadr[0])
        if mocap >= 0:
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = xyz, quat
        elif joint >= 0 and self.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            start, speed = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
            self.data.qpos[start : start + 7] = [*xyz, *quat]
            self.data.qvel[speed : speed + 6] = 0.0
        else:
            raise ConfigError(f"{name!r} is fixed in the scene; only free objects and containers can be placed")
        mujoco.mj_forward(self.model, self.data)

    def touching(self, first: str, second: str) -> bool:
        """Whether two bodies are in contact now."""
        pair = {self.model.body(self._body(first)).id, self.model.body(self._body(second)).id}
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        return any({int(a), int(b)} == pair for a, b in bodies)

    def _body(self, name: str) -> str:
        if mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, name) < 0:
            known = sorted(self.model.body(i).name for i in range(1, self.model.nbody))
            raise ConfigError(f"the world has no body {name!r}; it has {known}")
        return name
