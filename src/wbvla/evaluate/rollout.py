"""Runs trials: the deployed robot loop, in lock-step over a simulated body, judged by the task's world state."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wbvla.core.interfaces import Observer
from wbvla.core.records import Observation, Tick
from wbvla.deploy.runtime import Balancer, LoopReport, RobotLoop
from wbvla.deploy.safety import SafetyConfig, SafetyLayer
from wbvla.deploy.sources import Source
from wbvla.evaluate.efficiency import measure_efficiency
from wbvla.evaluate.film import Film, Frame
from wbvla.evaluate.safety import measure_safety
from wbvla.evaluate.ticks import TickLog
from wbvla.evaluate.trials import Trial, TrialResult
from wbvla.robots.description import RobotSpec
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.person_contact import PersonContact
from wbvla.sim.scene import World
from wbvla.sim.tasks.task import Task, has_fallen

MakeSource = Callable[["Arena", Trial], Source]
"""the source of actions for one trial; may return the same object each time"""


@dataclass(frozen=True, kw_only=True)
class Player:
    """One driver of the loop."""

    name: str
    """`policy`, `expert`, `random` ..."""
    description: str
    make_source: MakeSource
    sees: bool = True
    """whether it looks at pictures; those of one that does not are drawn only for the film"""


class TrialRecorder(Observer, Protocol):
    """An Observer that keeps whole trials (`collect.rollouts.RolloutRecorder`)."""

    def begin(self, instruction: str, **notes: Any) -> None:
        """A trial begins."""
        ...

    def end(self, success: bool | None, **truth: np.ndarray) -> None:
        """It is over; `truth` is what only evaluation may know."""
        ...


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How trials are run."""

    image_width: int = 160
    """of each camera of the policy [px]"""
    image_height: int = 120
    """[px]"""
    film_width: int = 400
    """of the third-person view [px]"""
    film_height: int = 300
    """[px]"""
    film_camera: str = "view"
    """camera of the third-person view"""
    film_shadows: bool = True
    """shadows in the third-person view, at three times its cost without a graphics card"""
    judge_ticks: int = 1
    """control ticks between two looks at the task's goals"""
    time_limit_s: float = 0.0
    """shorter limit than the task's own [s]; 0 = the task's"""


class Judge:
    """An Observer that asks the task which goals are reached, and the world whether the robot fell.

    It calls `done` on success, after which it looks no more.
    """

    def __init__(self, task: Task, world: World, every_ticks: int, done: Callable[[], None]) -> None:
        self._task, self._world, self._every, self._done = task, world, every_ticks, done
        self.times_s: dict[str, float | None] = dict.fromkeys(task.progress(world))
        self.success_s: float | None = None
        self.fell = False

    def observe(self, tick: Tick) -> None:
        """Look at the world after this tick's command."""
        if tick.index % self._every or self.success_s is not None:
            return
        now_s = self._world.time_s
        self.fell |= has_fallen(self._world)
        for goal, reached in self._task.progress(self._world).items():
            if reached and self.times_s[goal] is None:
                self.times_s[goal] = now_s
        if self._task.success(self._world):
            self.success_s = now_s
            self._done()


