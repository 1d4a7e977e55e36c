"""A person who wears the camera: stature, limbs, gait and clothes, and the arms and hands as they are drawn."""

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.collect.ego.looks import Rgb, draw, palette, shade
from wbvla.core.rotation import quat_from_rpy
from wbvla.sim.mjcf import camera_quat
from wbvla.sim.texture import add_wrap, surface

EYE_M = (1.50, 1.75)
"""height of the head camera of the people drawn [m]"""
SPEED, TURN, STEP = (0.45, 0.85), (0.5, 1.0), (1.5, 2.0)
"""cruise [m/s], turning [rad/s], steps per second [Hz]"""
BOB, SWAY, PITCH, CARRIAGE = (0.008, 0.022), (0.008, 0.020), (0.35, 0.62), (1.05, 1.50)
FOVY = (58.0, 68.0)
"""of the camera, vertical [degrees]"""
SIDES = ("left", "right")
PARTS = ("upper", "fore", "palm", "fingers")
"""bodies of one arm, moved from outside"""
CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE


@dataclass(frozen=True, kw_only=True)
class Person:
    """What differs from one person to the next."""

    height: float
    """of the eyes, standing [m]"""
    speed: float
    """cruise [m/s]"""
    turn_rate: float
    """[rad/s]"""
    step_hz: float
    """steps per second at cruise [Hz]"""
    bob: float
    """amplitude of the head's vertical motion while walking, once a step [m]"""
    sway: float
    """amplitude of its sideways motion, once in two steps [m]"""
    pitch_down: float
    """gaze below the horizon while nothing is looked at [rad]"""
    carriage: float
    """how far the elbows are bent while walking; filming people carry their hands in sight [rad]"""
    fovy: float
    """of the camera, vertical [degrees]"""
    skin: Rgb
    sleeve: Rgb
    sleeve_surface: str
    """of `sim/texture.py`; empty = plain"""
    habits: int = 0
    """seed of glances"""

    @staticmethod
    def draw(rng: np.random.Generator, split: str = "train") -> "Person":
        """Anyone of a split; people of two splits share no stature, gait, skin or sleeve."""
        looks = palette(split)
        return Person(
            height=draw(rng, *EYE_M, split),
            speed=draw(rng, *SPEED, split),
            turn_rate=draw(rng, *TURN, split),
            step_hz=draw(rng, *STEP, split),
            bob=draw(rng, *BOB, split),
            sway=draw(rng, *SWAY, split),
            pitch_down=draw(rng, *PITCH, split),
            carriage=draw(rng, *CARRIAGE, split),
            fovy=draw(rng, *FOVY, split),
            skin=shade(rng, looks.skins[int(rng.integers(len(looks.skins)))]),
            sleeve=shade(rng, looks.sleeves[int(rng.integers(len(looks.sleeves)))]),
            sleeve_surface=looks.sleeve_surfaces[int(rng.integers(len(looks.sleeve_surfaces)))],
            habits=int(rng.integers(1 << 31)),
        )

    def today(self, rng: np.random.Generator) -> "Person":
        """The same person in another clip: a little faster or slower, looking elsewhere."""
        pace = rng.uniform(0.85, 1.15)
        return replace(
            self,
            speed=self.speed * pace,
            turn_rate=self.turn_rate * pace,
            step_hz=self.step_hz * np.sqrt(pace),  # faster people also take longer steps
            habits=int(rng.integers(1 << 31)),
        )

    @property
    def stature(self) -> float:
        """[m]; shares of it here are those of Drillis and Contini (1966), as in Winter, Biomechanics, fig. 4.1."""
        return self.height / 0.936

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow [m]."""
        return 0.186 * self.stature

    @property
    def forearm(self) -> float:
        """Elbow to wrist [m]."""
        return 0.146 * self.stature

    @property
    def palm(self) -> float:
        """Wrist to knuckles [m]."""
        return 0.052 * self.stature

    @property
    def finger(self) -> float:
        """Knuckles to the tip of the middle finger [m]."""
        return 0.056 * self.stature

    @property
    def shoulder(self) -> Float[np.ndarray, "3"]:
        """Left shoulder from the eyes of an upright person [m]."""
        return np.array([-0.09, 0.115 * self.stature, -0.118 * self.stature])

    @property
    def hip_drop(self) -> float:
        """Height of the eyes above the hip joints, about which the trunk bends [m]."""
        return (0.936 - 0.530) * self.stature

    def fingertip(self, curl: float) -> Float[np.ndarray, "3"]:
        """Tip of the middle finger in the frame of the palm: x to the knuckles, z out of the back of the hand [m]."""
        return np.array([self.palm + self.finger * np.cos(curl), 0.0, -self.finger * np.sin(curl)])


def add_person(model: mujoco.MjSpec, person: Person) -> None:
    """The camera, and two arms of upper arm, forearm, palm with thumb, and fingers."""
    head = model.worldbody.add_body(name="person", mocap=True)
    head.add_camera(name="head", quat=camera_quat(0.0), fovy=person.fovy)
    cloth = ""
    if person.sleeve_surface:
        image = surface(person.sleeve_surface, (0.95, 0.95, 0.95), np.random.default_rng(person.habits))
        cloth = add_wrap(model, "sleeve", image)
    for side, sign in zip(SIDES, (1.0, -1.0)):
        parts = {part: model.worldbody.add_body(name=f"{side}_{part}", mocap=True) for part in PARTS}
        _limb(parts["upper"], person.upper_arm, 0.047, person.sleeve).material = cloth
        _limb(parts["fore"], 0.84 * person.forearm, 0.040, person.sleeve).material = cloth
        cuff = _shape(parts["fore"], CYLINDER, (0.043, 0.016), (0.84 * person.forearm, 0.0, 0.0), person.sleeve)
        cuff.quat = ALONG_X
        _limb(parts["fore"], person.forearm, 0.027, person.skin)
        _add_palm(parts["palm"], person, sign)
        _add_fingers(parts["fingers"], person, sign)


ALONG_X = quat_from_rpy(np.array([0.0, np.pi / 2, 0.0]))


def _shape(
    body: mujoco.MjsBody, kind: mujoco.mjtGeom, size: tuple[float, ...], xyz: tuple[float, float, float], colour: Rgb
) -> mujoco.MjsGeom:
    full = [*size, *([0.0] * (3 - len(size)))]
    geom = body.add_geom(type=kind, size=full, pos=xyz, contype=0, conaffinity=0)
    geom.rgba = (*colour, 1.0)
    return geom


def _limb(body: mujoco.MjsBody, length: float, radius: float, colour: Rgb) -> mujoco.MjsGeom:
    """A capsule from the body's origin along x."""
    geom = _shape(body, CAPSULE, (radius, length / 2), (length / 2, 0.0, 0.0), colour)
    geom.quat = ALONG_X
    return geom


