"""The two grippers: a palm block and two fingers that one actuator opens (ctrl 1) and closes (ctrl 0)."""

import mujoco
import numpy as np

from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.description import HandFacts, ShapeFacts
from wbvla.sim.appearance import add_shape
from wbvla.sim.contact import PAD, ContactKind

# Sizes in the hand frame: x along the fingers, y across the palm, z the way they close [m].
PALM_HALF = (0.024, 0.020, 0.036)
FINGER_HALF = (0.042, 0.017, 0.007)
PALM_BACK = 0.066
"""palm centre behind the grasp point, along the fingers [m]"""
PALM_SHARE = 0.5
"""of the gripper's mass; a quarter in each finger"""
FIRM = (0.99, 0.999)
"""constraint impedance of hands: with MuJoCo's 0.9 a held box tips by 25 degrees and creeps out at 1 mm/s, although
friction could carry three times its weight. Only hands are firmer: the soles stay as they are in training [-]"""
STIFFNESS, DAMPING = 2500.0, 30.0
"""of the finger drive [N/m, N.s/m]"""


def actuator_name(hand: HandFacts) -> str:
    """Name of a hand's actuator and of its leading finger's joint."""
    return f"{hand.side}_gripper"


def finger_travel(hand: HandFacts) -> float:
    """How far each finger moves between closed and open [m]."""
    return hand.stroke_m / 2.0


def add_gripper(spec: mujoco.MjSpec, hand: HandFacts, visuals: bool) -> None:
    """Mount a moving gripper: 2 coupled slides, 1 position actuator with ctrl in 0 (closed) .. 1 (open)."""
    base = _base(spec, hand)
    palm = ShapeFacts(link=hand.link, kind="box", size=PALM_HALF, xyz=(-PALM_BACK, 0.0, 0.0))
    _solid(base, palm, hand.mass * PALM_SHARE, PAD, "panel" if visuals else "")
    fingers = [_finger(base, hand, sign, visuals) for sign in (1.0, -1.0)]
    _couple(spec, *fingers)
    _drive(spec, hand, fingers[0])


def add_gripper_mass(spec: mujoco.MjSpec, hand: HandFacts) -> None:
    """Mount the same mass as one rigid body with the fingers half open, for training without hands."""
    base = _base(spec, hand)
    offset = finger_travel(hand) / 2.0 + FINGER_HALF[2]
    parts = [(PALM_SHARE, np.array([-PALM_BACK, 0.0, 0.0]), PALM_HALF)]
    parts += [((1 - PALM_SHARE) / 2, np.array([0.0, 0.0, s * offset]), FINGER_HALF) for s in (1, -1)]
    com = sum(share * centre for share, centre, _ in parts)
    inertia = np.zeros(3)
    for share, centre, half in parts:
        squares, arm = np.square(half), np.square(centre - com)
        inertia += hand.mass * share * ((squares.sum() - squares) / 3.0 + arm.sum() - arm)
    base.mass, base.ipos, base.inertia = hand.mass, com, inertia
    base.explicitinertial = True


def _base(spec: mujoco.MjSpec, hand: HandFacts) -> mujoco.MjsBody:
    """Hand frame as a body fixed to the last arm link, with a site at the grasp point."""
    quat = quat_from_rpy(np.array(hand.rpy))
    base = spec.body(hand.link).add_body(name=f"{hand.side}_hand", pos=hand.palm_xyz, quat=quat)
    base.add_site(name=f"{hand.side}_palm", group=5, size=[0.01, 0.01, 0.01])
    return base


def _finger(base: mujoco.MjsBody, hand: HandFacts, sign: float, visuals: bool) -> mujoco.MjsJoint:
    side = "" if sign > 0 else "_follow"
    body = base.add_body(name=f"{hand.side}_finger{side}", pos=(0.0, 0.0, sign * FINGER_HALF[2]))
    shape = ShapeFacts(link=hand.link, kind="box", size=FINGER_HALF)
    mass = hand.mass * (1 - PALM_SHARE) / 2
    _solid(body, shape, mass, PAD, "rubber" if visuals else "")
    return body.add_joint(
        name=f"{hand.side}_gripper{side}",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0.0, 0.0, sign),
        range=(0.0, finger_travel(hand)),
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        damping=2.0,
        armature=0.02,
    )


def _solid(body: mujoco.MjsBody, shape: ShapeFacts, mass: float, kind: ContactKind, colour: str) -> None:
    geom = add_shape(body, shape, kind)
    geom.mass = mass
    geom.solimp[:2] = FIRM
    geom.group = 2 if colour else 3
    if colour:
        geom.material = colour


def _couple(spec: mujoco.MjSpec, lead: mujoco.MjsJoint, follow: mujoco.MjsJoint) -> None:
    spec.add_equality(
        name=follow.name,
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=follow.name,
        name2=lead.name,
        data=[0.0, 1.0] + [0.0] * 10,
        solref=(0.01, 1.0),
    )


def _drive(spec: mujoco.MjSpec, hand: HandFacts, lead: mujoco.MjsJoint) -> None:
    actuator = spec.add_actuator(name=actuator_name(hand), target=lead.name)
    actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = STIFFNESS * finger_travel(hand)
    actuator.biasprm[1], actuator.biasprm[2] = -STIFFNESS, -DAMPING
    actuator.ctrlrange = (0.0, 1.0)
    actuator.forcerange = (-hand.force, hand.force)
