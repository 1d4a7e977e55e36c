"""A person in a world: looks drawn by seed, an arm that rests, waves, offers a hand or says stop, and what it feels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import yaw_of
from wbvla.sim.camera import UNSEEN
from wbvla.sim.person_body import ARM_JOINTS, FINGERS_M, FOREARM_M, PERSON, SHOULDER, STATURE_M, UPPER_ARM_M, all_parts
from wbvla.sim.person_contact import ContactMeter
from wbvla.sim.scene import World

Rgb = tuple[float, float, float]
REST, WAVE, OFFER, STOP = "rest", "wave", "offer", "stop"
GESTURES: Mapping[str, tuple[float, ...]] = {
    REST: (0.05, -0.14, 0.0, -0.22, 0.0, 0.0),
    WAVE: (0.0, -1.25, -1.57, -1.75, 0.0, 0.0),
    OFFER: (-0.35, -0.02, 0.10, -1.15, 0.0, 0.0),
    STOP: (-1.10, -0.05, 0.0, -1.85, 1.50, 0.0),
}
"""angles of the arm in `ARM_JOINTS` order [rad]; an offered hand is put to the wanted height by shoulder and elbow"""
WAVE_HZ, WAVE_RAD = 1.1, 0.38
"""a waving elbow swings so often and so far"""
ARM_RADPS = 3.5
"""speed of the arm's joints on the way to a gesture [rad/s]"""
HAIR_STYLES: Mapping[str, tuple[str, ...]] = {
    "short": ("hair_cap", "hair_back"),
    "long": ("hair_cap", "hair_back", "hair_long"),
    "bun": ("hair_cap", "hair_back", "hair_bun"),
    "bald": (),
}


@dataclass(frozen=True, kw_only=True)
class Wardrobe:
    """What people of a split wear."""

    shirts: tuple[Rgb, ...]
    """(red, green, blue)"""
    trousers: tuple[Rgb, ...]
    """(red, green, blue)"""
    hair: tuple[Rgb, ...]
    """(red, green, blue)"""


WARDROBES = {
    "train": Wardrobe(
        shirts=((0.75, 0.18, 0.17), (0.16, 0.33, 0.62), (0.88, 0.87, 0.84), (0.20, 0.46, 0.30), (0.86, 0.68, 0.22)),
        trousers=((0.14, 0.17, 0.27), (0.24, 0.24, 0.25), (0.47, 0.39, 0.29)),
        hair=((0.08, 0.06, 0.05), (0.30, 0.19, 0.11), (0.62, 0.48, 0.28)),
    ),
    "test": Wardrobe(
        shirts=((0.90, 0.48, 0.14), (0.46, 0.26, 0.56), (0.14, 0.55, 0.56), (0.28, 0.28, 0.31)),
        trousers=((0.30, 0.42, 0.60), (0.60, 0.56, 0.48), (0.34, 0.20, 0.18)),
        hair=((0.52, 0.22, 0.10), (0.62, 0.62, 0.62)),
    ),
}
"""no shirt, trousers or hair colour is in both; tones of skin are drawn from one range in both"""
SKIN_LIGHT, SKIN_DARK = np.array([0.94, 0.76, 0.64]), np.array([0.36, 0.23, 0.16])


@dataclass(frozen=True, kw_only=True)
class PersonConfig:
    """Who may stand there."""

    stature_m: tuple[float, float] = (1.5, 1.9)
    """range of the body's height [m]"""
    girth: tuple[float, float] = (0.9, 1.15)
    """range of the width of trunk and limbs over that of the built body [-]"""
    hand_height_m: tuple[float, float] = (0.94, 1.02)
    """range of the height to which a hand is offered: that of a robot of 1.3 m [m]"""
    split: str = "train"
    """set of clothes and hair, one of `WARDROBES`"""

    def __post_init__(self) -> None:
        if self.split not in WARDROBES:
            raise ConfigError(f"unknown split of people {self.split!r}; known: {', '.join(WARDROBES)}")


