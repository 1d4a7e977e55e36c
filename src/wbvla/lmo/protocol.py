"""Numbers of a controller: the paper's 5 s + 10 s protocol, sway, squat, pushes, and long random walks.

Everything goes through `deploy/lmo.py` on the full model, with randomised plants, sensor noise, actuation delay and
arms that move at full amplitude.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.command import Shaping, shaped_velocity, smooth_flags
from wbvla.core.rotation import wrap_angle
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.description import RobotSpec

DIRECTIONS = {
    "forward": (1, 0, 0),
    "backward": (-1, 0, 0),
    "left": (0, 1, 0),
    "right": (0, -1, 0),
    "turn_left": (0, 0, 1),
    "turn_right": (0, 0, -1),
}
PUSHES_N = (100.0, 150.0, 200.0, 300.0)
PUSH_S = 0.2
STAND_S = 5
"""standing before the protocol's command: there a robot finds its gyro's bias [s]"""


def _mean(values: np.ndarray) -> float | None:
    """Mean, or None of nothing (all fell)."""
    return round(float(values.mean()), 4) if values.size else None


def _interval(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Mean and half width of its 95 % interval (normal)."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.zeros(0)
    return {name: _mean(values), f"half_{name}": _mean(np.atleast_1d(half))}


def _seen_from(moved_w: Float[np.ndarray, "robot 3"], yaw: Float[np.ndarray, " robot"]) -> np.ndarray:
    """Way in the plane along and across a heading [m]."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([cos * moved_w[:, 0] + sin * moved_w[:, 1], cos * moved_w[:, 1] - sin * moved_w[:, 0]], axis=1)


def coast_s(shaping: Shaping, hz: float) -> float:
    """Seconds at goal speed that the reference still runs after a long-held flag is released."""
    sbar, seconds = 1.0, 0.0
    for _ in range(round(20 * hz)):
        sbar = smooth_flags(sbar, 0.0, shaping)
        seconds += float(shaped_velocity(0.0, sbar, 1.0, shaping)) / hz
    return seconds


def _hold(trial: Trial, ticks: int, flags: Float[np.ndarray, "robot 3"], height_m: np.ndarray) -> None:
    for _ in range(ticks):
        trial.step(flags, height_m)


def walk_and_stop(artefact: Path, spec: RobotSpec, config: TrialConfig, robots_each: int) -> dict[str, Any]:
    """5 s of standing, 5 s of one command, 10 s of settling; errors where the robot ends, counted from the command.

    `position_m`: distance from v_goal * 5 s, `heading_rad`: from the intended heading. In the settling phase alone:
    `settle_m` and `settle_rad`, how far the robot ends from where the release of the flags should have brought it (the
    integral of the reference from then on). `stop_m`: distance moved in the last 8.5 s, `fall_rate`. Means over robots
    that stand; `half_*` are half widths of their 95 % intervals.
    """
    num = robots_each * len(DIRECTIONS)
    trial = Trial(artefact, spec, replace(config, num_robots=num))
    height = np.full(num, spec.nominal_height_m)
    flags = np.repeat(np.array(list(DIRECTIONS.values()), dtype=np.float64), robots_each, axis=0)
    still = np.zeros_like(flags)
    hz = round(trial.settings.rate_hz)
    _hold(trial, STAND_S * hz, still, height)
    start, yaw_0, turned, yaw_before = trial.position, trial.yaw, np.zeros(num), trial.yaw
    stopped, released = start, (start, yaw_0, turned.copy())
    for tick in range(15 * hz):
        trial.step(flags if tick < 5 * hz else still, height)
        turned += wrap_angle(trial.yaw - yaw_before)
        yaw_before = trial.yaw
        if tick == 5 * hz - 1:
            released = (trial.position, np.asarray(trial.yaw), turned.copy())
        if tick == round(6.5 * hz):
            stopped = trial.position
    goal, coast = (
        flags * trial.goal_speed * 5.0,
        flags * trial.goal_speed * coast_s(trial.settings.shaping, trial.settings.rate_hz),
    )
    local = _seen_from(trial.position - start, yaw_0)
    settled = _seen_from(trial.position - released[0], released[1])
    out: dict[str, Any] = {}
    for i, name in enumerate(DIRECTIONS):
        rows = slice(i * robots_each, (i + 1) * robots_each)
        up = ~trial.fallen[rows]
        out[name] = {
            **_interval("position_m", np.linalg.norm(local - goal[:, :2], axis=1)[rows][up]),
            **_interval("heading_rad", np.abs(wrap_angle(turned - goal[:, 2]))[rows][up]),
            **_interval("settle_m", np.linalg.norm(settled - coast[:, :2], axis=1)[rows][up]),
            **_interval("settle_rad", np.abs(wrap_angle(turned - released[2] - coast[:, 2]))[rows][up]),
            "speed": _mean((np.abs(local) @ np.abs(flags[i * robots_each, :2]))[rows][up] / 5.0),
            "stop_m": _mean(np.linalg.norm(trial.position - stopped, axis=1)[rows][up]),
            "fall_rate": round(float(trial.fallen[rows].mean()), 4),
        }
    return out


