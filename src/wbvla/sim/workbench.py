"""A table before the two-armed robot, in a room: simple things, containers, mats, stains, a chest with a drawer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import RobotError
from wbvla.core.rotation import quat_from_rpy
from wbvla.sim.bench_robot import ARM_JOINTS, SIDES, build_bench_robot, gains, hand_facts
from wbvla.sim.contact import FIXED, FREE, NOTHING, ContactKind
from wbvla.sim.gripper import FIRM, actuator_name, finger_travel
from wbvla.sim.mjcf import joint_addresses
from wbvla.sim.scene import DIVERGED, RoomConfig, Vector, add_room
from wbvla.sim.texture import add_surface, add_wrap, surface

Colour = tuple[float, float, float]
BOX, CYLINDER, CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE
KINDS = {"box": BOX, "cylinder": CYLINDER, "capsule": CAPSULE}
STEP_S = 0.005
"""physics step; firm grips and hand-overs are the same at 2 ms [s]"""
EDGE_X = 0.20
"""near edge of every table [m]"""
DEPTH_M, THICK_M = 0.62, 0.03
DRAWER_HALF = (0.085, 0.10, 0.035)
"""inside of a chest: depth, width, height, halved [m]"""
HANDLE_OUT_M = 0.045
"""handle before the front of a drawer [m]"""
DRAWER_TRAVEL_M = 0.13


@dataclass(frozen=True, kw_only=True)
class Part:
    """One primitive of a thing, in the thing's frame."""

    kind: str
    """of `KINDS`"""
    size: tuple[float, ...]
    """half sizes, or radius and half length [m]"""
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[m]"""
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[rad]"""
    shade: float = 1.0
    """of the thing's colour; above 1 towards white"""
    meets: bool = True
    """whether it touches; what only decorates does not"""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A free object: what it is made of and how it is taken."""

    kind: str
    """noun"""
    parts: tuple[Part, ...]
    half: tuple[float, float, float]
    """of its bounding box; it stands on the table with its origin `half[2]` above [m]"""
    mass: float
    """[kg]"""
    square: bool = False
    """fingers may close along y as well as along x; else along x only, its narrow side"""
    wrap: str = ""
    """surface of `sim/texture.py` over its first part; empty = plain"""


@dataclass(frozen=True, kw_only=True)
class BenchLook:
    """One table in one room."""

    room: RoomConfig = field(default_factory=lambda: RoomConfig(furnished=False))
    table_z: float = 0.75
    """height of the table's top [m]"""
    table_width: float = 1.3
    """[m]"""
    table: str = "wood"
    """surface of `sim/texture.py`"""
    table_colour: Colour = (0.70, 0.55, 0.40)
    """[0..1]"""
    grain_m: float = 0.4
    """how wide the surface's pattern is [m]"""
    sun: tuple[float, float] = (0.0, 0.0)
    """how far the direction of the light is turned: sideways, forwards [-]"""
    head_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """head camera moved from its place [m]"""
    head_rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """and turned [rad]"""
    fovy_deg: float = 60.0
    """of the head camera [deg]"""
    backdrop: tuple[tuple[float, float, float, float, Colour], ...] = ()
    """cupboards on the floor behind the table: x, y, half width, height [m] and colour"""


