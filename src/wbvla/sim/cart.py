"""A push cart that rolls: a loaded deck on two fixed and two swivel wheels, and a bar to push it by."""

from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy, yaw_of
from wbvla.sim.contact import FREE, NOTHING, ContactKind
from wbvla.sim.scene import Colour, Vector, World

BOX, CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE
CYLINDER, ELLIPSOID = mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_ELLIPSOID
STEEL, TYRE, RIM = (0.32, 0.34, 0.37), (0.09, 0.09, 0.10), (0.62, 0.64, 0.66)
GRAVITY = 9.81
"""[m/s^2]"""
WHEELS = ("front_left", "front_right", "rear_left", "rear_right")
"""the front ones, far from the bar, are fixed; the rear ones swivel"""
ORIGIN = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class CartConfig:
    """Sizes of the cart; its frame lies on the floor under the deck's middle, x away from the bar."""

    deck_half_m: tuple[float, float, float] = (0.35, 0.26, 0.015)
    """half length, width and thickness of the deck"""
    deck_top_m: float = 0.19
    """top of the deck above the floor"""
    load_half_m: tuple[float, float, float] = (0.27, 0.21, 0.15)
    """half depth, width and height of what is strapped to the deck"""
    load_ahead_m: float = 0.04
    """load's middle before the deck's"""
    bar_height_m: float = 0.64
    """middle of the bar above the floor: in the head camera's view from 1.5 m, in the hands' reach while standing"""
    bar_behind_m: float = 0.12
    """bar behind the deck's edge: room for knees and feet"""
    bar_half_m: float = 0.26
    """half width of the bar"""
    bar_radius_m: float = 0.016
    """fits between the fingers with 2.9 cm to spare on each side"""
    wheel_radius_m: float = 0.06
    """of all four"""
    wheel_half_m: float = 0.014
    """half width of the tread"""
    wheel_at_m: tuple[float, float] = (0.27, 0.2)
    """wheels before and beside the deck's middle"""
    trail_m: float = 0.035
    """a swivel wheel's axle behind its pivot, which makes it follow"""
    frame_kg: float = 15.0
    """deck, posts and bar"""
    load_kg: float = 33.0
    """what is on the deck"""
    wheel_kg: float = 0.5
    """each wheel with its fork"""
    rolling: float = 0.015
    """rolling resistance over load, hard rubber on a smooth floor [-]"""
    swivel_nm: float = 0.15
    """friction of a swivel's bearing"""

    @property
    def bar_x_m(self) -> float:
        """Bar before the cart's origin; negative."""
        return -self.deck_half_m[0] - self.bar_behind_m

    @property
    def mass_kg(self) -> float:
        """Everything that rolls."""
        return self.frame_kg + self.load_kg + 4.0 * self.wheel_kg


def bar_of(cart: str) -> str:
    """Name of a cart's bar, a body of its own that is fixed to the cart."""
    return f"{cart}_bar"


def load_of(cart: str) -> str:
    """Name of a cart's load, a body of its own that is fixed to the cart."""
    return f"{cart}_load"


def add_cart(scene: mujoco.MjSpec, name: str, config: CartConfig, colours: tuple[Colour, Colour]) -> mujoco.MjsBody:
    """A cart on its wheels at the world's origin; colours of deck and load.

    Each wheel turns on an axle whose dry friction is what rolling resistance asks for; wheels touch the floor like
    anything else and slide when pushed sideways. The cart's own parts never meet each other.
    """
    body = scene.worldbody.add_body(name=name)
    body.add_freejoint(name=name)
    _add_deck(body, config, colours)
    _add_frame(body, config)
    for wheel in WHEELS:
        _add_wheel(scene, body, wheel, config)
    return body


