"""Loads a user's own URDF or MJCF under a robot description, and refuses one that describes another robot."""

from pathlib import Path

import mujoco
import numpy as np

from wbvla.core.errors import RobotError
from wbvla.robots.description import JointFacts, RobotSpec
from wbvla.robots.kinematics import link_poses
from wbvla.sim.contact import FOOT, LIMB, NOTHING
from wbvla.sim.mjcf import MjcfOptions, equip, set_solver

POSITION_TOLERANCE, ANGLE_TOLERANCE, MASS_TOLERANCE = 0.005, 0.02, 0.05
"""[m], [rad], share of the link's mass"""


def load_user_model(path: Path, spec: RobotSpec, options: MjcfOptions | None = None) -> mujoco.MjSpec:
    """The user's links, masses and geometry, with our drives, hands, soles, sensors and cameras.

    Joints and links are matched by name. Raises RobotError when the file cannot be read, or naming every joint or
    link that is missing, lies elsewhere, turns about another axis, has other limits or another mass.
    """
    options = options or MjcfOptions()
    try:
        model = mujoco.MjSpec.from_file(str(path))
        model.compiler.fusestatic = False
        found = _differences(model, spec)
        if found:
            listing = "\n".join(f"  - {line}" for line in found)
            raise RobotError(f"{path} is not {spec.name} ({spec.version}):\n{listing}")
        _strip(model, spec)
        set_solver(model, options)
        equip(model, spec, options)
        model.compile()
    except (ValueError, OSError) as error:
        raise RobotError(f"{path} cannot be used as a model of {spec.name}: {error}") from error
    return model


def _differences(model: mujoco.MjSpec, spec: RobotSpec) -> list[str]:
    """One line per joint or link that does not fit."""
    joints, bodies = {j.name: j for j in model.joints}, {b.name for b in model.bodies}
    lines = [f"joint {j.name} is missing" for j in spec.joints if j.name not in joints]
    lines += [f"link {link.name} is missing" for link in spec.links if link.name not in bodies]
    if lines:
        return lines
    probe = model.copy()
    _free_root(probe, spec)
    compiled = probe.compile()
    data = mujoco.MjData(compiled)
    data.qpos[:7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    mujoco.mj_forward(compiled, data)
    poses = link_poses(spec, np.zeros(len(spec.joints)))
    for joint in spec.joints:
        turned = poses[joint.child]
        expected = (turned.xyz, turned.apply(np.array(joint.axis)) - turned.xyz)
        lines += _joint_differences(compiled, data, joint, expected)
    for link in spec.links:
        mass = float(compiled.body(link.name).mass[0])
        if abs(mass - link.mass) > MASS_TOLERANCE * link.mass:
            lines.append(f"link {link.name} has {mass:.3f} kg there, {link.mass:.3f} kg here")
    return lines


def _joint_differences(
    model: mujoco.MjModel, data: mujoco.MjData, joint: JointFacts, expected: tuple[np.ndarray, np.ndarray]
) -> list[str]:
    index, lines = model.joint(joint.name).id, []
    if model.jnt_type[index] != mujoco.mjtJoint.mjJNT_HINGE:
        return [f"joint {joint.name} is not a hinge"]
    place, axis = expected
    if np.abs(data.xanchor[index] - place).max() > POSITION_TOLERANCE:
        lines.append(f"joint {joint.name} lies at {data.xanchor[index].round(4)} m there, {place.round(4)} m here")
    if data.xaxis[index] @ axis < np.cos(ANGLE_TOLERANCE):
        lines.append(f"joint {joint.name} turns about {data.xaxis[index].round(3)} there, {axis.round(3)} here")
    limits, ours = model.jnt_range[index], np.array([joint.lower, joint.upper])
    if not model.jnt_limited[index] or np.abs(limits - ours).max() > ANGLE_TOLERANCE:
        lines.append(f"joint {joint.name} has limits {limits.round(4)} rad there, {ours.round(4)} rad here")
    return lines


def _free_root(model: mujoco.MjSpec, spec: RobotSpec) -> None:
    root = model.body(spec.root_link)
    for joint in list(root.joints):
        model.delete(joint)
    root.add_freejoint(name="root")


def _strip(model: mujoco.MjSpec, spec: RobotSpec) -> None:
    """Replace what we bring ourselves: drives, sensors, cameras, keyframes; contacts by our bits; passive terms."""
    for item in (*model.actuators, *model.sensors, *model.keys, *model.cameras, *model.excludes, *model.pairs):
        model.delete(item)
    _free_root(model, spec)
    model.body(spec.root_link).pos = (0.0, 0.0, spec.nominal_height_m)
    for joint in spec.joints:
        theirs = model.joint(joint.name)
        theirs.armature, theirs.frictionloss = joint.armature, 0.0
        theirs.damping = (joint.damping, 0.0, 0.0)
    for geom in model.geoms:
        touches = bool(geom.contype or geom.conaffinity)
        kind = (FOOT if geom.parent.name in spec.foot_links else LIMB) if touches else NOTHING
        geom.contype, geom.conaffinity = kind.contype, kind.conaffinity
