"""Builds the MuJoCo model of a robot from its description: no meshes, position actuators, sole spheres, sensors."""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.description import CameraFacts, JointFacts, LinkFacts, RobotSpec
from wbvla.sim.appearance import add_colliders, add_palette, add_shells
from wbvla.sim.contact import FOOT, LIMB, SOLE
from wbvla.sim.gripper import add_gripper, add_gripper_mass

INTEGRATORS = {
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "implicit": mujoco.mjtIntegrator.mjINT_IMPLICIT,
}
CONES = {"pyramidal": mujoco.mjtCone.mjCONE_PYRAMIDAL, "elliptic": mujoco.mjtCone.mjCONE_ELLIPTIC}
SOLES = ("spheres", "pads", "box")
PAD_M = 0.01
"""half side of a pad [m]"""


@dataclass(frozen=True, kw_only=True)
class MjcfOptions:
    """What of a robot the model holds. The masses are the same whatever is left out."""

    welded: tuple[str, ...] = ()
    """joints without freedom and actuator, for speed in training; empty for anything that is shown or evaluated"""
    visuals: bool = True
    """shells and materials"""
    cameras: bool = True
    """cameras of the description"""
    grippers: bool = True
    """moving fingers; without them their mass stays"""
    colliders: bool = True
    """limbs touch floor, furniture and objects; without them only the soles touch"""
    timestep: float = 0.005
    """physics step [s]"""
    iterations: int = 10
    """solver iterations per step"""
    ls_iterations: int = 20
    """line search iterations per solver iteration"""
    islands: bool = True
    """solve what does not touch apart; a robot alone on a floor is one piece, and looking for more costs 5 %"""
    integrator: str = "implicitfast"
    """one of `INTEGRATORS`"""
    cone: str = "pyramidal"
    """friction cone, one of `CONES`"""
    soles: str = "spheres"
    """`spheres`: the description's; `pads`: a flat square of 2 cm in the place of each; `box`: one over all of them"""

    def __post_init__(self) -> None:
        for name, known in (("integrator", INTEGRATORS), ("cone", CONES), ("soles", SOLES)):
            if getattr(self, name) not in known:
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}; known: {list(known)}")


TRAINING = MjcfOptions(
    visuals=False, cameras=False, grippers=False, colliders=False, iterations=8, ls_iterations=12, islands=False
)
"""legs, arms and soles only; 8 solver iterations give what 20 do (4 leave landings unfinished), at 2 % of a tick"""


def build_robot(spec: RobotSpec, options: MjcfOptions) -> mujoco.MjSpec:
    """The robot alone, standing at its nominal height on nothing: add a floor, then compile.

    Joint, actuator and link names are those of the description, the free joint is `root`, the gripper actuators
    `left_gripper` and `right_gripper` come last. Raises ConfigError when a welded joint is unknown.
    """
    spec.indices(options.welded)
    model = mujoco.MjSpec()
    model.modelname = spec.name
    set_solver(model, options)
    root = model.worldbody.add_body(name=spec.root_link, pos=(0.0, 0.0, spec.nominal_height_m))
    root.add_freejoint(name="root")
    _add_tree(root, spec, options)
    equip(model, spec, options)
    if options.visuals:
        add_shells(model, spec.shells)
    if options.colliders:
        _add_limbs(model, spec)
    return model


def equip(model: mujoco.MjSpec, spec: RobotSpec, options: MjcfOptions) -> None:
    """What every model of the robot gets, ours or a user's: drives, hands, soles, sensors, cameras."""
    for joint in spec.joints:
        if joint.name not in options.welded:
            _add_actuator(model, joint)
    for hand in spec.hands:
        add_gripper(model, hand, options.visuals) if options.grippers else add_gripper_mass(model, hand)
    _add_feet(model, spec, options.soles)
    _add_imus(model, spec)
    if options.visuals:
        add_palette(model)
    if options.cameras:
        for camera in spec.cameras:
            _add_camera(model, camera, spec.root_link)


