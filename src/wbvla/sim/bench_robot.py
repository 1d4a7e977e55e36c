"""A generic robot for work at a table: torso on a stand, two 7-joint arms, two grippers, head and wrist cameras.

An original design, not a product: human-like lengths, drives as strong as those of small industrial arms. The base is
bolted to the floor and the torso does not move, so 14 arm joints and 2 grippers are all there is to command.
"""

from dataclasses import dataclass
from math import pi

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.robots.description import HandFacts, ShapeFacts
from wbvla.sim.appearance import add_colliders, add_palette, add_shells
from wbvla.sim.contact import LIMB
from wbvla.sim.gripper import add_gripper
from wbvla.sim.mjcf import camera_quat

SIDES: tuple[str, str] = ("left", "right")
ROBOT = "bench_two_arm"
SHOULDER_XYZ = (0.0, 0.19, 1.17)
"""of the left arm; y mirrors for the right [m]"""
UPPER_M, FOREARM_M, TOOL_M = 0.33, 0.31, 0.17
"""shoulder to elbow, elbow to wrist, wrist to grasp point [m]"""
HEAD_XYZ = (0.14, 0.0, 1.50)
"""of the head camera [m]"""
HEAD_PITCH, HEAD_FOVY, WRIST_FOVY = 1.02, 60.0, 75.0
"""below the horizontal [rad]; vertical fields of view [deg]"""


@dataclass(frozen=True, kw_only=True)
class BenchJoint:
    """One hinge of the left arm with the link it turns; ranges mirror for the right one."""

    name: str
    axis: str
    """`x`, `y` or `z`; the arm hangs down at zero, and y turns it backwards"""
    below_m: float
    """below the joint before [m]"""
    lower: float
    """[rad]"""
    upper: float
    """[rad]"""
    kp: float
    """[N.m/rad]"""
    kd: float
    """[N.m.s/rad]"""
    effort: float
    """largest torque [N.m]"""
    mass: float
    """of the link [kg]"""
    length_m: float
    """of the link, a rod that hangs from the joint [m]"""
    rest: float
    """[rad]"""


