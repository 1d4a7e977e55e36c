"""The low-level controller on the robot: command and proprioception in, joint targets out, by numpy and onnxruntime."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Bool, Float

from wbvla.core.command import Command, Shaping, shaped_velocity, slew_height, smooth_flags
from wbvla.core.contract import Artefact, open_artefact, require_match
from wbvla.core.course import CourseConfig
from wbvla.core.errors import ArtefactError
from wbvla.core.records import BodyState
from wbvla.deploy.odometry import Odometry
from wbvla.robots.description import RobotSpec

POLICY_FILE = "policy.onnx"
PRESETS = {"paper": 0, "clock": 2, "heading": 3, "course": 5, "history": 5 * 49}
"""numbers after the paper's 49 (of a robot with 13 driven joints)"""
VELOCITY = "velocity"


@dataclass(frozen=True, kw_only=True)
class LmoSettings:
    """What a controller's contract says about how to run its network; all arrays over the driven joints."""

    preset: str
    """`paper`: 49 numbers; `clock`: 51; `heading`: 52; `course`: 54; `history`: 294"""
    rate_hz: float
    interface: str
    """`discrete`: ternary flags; `velocity`: shares of the goal speeds, a baseline for measurements only"""
    shaping: Shaping
    height_range_m: tuple[float, float]
    default_q: Float[np.ndarray, " lmo"]
    """[rad]"""
    lower: Float[np.ndarray, " lmo"]
    """joint limits [rad]"""
    upper: Float[np.ndarray, " lmo"]
    kp: Float[np.ndarray, " lmo"]
    kd: Float[np.ndarray, " lmo"]
    action_scale: float
    """[rad] per unit of action"""
    action_clip: float
    target_margin_rad: float
    """targets may pass a limit by this [rad]"""
    reference_low_m: float
    """stance height of the first row [m]"""
    reference_step_m: float
    reference_rows: Float[np.ndarray, "row lmo"]
    """joint targets by stance height [rad]"""
    gait_hz: float
    gait_active_above: float
    """the clock goes on after a stop while any smoothed flag is above this [-]"""
    course: CourseConfig
    """how the error against the intended way is kept, for presets that see it"""

    @property
    def keeps(self) -> tuple[float, float, float]:
        """1 for each part of the course that the preset sees: x, y, heading."""
        place, heading = float(self.preset == "course"), float(self.preset in ("heading", "course"))
        return (place, place, heading)

    @staticmethod
    def from_contract(details: Mapping[str, Any], rate_hz: float) -> "LmoSettings":
        """Raises ArtefactError when the contract lacks an entry."""
        try:
            arrays = ("default_q", "lower", "upper", "kp", "kd")
            shaping = details["shaping"]
            reference, gait = details["height_reference"], details["gait"]
            return LmoSettings(
                preset=details["preset"],
                interface=details.get("interface", "discrete"),
                rate_hz=rate_hz,
                shaping=Shaping(**{**shaping, "goal_speed": tuple(shaping["goal_speed"])}),
                height_range_m=tuple(details["height_range_m"]),
                action_scale=details["action_scale"],
                action_clip=details["action_clip"],
                target_margin_rad=details["target_margin_rad"],
                reference_low_m=reference["low_m"],
                reference_step_m=reference["step_m"],
                reference_rows=np.array(reference["rows"], dtype=np.float64),
                gait_hz=gait["frequency_hz"],
                gait_active_above=gait["active_above"],
                course=_course(details.get("course", {})),
                **{name: np.array(details[name], dtype=np.float64) for name in arrays},
            )
        except (KeyError, TypeError) as error:
            raise ArtefactError(f"the LMO contract lacks or misnames an entry: {error}; export it again") from error


def _course(details: Mapping[str, Any]) -> CourseConfig:
    """From a contract; controllers from before it existed keep no course."""
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in details.items()}
    return CourseConfig(**known)


def interpolate_rows(
    rows: Float[np.ndarray, "row lmo"], low: float, step: float, height_m: Float[np.ndarray, " world"]
) -> Float[np.ndarray, "world lmo"]:
    """Linear between rows at `low + i * step`, held beyond the ends."""
    place = np.clip((height_m - low) / step, 0, len(rows) - 1.0001)
    row = place.astype(np.int64)
    blend = (place - row)[:, None]
    return (1 - blend) * rows[row] + blend * rows[row + 1]


