"""Stage I tests of a controller: straight walk, turn, side-step, squat and stop, each with limits and their reason.

They ask whether the skill is there; how exact it is, the protocol says (`lmo/protocol.py`, `lmo/conditions.py`).
"""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wbvla.lmo.gait_facts import GaitFacts, gait_facts
from wbvla.lmo.protocol import DIRECTIONS
from wbvla.lmo.trace import Act, Script, Trace, follow
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.description import RobotSpec

AT_LEAST, AT_MOST = ">=", "<="
STAND_S, WALK_S, SETTLE_S = 2.0, 5.0, 5.0
RAMP_S = 2.0
"""the reference's onset, which is not judged"""
HOLD_S = 1.0
"""end of each held height that is judged"""


@dataclass(frozen=True, kw_only=True)
class StageTestConfig:
    """How the tests are run."""

    robots_each: int = 16
    """robots per command"""
    num_threads: int = 2
    """CPU threads of the physics"""
    seed: int = 0
    """of plants, noise, delays and arms"""
    arm_amplitude: float = 0.5
    """share of the arms' motion: what stage I trains with [-]"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What each measure, a mean over the robots, must keep."""

    speed_share: float = 0.75
    """of the goal speed, after the onset: less is a robot that marks time [-]"""
    heading_rad: float = 0.15
    """after 5 s: at 0.15 rad a walk of 2 m ends 0.3 m to the side, about what arms can make up for [rad]"""
    aside_m: float = 0.3
    """across the commanded direction after 5 s: the same 0.3 m [m]"""
    turn_place_m: float = 0.3
    """away from the place of a turn: a step's length, else it walks in an arc [m]"""
    clearance_m: float = 0.03
    """of the sole's middle in a swing: above the 2 cm of uneven ground that training and transfer use [m]"""
    single_support: float = 0.4
    """share of time on one foot: people have 0.8 walking; below 0.4 it shuffles on both [-]"""
    slip_mps: float = 0.15
    """of a foot that bears weight: a gait without visible slip was measured at 0.04 to 0.06 [m/s]"""
    height_m: float = 0.02
    """mean absolute error of a held height: asked for over the whole range [m]"""
    squat_place_m: float = 0.15
    """away from the place of a squat: half a step [m]"""
    rest_mps: float = 0.05
    """speed 3 s after the release: below what a picture shows as motion [m/s]"""
    rest_m: float = 0.05
    """way made in the last 2 s of standing: arms at work bear 5 cm [m]"""
    overshoot_m: float = 0.2
    """from where the released reference ends: one short step [m]"""
    falls: float = 0.0
    """a plain command on even ground is no risk [robots]"""


def reasons() -> dict[str, str]:
    """`name value` of each limit and why, which are the docstrings of its fields."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Limits))).body[0]
    lines = body.body if isinstance(body, ast.ClassDef) else []
    words = {}
    for entry, text in itertools.pairwise(lines):
        if isinstance(entry, ast.AnnAssign) and isinstance(text, ast.Expr):
            name = ast.unparse(entry.target)
            words[f"{name} {getattr(Limits, name):g}"] = str(ast.literal_eval(text.value))
    return words


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure against its limit."""

    name: str
    value: float | None
    """mean over the robots that never fell; None: there is none"""
    worst: float | None
    """of one robot"""
    limit: float
    sense: str
    """`>=` or `<=`"""
    unit: str

    @property
    def passed(self) -> bool:
        """None never passes."""
        if self.value is None or not np.isfinite(self.value):
            return False
        return bool(self.value >= self.limit if self.sense == AT_LEAST else self.value <= self.limit)

    @property
    def decimals(self) -> int:
        """Places to show: three (none for robots), and more where a value that failed would read as its limit."""
        least = 0 if self.unit == "robots" else 3
        if self.passed or self.value is None:
            return least
        return next((d for d in range(least, 7) if f"{self.value:.{d}f}" != f"{self.limit:.{d}f}"), 7)

    def shown(self, value: float) -> str:
        """A value or the limit in these places."""
        return f"{value:.{self.decimals}f}"


@dataclass(frozen=True, kw_only=True)
class StageTest:
    """One skill."""

    name: str
    measures: tuple[Measure, ...]

    @property
    def passed(self) -> bool:
        return all(m.passed for m in self.measures)


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """All tests, and what they were computed from."""

    tests: tuple[StageTest, ...]
    gait: dict[str, GaitFacts]
    """by direction"""
    traces: dict[str, Trace]
    """by command: the six directions, `squat`, `stand`"""

    @property
    def passed(self) -> bool:
        return all(test.passed for test in self.tests)

    def lines(self) -> list[str]:
        """One line per test, with what it missed."""
        lines = []
        for test in self.tests:
            shown = [(m, "nothing" if m.value is None else m.shown(m.value)) for m in test.measures if not m.passed]
            missed = [f"{m.name} {value}, asked {m.sense} {m.shown(m.limit)} {m.unit}" for m, value in shown]
            lines.append(f"{'pass' if test.passed else 'FAIL'}  {test.name:<11} {'; '.join(missed)}".rstrip())
        return lines

    def summary(self) -> dict[str, object]:
        """For JSON."""
        tests = {
            t.name: {"passed": t.passed, "measures": [{**asdict(m), "passed": m.passed} for m in t.measures]}
            for t in self.tests
        }
        return {"passed": self.passed, "tests": tests, "gait": {k: asdict(v) for k, v in self.gait.items()}}


