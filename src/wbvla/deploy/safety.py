"""The safety layer: refuses bad chunks, limits motion, ages out a silent policy, and sits the robot down, damped."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from wbvla.core.command import Command
from wbvla.core.errors import RobotError, SafetyTrip
from wbvla.core.records import Action, BodyState, Image, JointTarget
from wbvla.deploy.chunk import Setpoint
from wbvla.robots.description import RobotSpec

REJECTIONS = (
    "chunk_nan", "chunk_shape", "chunk_joint_limit", "chunk_height", "chunk_flags", "chunk_replayed", "chunk_late",
)  # fmt: skip
LADDER = ("state_refused", "camera_stale", "age_warning", "hold_stand", "waiting")
LIMITS = ("arm_limited", "arm_clipped", "height_clipped")
TRIPS = ("state_stale", "tilt", "flail", "position_error", "lmo_fault", "loop_fault", "watchdog", "operator_stop")


@dataclass(frozen=True, kw_only=True)
class SafetyConfig:
    """Bounds of the safety layer; a tighter one is always allowed."""

    arm_speed_radps: float = 4.0
    """largest speed of an arm target, below each joint's own limit [rad/s]"""
    arm_accel_radps2: float = 60.0
    """largest acceleration of an arm target [rad/s^2]"""
    arm_lag_rad: float = 0.1
    """a target further than this from what the limits let through is reported [rad]"""
    ease_in_s: float = 1.0
    """time over which speed rises to its limit and the held joints go from the measured to their pose [s]"""
    joint_margin_rad: float = 0.1
    """arm targets past a joint limit by less are clipped, by more the chunk is refused [rad]"""
    height_margin_m: float = 0.05
    """heights outside the robot's range by less are clipped, by more the chunk is refused [m]"""
    age_warning_s: float = 0.6
    """T1: older actions are reported [s]"""
    age_limit_s: float = 2.0
    """T2: older actions are no longer executed, even when the chunk is longer [s]"""
    camera_age_s: float = 0.5
    """an observation whose pictures are older is not shown to the policy: it would act on the past [s]"""
    stale_ticks: int = 3
    """body state may be this many control ticks old [-]"""
    tilt_rad: float = 0.9
    """largest angle between the pelvis and the vertical [rad]"""
    tilt_ticks: int = 2
    """ticks in a row before tilt trips [-]"""
    flail_speed_radps: float = 5.0
    """a joint faster than this counts as flailing [rad/s]"""
    flail_joints: int = 3
    """joints that must be too fast at once [-]"""
    flail_ticks: int = 12
    """ticks in a row before flailing trips: longer than the swing of a step or a fast reach [-]"""
    position_error_rad: float = 1.0
    """largest distance between target and measurement of a held or arm joint [rad]"""
    position_error_s: float = 1.0
    """time it may last [s]"""
    start_error_rad: float = 0.5
    """a run is refused where a leg joint is farther from what the controller asks for at its start [rad]"""
    settle_s: float = 2.0
    """standing still after an operator's stop, before sitting down [s]"""
    sit_s: float = 2.0
    """time over which stiffness ramps down [s]"""
    sit_stiffness: float = 0.05
    """share of the stiffness that always stays: a standing robot never gets zero torque [-]"""