def _add_limbs(model: mujoco.MjSpec, spec: RobotSpec) -> None:
    """Colliders; those of the feet pass through the floor, where the soles alone stand."""
    feet = [shape for shape in spec.colliders if shape.link in spec.foot_links]
    add_colliders(model, feet, FOOT)
    add_colliders(model, [shape for shape in spec.colliders if shape not in feet], LIMB)


def set_solver(model: mujoco.MjSpec, options: MjcfOptions) -> None:
    """Time step, integrator, friction cone and iterations."""
    model.option.timestep = options.timestep
    model.option.integrator = INTEGRATORS[options.integrator]
    model.option.cone = CONES[options.cone]
    model.option.iterations = options.iterations
    model.option.ls_iterations = options.ls_iterations
    if not options.islands:
        model.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    model.compiler.degree = False


def _add_tree(root: mujoco.MjsBody, spec: RobotSpec, options: MjcfOptions) -> None:
    links = {link.name: link for link in spec.links}
    children: dict[str, list[JointFacts]] = {}
    for joint in spec.joints:
        children.setdefault(joint.parent, []).append(joint)
    _set_inertia(root, links[spec.root_link])
    open_bodies = [root]
    while open_bodies:
        parent = open_bodies.pop()
        for joint in children.get(parent.name, []):
            quat = quat_from_rpy(np.array(joint.origin_rpy))
            body = parent.add_body(name=joint.child, pos=joint.origin_xyz, quat=quat)
            _set_inertia(body, links[joint.child])
            if joint.name not in options.welded:
                _add_joint(body, joint)
            open_bodies.append(body)


def _set_inertia(body: mujoco.MjsBody, link: LinkFacts) -> None:
    body.mass, body.ipos, body.fullinertia = link.mass, link.com_xyz, link.inertia
    body.explicitinertial = True


def _add_joint(body: mujoco.MjsBody, joint: JointFacts) -> None:
    body.add_joint(
        name=joint.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        range=(joint.lower, joint.upper),
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        armature=joint.armature,
        damping=joint.damping,
    )


def _add_actuator(model: mujoco.MjSpec, joint: JointFacts) -> None:
    actuator = model.add_actuator(name=joint.name, target=joint.name)
    actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
    actuator.set_to_position(kp=joint.kp, kv=joint.kd)
    actuator.forcerange = (-joint.effort, joint.effort)


def _add_feet(model: mujoco.MjSpec, spec: RobotSpec, soles: str) -> None:
    """What touches the ground, a site under each foot and its sensors."""
    points = np.array(spec.sole_points)
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2.0, (high - low) / 2.0 + spec.sole_radius + 0.01
    for side, link in zip(("left", "right"), spec.foot_links):
        mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
        body = model.body(link)
        if soles == "box":
            _add_sole(body, f"{side}_sole_0", centre * mirror, (high - low) / 2.0 + spec.sole_radius)
        else:
            r = spec.sole_radius
            size = np.array([r] if soles == "spheres" else [PAD_M, PAD_M, r])
            for index, point in enumerate(points * mirror):
                _add_sole(body, f"{side}_sole_{index}", point, size)
        sole = centre * mirror - np.array([0.0, 0.0, spec.sole_radius])
        body.add_site(name=f"{side}_foot", pos=sole, group=5)
        pad = body.add_site(name=f"{side}_sole", pos=centre * mirror, size=[*half[:2], 0.02], group=5)
        pad.type = mujoco.mjtGeom.mjGEOM_BOX
        _add_foot_sensors(model, side)


