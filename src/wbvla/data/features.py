"""What wbvla's recordings hold: cameras, depth, state, target, action, words; a name and unit for every channel."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

from wbvla.core.errors import ConfigError
from wbvla.core.records import BodyState, Observation, Tick
from wbvla.core.rotation import quat_from_rpy, quat_multiply
from wbvla.data.depth import depth_map
from wbvla.data.format import Feature, scalar, vector, video
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK
from wbvla.robots.description import RobotSpec
from wbvla.robots.kinematics import link_poses

IMAGE, DEPTH_OF = "observation.images.", "_depth"
STATE, ACTION, SUCCESS, PRIMITIVE = "observation.state", "action", "success", "primitive"
IMU, EE_POSE, TARGET, STAMPS = "observation.imu", "observation.ee_pose", "target", "stamps"
MANIPULATION_CODES, LOCOMOTION_CODES = "latent.manipulation", "latent.locomotion"
GRIPPERS = ("left_gripper", "right_gripper")
COMMAND = ("s_x", "s_y", "s_psi", "height_m")
POSE = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
BODY_STAMP = "body"
"""name of the body's own sensors (joints, IMU) among the stamps; cameras go by their names"""
SUCCEEDED, FAILED, UNKNOWN = 1, 0, -1
"""values of the column `success`"""
CONTRACT_SCHEMA = 2
"""of the keys of `contract_for`; 1 had neither clock, rates nor intrinsics"""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one recording holds. Everything is optional: action-free video has nothing of a robot."""

    cameras: tuple[str, ...] = ()
    """colour cameras by name"""
    depths: tuple[str, ...] = ()
    """cameras of which depth maps are kept too"""
    height: int = 120
    """of every camera [px]"""
    width: int = 160
    """[px]"""
    robot: bool = True
    """a robot's measured state, its low-level targets, its actions, hand poses and IMU"""
    acceleration: bool = False
    """whether its IMU gives linear acceleration"""
    stamps: bool = True
    """capture times of the body's sensors and of every camera, 64-bit here; LeRobot's items give them as 32-bit"""
    success: bool = True
    """whether the episode reached its goal, where that is known"""
    primitive: bool = False
    """number of the motion primitive of each frame"""
    subtasks: bool = True
    """sub-task and skill of each frame, in words"""
    language: bool = True
    """other phrasings and sub-tasks as LeRobot 0.6 reads them; releases before 0.6 do not open such a dataset"""

    def __post_init__(self) -> None:
        unknown = [name for name in self.depths if name not in self.cameras]
        if unknown:
            raise ConfigError(f"depth of {unknown} asked, the recording has cameras {list(self.cameras)}")

    @property
    def stamp_names(self) -> tuple[str, ...]:
        """Channels of `stamps`."""
        body = (BODY_STAMP,) if self.robot else ()
        return (*body, *self.cameras, *(name + DEPTH_OF for name in self.depths))


def recorded_features(recording: Recording, spec: RobotSpec | None = None) -> dict[str, Feature]:
    """The features of a recording; a robot's need its `spec`."""
    size = (recording.height, recording.width)
    features = {IMAGE + name: video(*size) for name in recording.cameras}
    features |= {IMAGE + name + DEPTH_OF: depth_map(*size) for name in recording.depths}
    if recording.robot:
        if spec is None:
            raise ConfigError("a recording of a robot needs the robot's description; say `robot=False` for video")
        features[STATE] = vector(state_names(spec))
        features[IMU] = vector(imu_names(recording.acceleration))
        features[EE_POSE] = vector(ee_pose_names())
        features[TARGET] = vector(target_names(spec))
        features[ACTION] = vector(action_names(spec))
    if recording.success:
        features[SUCCESS] = scalar("int64")
    if recording.primitive:
        features[PRIMITIVE] = scalar("int64")
    if recording.stamps:
        features[STAMPS] = vector([f"{n}.time_s" for n in recording.stamp_names], "float64")
    if recording.subtasks:
        features |= {SUBTASK: scalar("string"), SKILL: scalar("string")}
    if recording.language:
        features[LANGUAGE] = scalar("language")
    return features


def features_for(spec: RobotSpec, cameras: Sequence[str], height: int, width: int) -> dict[str, Feature]:
    """The least a robot's recording has: `observation.images.<camera>`, `observation.state`, `action`, `success`."""
    recording = Recording(cameras=tuple(cameras), height=height, width=width, language=False)
    whole = recorded_features(recording, spec)
    return {k: f for k, f in whole.items() if k.startswith(IMAGE) or k in (STATE, ACTION, SUCCESS)}


def video_features(height: int, width: int, camera: str = "head") -> dict[str, Feature]:
    """Features of action-free egocentric video: one camera and the motion primitive's number."""
    return {IMAGE + camera: video(height, width), PRIMITIVE: scalar("int64")}


# Names of the channels.


def state_names(spec: RobotSpec) -> tuple[str, ...]:
    """Channels of `observation.state`: q [rad], dq [rad/s], grippers [-], gyro [rad/s], gravity [-]."""
    return (
        *(f"{n}.q_rad" for n in spec.joint_names),
        *(f"{n}.dq_radps" for n in spec.joint_names),
        *(f"{n}.opening" for n in GRIPPERS),
        *(f"gyro_{a}.radps" for a in "xyz"),
        *(f"gravity_{a}" for a in "xyz"),
    )


def action_names(spec: RobotSpec) -> tuple[str, ...]:
    """Channels of `action`, in the order of `core.records.Action.vectors`."""
    return (*(f"{n}.target_rad" for n in spec.arm_joints), *(f"{n}.opening" for n in GRIPPERS), *COMMAND)