class Person:
    """An `Actor`: keeps the arm on the gesture that `plan` asks for, and measures every contact with the robot."""

    def __init__(self, world: World, config: PersonConfig | None = None) -> None:
        self.config, model = config or PersonConfig(), world.model
        names = [f"{PERSON}_{joint}" for joint in ARM_JOINTS]
        self._ctrl = np.array([model.actuator(name).id for name in names])
        self._qpos = np.array([model.joint(name).qposadr[0] for name in names])
        self._bodies = [model.body(f"{PERSON}{part}").id for part in ("", "_upper_arm", "_forearm", "_hand")]
        self._geoms = {part.name: int(model.geom(f"{PERSON}.{part.name}").id) for part in all_parts()}
        self._sites = [model.site(f"{PERSON}_{name}").id for name in ("fingers", "palm")]
        ids = list(self._geoms.values())
        fields = ("geom_size", "geom_pos", "geom_rbound", "geom_aabb")
        self._built = {name: getattr(model, name)[ids].copy() for name in fields}
        self._built |= {"site_pos": model.site_pos[self._sites].copy(), "body_pos": model.body_pos[self._bodies].copy()}
        self._mass = {n: getattr(model, n)[self._bodies].copy() for n in ("body_mass", "body_inertia")}
        self.meter = ContactMeter(world)
        self.stature_m, self.hair = STATURE_M, "short"
        self.plan: Callable[[World], str] = lambda world: REST
        self._offer = np.array(GESTURES[OFFER])
        self.gesture = REST
        self._since_s = 0.0
        world.actors.append(self)

    # At the start of a trial.

    def reset(self, world: World, xy: Float[np.ndarray, "2"], yaw: float, seed: int) -> None:
        """The person of a seed, at a place and facing a way, arms down; after `World.reset`."""
        rng, config = np.random.default_rng((seed, 20)), self.config
        self.stature_m, girth = float(rng.uniform(*config.stature_m)), float(rng.uniform(*config.girth))
        self._resize(world, self.stature_m / STATURE_M, girth)
        self._offer = self._offered(float(rng.uniform(*config.hand_height_m)))
        self._dress(world, rng)
        world.place(PERSON, (float(xy[0]), float(xy[1]), 0.0), yaw)
        self.gesture, self._since_s = REST, 0.0
        self.plan = lambda world: REST
        self.pose(world, REST)
        self.meter.reset()

    def pose(self, world: World, gesture: str) -> None:
        """Put the arm into a gesture at once."""
        world.data.qpos[self._qpos] = world.data.ctrl[self._ctrl] = self.angles(gesture)
        mujoco.mj_forward(world.model, world.data)

    def _resize(self, world: World, scale: float, girth: float) -> None:
        """All lengths by a factor, limbs and trunk thicker or thinner, masses with the volume."""
        model, built, ids = world.model, self._built, list(self._geoms.values())
        size = built["geom_size"] * scale
        thick = np.array([bool(p.region) and p.region not in ("head", "hand") for p in all_parts()])
        capsule = np.array([p.ends is not None for p in all_parts()])
        size[thick & capsule, 0] *= girth
        size[thick & ~capsule, :2] *= girth
        model.geom_size[ids], model.geom_pos[ids] = size, built["geom_pos"] * scale
        model.geom_rbound[ids] = built["geom_rbound"] * scale * max(1.0, girth)
        model.geom_aabb[ids] = built["geom_aabb"] * scale
        model.geom_aabb[ids, 3:] *= max(1.0, girth)
        model.site_pos[self._sites] = built["site_pos"] * scale
        model.body_pos[self._bodies[1:]] = built["body_pos"][1:] * scale
        volume = scale**3 * girth**2
        model.body_mass[self._bodies] = self._mass["body_mass"] * volume
        model.body_inertia[self._bodies] = self._mass["body_inertia"] * volume * scale**2
        mujoco.mj_setConst(model, mujoco.MjData(model))  # it leaves its data in another state

    def _offered(self, height_m: float) -> Float[np.ndarray, "6"]:
        """Angles that hold the hand out at a height: the upper arm a little ahead, the elbow does the rest."""
        scale, angles = self.stature_m / STATURE_M, np.array(GESTURES[OFFER])
        for _ in range(20):
            elbow = SHOULDER[2] - UPPER_ARM_M * np.cos(angles[0])
            rise = (height_m / scale - elbow) / (FOREARM_M + FINGERS_M)
            if -0.85 < rise < 0.5:
                break
            angles[0] += 0.05 if rise < 0.0 else -0.05
        slope = float(np.arcsin(np.clip(rise, -0.9, 0.6)))
        angles[3] = -(np.pi / 2.0 + slope) - angles[0]
        return angles

    def _dress(self, world: World, rng: np.random.Generator) -> None:
        """Colours of clothes, skin and hair, and how the hair is worn."""
        wardrobe, model = WARDROBES[self.config.split], world.model
        skin = SKIN_LIGHT + rng.uniform() * (SKIN_DARK - SKIN_LIGHT)
        shirt, trousers, hair = (
            np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.9, 1.08)
            for colours in (wardrobe.shirts, wardrobe.trousers, wardrobe.hair)
        )
        long_sleeves, self.hair = rng.random() < 0.5, str(rng.choice(list(HAIR_STYLES), p=(0.4, 0.3, 0.2, 0.1)))
        paints = {
            "skin": skin,
            "lips": 0.62 * skin + np.array([0.18, 0.02, 0.03]),
            "shirt": shirt,
            "sleeve": shirt if long_sleeves else skin,
            "trousers": trousers,
            "shoes": np.array([0.12, 0.11, 0.11]) if rng.random() < 0.6 else np.array([0.72, 0.70, 0.68]),
            "hair": hair,
            "white": np.full(3, 0.95),
            "iris": np.array([0.10, 0.07, 0.05]),
        }
        for part in all_parts():
            geom = self._geoms[part.name]
            model.geom_rgba[geom] = (*np.clip(paints[part.paint], 0.02, 0.98), 1.0)
            if part.name.startswith("hair_"):
                model.geom_group[geom] = 0 if part.name in HAIR_STYLES[self.hair] else UNSEEN

    # While time goes on.

    def angles(self, gesture: str, since_s: float = 0.0) -> Float[np.ndarray, "6"]:
        """Where the arm is wanted, some time after a gesture began [rad]."""
        wanted = self._offer.copy() if gesture == OFFER else np.array(GESTURES[gesture])
        if gesture == WAVE:
            wanted[3] += WAVE_RAD * np.sin(2.0 * np.pi * WAVE_HZ * since_s)
        return wanted

    def move(self, world: World) -> None:
        """The arm's drives one step nearer to the gesture that is due."""
        gesture = self.plan(world)
        if gesture != self.gesture:
            self.gesture, self._since_s = gesture, world.time_s
        ctrl, step = world.data.ctrl, ARM_RADPS * world.model.opt.timestep
        wanted = self.angles(gesture, world.time_s - self._since_s)
        ctrl[self._ctrl] += np.clip(wanted - ctrl[self._ctrl], -step, step)

    def feel(self, world: World) -> None:
        """Measure what the last step pressed on."""
        self.meter.feel(world)

    # What can be seen of a person.

    def facing(self, world: World) -> tuple[Float[np.ndarray, "2"], float]:
        """Where the person stands [m] and looks [rad]."""
        xyz, quat = world.body_pose(PERSON)
        return xyz[:2], float(yaw_of(quat))

    def shoulder_height_m(self) -> float:
        """Of the right arm above the floor [m]."""
        return SHOULDER[2] * self.stature_m / STATURE_M

    def fingers(self, world: World) -> Float[np.ndarray, "3"]:
        """Where the hand is taken [m]."""
        return world.data.site(f"{PERSON}_fingers").xpos.copy()

    def hand_axes(self, world: World) -> Float[np.ndarray, "3 3"]:
        """Columns: towards the thumb's edge, out of the palm, from the fingertips to the wrist."""
        return world.data.body(f"{PERSON}_hand").xmat.reshape(3, 3).copy()

    def hand_raised(self, world: World) -> bool:
        """Whether the hand is above the shoulder."""
        return bool(self.fingers(world)[2] > self.shoulder_height_m())
