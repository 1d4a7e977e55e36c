"""The body of a person: head, trunk and limbs of capsules and ellipsoids, and a right arm on springs that moves.

Everything but the right arm is fixed where the person is placed. The arm has six joints, each driven to an angle by a
spring and a damper, so that a hand that is pushed gives way and a hand that is held can be shaken. Lengths and masses
are those of an adult of 1.75 m and 75 kg (segment masses: de Leva, J. Biomech. 29, 1996: upper arm 2.7 %, forearm
1.6 %, hand 0.6 % of the body); `person.py` scales them.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from wbvla.core.rotation import quat_from_rpy
from wbvla.sim.appearance import COLLISION_GROUP
from wbvla.sim.contact import FURNITURE, NOTHING, ContactKind

PERSON = "person"
STATURE_M = 1.75
"""of the body as it is built [m]"""
SKIN = ContactKind(FURNITURE, 0, friction=(0.8, 0.01, 0.0001), condim=4)
"""a person is met by the robot's limbs, hands and feet"""
ARM_JOINTS = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "forearm", "wrist")
"""of the right arm, from the trunk outwards; all at zero it hangs, the palm towards the thigh"""
AXES = {"shoulder_pitch": 1, "shoulder_roll": 0, "shoulder_yaw": 2, "elbow": 1, "forearm": 2, "wrist": 0}
STIFFNESS = {"shoulder_pitch": 40.0, "shoulder_roll": 40.0, "shoulder_yaw": 20.0, "elbow": 25.0, "forearm": 6.0}
"""of each joint [N.m/rad]; the wrist's is that of the forearm. A pushed hand gives way by about 3 to 10 mm per newton,
the order of a relaxed human arm's endpoint (100 to 400 N/m: Mussa-Ivaldi, Hogan and Bizzi, J. Neurosci. 5, 1985)"""
DAMPING = {"shoulder_pitch": 5.0, "shoulder_roll": 5.0, "shoulder_yaw": 2.0, "elbow": 2.5, "forearm": 0.4}
"""of each joint [N.m.s/rad]"""
STRENGTH_NM = {"shoulder_pitch": 40.0, "shoulder_roll": 40.0, "shoulder_yaw": 25.0, "elbow": 30.0, "forearm": 6.0}
"""largest torque of each joint [N.m]"""
UPPER_ARM_M, FOREARM_M, HAND_M = 0.30, 0.255, 0.18
SHOULDER = (0.0, -0.205, 1.42)
"""of the right arm [m]"""
FINGERS_M = 0.135
"""wrist to the middle of the fingers, where a hand is taken [m]"""
Triple = tuple[float, float, float]
BOX, ELLIPSOID, CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_CAPSULE


@dataclass(frozen=True)
class Part:
    """One piece of a person; `region` is that of the force limits, empty for what is only seen."""

    name: str
    paint: str
    """which of the person's colours it wears"""
    kind: mujoco.mjtGeom
    size: Triple
    """half axes, or radius; a capsule has its ends in `ends` [m]"""
    xyz: Triple = (0.0, 0.0, 0.0)
    region: str = ""
    ends: tuple[Triple, Triple] | None = None
    rpy: Triple = (0.0, 0.0, 0.0)
    hidden: bool = False
    """met, never seen"""


def _pair(name: str, paint: str, radius: float, ends: tuple[Triple, Triple], region: str) -> list[Part]:
    """A left and a right capsule; the ends are those of the left one."""
    return [
        Part(
            f"{side}_{name}",
            paint,
            CAPSULE,
            (radius, 0.0, 0.0),
            region=region,
            ends=((ends[0][0], sign * ends[0][1], ends[0][2]), (ends[1][0], sign * ends[1][1], ends[1][2])),
        )
        for side, sign in (("left", 1.0), ("right", -1.0))
    ]