def target_names(spec: RobotSpec) -> tuple[str, ...]:
    """Channels of `target`: what the joints' PD drives were told at the frame [rad]."""
    return tuple(f"{n}.target_rad" for n in spec.joint_names)


def imu_names(acceleration: bool) -> tuple[str, ...]:
    """Channels of `observation.imu`: gyro [rad/s] and, where the body has it, specific force [m/s^2], pelvis frame."""
    accel = tuple(f"accel_{a}.mps2" for a in "xyz") if acceleration else ()
    return (*(f"gyro_{a}.radps" for a in "xyz"), *accel)


def ee_pose_names() -> tuple[str, ...]:
    """Channels of `observation.ee_pose`: left, then right hand in the root link's frame [m], quaternion wxyz."""
    return tuple(f"{side}_hand.{part}" for side in ("left", "right") for part in POSE)


# Rows of the columns.


def state_vector(state: BodyState) -> Float32[np.ndarray, " state"]:
    """One row of `observation.state` from a body state, in the order of `state_names`."""
    parts = (state.q, state.dq, state.gripper, state.gyro_b, state.gravity_b)
    return np.concatenate(parts).astype(np.float32)


def imu_vector(state: BodyState) -> Float32[np.ndarray, " imu"]:
    """One row of `observation.imu`."""
    parts = (state.gyro_b,) if state.accel_b is None else (state.gyro_b, state.accel_b)
    return np.concatenate(parts).astype(np.float32)


def ee_pose_of(spec: RobotSpec, q: Float[np.ndarray, "*b joint"]) -> Float32[np.ndarray, "*b 14"]:
    """Rows of `observation.ee_pose` by forward kinematics of the measured joints: palm points and hand frames."""
    poses = link_poses(spec, q)
    parts = []
    for hand in spec.hands:
        link = poses[hand.link]
        turned = np.broadcast_to(quat_from_rpy(np.array(hand.rpy)), link.quat_wxyz.shape)
        parts += [link.apply(np.array(hand.palm_xyz)), quat_multiply(link.quat_wxyz, turned)]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def action_of(tick: Tick) -> Float32[np.ndarray, " action"]:
    """The command in effect at a tick as one row of the `action` column."""
    command = tick.command
    tail = [*command.flags, command.height_m]
    return np.concatenate([tick.arm_target, tick.target.gripper, tail]).astype(np.float32)


def stamps_of(observation: Observation, recording: Recording) -> Float64[np.ndarray, " sensor"]:
    """One row of `stamps` [s]: when the body was read and each picture was taken; depth is taken with its picture."""
    body = (observation.state.time_s,) if recording.robot else ()
    cameras = (observation.images[name].time_s for name in (*recording.cameras, *recording.depths))
    return np.array([*body, *cameras], dtype=np.float64)


def success_of(column: np.ndarray) -> int:
    """`SUCCEEDED`, `FAILED` or `UNKNOWN` of an episode, from its `success` column: integers, or the older booleans."""
    values = np.asarray(column)
    return UNKNOWN if not values.size else int(values.reshape(-1)[-1])


# The contract.


def pinhole(fovy_deg: float, height: int, width: int) -> dict[str, Any]:
    """Intrinsics of a simulated camera drawn at a size [px]; (0, 0) is the outer corner of the first pixel.

    The vertical field of view is the camera's; pixels are square, so the horizontal one follows from the width.
    """
    focal = 0.5 * height / math.tan(0.5 * math.radians(fovy_deg))
    matrix = {"fx": focal, "fy": focal, "cx": 0.5 * width, "cy": 0.5 * height}
    return {"model": "pinhole", "width": width, "height": height, **matrix, "distortion": []}


def contract_for(
    spec: RobotSpec,
    recording: Recording | None = None,
    rates_hz: Mapping[str, float] | None = None,
    clock: str = "simulated time",
) -> dict[str, Any]:
    """What a recording promises (`meta/contract.json`): joints, units, frames, clock, rates, cameras with intrinsics.

    Intrinsics are those of the simulated cameras; for real ones replace them by a calibration's.

    Args:
        rates_hz: how often each sensor is sampled, by name in `stamps`, before frames are picked [Hz].
    """
    cameras = {
        c.name: {"link": c.link, "xyz_m": list(c.xyz), "pitch_down_rad": c.pitch_down, "fovy_deg": c.fovy_deg}
        for c in spec.cameras
        if (c.name in recording.cameras if recording is not None else c.role == "policy")
    }
    if recording is not None:
        for camera in (c for c in spec.cameras if c.name in cameras):
            cameras[camera.name] |= pinhole(camera.fovy_deg, recording.height, recording.width)
    return {
        "schema": CONTRACT_SCHEMA,
        "robot": spec.name,
        "robot_version": spec.version,
        "joint_names": list(spec.joint_names),
        "arm_joints": list(spec.arm_joints),
        "height_range_m": list(spec.height_range_m),
        "units": {
            "angle": "rad",
            "length": "m",
            "time": "s",
            "gripper": "0 closed, 1 open",
            "depth": "mm in the files, 0 = nothing came back",
            "success": "1 yes, 0 no, -1 unknown",
        },
        "frames": {
            "gyro": "pelvis IMU",
            "accel": "pelvis IMU, specific force: upright and still = (0, 0, +9.81)",
            "gravity": "pelvis IMU, upright = (0, 0, -1)",
            "body": "x fwd, y left",
            "ee_pose": f"palm in {spec.root_link}, quaternion wxyz: x along the fingers, z the way they close",
            "camera": "optical axis = x of the link turned down by pitch_down_rad",
        },
        "hands": {h.side: {"link": h.link, "palm_xyz_m": list(h.palm_xyz), "rpy_rad": list(h.rpy)} for h in spec.hands},
        "clock": clock,
        "rates_hz": dict(rates_hz or {}),
        "cameras": cameras,
    }
