"""The features wbvla's own recordings have: cameras, state, action, with a name and unit for every channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from wbvla.core.records import BodyState
from wbvla.data.format import Feature, scalar, vector, video
from wbvla.robots.description import RobotSpec

IMAGE = "observation.images."
STATE, ACTION, SUCCESS, PRIMITIVE = "observation.state", "action", "success", "primitive"
MANIPULATION_CODES, LOCOMOTION_CODES = "latent.manipulation", "latent.locomotion"
GRIPPERS = ("left_gripper", "right_gripper")
COMMAND = ("s_x", "s_y", "s_psi", "height_m")


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


def state_vector(state: BodyState) -> Float32[np.ndarray, " state"]:
    """One row of `observation.state` from a body state, in the order of `state_names`."""
    parts = (state.q, state.dq, state.gripper, state.gyro_b, state.gravity_b)
    return np.concatenate(parts).astype(np.float32)


def features_for(spec: RobotSpec, cameras: Sequence[str], height: int, width: int) -> dict[str, Feature]:
    """Features of a robot recording: `observation.images.<camera>`, `observation.state`, `action`, `success`."""
    return {
        **{IMAGE + name: video(height, width) for name in cameras},
        STATE: vector(state_names(spec)),
        ACTION: vector(action_names(spec)),
        SUCCESS: scalar("bool"),
    }


def video_features(height: int, width: int, camera: str = "head") -> dict[str, Feature]:
    """Features of action-free egocentric video: one camera and the motion primitive's number."""
    return {IMAGE + camera: video(height, width), PRIMITIVE: scalar("int64")}


def contract_for(spec: RobotSpec) -> dict[str, Any]:
    """What a recording promises about its robot: joints, units, frames, cameras (for `meta/contract.json`)."""
    return {
        "robot": spec.name,
        "robot_version": spec.version,
        "joint_names": list(spec.joint_names),
        "arm_joints": list(spec.arm_joints),
        "height_range_m": list(spec.height_range_m),
        "units": {"angle": "rad", "length": "m", "time": "s", "gripper": "0 closed, 1 open"},
        "frames": {"gyro": "pelvis IMU", "gravity": "pelvis IMU, upright = (0, 0, -1)", "body": "x fwd, y left"},
        "cameras": {
            c.name: {"link": c.link, "xyz_m": list(c.xyz), "pitch_down_rad": c.pitch_down, "fovy_deg": c.fovy_deg}
            for c in spec.cameras
            if c.role == "policy"
        },
    }