class _View:
    """Third-person pictures of one world."""

    def __init__(self, world: World, config: RolloutConfig) -> None:
        size = RenderConfig(width=config.film_width, height=config.film_height, shadows=config.film_shadows, samples=4)
        self._world, self._camera = world, config.film_camera
        self._renderer = Renderer(world.model, (config.film_camera,), size)

    def picture(self) -> Frame:
        """The scene as it is now."""
        return self._renderer.render(self._world.data)[self._camera]

    def close(self) -> None:
        self._renderer.close()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished trial with what was watched."""

    result: TrialResult
    loop: LoopReport
    log: TickLog
    film: bytes
    """mp4; empty when it was not filmed"""


class Arena:
    """A task's world, a simulated body and a low-level controller, reused trial after trial. A context manager."""

    def __init__(self, task: Task, spec: RobotSpec, lmo: Balancer, config: RolloutConfig | None = None) -> None:
        self.task, self.spec, self.config = task, spec, config or RolloutConfig()
        self.world = task.build(spec)
        width, height = self.config.image_width, self.config.image_height
        cameras = ("policy", *task.cameras)
        self._seeing = SimBody(self.world, SimBodyConfig(cameras=cameras, image_width=width, image_height=height))
        self._blind = SimBody(self.world, SimBodyConfig(cameras=()))
        self.lmo = lmo
        self._view: _View | None = None

    def __enter__(self) -> "Arena":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the renderers; may be repeated."""
        self._seeing.close()
        if self._view is not None:
            self._view.close()
            self._view = None

    def first_observation(self, trial: Trial) -> Observation:
        """What a policy sees at the start of a trial."""
        self.task.reset(self.world, trial.seed)
        body = self._seeing
        body.reset()
        images = dict(body.images())
        return Observation(sequence=0, state=body.read(), images=images, instruction=trial.instruction)

    def run(self, trial: Trial, player: Player, film: bool = False, recorder: TrialRecorder | None = None) -> Run:
        """One trial from a fresh start; the same trial and a deterministic source give the same numbers."""
        self.task.reset(self.world, trial.seed)
        body = self._seeing if player.sees or film or recorder else self._blind
        body.reset()
        log, safety = TickLog(body.control_hz), SafetyLayer(self.spec, SafetyConfig(), body.control_hz)
        judge = Judge(self.task, self.world, self.config.judge_ticks, lambda: loop.finish())
        with contextlib.ExitStack() as stack:
            camera = stack.enter_context(contextlib.closing(self._film())) if film else None
            watchers: list[Observer] = [log, judge, *(w for w in (camera, recorder) if w is not None)]
            if recorder is not None:
                recorder.begin(trial.instruction, player=player.name, task=self.task.name)
            loop = RobotLoop(body, self.spec, self.lmo, player.make_source(self, trial), safety, watchers)
            limit_s = self.config.time_limit_s or self.task.time_limit_s
            report = loop.run(round(limit_s * body.control_hz), trial.instruction)
            result = _result(trial, judge, report, log, self.spec, self.task.person_contact(self.world))
            if recorder is not None:
                recorder.end(result.success, seed=np.array(trial.seed))
            return Run(result=result, loop=report, log=log, film=camera.finish() if camera else b"")

    def _film(self) -> Film:
        if self._view is None:
            self._view = _View(self.world, self.config)
        return Film(self._view, self.spec.camera_names[0])


def _result(
    trial: Trial, judge: Judge, report: LoopReport, log: TickLog, spec: RobotSpec, contact: PersonContact | None
) -> TrialResult:
    success = judge.success_s is not None
    reasons = {"ticks": "time limit", "tripped": f"safety: {report.trip}", "finished": "driver ended"}
    return TrialResult(
        trial=trial,
        success=success,
        subgoals={goal: at is not None for goal, at in judge.times_s.items()},
        subgoal_times_s=dict(judge.times_s),
        duration_s=log.duration_s,
        reason="success" if success else reasons.get(report.reason, report.reason),
        safety=measure_safety(log, spec, report.trip, judge.fell, contact),
        efficiency=measure_efficiency(log, judge.success_s),
        chunks=report.chunks,
    )


@dataclass(frozen=True, kw_only=True)
class Season:
    """All trials of one driver."""

    results: Sequence[TrialResult]
    films: Mapping[str, bytes]
    """`done` and `failed`: the first trial of each kind among those filmed"""
    traces: Mapping[str, Any]
    """time lines of the first trial"""


def run_trials(
    arena: Arena,
    trials: Sequence[Trial],
    player: Player,
    films: int = 2,
    on_trial: Callable[[int, TrialResult], None] | None = None,
    recorder: TrialRecorder | None = None,
) -> Season:
    """Every trial in order; the first `films` are filmed and the first done and the first failed of them kept.

    A recorder hears every trial, the failed ones too.
    """
    results: list[TrialResult] = []
    kept: dict[str, bytes] = {}
    traces: Mapping[str, Any] = {}
    for i, trial in enumerate(trials):
        run = arena.run(trial, player, film=i < films, recorder=recorder)
        results.append(run.result)
        if run.film:
            kept.setdefault(f"seed {trial.seed}, {'done' if run.result.success else 'failed'}", run.film)
        if i == 0:
            traces = time_lines(run.log)
        if on_trial is not None:
            on_trial(i + 1, run.result)
    return Season(results=results, films=kept, traces=traces)


def time_lines(log: TickLog, stride: int = 5) -> dict[str, Any]:
    """Command, height, tilt and age of the action over time, every `stride` ticks, for the report's plots."""
    if not len(log):
        return {}
    times = (np.arange(len(log)) / log.control_hz)[::stride]
    command = log.column("command")[::stride]
    age = np.minimum(np.nan_to_num(log.column("age_s"), posinf=0.0), 5.0)[::stride]
    tilt = np.rad2deg(log.tilt_rad())[::stride]
    lines = {
        "locomotion command": ("-", {"s_x": command[:, 0], "s_y": command[:, 1], "s_psi": command[:, 2]}),
        "commanded stance height": ("m", {"height": command[:, 3]}),
        "pelvis tilt": ("degrees", {"tilt": tilt}),
        "age of the action in effect": ("s", {"age": age}),
    }
    rounded = {
        name: {
            "time_s": np.round(times, 3).tolist(),
            "unit": unit,
            "series": {k: np.round(v, 4).tolist() for k, v in series.items()},
        }
        for name, (unit, series) in lines.items()
    }
    return rounded
