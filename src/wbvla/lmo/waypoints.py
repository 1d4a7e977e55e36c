"""The walking yardstick: 18 waypoints in 90 s by flags alone, arms on their own way, a punch on every leg.

After a public benchmark of G1 walking policies: 90 s, 18 waypoints, arms that walk at random, punches
of up to 500 N for 0.08 s on a random link in a random direction. Its course is not public; ours is `WaypointConfig`.

The planner knows the true pose, which a robot does not; it stands for the person or the camera that steers. It sets
flags and nothing else. Each axis goes while what is left is more than the reference will still run after the flag is
released; once released it starts again only when more than `start` is missing and the filter has calmed down. Of the
three axes the two that need the longest time may go at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.command import Shaping, reference_velocity, smooth_flags
from wbvla.core.rotation import wrap_angle
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.description import RobotSpec

CALM = 0.15
"""a released axis may start again when its smoothed flag is below this [-]"""


@dataclass(frozen=True, kw_only=True)
class WaypointConfig:
    """Course, planner and punches."""

    waypoints: int = 18
    """number of waypoints"""
    leg_s: float = 5.0
    """each waypoint is due this long after the one before [s]"""
    spacing_m: float = 0.8
    """distance from one waypoint to the next [m]"""
    bearing_rad: float = 0.785
    """half width of the direction of the next waypoint, seen along the heading of the last one [rad]"""
    turn_rad: float = 0.785
    """half width of the change of heading between two waypoints [rad]"""
    start: tuple[float, float, float] = (0.1, 0.1, 0.12)
    """a resting axis starts when more than this is missing: x, y [m], heading [rad]"""
    axes_at_once: int = 2
    """flags that may be set together"""
    settle_s: float = 2.0
    """standing before the course begins [s]"""
    punch_n: float = 500.0
    """largest force of a punch; there is one on each leg, at a random time [N]"""
    punch_s: float = 0.08
    """length of a punch [s]"""
    reached: tuple[float, float] = (0.3, 0.35)
    """a waypoint counts as reached within this when it is due: distance [m], heading [rad]"""


class FlagPlanner:
    """Chooses flags of many robots from their true pose and a goal; keeps the controller's command filter in step."""

    def __init__(self, shaping: Shaping, hz: float, num_robots: int, config: WaypointConfig) -> None:
        self._shaping, self._config = shaping, config
        self._speed = np.array(shaping.goal_speed)
        self._grid = np.linspace(0.0, 1.0, 101)
        self._run_s = _run_on(self._grid, shaping, hz)
        self.sbar, self.flags = np.zeros((num_robots, 3)), np.zeros((num_robots, 3))

    def choose(self, missing: Float[np.ndarray, "robot 3"]) -> Float[np.ndarray, "robot 3"]:
        """Flags for this tick, given what is missing along x, y [m] and heading [rad] in the heading frame."""
        run_on = np.sign(self.sbar) * self._speed * np.interp(np.abs(self.sbar), self._grid, self._run_s)
        left = missing - run_on
        going = (self.flags != 0) & (np.sign(left) == self.flags)
        calm = np.abs(self.sbar) < CALM
        starting = (self.flags == 0) & calm & (np.abs(missing) > np.array(self._config.start))
        wanted = going | starting
        urgency = np.where(wanted, np.abs(left) / self._speed + going, -1.0)
        rank = np.argsort(np.argsort(-urgency, axis=1), axis=1)
        chosen = wanted & (rank < self._config.axes_at_once)
        self.flags = np.where(chosen, np.sign(left), 0.0)
        self.sbar = smooth_flags(self.sbar, self.flags, self._shaping)
        return self.flags


def _run_on(sbar: Float[np.ndarray, " place"], shaping: Shaping, hz: float) -> Float[np.ndarray, " place"]:
    """Seconds at goal speed that the reference still runs from each smoothed flag on, once the flag is released."""
    seconds, now = np.zeros_like(sbar), sbar.copy()
    for _ in range(round(20 * hz)):
        now = smooth_flags(now, np.zeros_like(now), shaping)
        seconds += reference_velocity(now, np.ones_like(now), shaping) / hz
    return seconds


def draw_course(
    num_robots: int, config: WaypointConfig, rng: np.random.Generator
) -> Float[np.ndarray, "robot waypoint 3"]:
    """Waypoints of each robot from (0, 0, 0) on: x, y [m] and heading [rad], the latter not wrapped."""
    shape = (num_robots, config.waypoints)
    heading = np.cumsum(rng.uniform(-config.turn_rad, config.turn_rad, shape), axis=1)
    before = np.concatenate([np.zeros((num_robots, 1)), heading[:, :-1]], axis=1)
    way = before + rng.uniform(-config.bearing_rad, config.bearing_rad, shape)
    step = config.spacing_m * np.stack([np.cos(way), np.sin(way)], axis=-1)
    return np.concatenate([np.cumsum(step, axis=1), heading[:, :, None]], axis=2)