def _add_deck(body: mujoco.MjsBody, config: CartConfig, colours: tuple[Colour, Colour]) -> None:
    deck, load = np.array(config.deck_half_m), np.array(config.load_half_m)
    top = body.add_body(name=load_of(body.name), pos=(config.load_ahead_m, 0.0, config.deck_top_m + load[2]))
    plate = _part(body, BOX, deck, (0.0, 0.0, config.deck_top_m - deck[2]), colours[0])
    plate.name, plate.mass = f"{body.name}_deck", 0.75 * config.frame_kg
    _part(top, BOX, load, ORIGIN, colours[1]).mass = config.load_kg
    lighter = tuple(0.45 * np.array(colours[1]) + 0.5)
    for ahead in (-0.5, 0.5):
        _part(top, BOX, (0.02, load[1] + 0.001, load[2] + 0.001), (ahead * load[0], 0.0, 0.0), lighter, NOTHING)


def _add_frame(body: mujoco.MjsBody, config: CartConfig) -> None:
    """Two posts that lean back to the bar, so that knees have room under it."""
    x, z, edge = config.bar_x_m, config.bar_height_m, -config.deck_half_m[0] + 0.015
    for side in (1.0, -1.0):
        y = side * config.bar_half_m
        points = ((edge, y, config.deck_top_m), (edge, y, z - 0.16), (x, y, z))
        for start, end in pairwise(points):
            post = _part(body, CAPSULE, (0.014, 0.0, 0.0), ORIGIN, STEEL)
            post.fromto, post.mass = (*start, *end), 0.05 * config.frame_kg
    rail = _part(body, CAPSULE, (0.01, 0.0, 0.0), ORIGIN, STEEL)
    rail.fromto = (edge, config.bar_half_m, z - 0.22, edge, -config.bar_half_m, z - 0.22)
    bar = _part(
        body.add_body(name=bar_of(body.name), pos=(x, 0.0, z)), CAPSULE, (config.bar_radius_m, 0.0, 0.0), ORIGIN, TYRE
    )
    bar.fromto, bar.mass = (0.0, -config.bar_half_m, 0.0, 0.0, config.bar_half_m, 0.0), 0.05 * config.frame_kg


def _add_wheel(scene: mujoco.MjSpec, cart: mujoco.MjsBody, wheel: str, config: CartConfig) -> None:
    """Fork and wheel; the tread is a flat ellipsoid, round about its axle, that touches the floor in one point."""
    end, side = wheel.split("_")
    swivels, radius = end == "rear", config.wheel_radius_m
    place = np.array([1.0 if end == "front" else -1.0, 1.0 if side == "left" else -1.0]) * config.wheel_at_m
    clear = config.deck_top_m - 2.0 * config.deck_half_m[2] - radius
    name = f"{cart.name}_{wheel}"
    fork = cart.add_body(name=f"{name}_fork", pos=(*place, radius))
    trail = config.trail_m if swivels else 0.0
    if swivels:
        _add_hinge(fork, f"{name}_swivel", (0, 0, 1), config.swivel_nm)
    plate = _part(fork, CYLINDER, (0.028, 0.006, 0.0), (0.0, 0.0, clear - 0.006), STEEL, NOTHING)
    plate.mass = 0.3 * config.wheel_kg
    for y in (1.0, -1.0):
        arm = _part(fork, CAPSULE, (0.006, 0.0, 0.0), ORIGIN, STEEL, NOTHING)
        shoulder = y * (config.wheel_half_m + 0.01)
        arm.fromto = (-trail, shoulder, 0.0, -0.2 * trail, shoulder, clear - 0.01)
    roll = fork.add_body(name=name, pos=(-trail, 0.0, 0.0))
    torque = config.rolling * config.mass_kg * GRAVITY / 4.0 * radius
    _add_hinge(roll, name, (0, 1, 0), torque)
    tread = _part(roll, ELLIPSOID, (radius, config.wheel_half_m, radius), ORIGIN, TYRE, TREAD)
    tread.mass = 0.7 * config.wheel_kg
    lying = quat_from_rpy(np.array([np.pi / 2, 0.0, 0.0]))
    for size, colour in (
        ((radius - 0.001, config.wheel_half_m - 0.002), TYRE),
        ((0.6 * radius, config.wheel_half_m), RIM),
    ):
        _part(roll, CYLINDER, (*size, 0.0), ORIGIN, colour, NOTHING).quat = lying
    hole = _part(roll, BOX, (0.5 * radius, config.wheel_half_m + 0.001, 0.006), ORIGIN, STEEL, NOTHING)
    hole.name = f"{name}_spoke"
    scene.add_exclude(name=name, bodyname1=cart.name, bodyname2=name)