class SafetyLayer:
    """One layer per run; a trip is latched for its life, so a restart is a decision of a person.

    `counts` holds how often each rule acted, `trip` the rule that stopped the robot or "".
    """

    def __init__(self, spec: RobotSpec, config: SafetyConfig | None = None, control_hz: float = 50.0) -> None:
        self.config = config or SafetyConfig()
        self.counts: Counter[str] = Counter()
        self.trip = ""
        self.control_hz = control_hz
        self._spec, self._dt = spec, 1.0 / control_hz
        self._arm = spec.indices(spec.arm_joints)
        self._guarded = np.setdiff1d(np.arange(len(spec.joints)), spec.indices(spec.lmo_joints))
        self._held = np.setdiff1d(self._guarded, self._arm)
        self._lower, self._upper = spec.column("lower"), spec.column("upper")
        self._speed = np.minimum(self.config.arm_speed_radps, 0.9 * spec.column("velocity")[self._arm])
        self._events: list[str] = []
        self._first: BodyState | None = None
        self._last: JointTarget | None = None
        self._arm_target = self._arm_speed = np.zeros(len(self._arm))
        self._streak: Counter[str] = Counter()
        self._sit_ticks, self._ticks = 0, 0

    @property
    def interventions(self) -> int:
        """How often a rule changed what the robot was told (warnings and waiting are none)."""
        return sum(n for rule, n in self.counts.items() if rule not in ("age_warning", "waiting"))

    @property
    def settled(self) -> bool:
        """True when the sitting down after a trip is over."""
        return self._sit_ticks * self._dt >= self.config.sit_s

    def report(self, rule: str) -> None:
        """Count one act of a rule and name it in this tick's events."""
        self.counts[rule] += 1
        self._events.append(rule)

    def stop(self, rule: str) -> None:
        """Latch a trip: from now on the robot is only sat down."""
        if not self.trip:
            self.trip = rule
            self.report(rule)

    def require_untripped(self) -> None:
        """Raises SafetyTrip while a trip is latched."""
        if self.trip:
            raise SafetyTrip(f"the safety layer tripped on {self.trip!r}; look at the robot, then start a new run")

    def begin(self, state: BodyState) -> None:
        """Start a run from this pose: ease-in, counts and streaks start anew.

        Raises SafetyTrip when tripped, RobotError when the robot does not stand upright.
        """
        self.require_untripped()
        tilt = _tilt(state)
        if tilt > self.config.tilt_rad:
            raise RobotError(f"the pelvis is tilted by {tilt:.2f} rad; stand the robot up, then start again")
        self.counts.clear()
        self._streak.clear()
        self._first, self._last, self._ticks = state, None, 0
        self._arm_target, self._arm_speed = state.q[self._arm].copy(), np.zeros(len(self._arm))

    def require_stance(self, state: BodyState, legs: Float[np.ndarray, " lmo"]) -> None:
        """Raises RobotError when the legs are far from `legs` [rad], to which full stiffness would throw them."""
        names = self._spec.lmo_joints
        error = np.abs(legs - state.q[self._spec.indices(names)])
        worst = int(np.nanargmax(np.where(np.isfinite(error), error, 0.0)))
        if error[worst] > self.config.start_error_rad:
            raise RobotError(
                f"{names[worst]} is {error[worst]:.2f} rad from where the controller begins, more than "
                f"{self.config.start_error_rad} rad; stand the robot in its nominal pose, then start again"
            )

    def begin_tick(self, state: BodyState, now_s: float) -> None:
        """Watch the body: stale state, tilt, flail, position error."""
        self._ticks += 1
        config = self.config
        stale = not _is_fresh(state.time_s, now_s, (config.stale_ticks + 0.5) * self._dt)
        fast = int((np.abs(state.dq) > config.flail_speed_radps).sum()) >= config.flail_joints
        tilt = _tilt(state) > config.tilt_rad
        far = self._last is not None and bool(
            (np.abs(self._last.q - state.q)[self._guarded] > config.position_error_rad).any()
        )
        self._trip_after("state_stale", stale, 1)
        self._trip_after("tilt", tilt, config.tilt_ticks)
        self._trip_after("flail", fast, config.flail_ticks)
        self._trip_after("position_error", far, round(config.position_error_s / self._dt))

    def take_events(self) -> tuple[str, ...]:
        """Rules that acted since the last call, each once: those of this tick, and what observers stopped before it."""
        events, self._events = tuple(dict.fromkeys(self._events)), []
        return events

    def sees(self, images: Mapping[str, Image], now_s: float) -> bool:
        """Whether every picture is fresh; a frozen camera is counted, and the age ladder does the rest."""
        fresh = all(_is_fresh(image.time_s, now_s, self.config.camera_age_s) for image in images.values())
        if not fresh:
            self.report("camera_stale")
        return fresh

    def admit(self, action: Action) -> bool:
        """Accept or refuse a chunk, whole; a refusal is counted."""
        rule = self._fault(action)
        if rule:
            self.report(rule)
        return not rule

    def guard(
        self, setpoint: Setpoint, age_s: float, halted: bool = False
    ) -> tuple[Float[np.ndarray, " arm"], Command]:
        """The age ladder and the limits of motion: arm target [rad] and command in effect; halted, arms brake."""
        command = setpoint.command
        age_s -= self._dt / 2  # an age of exactly the limit is still allowed, whatever its last bit
        silent = halted or not setpoint.started or setpoint.ended or age_s > self.config.age_limit_s
        if halted:
            pass
        elif silent:
            self.report("hold_stand" if setpoint.started else "waiting")
        elif age_s > self.config.age_warning_s:
            self.report("age_warning")
        low, high = self._spec.height_range_m
        height = float(np.clip(command.height_m, low, high))
        if height != command.height_m:
            self.report("height_clipped")
        s_x, s_y, s_psi = (0, 0, 0) if silent else command.flags
        self._move_arm(np.zeros_like(self._arm_speed) if silent else self._approach(setpoint.arm))
        return self._arm_target.copy(), Command(s_x=s_x, s_y=s_y, s_psi=s_psi, height_m=height)

    def finish(self, target: JointTarget) -> JointTarget:
        """Last word on what is written: ease-in of held joints, joint limits, or the damped sit after a trip.

        A joint that starts beyond its limit may stay and come back; it is not thrown to the limit.
        """
        if self.trip and self._last is not None:
            return self._sit(self._last)
        if self.trip and self._first is not None:
            return self._sit(replace(target, q=self._first.q, gripper=np.clip(self._first.gripper, 0.0, 1.0)))
        q = target.q.copy()
        share = min(1.0, self._ticks * self._dt / max(self.config.ease_in_s, self._dt))
        held = self._held
        if self._first is not None:
            q[held] = self._first.q[held] + share * (q[held] - self._first.q[held])
        before, guarded = self._last or self._first, self._guarded
        reached = self._lower if before is None else before.q
        q[guarded] = _inwards(q, reached, self._lower, self._upper)[guarded]
        gripper = np.clip(target.gripper, 0.0, 1.0)
        self._last = JointTarget(q=q, kp=target.kp, kd=target.kd, gripper=gripper)
        return self._last

    def _sit(self, last: JointTarget) -> JointTarget:
        """Hold the last pose while stiffness ramps down; damping stays."""
        self._sit_ticks += 1
        share = 1.0 - self._sit_ticks * self._dt / self.config.sit_s
        scale = max(self.config.sit_stiffness, share)
        return JointTarget(q=last.q, kp=last.kp * scale, kd=last.kd, gripper=last.gripper)

    def _trip_after(self, rule: str, present: bool, ticks: int) -> None:
        """Trip when a condition has held for `ticks` ticks in a row."""
        self._streak[rule] = self._streak[rule] + 1 if present else 0
        if self._streak[rule] >= ticks:
            self.stop(rule)

    def _fault(self, action: Action) -> str:
        """The rule a chunk breaks, or ""."""
        if action.arm_targets.shape[1] != len(self._arm):
            return "chunk_shape"
        rows = action.vectors()
        if not np.isfinite(rows).all():
            return "chunk_nan"
        if ((action.flags < -1) | (action.flags > 1)).any():
            return "chunk_flags"
        low, high = self._lower[self._arm], self._upper[self._arm]
        margin = self.config.joint_margin_rad
        past = np.maximum(low - action.arm_targets, action.arm_targets - high)
        if (past > margin).any():
            return "chunk_joint_limit"
        if (past > 1e-6).any():
            self.report("arm_clipped")
        bottom, top = self._spec.height_range_m
        beyond = np.maximum(bottom - action.height_m, action.height_m - top)
        return "chunk_height" if (beyond > self.config.height_margin_m).any() else ""

    def _approach(self, wanted: Float[np.ndarray, " arm"]) -> Float[np.ndarray, " arm"]:
        """Speed towards `wanted`, slow enough to brake in time to stop there [rad/s]."""
        accel, dt = self.config.arm_accel_radps2, self._dt
        error = np.clip(wanted, self._lower[self._arm], self._upper[self._arm]) - self._arm_target
        if (np.abs(error) > self.config.arm_lag_rad).any():
            self.report("arm_limited")
        ease = min(1.0, 0.2 + 0.8 * self._ticks * dt / max(self.config.ease_in_s, dt))
        calm = 0.8 * accel  # braking is planned below the limit, so that whole ticks can keep it without overshoot
        brake = np.sqrt((calm * dt / 2) ** 2 + 2 * calm * np.abs(error)) - calm * dt / 2
        return np.sign(error) * np.minimum(np.minimum(brake, ease * self._speed), np.abs(error) / dt)

    def _move_arm(self, speed: Float[np.ndarray, " arm"]) -> None:
        """Move the arm target by one tick at `speed` [rad/s], within acceleration and joint limits."""
        change = self.config.arm_accel_radps2 * self._dt
        speed = np.clip(speed, self._arm_speed - change, self._arm_speed + change)
        moved = self._arm_target + speed * self._dt
        moved = _inwards(moved, self._arm_target, self._lower[self._arm], self._upper[self._arm])
        self._arm_speed, self._arm_target = (moved - self._arm_target) / self._dt, moved


def _tilt(state: BodyState) -> float:
    """Angle between the pelvis and the vertical [rad]."""
    return float(np.arccos(np.clip(-state.gravity_b[2], -1.0, 1.0)))


def _is_fresh(time_s: float, now_s: float, limit_s: float) -> bool:
    """Whether a stamp is no older than the limit [s]; one of another clock, or NaN, is not."""
    return abs(now_s - time_s) <= limit_s


def _inwards(
    wanted: Float[np.ndarray, " n"],
    before: Float[np.ndarray, " n"],
    lower: Float[np.ndarray, " n"],
    upper: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """`wanted` within the limits, or as far beyond them as `before` already was [rad]."""
    return np.clip(wanted, np.minimum(lower, before), np.maximum(upper, before))