def _add_palm(body: mujoco.MjsBody, person: Person, sign: float) -> None:
    """`sign` 1: left, whose thumb is on the right seen from behind (-y)."""
    length = person.palm
    _shape(body, ELLIPSOID, (0.58 * length, 0.044, 0.018), (0.5 * length, 0.0, 0.0), person.skin)
    ball = _shape(body, ELLIPSOID, (0.034, 0.019, 0.018), (0.36 * length, -sign * 0.034, -0.008), person.skin)
    ball.quat = quat_from_rpy(np.array([0.0, 0.15, -sign * 0.5]))
    thumb = _shape(body, CAPSULE, (0.0105, 0.026), (0.80 * length, -sign * 0.060, -0.016), person.skin)
    thumb.quat = quat_from_rpy(np.array([0.0, np.pi / 2 + 0.2, -sign * 0.35]))


def _add_fingers(body: mujoco.MjsBody, person: Person, sign: float) -> None:
    """Four fingers from the knuckles along x, the middle one as long as `finger`."""
    for place, share in ((-0.031, 0.90), (-0.0105, 1.0), (0.0105, 0.94), (0.030, 0.76)):
        length, radius = share * person.finger, 0.0092
        _limb(body, length - radius, radius, person.skin).pos = ((length - radius) / 2, sign * place, 0.0)