def missing_to(
    goal: Float[np.ndarray, "robot 3"], place_w: Float[np.ndarray, "robot 2"], yaw: Float[np.ndarray, " robot"]
) -> Float[np.ndarray, "robot 3"]:
    """What is missing to a pose, seen from the robot's heading: x, y [m], heading [rad]."""
    apart = goal[:, :2] - place_w
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y = cos * apart[:, 0] + sin * apart[:, 1], cos * apart[:, 1] - sin * apart[:, 0]
    return np.stack([x, y, np.asarray(wrap_angle(goal[:, 2] - yaw))], axis=1)


class Punches:
    """One punch on each leg of the course: a random link, a random direction in space, U(0, largest) N."""

    def __init__(self, trial: Trial, config: WaypointConfig, rng: np.random.Generator) -> None:
        self._trial, self._config, self._rng = trial, config, rng
        self._bodies = np.array(trial.layout.link_bodies)
        self.new_leg()

    def new_leg(self) -> None:
        """Draw the punches of the leg that begins now."""
        num, rng, c = self._trial.config.num_robots, self._rng, self._config
        self._body = rng.choice(self._bodies, num)
        way = rng.normal(size=(num, 3))
        size = rng.uniform(0.0, c.punch_n, (num, 1))
        self._force = size * way / np.linalg.norm(way, axis=1, keepdims=True)
        self._at_s = rng.uniform(0.0, c.leg_s - c.punch_s, num)

    def apply(self, time_s: float) -> None:
        """Hold the punches that are on at this time of the leg."""
        on = (time_s >= self._at_s) & (time_s < self._at_s + self._config.punch_s - 1e-9)
        self._trial.hold_force(self._body, self._force * on[:, None])


def walk_course(artefact: Path, spec: RobotSpec, config: TrialConfig, course: WaypointConfig) -> dict[str, Any]:
    """Runs the course with all robots.

    `completed`: robots that stand after the last waypoint was due. `reached`: share of all waypoints, those of fallen
    robots included, that were within `course.reached` when due. `position_m`, `heading_rad`: mean errors when a
    waypoint is due, over robots that stand then; `half_*`: half widths of 95 % intervals over robots.
    """
    trial = Trial(artefact, spec, config)
    num, hz = config.num_robots, trial.settings.rate_hz
    rng = np.random.default_rng(config.seed + 1)
    height, still = np.full(num, spec.nominal_height_m), np.zeros((num, 3))
    for _ in range(round(course.settle_s * hz)):
        trial.step(still, height)
    goals = draw_course(num, course, rng) + _start(trial)[:, None]
    planner, punches = FlagPlanner(trial.settings.shaping, hz, num, course), Punches(trial, course, rng)
    errors, up = [], []
    for leg in range(course.waypoints):
        goal = goals[:, leg]
        for tick in range(round(course.leg_s * hz)):
            missing = missing_to(goal, trial.position[:, :2], trial.yaw)
            punches.apply(tick / hz)
            trial.step(planner.choose(np.nan_to_num(missing)), height)
        errors.append(missing_to(goal, trial.position[:, :2], trial.yaw))
        up.append(~trial.fallen)
        punches.new_leg()
    return _summary(np.array(errors), np.array(up), course)


def _start(trial: Trial) -> Float[np.ndarray, "robot 3"]:
    """Where the robots stand when the course begins; it begins along the world's x."""
    place = trial.position
    place[:, 2] = 0.0
    return place


def _summary(
    errors: Float[np.ndarray, "waypoint robot 3"], up: Bool[np.ndarray, "waypoint robot"], course: WaypointConfig
) -> dict[str, Any]:
    distance, turn = np.linalg.norm(errors[:, :, :2], axis=2), np.abs(errors[:, :, 2])
    near, straight = course.reached
    reached = up & (distance <= near) & (turn <= straight)
    out: dict[str, Any] = {
        "robots": up.shape[1],
        "waypoints": course.waypoints,
        "completed": int(up[-1].sum()),
        "all_reached": int(reached.all(axis=0).sum()),
        "reached": round(float(reached.mean()), 4),
        "waypoints_before_fall": round(float(up.sum(axis=0).mean()), 2),
    }
    for name, values in (("position_m", distance), ("heading_rad", turn)):
        legs = up.sum(axis=0)
        own = np.where(up, values, 0.0).sum(axis=0)[legs > 0] / legs[legs > 0]
        half = 1.96 * float(own.std(ddof=1)) / float(np.sqrt(len(own))) if len(own) > 1 else None
        out |= {name: round(float(values[up].mean()), 4) if up.any() else None}
        out |= {f"half_{name}": None if half is None else round(half, 4)}
    return out