class LmoBatch:
    """The controller for many robots at once (rows); one robot is a batch of one.

    One tick: `observe` lets clock and odometry catch up with the state as it is now, `step` runs the network and lets
    the command filters advance. That is the order in which the environment of the training did it.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, settings: LmoSettings, spec: RobotSpec, num_robots: int
    ) -> None:
        self._session, self.settings = session, settings
        self.odometry = Odometry(spec, settings.course, num_robots, settings.rate_hz)
        self.course_gyro_b: Float[np.ndarray, "world 3"] | None = None
        """angular velocity for the odometry [rad/s] where it is read finer than the observation's; None: the same"""
        self._flags: Float[np.ndarray, "world 3"] | None = None
        self._input = session.get_inputs()[0].name
        num_joints = len(settings.default_q)
        self.height = np.zeros(num_robots)
        """slewed stance height reference [m]"""
        self.sbar = np.zeros((num_robots, 3))
        """smoothed flags"""
        self.phase = np.zeros(num_robots)
        self.moving = np.zeros(num_robots, dtype=bool)
        self.action = np.zeros((num_robots, num_joints))
        past = 5 if settings.preset == "history" else 0
        self._past = np.zeros((num_robots, past, 10 + 3 * num_joints))

    def reset(self, height_m: Float[np.ndarray, " world"]) -> None:
        """Forget the past; the height reference starts at `height_m` [m]."""
        self.height[:] = height_m
        for array in (self.sbar, self.phase, self.moving, self.action, self._past):
            array[:] = 0
        self.odometry.reset()
        self._flags = None

    def observe(
        self,
        flags: Float[np.ndarray, "world 3"],
        gyro_b: Float[np.ndarray, "world 3"],
        gravity_b: Float[np.ndarray, "world 3"],
        q: Float[np.ndarray, "world lmo"],
        dq: Float[np.ndarray, "world lmo"],
    ) -> Float[np.ndarray, "world number"]:
        """[u 4, omega 3, gravity 3, q - q0, dq, previous action] and the blocks of the preset."""
        if self._flags is not None:
            turning = gyro_b if self.course_gyro_b is None else self.course_gyro_b
            self._catch_up(self._flags, turning, gravity_b, q)
            self._flags = None
        parts = [flags, self.height[:, None], gyro_b, gravity_b, q - self.settings.default_q, dq, self.action]
        self._now = np.concatenate(parts, axis=1)
        if self.settings.preset in ("clock", "heading", "course"):
            angle = 2 * np.pi * self.phase
            parts.append(np.stack([np.sin(angle), np.cos(angle)], axis=1) * self.moving[:, None])
        keeps = np.array(self.settings.keeps, dtype=bool)
        parts += [self.odometry.course[:, keeps], self._past.reshape(len(q), -1)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def step(
        self,
        flags: Float[np.ndarray, "world 3"],
        height_m: Float[np.ndarray, " world"],
        observation: Float[np.ndarray, "world number"],
    ) -> Float[np.ndarray, "world lmo"]:
        """Joint targets [rad] of this tick."""
        s = self.settings
        raw = np.asarray(self._session.run(None, {self._input: observation})[0])
        self.action = np.clip(raw, -s.action_clip, s.action_clip).astype(np.float64)
        goal = np.clip(height_m, *s.height_range_m)
        self.height = slew_height(self.height, goal, s.shaping, 1.0 / s.rate_hz)
        self.sbar = smooth_flags(self.sbar, flags, s.shaping)
        if self._past.shape[1]:
            self._past = np.concatenate([self._now[:, None], self._past[:, :-1]], axis=1)
        targets = interpolate_rows(s.reference_rows, s.reference_low_m, s.reference_step_m, self.height)
        margin = s.target_margin_rad
        targets = np.clip(targets + s.action_scale * self.action, s.lower - margin, s.upper + margin)
        self._flags = np.array(flags)
        return targets

    def reference(self, flags: Float[np.ndarray, "world 3"]) -> Float[np.ndarray, "world 3"]:
        """Velocity that is asked for [m/s, m/s, rad/s]."""
        s = self.settings
        goal = np.array(s.shaping.goal_speed)
        return goal * flags if s.interface == VELOCITY else shaped_velocity(flags, self.sbar, goal, s.shaping)

    def _catch_up(self, flags: np.ndarray, gyro_b: np.ndarray, gravity_b: np.ndarray, q: np.ndarray) -> None:
        """Odometry and clock over the tick that has passed, under the flags it was run with."""
        s = self.settings
        moving = (np.abs(flags).max(axis=1) > 0) | (np.abs(self.sbar).max(axis=1) > s.gait_active_above)
        if any(s.keeps):
            self.odometry.advance(moving, self.reference(flags), gyro_b, gravity_b, q)
            moving = moving | self.odometry.off_place(self.moving, np.array(s.keeps))
        start = np.where(self._left_first(flags), 0.5, 0.0)
        next_phase = (self.phase + self.settings.gait_hz / self.settings.rate_hz) % 1.0
        self.phase = np.where(moving & ~self.moving, start, next_phase)
        self.moving = moving

    def _left_first(self, flags: Float[np.ndarray, "world 3"]) -> Bool[np.ndarray, " world"]:
        """Whether a robot that starts to step now lifts its left foot first.

        A walk begins with the foot on the side it goes or turns to. A recovery begins with the foot that the robot
        drifts away from: the other one bears it, and without that it would fall faster (docs/decisions.md).
        """
        told = np.where(flags[:, 1] != 0, flags[:, 1], flags[:, 2])
        recovers = ~flags.any(axis=1)
        return np.where(recovers, self.odometry.drift[:, 1] < 0, told > 0)


class LmoController:
    """One robot's controller, called at the control rate with its latest state."""

    def __init__(self, session: onnxruntime.InferenceSession, settings: LmoSettings, spec: RobotSpec) -> None:
        self._batch = LmoBatch(session, settings, spec, 1)
        self._index = spec.indices(spec.lmo_joints)
        self.settings = settings
        self.reset(spec.nominal_height_m)

    @classmethod
    def load(cls, folder: Path, spec: RobotSpec) -> "LmoController":
        """Open and verify an artefact; raises ContractMismatch when it was made for another robot or joint order."""
        session, settings = load_lmo(folder, spec)
        return cls(session, settings, spec)

    @property
    def kp(self) -> Float[np.ndarray, " lmo"]:
        """Stiffness of the driven joints [N.m/rad]."""
        return self.settings.kp

    @property
    def kd(self) -> Float[np.ndarray, " lmo"]:
        """Damping of the driven joints [N.m.s/rad]."""
        return self.settings.kd

    @property
    def height_m(self) -> float:
        """The slewed stance height reference in effect [m]."""
        return float(self._batch.height[0])

    def reset(self, height_m: float) -> None:
        """Forget the past; the height reference starts at `height_m` [m]."""
        self._batch.reset(np.array([height_m]))

    def step(self, state: BodyState, command: Command) -> Float[np.ndarray, " lmo"]:
        """Targets over `RobotSpec.lmo_joints` [rad]; NaN in, NaN out: the loop's safety layer trips on it."""
        flags = np.array([command.flags], dtype=np.float64)
        seen = self._batch.observe(
            flags, state.gyro_b[None], state.gravity_b[None], state.q[None, self._index], state.dq[None, self._index]
        )
        return self._batch.step(flags, np.array([command.height_m]), seen)[0]


def load_lmo(folder: Path, spec: RobotSpec) -> tuple[onnxruntime.InferenceSession, LmoSettings]:
    """Verified network and settings of an artefact, checked against the robot (joints, gains, default pose)."""
    artefact = open_artefact(folder, "lmo")
    require_spec(artefact, spec)
    settings = LmoSettings.from_contract(artefact.contract.details, artefact.contract.rate_hz)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(artefact.file(POLICY_FILE)), sess_options=options, providers=["CPUExecutionProvider"]
    )
    width = 10 + 3 * len(spec.lmo_joints) + PRESETS.get(settings.preset, 0)
    found = session.get_inputs()[0].shape[-1]
    if settings.preset not in PRESETS or found != width:
        raise ArtefactError(
            f"{folder}: preset {settings.preset!r} needs {width} inputs, {POLICY_FILE} takes {found}; export it again"
        )
    return session, settings


def require_spec(artefact: Artefact, spec: RobotSpec) -> None:
    """Raises ContractMismatch naming joints, limits, gains, default pose or heights that differ from the robot's."""
    index = spec.indices(spec.lmo_joints)
    ours = {
        "robot": spec.name,
        "joint_names": list(spec.lmo_joints),
        "height_range_m": list(spec.height_range_m),
        **{name: spec.column(name)[index].tolist() for name in ("lower", "upper", "kp", "kd")},
        "default_q": spec.column("default")[index].tolist(),
    }
    theirs = {"robot": artefact.contract.robot, "joint_names": list(artefact.contract.joint_names)}
    require_match(f"{artefact.folder} for {spec.name}", ours, {**artefact.contract.details, **theirs})