def _face() -> list[Part]:
    """Eyes, brows, nose, mouth, ears and hair; seen only."""
    parts = [
        Part("nose", "skin", ELLIPSOID, (0.018, 0.013, 0.022), (0.094, 0.0, 1.622)),
        Part("mouth", "lips", ELLIPSOID, (0.010, 0.024, 0.006), (0.083, 0.0, 1.576)),
        Part("hair_cap", "hair", ELLIPSOID, (0.100, 0.083, 0.082), (-0.014, 0.0, 1.683)),
        Part("hair_back", "hair", ELLIPSOID, (0.062, 0.079, 0.10), (-0.048, 0.0, 1.645)),
        Part("hair_long", "hair", ELLIPSOID, (0.055, 0.092, 0.155), (-0.058, 0.0, 1.58)),
        Part("hair_bun", "hair", ELLIPSOID, (0.045, 0.045, 0.045), (-0.09, 0.0, 1.735)),
    ]
    for y in (0.032, -0.032):
        parts += [
            Part(f"eye_{y}", "white", ELLIPSOID, (0.012, 0.015, 0.010), (0.079, y, 1.648)),
            Part(f"pupil_{y}", "iris", ELLIPSOID, (0.006, 0.0065, 0.007), (0.088, y, 1.648)),
            Part(f"brow_{y}", "hair", ELLIPSOID, (0.008, 0.020, 0.005), (0.084, y, 1.673)),
            Part(f"ear_{y}", "skin", ELLIPSOID, (0.018, 0.010, 0.030), (-0.004, float(np.sign(y)) * 0.077, 1.63)),
        ]
    return parts


def trunk() -> list[Part]:
    """All that does not move, in a frame at the floor between the feet, x ahead."""
    return [
        *[
            Part(f"{s}_shoe", "shoes", ELLIPSOID, (0.135, 0.052, 0.048), (0.045, y, 0.048), "lower leg")
            for s, y in (("left", 0.10), ("right", -0.10))
        ],
        *_pair("shin", "trousers", 0.056, ((0.0, 0.10, 0.11), (0.0, 0.098, 0.47)), "lower leg"),
        *_pair("thigh", "trousers", 0.080, ((0.0, 0.098, 0.50), (0.0, 0.085, 0.87)), "thigh"),
        Part("hips", "trousers", ELLIPSOID, (0.118, 0.168, 0.125), (0.0, 0.0, 0.945), "pelvis"),
        Part("belly", "shirt", ELLIPSOID, (0.112, 0.158, 0.185), (0.0, 0.0, 1.09), "abdomen"),
        Part("chest", "shirt", ELLIPSOID, (0.118, 0.178, 0.215), (0.0, 0.0, 1.275), "chest"),
        Part(
            "shoulders",
            "shirt",
            CAPSULE,
            (0.062, 0.0, 0.0),
            region="shoulders",
            ends=((-0.008, -0.15, 1.405), (-0.008, 0.15, 1.405)),
        ),
        Part("neck", "skin", CAPSULE, (0.052, 0.0, 0.0), region="neck", ends=((-0.01, 0.0, 1.42), (0.0, 0.0, 1.54))),
        Part("head", "skin", ELLIPSOID, (0.096, 0.078, 0.118), (0.0, 0.0, 1.632), "head"),
        *_face(),
        Part(
            "left_upper_arm",
            "shirt",
            CAPSULE,
            (0.049, 0.0, 0.0),
            region="upper arm",
            ends=((0.0, 0.205, 1.42), (-0.01, 0.255, 1.13)),
        ),
        Part(
            "left_forearm",
            "sleeve",
            CAPSULE,
            (0.040, 0.0, 0.0),
            region="lower arm",
            ends=((-0.01, 0.255, 1.13), (0.045, 0.262, 0.89)),
        ),
        Part("left_hand", "skin", ELLIPSOID, (0.042, 0.020, 0.095), (0.065, 0.262, 0.80), "hand", rpy=(0.0, -0.2, 0.0)),
    ]


def upper_arm() -> list[Part]:
    """From the shoulder down."""
    return [
        Part(
            "right_upper_arm",
            "shirt",
            CAPSULE,
            (0.049, 0.0, 0.0),
            region="upper arm",
            ends=((0.0, 0.0, 0.0), (0.0, 0.0, -UPPER_ARM_M)),
        )
    ]


def forearm() -> list[Part]:
    """From the elbow down."""
    return [
        Part(
            "right_forearm",
            "sleeve",
            CAPSULE,
            (0.039, 0.0, 0.0),
            region="lower arm",
            ends=((0.0, 0.0, 0.0), (0.0, 0.0, -0.20)),
        ),
        Part("right_wrist", "skin", CAPSULE, (0.027, 0.0, 0.0), ends=((0.0, 0.0, -0.20), (0.0, 0.0, -FOREARM_M))),
    ]