ARM = (
    BenchJoint(
        name="shoulder_pitch",
        axis="y",
        below_m=0.0,
        lower=-2.9,
        upper=1.3,
        kp=500.0,
        kd=34.0,
        effort=140.0,
        mass=0.9,
        length_m=0.08,
        rest=0.49,
    ),
    BenchJoint(
        name="shoulder_roll",
        axis="x",
        below_m=0.0,
        lower=-0.5,
        upper=2.2,
        kp=500.0,
        kd=34.0,
        effort=140.0,
        mass=0.6,
        length_m=0.08,
        rest=0.68,
    ),
    BenchJoint(
        name="shoulder_yaw",
        axis="z",
        below_m=0.0,
        lower=-2.4,
        upper=2.4,
        kp=250.0,
        kd=12.0,
        effort=80.0,
        mass=1.1,
        length_m=UPPER_M,
        rest=0.61,
    ),
    BenchJoint(
        name="elbow",
        axis="y",
        below_m=UPPER_M,
        lower=-2.55,
        upper=-0.05,
        kp=350.0,
        kd=16.0,
        effort=90.0,
        mass=0.5,
        length_m=0.08,
        rest=-2.21,
    ),
    BenchJoint(
        name="forearm_roll",
        axis="z",
        below_m=0.0,
        lower=-2.9,
        upper=2.9,
        kp=120.0,
        kd=4.0,
        effort=40.0,
        mass=0.8,
        length_m=FOREARM_M,
        rest=1.07,
    ),
    BenchJoint(
        name="wrist_pitch",
        axis="y",
        below_m=FOREARM_M,
        lower=-2.1,
        upper=2.1,
        kp=140.0,
        kd=5.0,
        effort=40.0,
        mass=0.3,
        length_m=0.05,
        rest=1.28,
    ),
    BenchJoint(
        name="wrist_roll",
        axis="z",
        below_m=0.0,
        lower=-3.0,
        upper=3.0,
        kp=80.0,
        kd=2.5,
        effort=25.0,
        mass=0.25,
        length_m=0.08,
        rest=-0.27,
    ),
)
AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
ARM_JOINTS = tuple(f"{side}_{joint.name}" for side in SIDES for joint in ARM)
"""left 7, then right 7: the order of every joint array here"""
ARMATURE = {"shoulder_pitch": 0.10, "shoulder_roll": 0.10, "shoulder_yaw": 0.06, "elbow": 0.06}
WRIST_ARMATURE = 0.025
"""reflected rotor inertia [kg.m^2]"""
TORSO = (
    ShapeFacts(link="bench", kind="cylinder", size=(0.26, 0.03), xyz=(-0.08, 0.0, 0.03), colour="joint"),
    ShapeFacts(link="bench", kind="cylinder", size=(0.055, 0.40), xyz=(-0.08, 0.0, 0.44), colour="panel"),
    ShapeFacts(link="bench", kind="box", size=(0.075, 0.12, 0.20), xyz=(-0.07, 0.0, 1.02), colour="shell"),
    ShapeFacts(link="bench", kind="box", size=(0.004, 0.07, 0.05), xyz=(0.007, 0.0, 1.06), colour="accent"),
    ShapeFacts(
        link="bench", kind="capsule", size=(0.06, 0.14), xyz=(-0.01, 0.0, 1.17), rpy=(pi / 2, 0.0, 0.0), colour="joint"
    ),
    ShapeFacts(link="bench", kind="cylinder", size=(0.035, 0.08), xyz=(-0.05, 0.0, 1.30), colour="joint"),
    ShapeFacts(link="bench", kind="box", size=(0.07, 0.085, 0.06), xyz=(0.01, 0.0, 1.46), colour="shell"),
    ShapeFacts(link="bench", kind="box", size=(0.004, 0.07, 0.035), xyz=(0.082, 0.0, 1.465), colour="visor"),
)


def gains(field: str) -> Float[np.ndarray, "14"]:
    """`kp`, `kd`, `effort` or `rest` of both arms in `ARM_JOINTS` order."""
    left = np.array([getattr(joint, field) for joint in ARM])
    mirror = np.array([-1.0 if field == "rest" and joint.axis != "y" else 1.0 for joint in ARM])
    return np.concatenate([left, mirror * left])


def hand_facts(side: str) -> HandFacts:
    """The gripper of a side: x along the fingers, z the way they close."""
    return HandFacts(
        side=side,
        link=f"{side}_wrist_roll_link",
        palm_xyz=(0.0, 0.0, -TOOL_M),
        rpy=(0.0, pi / 2, 0.0),
        mass=0.3,
        com_xyz=(0.0, 0.0, -0.12),
        stroke_m=0.09,
        force=45.0,
    )


def build_bench_robot(visuals: bool = True) -> mujoco.MjSpec:
    """The robot alone, with its drives, grippers and cameras `head`, `left_hand`, `right_hand`; floor at z = 0."""
    model = mujoco.MjSpec()
    model.modelname = ROBOT
    model.compiler.degree = False
    base = model.worldbody.add_body(name="bench")
    for side, sign in zip(SIDES, (1.0, -1.0)):
        _add_arm(model, base, side, sign)
        add_gripper(model, hand_facts(side), visuals)
    head = model.worldbody.add_camera(name="head", pos=HEAD_XYZ, quat=camera_quat(HEAD_PITCH), fovy=HEAD_FOVY)
    head.resolution = (640, 480)
    add_colliders(model, _colliders(), LIMB)
    if visuals:
        add_palette(model)
        add_shells(model, (*TORSO, *(shape for side in SIDES for shape in _arm_shells(side))))
    return model