def _add_hinge(body: mujoco.MjsBody, name: str, axis: Vector, friction_nm: float) -> None:
    """A bearing with dry friction, firm enough that a cart pushed too weakly stands still."""
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        frictionloss=friction_nm,
        solimp_friction=(0.99, 0.999, 0.001, 0.5, 2.0),
        armature=1e-4,
    )


TREAD = ContactKind(FREE.contype, FREE.conaffinity, friction=(0.7, 0.005, 0.0001), condim=3)
"""a wheel's own: rolls, slides when forced sideways, turns on the spot; a floor with more friction decides"""


def _part(
    body: mujoco.MjsBody, kind: mujoco.mjtGeom, size: Vector, xyz: Vector, colour: Colour, contact: ContactKind = FREE
) -> mujoco.MjsGeom:
    return body.add_geom(
        type=kind,
        size=size,
        pos=xyz,
        rgba=(*colour, 1.0),
        mass=0.0,
        contype=contact.contype,
        conaffinity=contact.conaffinity,
        friction=contact.friction,
        condim=contact.condim,
    )


def load_cart(world: World, name: str, config: CartConfig, mass_kg: float, rolling: float) -> None:
    """Give a cart another mass [kg] and rolling resistance [-] without compiling again."""
    wheels = 4.0 * config.wheel_kg
    if mass_kg <= wheels or rolling < 0.0:
        raise ConfigError(
            f"a cart needs more than its wheels' {wheels} kg and rolling >= 0, not {mass_kg} kg, {rolling}"
        )
    model, nominal = world.model, world.nominal
    bodies = [model.body(part).id for part in (name, bar_of(name), load_of(name))]
    factor = (mass_kg - wheels) / nominal["body_mass"][bodies].sum()
    model.body_mass[bodies] = factor * nominal["body_mass"][bodies]
    model.body_inertia[bodies] = factor * nominal["body_inertia"][bodies]
    for wheel in WHEELS:
        dof = int(model.joint(f"{name}_{wheel}").dofadr[0])
        model.dof_frictionloss[dof] = rolling * mass_kg * GRAVITY / 4.0 * config.wheel_radius_m
    mujoco.mj_setConst(model, world.data)


def turn_swivels(world: World, name: str, angles_rad: Float[np.ndarray, "2"]) -> None:
    """Turn the swivel wheels, left and right; 0 is how they trail when the cart is pushed."""
    for wheel, angle in zip(WHEELS[2:], angles_rad):
        world.data.qpos[int(world.model.joint(f"{name}_{wheel}_swivel").qposadr[0])] = angle
    mujoco.mj_forward(world.model, world.data)


def bar_pose(world: World, name: str) -> tuple[Float[np.ndarray, "3"], float]:
    """Middle of the bar in the world [m] and the heading that faces it [rad]."""
    xyz, quat = world.body_pose(bar_of(name))
    return xyz, float(yaw_of(quat))


def cart_speed(world: World, name: str) -> tuple[float, float]:
    """Speed along its own x [m/s] and yaw rate [rad/s]."""
    start = int(world.model.joint(name).dofadr[0])
    linear, angular = world.data.qvel[start : start + 3], world.data.qvel[start + 3 : start + 6]
    return float(linear @ world.data.body(name).xmat.reshape(3, 3)[:, 0]), float(angular[2])


def paint_deck(world: World, name: str, colour: Colour) -> None:
    """Give the deck another colour."""
    world.model.geom_rgba[world.model.geom(f"{name}_deck").id, :3] = colour