def run_stage_tests(
    policy: Path,
    spec: RobotSpec,
    config: StageTestConfig,
    limits: Limits,
    on_tick: Callable[[int, int], None] = lambda tick, ticks: None,
) -> StageResult:
    """All robots of all commands at once: 12 s each, of randomised plants, with noise, delay and moving arms."""
    scripts, each = scripts_of(spec), config.robots_each
    bench = TrialConfig(
        num_robots=each * len(scripts),
        num_threads=config.num_threads,
        seed=config.seed,
        arm_amplitude=config.arm_amplitude,
    )
    trial = Trial(policy, spec, bench)
    every = follow(trial, [script for script in scripts.values() for _ in range(each)], on_tick)
    end_s = STAND_S + WALK_S + SETTLE_S
    traces = {name: every.cut(0.0, end_s, slice(i * each, (i + 1) * each)) for i, name in enumerate(scripts)}
    return judge(traces, limits, trial.goal_speed.tolist(), spec.height_range_m)


def judge(
    traces: dict[str, Trace], limits: Limits, goal_speed: list[float], height_range_m: tuple[float, float]
) -> StageResult:
    """Measure what was seen against limits."""
    one = _Judge(traces, limits, goal_speed, height_range_m)
    gait = {name: one.gait[name] for name in DIRECTIONS}
    return StageResult(tests=(*one.walks(), one.squat(), one.stop()), gait=gait, traces=traces)


def scripts_of(spec: RobotSpec) -> dict[str, Script]:
    """2 s of standing, 5 s of the command, 5 s of settling; `squat` goes low, middle, high in the last 10 s."""
    stand, (low, high) = spec.nominal_height_m, spec.height_range_m
    scripts: dict[str, Script] = {
        name: (
            Act(seconds=STAND_S, height_m=stand),
            Act(seconds=WALK_S, height_m=stand, flags=flags),
            Act(seconds=SETTLE_S, height_m=stand),
        )
        for name, flags in DIRECTIONS.items()
    }
    scripts["squat"] = (
        Act(seconds=STAND_S, height_m=stand),
        Act(seconds=4.0, height_m=low),
        Act(seconds=3.0, height_m=(low + high) / 2),
        Act(seconds=3.0, height_m=high),
    )
    scripts["stand"] = (Act(seconds=STAND_S + WALK_S + SETTLE_S, height_m=stand),)
    return scripts