def _add_arm(model: mujoco.MjSpec, base: mujoco.MjsBody, side: str, sign: float) -> None:
    body, xyz = base, np.array(SHOULDER_XYZ) * (1.0, sign, 1.0)
    for joint in ARM:
        body = body.add_body(name=f"{side}_{joint.name}_link", pos=xyz if body is base else (0.0, 0.0, -joint.below_m))
        _set_rod(body, joint)
        mirrored = sign < 0 and joint.axis != "y"
        low, high = (-joint.upper, -joint.lower) if mirrored else (joint.lower, joint.upper)
        name = f"{side}_{joint.name}"
        body.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=AXES[joint.axis],
            range=(low, high),
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            armature=ARMATURE.get(joint.name, WRIST_ARMATURE),
            damping=0.2,
        )
        drive = model.add_actuator(name=name, target=name)
        drive.trntype = mujoco.mjtTrn.mjTRN_JOINT
        drive.set_to_position(kp=joint.kp, kv=joint.kd)
        drive.forcerange = (-joint.effort, joint.effort)
    # On the outer side of the wrist, where both fingers and what they hold are in view.
    wrist = body.add_camera(name=f"{side}_hand", pos=(0.0, sign * 0.08, -0.05), fovy=WRIST_FOVY)
    wrist.quat = _look((0.0, -sign * 0.55, -1.0))
    wrist.resolution = (640, 480)


def _look(along: tuple[float, float, float]) -> Float[np.ndarray, "4"]:
    """Orientation of a camera that looks along a direction, the x-axis upwards in its picture."""
    back = -np.array(along) / np.linalg.norm(along)
    right = np.cross((1.0, 0.0, 0.0), back)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).flatten())
    return quat


def _set_rod(body: mujoco.MjsBody, joint: BenchJoint) -> None:
    """Mass and inertia of a rod of 8 cm thickness."""
    across = joint.mass * (3.0 * 0.04**2 + joint.length_m**2) / 12.0
    body.mass, body.ipos = joint.mass, (0.0, 0.0, -joint.length_m / 2.0)
    body.inertia = (across, across, joint.mass * 0.04**2 / 2.0)
    body.explicitinertial = True


def _colliders() -> list[ShapeFacts]:
    """What of the arms meets tables and objects, beside the grippers: the forearm, and the wrist behind the palm."""
    return [
        shape
        for side in SIDES
        for shape in (
            ShapeFacts(link=f"{side}_forearm_roll_link", kind="capsule", size=(0.04, 0.11), xyz=(0.0, 0.0, -0.15)),
            ShapeFacts(link=f"{side}_wrist_roll_link", kind="capsule", size=(0.034, 0.015), xyz=(0.0, 0.0, -0.035)),
        )
    ]


def _arm_shells(side: str) -> tuple[ShapeFacts, ...]:
    upper, fore, wrist = (f"{side}_{name}_link" for name in ("shoulder_yaw", "forearm_roll", "wrist_roll"))
    across, sign = (pi / 2, 0.0, 0.0), 1.0 if side == "left" else -1.0
    return (
        ShapeFacts(link=f"{side}_shoulder_roll_link", kind="sphere", size=(0.066,), colour="joint"),
        ShapeFacts(link=upper, kind="capsule", size=(0.048, 0.10), xyz=(0.0, 0.0, -0.17), colour="shell"),
        ShapeFacts(link=f"{side}_elbow_link", kind="cylinder", size=(0.05, 0.05), rpy=across, colour="joint"),
        ShapeFacts(link=fore, kind="capsule", size=(0.041, 0.09), xyz=(0.0, 0.0, -0.14), colour="shell"),
        ShapeFacts(link=fore, kind="cylinder", size=(0.043, 0.02), xyz=(0.0, 0.0, -0.2), colour="accent"),
        ShapeFacts(link=f"{side}_wrist_pitch_link", kind="cylinder", size=(0.036, 0.038), rpy=across, colour="joint"),
        ShapeFacts(link=wrist, kind="cylinder", size=(0.034, 0.032), xyz=(0.0, 0.0, -0.045), colour="shell"),
        ShapeFacts(link=wrist, kind="box", size=(0.012, 0.012, 0.012), xyz=(0.0, sign * 0.062, -0.04), colour="visor"),
    )