def hand() -> list[Part]:
    """From the wrist down: width along x, thickness along y, the palm towards +y, the thumb ahead."""
    fingers = [
        Part(
            f"finger_{i}",
            "skin",
            CAPSULE,
            (0.0092, 0.0, 0.0),
            ends=((x, 0.0, -0.09), (x * 0.96, 0.004, -tip)),
        )
        for i, (x, tip) in enumerate(((0.030, 0.162), (0.010, 0.173), (-0.010, 0.168), (-0.029, 0.150)))
    ]
    return [
        Part("palm", "skin", ELLIPSOID, (0.044, 0.017, 0.060), (0.0, 0.0, -0.052)),
        Part("palm_met", "skin", BOX, (0.038, 0.013, 0.046), (0.0, 0.0, -0.050), "hand", hidden=True),
        *fingers,
        Part("fingers_met", "skin", BOX, (0.036, 0.0095, 0.042), (0.0, 0.002, FINGERS_M * -1.0), "hand", hidden=True),
        Part(
            "thumb",
            "skin",
            CAPSULE,
            (0.0105, 0.0, 0.0),
            region="hand",
            ends=((0.036, 0.004, -0.030), (0.066, 0.016, -0.082)),
        ),
    ]


def add_person(scene: mujoco.MjSpec) -> mujoco.MjsBody:
    """A person at the origin, placed like a container (`World.place`); the arm's drives come after the robot's."""
    body = scene.worldbody.add_body(name=PERSON, mocap=True)
    _add_parts(body, trunk(), 0.0)
    upper = body.add_body(name=f"{PERSON}_upper_arm", pos=SHOULDER)
    _add_parts(upper, upper_arm(), 2.0)
    fore = upper.add_body(name=f"{PERSON}_forearm", pos=(0.0, 0.0, -UPPER_ARM_M))
    _add_parts(fore, forearm(), 1.2)
    palm = fore.add_body(name=f"{PERSON}_hand", pos=(0.0, 0.0, -FOREARM_M))
    _add_parts(palm, hand(), 0.45)
    palm.add_site(name=f"{PERSON}_fingers", pos=(0.0, 0.0, -FINGERS_M), group=5)
    palm.add_site(name=f"{PERSON}_palm", pos=(0.0, 0.0, -0.06), group=5)
    owners = {"elbow": fore, "forearm": palm, "wrist": palm}
    for name in ARM_JOINTS:
        _add_joint(scene, owners.get(name, upper), name)
    for part in (upper, fore, palm):
        part.gravcomp = 1.0  # a person's muscles carry the arm's weight; the springs hold its place
    # Sizes change from seed to seed, but the tree of bounding boxes inside a body is made when it is compiled.
    scene.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_MIDPHASE
    return body


def _add_joint(scene: mujoco.MjSpec, body: mujoco.MjsBody, name: str) -> None:
    """A hinge with a spring and a damper towards the angle that its drive is given."""
    like = "forearm" if name == "wrist" else name
    axis = np.eye(3)[AXES[name]]
    body.add_joint(name=f"{PERSON}_{name}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, armature=0.005)
    drive = scene.add_actuator(name=f"{PERSON}_{name}", target=f"{PERSON}_{name}")
    drive.trntype = mujoco.mjtTrn.mjTRN_JOINT
    drive.set_to_position(kp=STIFFNESS[like], kv=DAMPING[like])
    drive.forcerange = (-STRENGTH_NM[like], STRENGTH_NM[like])


def _add_parts(body: mujoco.MjsBody, parts: list[Part], mass_kg: float) -> None:
    """Geometries `person.<part>`; what is met shares the mass."""
    met = sum(bool(part.region) for part in parts)
    for part in parts:
        kind = SKIN if part.region else NOTHING
        geom = body.add_geom(
            name=f"{PERSON}.{part.name}",
            type=part.kind,
            size=part.size,
            pos=part.xyz,
            quat=quat_from_rpy(np.array(part.rpy)),
            mass=mass_kg / met if part.region else 0.0,
            contype=kind.contype,
            conaffinity=kind.conaffinity,
            friction=kind.friction,
            condim=kind.condim,
            priority=kind.priority,
        )
        if part.ends is not None:
            geom.fromto = (*part.ends[0], *part.ends[1])
        if part.hidden:
            geom.group = COLLISION_GROUP


def all_parts() -> list[Part]:
    """Every part of a person."""
    return [*trunk(), *upper_arm(), *forearm(), *hand()]