def sway(artefact: Path, spec: RobotSpec, config: TrialConfig) -> dict[str, Any]:
    """CoMS = sqrt(1/T int |c - cbar|^2 dt) over 10 s [m], drift and height error; standing and squatting."""
    out: dict[str, Any] = {}
    low, _ = spec.height_range_m
    for name, height_m in (("stand", spec.nominal_height_m), ("squat", low + 0.03)):
        trial = Trial(artefact, spec, config)
        flags, height = np.zeros((config.num_robots, 3)), np.full(config.num_robots, height_m)
        hz = round(trial.settings.rate_hz)
        _hold(trial, 3 * hz, flags, height)
        start, yaw_0, track, errors = trial.position, trial.yaw, [], []
        for _ in range(10 * hz):
            trial.step(flags, height)
            track.append(trial.centre_of_mass[:, :2])
            errors.append(np.abs(trial.height - height_m))
        path, up = np.array(track), ~trial.fallen
        spread = np.sqrt(((path - path.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
        out[name] = {
            "sway_m": _mean(spread[up]),
            "drift_m": _mean(np.linalg.norm(trial.position - start, axis=1)[up]),
            "turn_rad": _mean(np.abs(wrap_angle(trial.yaw - yaw_0))[up]),
            "height_m": _mean(np.array(errors)[:, up]),
            "fall_rate": round(float(trial.fallen.mean()), 4),
        }
    return out


def track_heights(artefact: Path, spec: RobotSpec, config: TrialConfig, hold_s: float = 3.0) -> dict[str, Any]:
    """Mean absolute height error [m] of standing robots over the whole range, each height held for `hold_s`.

    Every robot goes through five heights, in an order of its own; the slew of the reference is not counted.
    """
    trial = Trial(artefact, spec, config)
    rng, (low, high) = np.random.default_rng(config.seed), spec.height_range_m
    grid = np.linspace(low, high, 5)
    orders = np.stack([rng.permutation(grid) for _ in range(config.num_robots)], axis=1)
    flags, hz, errors = np.zeros((config.num_robots, 3)), round(trial.settings.rate_hz), []
    for heights in orders:
        _hold(trial, round(hold_s / 2 * hz), flags, heights)
        for _ in range(round(hold_s / 2 * hz)):
            trial.step(flags, heights)
            errors.append(np.abs(trial.height - heights))
    up = ~trial.fallen
    return {"mae_m": _mean(np.array(errors)[:, up]), "fall_rate": round(float(trial.fallen.mean()), 4)}


def pushes(artefact: Path, spec: RobotSpec, config: TrialConfig) -> dict[str, float]:
    """Share of robots that survive a horizontal push of 0.2 s on the root, standing and walking forward."""
    out: dict[str, float] = {}
    num = config.num_robots
    for name, flag in (("stand", 0.0), ("walk", 1.0)):
        for force in PUSHES_N:
            trial = Trial(artefact, spec, config)
            hz = round(trial.settings.rate_hz)
            flags, height = np.zeros((num, 3)), np.full(num, spec.nominal_height_m)
            flags[:, 0] = flag
            _hold(trial, 3 * hz, flags, height)
            angle = np.random.default_rng(config.seed).uniform(-np.pi, np.pi, num)
            trial.push_force(force * np.stack([np.cos(angle), np.sin(angle)], axis=1))
            _hold(trial, round(PUSH_S * hz), flags, height)
            trial.push_force(0.0)
            _hold(trial, 4 * hz, flags, height)
            out[f"{name}_{force:.0f}N"] = round(float(1 - trial.fallen.mean()), 4)
    return out


@dataclass(frozen=True, kw_only=True)
class RandomWalkConfig:
    """Long episodes of random commands."""

    seconds: float = 20.0
    """length of an episode [s]"""
    moving_share: float = 0.65
    """chance that a new command moves [-]"""
    hold_s: tuple[float, float] = (2.5, 6.0)
    """range of the time for which one command is kept [s]"""
    second_axis_share: float = 0.15
    """share of commands that draw a second axis, any of the three: two thirds of these walk along two [-]"""
    any_height_share: float = 0.5
    """moving commands at a random height of the whole range, otherwise nominal; standing ones always random [-]"""
    settle_s: float = 1.5
    """errors count from this long after a change of flags"""


def _plan(
    num: int, ticks: int, hz: float, spec: RobotSpec, config: RandomWalkConfig, seed: int
) -> tuple[Float[np.ndarray, "tick robot 3"], Float[np.ndarray, "tick robot"]]:
    """Flags and heights of every tick of every episode."""
    rng = np.random.default_rng(seed)
    flags, height = np.zeros((ticks, num, 3)), np.zeros((ticks, num))
    for robot in range(num):
        tick = 0
        while tick < ticks:
            end = tick + round(rng.uniform(*config.hold_s) * hz)
            h = rng.uniform(*spec.height_range_m)
            if rng.random() < config.moving_share:
                flags[tick:end, robot, rng.choice(3)] = rng.choice([-1, 1])
                if rng.random() < config.second_axis_share:
                    flags[tick:end, robot, rng.choice(3)] = rng.choice([-1, 1])
                h = h if rng.random() < config.any_height_share else spec.nominal_height_m
            height[tick:end, robot] = h
            tick = end
    return flags, height


def random_walk(artefact: Path, spec: RobotSpec, config: TrialConfig, walk: RandomWalkConfig) -> dict[str, Any]:
    """Falls and tracking errors over random commands, one episode per robot.

    Velocity error: |mean velocity over the last stride - mean reference over it|, averaged over settled ticks
    (walking, flags unchanged for `settle_s`) of episodes up to their fall, on all three axes whether commanded or
    not. Height error: |root height - slewed reference| over all ticks.
    """
    trial = Trial(artefact, spec, config)
    hz = trial.settings.rate_hz
    ticks, stride = round(walk.seconds * hz), round(hz / trial.settings.gait_hz)
    flags, height = _plan(config.num_robots, ticks, hz, spec, walk, config.seed)
    difference, height_error, up = [], [], []
    for tick in range(ticks):
        trial.step(flags[tick], height[tick])
        difference.append(trial.velocity - trial.reference)
        height_error.append(np.abs(trial.height - trial.controller.height))
        up.append(~trial.fallen)
    alive, error = np.array(up), np.array(difference)
    total = np.cumsum(np.concatenate([np.zeros((1, *error.shape[1:])), error]), axis=0)
    window = (total[stride:] - total[:-stride]) / stride
    since = _ticks_since_change(flags)
    settled = (np.abs(flags).max(axis=2) > 0) & (since >= walk.settle_s * hz) & alive
    standing = (np.abs(flags).max(axis=2) == 0) & (since >= walk.settle_s * hz) & alive
    window = np.abs(window)
    return {
        "episodes": config.num_robots,
        "falls": int(trial.fallen.sum()),
        "fall_rate": round(float(trial.fallen.mean()), 4),
        **_tracking("err", window, settled[stride - 1 :]),
        "err_height_m": _mean(np.array(height_error)[alive]),
        **_tracking("rest", window, standing[stride - 1 :]),
        "moving_share": round(float((np.abs(flags).max(axis=2) > 0).mean()), 4),
    }


def _tracking(name: str, error: Float[np.ndarray, "tick robot 3"], counted: Bool[np.ndarray, "tick robot"]) -> dict:
    """Mean of each axis over the counted ticks, and half widths of 95 % intervals over the robots' own means."""
    out: dict[str, float | None] = {}
    ticks = counted.sum(axis=0)
    for axis, unit in enumerate(("x_mps", "y_mps", "yaw_radps")):
        own = (error[:, :, axis] * counted).sum(axis=0)[ticks > 0] / ticks[ticks > 0]
        half = _interval("own", own)["half_own"]
        out |= {f"{name}_{unit}": _mean(error[:, :, axis][counted]), f"half_{name}_{unit}": half}
    return out


def _ticks_since_change(flags: Float[np.ndarray, "tick robot 3"]) -> np.ndarray:
    """How many ticks each robot's flags have been what they are."""
    since = np.zeros(flags.shape[:2], dtype=np.int64)
    for tick in range(1, len(flags)):
        same = (flags[tick] == flags[tick - 1]).all(axis=1)
        since[tick] = np.where(same, since[tick - 1] + 1, 0)
    return since