class Workbench:
    """A scene that is furnished thing by thing, then compiled into a `Bench`."""

    def __init__(self, look: BenchLook) -> None:
        self.look = look
        self.scene = build_bench_robot()
        option = self.scene.option
        option.timestep, option.integrator = STEP_S, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.iterations, option.ls_iterations = 12, 20
        # Without these a held bar creeps out of the fingers at 3 mm/s and tips; elliptic cones did worse at this step.
        option.noslip_iterations = 4
        add_room(self.scene, look.room)
        self._aim_camera_and_sun()
        self._rng = np.random.default_rng((look.room.seed, 1))
        self._table()
        for x, y, half, height, colour in look.backdrop:
            self._solid(self.scene.worldbody, BOX, (0.2, half, height / 2), (x, y, height / 2), colour, NOTHING)

    def _aim_camera_and_sun(self) -> None:
        head = next(camera for camera in self.scene.cameras if camera.name == "head")
        head.pos = np.array(head.pos) + self.look.head_xyz
        head.fovy = self.look.fovy_deg
        roll, pitch, yaw = self.look.head_rpy
        turned = np.zeros(4)
        mujoco.mju_mulQuat(turned, np.array(head.quat), quat_from_rpy(np.array([0.0, 0.0, roll])))
        tilt = np.zeros(4)
        mujoco.mju_mulQuat(tilt, turned, quat_from_rpy(np.array([-pitch, 0.0, 0.0])))
        mujoco.mju_mulQuat(turned, quat_from_rpy(np.array([0.0, 0.0, yaw])), tilt)
        head.quat = turned
        for lamp in self.scene.lights:
            side, ahead = self.look.sun
            lamp.dir = np.array(lamp.dir) + np.array((ahead, side, 0.0))

    def _table(self) -> None:
        look, half = self.look, (DEPTH_M / 2, self.look.table_width / 2, THICK_M / 2)
        image = surface(look.table, look.table_colour, self._rng)
        body = self.scene.worldbody.add_body(name="table", pos=(EDGE_X + half[0], 0.0, look.table_z))
        top = self._solid(body, BOX, half, (0, 0, -half[2]), (1.0, 1.0, 1.0), FIXED)
        top.name, top.material = "table", add_surface(self.scene, "table", image, look.grain_m)
        leg = (look.table_z - THICK_M) / 2
        for x in (0.04 - half[0], half[0] - 0.04):
            for y in (0.04 - half[1], half[1] - 0.04):
                self._solid(body, BOX, (0.02, 0.02, leg), (x, y, -THICK_M - leg), (0.25, 0.25, 0.27), NOTHING)

    def _solid(
        self,
        body: mujoco.MjsBody,
        kind: mujoco.mjtGeom,
        size: Sequence[float],
        xyz: Vector,
        colour: Colour,
        contact: ContactKind,
    ) -> mujoco.MjsGeom:
        geom = body.add_geom(type=kind, size=[*size, *([0.0] * (3 - len(size)))], pos=xyz, mass=0.0)
        geom.contype, geom.conaffinity = contact.contype, contact.conaffinity
        geom.friction, geom.condim, geom.priority = contact.friction, contact.condim, contact.priority
        geom.rgba = (*np.clip(colour, 0.0, 1.0), 1.0)
        return geom

    def add_thing(self, name: str, thing: Thing, xy: Sequence[float], yaw: float, colour: Colour) -> None:
        """A free object on the table."""
        height = self.look.table_z + thing.half[2] + 0.001
        quat = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        body = self.scene.worldbody.add_body(name=name, pos=(*xy, height), quat=quat)
        body.add_freejoint(name=name)
        meeting = sum(part.meets for part in thing.parts)
        for index, part in enumerate(thing.parts):
            tint = _shaded(colour, part.shade)
            geom = self._solid(body, KINDS[part.kind], part.size, part.xyz, tint, FREE if part.meets else NOTHING)
            geom.quat = quat_from_rpy(np.array(part.rpy))
            geom.mass = thing.mass / meeting if part.meets else 0.0
            geom.solimp[:2] = FIRM
            if thing.wrap and index == 0:
                geom.material = add_wrap(self.scene, f"{name}_wrap", surface(thing.wrap, tint, self._rng))
                geom.rgba = (1.0, 1.0, 1.0, 1.0)

    def add_container(self, name: str, half: Vector, xy: Sequence[float], yaw: float, colour: Colour) -> None:
        """An open-topped container with outer half sizes [m], fixed to the table as a heavy one would be."""
        quat = quat_from_rpy(np.array([0.0, 0.0, yaw]))
        body = self.scene.worldbody.add_body(name=name, pos=(*xy, self.look.table_z + half[2]), quat=quat)
        x, y, z = (float(v) for v in half)
        wall = 0.005
        plates = [((x, y, 0.003), (0.0, 0.0, 0.003 - z), 0.85)]
        plates += [((wall, y, z), (sign * (x - wall), 0.0, 0.0), 1.0) for sign in (1, -1)]
        plates += [((x - 2 * wall, wall, z), (0.0, sign * (y - wall), 0.0), 1.0) for sign in (1, -1)]
        for size, centre, shade in plates:
            self._solid(body, BOX, size, centre, _shaded(colour, shade), FIXED)

    def add_mat(self, name: str, half: Vector, xy: Sequence[float], colour: Colour) -> None:
        """A thin mat that marks a place; seen only."""
        body = self.scene.worldbody.add_body(name=name, pos=(*xy, self.look.table_z))
        self._solid(body, BOX, (half[0], half[1], 0.001), (0.0, 0.0, 0.0), colour, NOTHING)
        inner = (half[0] - 0.012, half[1] - 0.012, 0.0015)
        self._solid(body, BOX, inner, (0.0, 0.0, 0.0), _shaded(colour, 0.8), NOTHING)

    def add_spot(self, name: str, xy: Sequence[float], radius: float, colour: Colour) -> None:
        """A stain on the table; seen only."""
        body = self.scene.worldbody.add_body(name=name, pos=(*xy, self.look.table_z))
        self._solid(body, CYLINDER, (radius, 0.0012), (0.0, 0.0, 0.0), colour, NOTHING).name = name

    def add_drawer(self, name: str, xy: Sequence[float], colour: Colour, handle: Colour) -> None:
        """A chest whose front faces the robot, with one drawer that slides out along -x by a bar handle."""
        x, y, z = DRAWER_HALF
        wall, lift = 0.008, 0.052
        chest = self.scene.worldbody.add_body(name=name, pos=(*xy, self.look.table_z))
        base, roof = lift / 2, lift + 2 * z + 0.012
        self._solid(chest, BOX, (x + wall, y + wall, base), (0, 0, base), _shaded(colour, 0.8), FIXED)
        self._solid(chest, BOX, (x + wall, y + wall, wall / 2), (0, 0, roof), colour, FIXED)
        for side in (1, -1):
            middle = (lift + roof) / 2
            self._solid(
                chest, BOX, (x + wall, wall / 2, (roof - lift) / 2), (0, side * (y + wall), middle), colour, FIXED
            )
        self._solid(chest, BOX, (wall / 2, y, (roof - lift) / 2), (x + wall, 0, (lift + roof) / 2), colour, FIXED)
        drawer = chest.add_body(name=f"{name}_drawer", pos=(0.0, 0.0, lift + 0.004 + z))
        drawer.add_joint(
            name=f"{name}_drawer",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(-1.0, 0.0, 0.0),
            range=(0.0, DRAWER_TRAVEL_M),
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            frictionloss=1.5,
            damping=4.0,
            armature=0.05,
        )
        fit = y - 0.006
        tint = _shaded(colour, 1.12)
        low = z - 0.012
        plates: list[tuple[tuple[float, ...], tuple[float, ...], Colour]] = [
            ((x, fit, 0.003), (0.0, 0.0, 0.003 - z), _shaded(colour, 0.9)),
            ((0.005, fit, low), (x - 0.005, 0.0, low - z), tint),
            ((x, 0.004, low), (0.0, fit - 0.004, low - z), tint),
            ((x, 0.004, low), (0.0, 0.004 - fit, low - z), tint),
            ((0.006, y, z), (-x - 0.006, 0.0, 0.0), tint),
            ((0.007, 0.045, 0.007), (-x - HANDLE_OUT_M, 0.0, 0.0), handle),
            ((HANDLE_OUT_M / 2 - 0.004, 0.005, 0.005), (-x - 0.006 - HANDLE_OUT_M / 2, 0.04, 0.0), handle),
            ((HANDLE_OUT_M / 2 - 0.004, 0.005, 0.005), (-x - 0.006 - HANDLE_OUT_M / 2, -0.04, 0.0), handle),
        ]
        for size, centre, shade in plates:
            geom = self._solid(drawer, BOX, size, centre, shade, FIXED)
            geom.mass = 0.05

    def compile(self) -> "Bench":
        """The finished world."""
        return Bench(self.scene, self.look.table_z)


