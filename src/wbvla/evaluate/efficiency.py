"""Efficiency of a run: time to the goal, mechanical energy, rates really held, latency."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from wbvla.evaluate.statistics import bootstrap_mean, spread
from wbvla.evaluate.ticks import TickLog

WARM_UP = 5
"""ticks and replies left out at the start: caches, first render"""


@dataclass(frozen=True, kw_only=True)
class TrialEfficiency:
    """One trial."""

    time_to_goal_s: float | None
    """control time until the task was done [s]; None when it was not"""
    energy_j: float
    """integral of positive joint power [J]"""
    arm_jerk_radps3: float
    """root mean square jerk of the arm targets [rad/s^3]"""


def mechanical_energy(
    torque: Float[np.ndarray, "tick joint"], dq: Float[np.ndarray, "tick joint"], control_hz: float
) -> float:
    """Integral of the positive part of torque times velocity over all joints [J]; nothing is won back by braking."""
    return float(np.clip(torque * dq, 0.0, None).sum() / control_hz)


def measure_efficiency(log: TickLog, time_to_goal_s: float | None) -> TrialEfficiency:
    """Figures of one trial from its ticks."""
    targets = log.column("arm_target")
    jerk = np.diff(targets, n=3, axis=0) * log.control_hz**3 if len(targets) > 3 else np.zeros((0, 1))
    return TrialEfficiency(
        time_to_goal_s=time_to_goal_s,
        energy_j=mechanical_energy(log.column("torque"), log.column("dq"), log.control_hz),
        arm_jerk_radps3=float(np.sqrt(np.mean(jerk**2))) if jerk.size else 0.0,
    )


def summarise_efficiency(trials: Sequence[TrialEfficiency]) -> dict[str, Any] | None:
    """Means with bootstrap intervals over trials; time to the goal only over trials that reached it."""
    if not trials:
        return None
    reached = [t.time_to_goal_s for t in trials if t.time_to_goal_s is not None]
    columns = {
        "time_to_goal_s": reached,
        "energy_j": [t.energy_j for t in trials],
        "arm_jerk_radps3": [t.arm_jerk_radps3 for t in trials],
    }
    found = {name: bootstrap_mean(values) for name, values in columns.items()}
    return {name: asdict(mean) if mean else None for name, mean in found.items()} | {"reached": len(reached)}


@dataclass(frozen=True, kw_only=True)
class HeldRates:
    """Rates of a real-time run, from the times at which things happened, not from busy time."""

    seconds: float
    """length of the run [s]"""
    loop_hz: float
    """mean control rate [Hz]"""
    period_ms: dict[str, float]
    """p50, p95, p99, max of the control period [ms]"""
    worst_second_hz: float
    """fewest control ticks within one second"""
    policy_hz: float | None
    """answers per second [Hz]; None when no policy was asked"""
    round_trip_ms: dict[str, float] | None
    """p50, p95, p99, max from sending an observation to having its chunk [ms]"""


def held_rates(periods_s: Sequence[float], round_trips_s: Sequence[float] = ()) -> HeldRates | None:
    """Rates of a run from its control periods [s] and round trips [s], warm-up left out; None when too short."""
    periods = np.asarray(periods_s, dtype=np.float64)[WARM_UP:]
    periods = periods[np.isfinite(periods) & (periods > 0)]
    if periods.size < 2:
        return None
    ends = np.cumsum(periods)
    starts = ends[ends + 1.0 <= ends[-1]]
    window = np.searchsorted(ends, starts + 1.0 + 1e-9, side="right") - np.arange(1, starts.size + 1)
    found = spread(periods * 1e3)
    trips = spread(np.asarray(round_trips_s, dtype=np.float64)[1:] * 1e3)
    assert found is not None
    return HeldRates(
        seconds=float(ends[-1]),
        loop_hz=float(periods.size / ends[-1]),
        period_ms={"p50": found.p50, "p95": found.p95, "p99": found.p99, "max": found.max},
        worst_second_hz=float(window.min()) if window.size else float(periods.size / ends[-1]),
        policy_hz=float(len(round_trips_s) / ends[-1]) if len(round_trips_s) else None,
        round_trip_ms={"p50": trips.p50, "p95": trips.p95, "p99": trips.p99, "max": trips.max} if trips else None,
    )
