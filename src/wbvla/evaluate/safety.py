"""Safety of a run, counted from its ticks: falls, excess of joint limits, tilt, what the safety layer had to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from wbvla.evaluate.statistics import exact_upper
from wbvla.evaluate.ticks import TickLog
from wbvla.robots.description import RobotSpec
from wbvla.sim.person_contact import PersonContact, summarise_contact

FALL_TILT_RAD = 1.0
"""a pelvis further from the vertical does not come back [rad]"""
PASSIVE_RULES = ("age_warning", "waiting")
"""rules that only report"""


@dataclass(frozen=True, kw_only=True)
class Excess:
    """How far and how long some joint was beyond its limit."""

    joint_ticks: int
    """joint-ticks beyond the limit"""
    exposure_s: float
    """time in which at least one joint was beyond it [s]"""
    worst: float
    """largest excess [rad, rad/s or N.m]; 0 when never beyond"""
    worst_joint: str
    """joint of the largest excess, empty when never beyond"""


@dataclass(frozen=True, kw_only=True)
class TrialSafety:
    """One trial."""

    fell: bool
    trip: str
    """rule that stopped the robot, or empty"""
    max_tilt_rad: float
    position: Excess
    velocity: Excess
    torque: Excess
    events: Mapping[str, int] = field(default_factory=dict)
    """ticks in which each rule of the safety layer acted"""
    duration_s: float
    """control time [s]"""
    person: PersonContact | None = None
    """what the person in the scene felt; None where there is no person"""


def excess(beyond: Float[np.ndarray, "tick joint"], names: Sequence[str], control_hz: float) -> Excess:
    """Summarise amounts beyond a limit; values at or below 0 are within it."""
    over = beyond > 0.0
    if not over.any():
        return Excess(joint_ticks=0, exposure_s=0.0, worst=0.0, worst_joint="")
    worst = int(np.argmax(beyond.max(axis=0)))
    return Excess(
        joint_ticks=int(over.sum()),
        exposure_s=float(over.any(axis=1).sum()) / control_hz,
        worst=float(beyond.max()),
        worst_joint=names[worst],
    )


def measure_safety(
    log: TickLog, spec: RobotSpec, trip: str, fallen: bool = False, person: PersonContact | None = None
) -> TrialSafety:
    """All figures of one trial; `fallen` and `person` are what the world's state said.

    Torques beyond the effort limit cannot occur where the body itself clips them.

    A small tolerance (0.01 rad, 0.1 %) keeps the give of the simulator's limits out of the count.
    """
    names, hz = spec.joint_names, log.control_hz
    joints = len(names)
    q, dq, torque = (log.column(n).reshape(-1, joints) for n in ("q", "dq", "torque"))
    lower, upper, speed, effort = (spec.column(n) for n in ("lower", "upper", "velocity", "effort"))
    tilt = log.tilt_rad()
    worst_tilt = float(tilt.max()) if tilt.size else 0.0
    return TrialSafety(
        fell=fallen or worst_tilt > FALL_TILT_RAD,
        trip=trip,
        max_tilt_rad=worst_tilt,
        position=excess(np.maximum(lower - q, q - upper) - 0.01, names, hz),
        velocity=excess(np.abs(dq) - speed * 1.001, names, hz),
        torque=excess(np.abs(torque) - effort * 1.001, names, hz),
        events=dict(sorted(log.events.items())),
        duration_s=log.duration_s,
        person=person,
    )


def summarise_safety(trials: Sequence[TrialSafety]) -> dict[str, Any] | None:
    """Falls with their exact bound, exposure and interventions per minute over trials; None without a trial."""
    if not trials:
        return None
    minutes = sum(t.duration_s for t in trials) / 60.0
    falls = sum(t.fell for t in trials)
    rules: Counter[str] = Counter()
    for trial in trials:
        rules.update(trial.events)
    acted = {rule: n for rule, n in sorted(rules.items()) if rule not in PASSIVE_RULES}
    return {
        "trials": len(trials),
        "falls": falls,
        "fall_rate_upper_95": exact_upper(falls, len(trials)),
        "trips": dict(sorted(Counter(t.trip for t in trials if t.trip).items())),
        "max_tilt_deg": float(np.rad2deg(max(t.max_tilt_rad for t in trials))),
        "minutes": minutes,
        "interventions_per_minute": {r: n / minutes for r, n in acted.items()} if minutes else {},
        **{kind: _worst_of([getattr(t, kind) for t in trials]) for kind in ("position", "velocity", "torque")},
        "person": summarise_contact([t.person for t in trials if t.person is not None]),
        "self_collision": None,
        "world_contact_impulse": None,
        "capture_point_margin": None,
    }


def _worst_of(excesses: Sequence[Excess]) -> dict[str, Any]:
    """Exposure summed, the worst joint of all."""
    worst = max(excesses, key=lambda e: e.worst)
    return {
        "exposure_s": sum(e.exposure_s for e in excesses),
        "worst": worst.worst,
        "worst_joint": worst.worst_joint,
    }