class Bench:
    """The compiled world: physics, the state of robot and things, contacts. Joint arrays in `ARM_JOINTS` order."""

    def __init__(self, scene: mujoco.MjSpec, table_z: float) -> None:
        self.model: mujoco.MjModel = scene.compile()
        self.data, self.table_z = mujoco.MjData(self.model), table_z
        self.model.vis.map.znear = 0.006
        addresses = joint_addresses(self.model, ARM_JOINTS)
        self._qpos, self._qvel, self._ctrl = (addresses[key] for key in ("qpos", "qvel", "ctrl"))
        hands = [hand_facts(side) for side in SIDES]
        self._grippers = [self.model.actuator(actuator_name(hand)).id for hand in hands]
        leads = [self.model.joint(actuator_name(hand)) for hand in hands]
        self._fingers = [int(joint.qposadr[0]) for joint in leads]
        self._travel = np.array([finger_travel(hand) for hand in hands])
        self._kp, self._kd, rest = gains("kp"), gains("kd"), gains("rest")
        self.data.qpos[self._qpos], self.data.ctrl[self._ctrl] = rest, rest
        for hand, finger, travel in zip(hands, self._fingers, self._travel):
            follow = self.model.joint(f"{hand.side}_gripper_follow").qposadr[0]
            self.data.qpos[finger] = self.data.qpos[follow] = travel
        self.data.ctrl[self._grippers] = 1.0
        mujoco.mj_forward(self.model, self.data)

    @property
    def q(self) -> Float[np.ndarray, "14"]:
        """Measured joint angles [rad]."""
        return self.data.qpos[self._qpos].copy()

    @property
    def dq(self) -> Float[np.ndarray, "14"]:
        """Measured joint speeds [rad/s]."""
        return self.data.qvel[self._qvel].copy()

    @property
    def torque(self) -> Float[np.ndarray, "14"]:
        """Torque of each drive [N.m]."""
        return self.data.actuator_force[self._ctrl].copy()

    @property
    def gap_m(self) -> Float[np.ndarray, "2"]:
        """Opening between the fingers, left and right [m]."""
        return 2.0 * np.clip(self.data.qpos[self._fingers], 0.0, self._travel)

    def advance(
        self,
        target: Float[np.ndarray, "14"],
        speed: Float[np.ndarray, "14"],
        opening: Float[np.ndarray, "2"],
        push: Float[np.ndarray, "14"],
        num_steps: int,
    ) -> None:
        """Drive towards joint angles [rad] that move with a speed [rad/s], grippers to 0 (closed) .. 1 (open).

        A PD drive rests where kp (target - q) equals its load: weight, `push` [N.m] and the damping of the wanted
        speed are added to the target, as robot arms do by feed-forward. Raises RobotError when the physics diverges.
        """
        self.data.ctrl[self._grippers] = opening
        for _ in range(num_steps):
            load = self.data.qfrc_bias[self._qvel] + push + self._kd * speed
            self.data.ctrl[self._ctrl] = target + load / self._kp
            mujoco.mj_step(self.model, self.data)
        if any(self.data.warning[kind].number for kind in DIVERGED):
            raise RobotError(f"the simulation diverged at {self.data.time:.3f} s")

    def place_of(self, name: str) -> Float[np.ndarray, "3"]:
        """Origin of a body in the world [m]."""
        return self.data.body(name).xpos.copy()

    def turn_of(self, name: str) -> Float[np.ndarray, "3 3"]:
        """World from body."""
        return self.data.body(name).xmat.reshape(3, 3).copy()

    def speed_of(self, name: str) -> float:
        """How fast a free object moves [m/s]."""
        start = int(self.model.jnt_dofadr[self.model.body(name).jntadr[0]])
        return float(np.linalg.norm(self.data.qvel[start : start + 3]))

    def slide_of(self, name: str) -> float:
        """How far a drawer is open [m]."""
        return float(self.data.qpos[self.model.joint(name).qposadr[0]])

    def palm(self, side: str) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
        """Grasp point [m] and orientation of a hand in the world."""
        site = self.data.site(f"{side}_palm")
        return site.xpos.copy(), site.xmat.reshape(3, 3).copy()

    def touching(self, name: str) -> set[str]:
        """Names of the bodies that touch a body now."""
        body = int(self.model.body(name).id)
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        ids = {int(b if a == body else a) for a, b in pairs if body in (a, b)}
        return {self.model.body(i).name for i in ids}

    def held_by(self, name: str) -> set[str]:
        """Sides whose gripper touches a thing."""
        return {other.split("_")[0] for other in self.touching(name) if other.startswith(SIDES)}


def _shaded(colour: Colour, shade: float) -> Colour:
    """Darker below 1, towards white above."""
    base = np.array(colour)
    r, g, b = base * shade if shade <= 1.0 else base + (1.0 - base) * min(1.0, shade - 1.0)
    return float(r), float(g), float(b)
