"""What travels between stations: observation, action chunk, joint target, body state. Frozen, checked, numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer, UInt8, UInt16

from wbvla.core.command import Command
from wbvla.core.errors import ConfigError


def _check(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(s is None or s == a for s, a in zip(shape, array.shape))
    if not fits:
        raise ConfigError(f"{name} has shape {array.shape}, expected {shape} (None = any)")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ConfigError(f"{name} holds NaN or infinity")


@dataclass(frozen=True, kw_only=True)
class BodyState:
    """Proprioception of one control tick, joint arrays in `RobotSpec.joint_names` order."""

    time_s: float
    """monotonic time of the sample [s]"""
    q: Float[np.ndarray, " joint"]
    """joint positions [rad]"""
    dq: Float[np.ndarray, " joint"]
    """joint velocities [rad/s]"""
    torque: Float[np.ndarray, " joint"]
    """measured joint torques [N.m]"""
    gripper: Float[np.ndarray, "2"]
    """left, right opening: 0 closed, 1 open [-]"""
    gyro_b: Float[np.ndarray, "3"]
    """angular velocity of the pelvis IMU in its own frame [rad/s]"""
    gravity_b: Float[np.ndarray, "3"]
    """unit vector of gravity in the pelvis IMU frame; upright = (0, 0, -1) [-]"""
    accel_b: Float[np.ndarray, "3"] | None = None
    """specific force at the pelvis IMU in its frame; still and upright = (0, 0, 9.81) [m/s^2]; None = not measured"""

    def __post_init__(self) -> None:
        joints = self.q.shape[0]
        for name, size in (("q", joints), ("dq", joints), ("torque", joints), ("gripper", 2)):
            _check(f"BodyState.{name}", getattr(self, name), (size,))
        _check("BodyState.gyro_b", self.gyro_b, (3,))
        _check("BodyState.gravity_b", self.gravity_b, (3,))
        if self.accel_b is not None:
            _check("BodyState.accel_b", self.accel_b, (3,))


@dataclass(frozen=True, kw_only=True)
class Image:
    """One camera frame with its own stamp."""

    rgb: UInt8[np.ndarray, "height width 3"]
    time_s: float
    """monotonic time of exposure [s]"""
    depth_mm: UInt16[np.ndarray, "height width"] | None = None
    """distance along the optical axis of the same pixels, 0 = nothing came back [mm]; None: no depth camera"""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a policy sees: images by camera name, proprioception, words."""

    sequence: int
    """grows by one with each observation"""
    state: BodyState
    images: Mapping[str, Image]
    instruction: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """A chunk of H future steps at `rate_hz`; step i is meant for (i + 1) / rate_hz after the observation."""

    rate_hz: float
    arm_targets: Float[np.ndarray, "step arm"]
    """joint targets of the 2x7 arm joints, `RobotSpec.arm_joints` order [rad]"""
    grippers: Float[np.ndarray, "step 2"]
    """left, right opening: 0 closed, 1 open [-]"""
    flags: Integer[np.ndarray, "step 3"]
    """s_x, s_y, s_psi in {-1, 0, 1}"""
    height_m: Float[np.ndarray, " step"]
    """stance height [m]"""

    def __post_init__(self) -> None:
        steps = self.arm_targets.shape[0]
        if steps < 1:
            raise ConfigError("Action needs at least one step")
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise ConfigError(f"Action.rate_hz must be positive, not {self.rate_hz!r}")
        _check("Action.arm_targets", self.arm_targets, (steps, None))
        _check("Action.grippers", self.grippers, (steps, 2))
        _check("Action.flags", self.flags, (steps, 3))
        _check("Action.height_m", self.height_m, (steps,))
        if ((self.flags < -1) | (self.flags > 1)).any():  # abs() of the smallest integer is itself
            raise ConfigError("Action.flags must be -1, 0 or 1")

    @property
    def num_steps(self) -> int:
        return self.arm_targets.shape[0]

    def command(self, step: int) -> Command:
        """The locomotion command of one step."""
        s_x, s_y, s_psi = (int(v) for v in self.flags[step])
        return Command(s_x=s_x, s_y=s_y, s_psi=s_psi, height_m=float(self.height_m[step]))

    def vectors(self) -> Float[np.ndarray, "step action"]:
        """Rows `[arm_targets, grippers, s_x, s_y, s_psi, h]`, the order a dataset's `action` column has."""
        return np.concatenate(
            [self.arm_targets, self.grippers, self.flags.astype(np.float64), self.height_m[:, None]], axis=1
        )

    @staticmethod
    def from_vectors(rows: Float[np.ndarray, "step action"], rate_hz: float) -> "Action":
        """Inverse of `vectors`; flags are rounded to the nearest of -1, 0, 1."""
        flags = np.clip(np.rint(rows[:, -4:-1]), -1, 1).astype(np.int64)
        arms, grippers = rows[:, :-6], np.clip(rows[:, -6:-4], 0.0, 1.0)
        return Action(rate_hz=rate_hz, arm_targets=arms, grippers=grippers, flags=flags, height_m=rows[:, -1])


@dataclass(frozen=True, kw_only=True)
class JointTarget:
    """One PD target per joint, the only thing a body is told: torque = kp (q - q_measured) - kd dq_measured."""

    q: Float[np.ndarray, " joint"]
    """target positions, `RobotSpec.joint_names` order [rad]"""
    kp: Float[np.ndarray, " joint"]
    """stiffness [N.m/rad]"""
    kd: Float[np.ndarray, " joint"]
    """damping [N.m.s/rad]"""
    gripper: Float[np.ndarray, "2"]
    """left, right opening: 0 closed, 1 open [-]"""

    def __post_init__(self) -> None:
        joints = self.q.shape[0]
        for name in ("q", "kp", "kd"):
            _check(f"JointTarget.{name}", getattr(self, name), (joints,))
        _check("JointTarget.gripper", self.gripper, (2,))


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Everything one control tick knew and did; what observers, recorders and evaluators receive."""

    index: int
    """control tick since the run began"""
    state: BodyState
    command: Command
    """the command in effect after the safety layer"""
    target: JointTarget
    arm_target: Float[np.ndarray, " arm"]
    """arm target in effect [rad]"""
    chunk_age_s: float
    """age of the observation behind the action in effect [s]; infinity before the first"""
    period_s: float
    """time since the previous tick [s]"""
    observation: Observation | None = None
    """the observation taken at this tick, if one was"""
    events: tuple[str, ...] = field(default=())
    """what the safety layer did at this tick, by rule name"""