class _Judge:
    """Turns traces into measures."""

    def __init__(
        self, traces: dict[str, Trace], limits: Limits, goal: list[float], heights: tuple[float, float]
    ) -> None:
        self.traces, self.limits, self.goal, self.heights = traces, limits, goal, heights
        steady = (STAND_S + RAMP_S / 2, STAND_S + WALK_S)
        self.gait = {name: gait_facts(trace.cut(*steady)) for name, trace in traces.items()}

    def walks(self) -> list[StageTest]:
        """Each direction is a test of its own."""
        tests = []
        for name, flags in DIRECTIONS.items():
            axis = int(np.flatnonzero(flags)[0])
            tests.append(StageTest(name=name, measures=tuple(self._walk(name, axis, flags[axis]))))
        return tests

    def _walk(self, name: str, axis: int, sign: int) -> list[Measure]:
        limits, gait, turns = self.limits, self.gait[name], axis == 2
        command = self.traces[name].cut(STAND_S, STAND_S + WALK_S)
        cruise = self.traces[name].cut(STAND_S + RAMP_S, STAND_S + WALK_S)
        moved, turned = way(command)
        measures = [
            self._falls(name),
            self._mean(
                "yaw rate" if turns else "speed", sign * cruise.velocity[:, :, axis].mean(axis=0), name,
                (AT_LEAST, limits.speed_share * self.goal[axis], "rad/s" if turns else "m/s"),
            ),
        ]  # fmt: skip
        if turns:
            away = np.linalg.norm(moved, axis=1)
            measures.append(self._mean("leaves its place by", away, name, (AT_MOST, limits.turn_place_m, "m")))
        else:
            aside = np.abs(moved[:, 1 - axis])
            measures.append(self._mean("heading error", np.abs(turned), name, (AT_MOST, limits.heading_rad, "rad")))
            measures.append(self._mean("off to the side", aside, name, (AT_MOST, limits.aside_m, "m")))
        return [
            *measures,
            _figure("foot clearance", gait.clearance_m, AT_LEAST, limits.clearance_m, "m"),
            _figure("single support", gait.single_support, AT_LEAST, limits.single_support, ""),
            _figure("stance slip", gait.slip_mps, AT_MOST, limits.slip_mps, "m/s"),
        ]

    def squat(self) -> StageTest:
        """Low, middle and high, each judged in its last second."""
        limits, trace = self.limits, self.traces["squat"]
        low, high = self.heights
        measures = [self._falls("squat")]
        for words, goal, end_s in (("low", low, 6.0), ("middle", (low + high) / 2, 9.0), ("high", high, 12.0)):
            error = np.abs(trace.cut(end_s - HOLD_S, end_s).position_w[:, :, 2] - goal).mean(axis=0)
            words = f"height error at {goal:.2f} m ({words})"
            measures.append(self._mean(words, error, "squat", (AT_MOST, limits.height_m, "m")))
        moved, turned = way(trace.cut(STAND_S, 12.0))
        away = np.linalg.norm(moved, axis=1)
        measures.append(self._mean("leaves its place by", away, "squat", (AT_MOST, limits.squat_place_m, "m")))
        measures.append(self._mean("heading error", np.abs(turned), "squat", (AT_MOST, limits.heading_rad, "rad")))
        return StageTest(name="squat", measures=tuple(measures))

    def stop(self) -> StageTest:
        """What happens after the release of each of the six commands."""
        limits, rows = self.limits, {"speed": [], "creep": [], "over": []}
        end_s = STAND_S + WALK_S + SETTLE_S
        for name in DIRECTIONS:
            trace, up = self.traces[name], self.traces[name].standing
            rest = trace.cut(end_s - 2.0, end_s)
            # over one gait cycle and more: swaying on the spot is no motion
            rows["speed"].append(np.linalg.norm(rest.velocity[:, :, :2].mean(axis=0), axis=1)[up])
            rows["creep"].append(np.linalg.norm(rest.position_w[-1] - rest.position_w[0], axis=1)[up])
            after = trace.cut(STAND_S + WALK_S, end_s)
            coast = after.reference.sum(axis=0)[:, :2] * after.dt_s
            rows["over"].append(np.linalg.norm(way(after)[0] - coast, axis=1)[up])
        figures = {key: np.concatenate(parts) for key, parts in rows.items()}
        fallen = sum(int((~self.traces[name].standing).sum()) for name in DIRECTIONS)
        given = {
            "speed": ("speed 3 to 5 s after", limits.rest_mps, "m/s"),
            "creep": ("way in the last 2 s", limits.rest_m, "m"),
            "over": ("from where it should stop", limits.overshoot_m, "m"),
        }
        measures = [_over(name, figures[key], (AT_MOST, limit, unit)) for key, (name, limit, unit) in given.items()]
        falls = _figure("falls", float(fallen), AT_MOST, limits.falls, "robots")
        return StageTest(name="stop", measures=(falls, *measures))

    def _falls(self, name: str) -> Measure:
        fallen = float((~self.traces[name].standing).sum())
        return _figure("falls", fallen, AT_MOST, self.limits.falls, "robots")

    def _mean(
        self, words: str, values: Float[np.ndarray, " robot"], name: str, given: tuple[str, float, str]
    ) -> Measure:
        return _over(words, values[self.traces[name].standing], given)


def way(trace: Trace) -> tuple[Float[np.ndarray, "robot 2"], Float[np.ndarray, " robot"]]:
    """Way made in a span, seen from the heading at its start [m], and the turn [rad]."""
    yaw = trace.yaw[0]
    moved = trace.position_w[-1] - trace.position_w[0]
    cos, sin = np.cos(yaw), np.sin(yaw)
    seen = np.stack([cos * moved[:, 0] + sin * moved[:, 1], cos * moved[:, 1] - sin * moved[:, 0]], axis=1)
    return seen, trace.yaw[-1] - yaw


def _over(words: str, values: Float[np.ndarray, " standing"], given: tuple[str, float, str]) -> Measure:
    """Mean and worst of one value per robot."""
    sense, limit, unit = given
    if not values.size:
        return Measure(name=words, value=None, worst=None, limit=limit, sense=sense, unit=unit)
    worst = float(values.min() if sense == AT_LEAST else values.max())
    return Measure(name=words, value=float(values.mean()), worst=worst, limit=limit, sense=sense, unit=unit)


def _figure(words: str, value: float | None, sense: str, limit: float, unit: str) -> Measure:
    return Measure(name=words, value=value, worst=None, limit=limit, sense=sense, unit=unit)