def _add_sole(body: mujoco.MjsBody, name: str, point: np.ndarray, size: np.ndarray) -> None:
    """A sphere of one radius or a box of three half sizes [m]."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_SPHERE if len(size) == 1 else mujoco.mjtGeom.mjGEOM_BOX,
        size=[*size, *(3 - len(size)) * [0.0]],
        pos=point,
        mass=0.0,
        contype=SOLE.contype,
        conaffinity=SOLE.conaffinity,
        friction=SOLE.friction,
        condim=SOLE.condim,
        priority=SOLE.priority,
        group=3,
    )


FOOT_SENSORS = {
    "pos": mujoco.mjtSensor.mjSENS_FRAMEPOS,
    "linvel": mujoco.mjtSensor.mjSENS_FRAMELINVEL,
    "zaxis": mujoco.mjtSensor.mjSENS_FRAMEZAXIS,
    "xaxis": mujoco.mjtSensor.mjSENS_FRAMEXAXIS,
}
"""`left_foot_pos` ...: of the site under the sole, in the world frame [m, m/s]; `left_foot_touch` [N] follows them"""
IMU_SENSORS = {
    "gyro": mujoco.mjtSensor.mjSENS_GYRO,
    "accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
    "quat": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
}
"""`pelvis_gyro` [rad/s], `pelvis_accelerometer` [m/s^2] in the sensor's frame; `pelvis_quat` world from sensor"""


def _add_foot_sensors(model: mujoco.MjSpec, side: str) -> None:
    for kind, sensor in FOOT_SENSORS.items():
        _add_site_sensor(model, f"{side}_foot_{kind}", sensor, f"{side}_foot")
    _add_site_sensor(model, f"{side}_foot_touch", mujoco.mjtSensor.mjSENS_TOUCH, f"{side}_sole")


def _add_imus(model: mujoco.MjSpec, spec: RobotSpec) -> None:
    for imu in spec.imus:
        model.body(imu.link).add_site(name=f"{imu.name}_imu", pos=imu.xyz, group=5)
        for kind, sensor in IMU_SENSORS.items():
            _add_site_sensor(model, f"{imu.name}_{kind}", sensor, f"{imu.name}_imu")


def _add_site_sensor(model: mujoco.MjSpec, name: str, sensor: mujoco.mjtSensor, site: str) -> None:
    model.add_sensor(name=name, type=sensor, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


def _add_camera(model: mujoco.MjSpec, camera: CameraFacts, root_link: str) -> None:
    """A camera on its link; one of link `world` follows the root link without turning with it, and looks at it."""
    follows = camera.link == "world"
    mount = model.body(root_link if follows else camera.link)
    yaw = float(np.arctan2(-camera.xyz[1], -camera.xyz[0])) if follows else 0.0
    added = mount.add_camera(
        name=camera.name, pos=camera.xyz, quat=camera_quat(camera.pitch_down, yaw), fovy=camera.fovy_deg
    )
    added.resolution = (camera.width, camera.height)
    if follows:
        added.mode = mujoco.mjtCamLight.mjCAMLIGHT_TRACK


def camera_quat(pitch_down: float, yaw: float = 0.0) -> np.ndarray:
    """Orientation of a MuJoCo camera (looks along -z, y up) that looks along x, `pitch_down` below it [rad]."""
    forward = np.array([np.cos(yaw) * np.cos(pitch_down), np.sin(yaw) * np.cos(pitch_down), -np.sin(pitch_down)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    frame = np.stack([right, np.cross(right, forward), -forward], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, frame.flatten())
    return quat


def joint_addresses(model: mujoco.MjModel, names: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    """Where named hinges live: `qpos`, `qvel` and `ctrl` indices; raises ConfigError when one is absent."""
    ids = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in names]
    acts = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, name) for name in names]
    absent = [name for name, j, a in zip(names, ids, acts) if j < 0 or a < 0]
    if absent:
        raise ConfigError(f"the model has no joint with actuator {absent}; were they welded?")
    return {"qpos": model.jnt_qposadr[ids], "qvel": model.jnt_dofadr[ids], "ctrl": np.array(acts)}
