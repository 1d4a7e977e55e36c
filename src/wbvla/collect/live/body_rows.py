"""Control ticks as rows of numbers, and back: what travels from the control loop to the writing process."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from wbvla.core.records import BodyState, Tick
from wbvla.data.features import (
    ACTION,
    EE_POSE,
    IMU,
    STATE,
    TARGET,
    action_of,
    ee_pose_of,
    imu_vector,
    state_vector,
)
from wbvla.robots.description import RobotSpec

FIXED = 1 + 2 + 3 + 3 + 3 + 1
"""numbers besides the joints' and the action: time, grippers, gyro, gravity, acceleration, whether that was measured"""


def row_width(spec: RobotSpec) -> int:
    """Numbers of one tick."""
    return FIXED + 3 * len(spec.joint_names) + num_actions(spec)


def num_actions(spec: RobotSpec) -> int:
    """Channels of `action`."""
    return len(spec.arm_joints) + 2 + 4


def row_of(tick: Tick) -> Float64[np.ndarray, " number"]:
    """One tick as numbers; quick enough for the control loop."""
    state = tick.state
    accel = np.zeros(3) if state.accel_b is None else state.accel_b
    fixed = [[state.time_s], state.gripper, state.gyro_b, state.gravity_b, accel, [float(state.accel_b is not None)]]
    return np.concatenate([*fixed, state.q, state.dq, tick.target.q, action_of(tick).astype(np.float64)])


def state_of(spec: RobotSpec, row: Float[np.ndarray, " number"]) -> BodyState:
    """The measured state in a row; torques do not travel."""
    joints = len(spec.joint_names)
    q, dq = row[FIXED : FIXED + joints], row[FIXED + joints : FIXED + 2 * joints]
    return BodyState(
        time_s=float(row[0]),
        q=q,
        dq=dq,
        torque=np.zeros(joints),
        gripper=row[1:3],
        gyro_b=row[3:6],
        gravity_b=row[6:9],
        accel_b=row[9:12] if row[12] else None,
    )


def columns_of(
    spec: RobotSpec, opened: Float[np.ndarray, " number"], closed: Float[np.ndarray, " number"], acceleration: bool
) -> Mapping[str, Any]:
    """Columns of one frame: what the tick that saw it knew, and the action of the last tick before the next frame."""
    state, joints = state_of(spec, opened), len(spec.joint_names)
    return {
        STATE: state_vector(state),
        IMU: imu_vector(state)[: 6 if acceleration else 3],
        EE_POSE: ee_pose_of(spec, state.q),
        TARGET: opened[FIXED + 2 * joints : FIXED + 3 * joints].astype(np.float32),
        ACTION: closed[FIXED + 3 * joints :].astype(np.float32),
    }
