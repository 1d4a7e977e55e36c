"""A stage: a task's world, a simulated body, the shipped controller and the expert, for one attempt after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wbvla.collect.expert import FELL, ExpertConfig
from wbvla.collect.experts import expert_for
from wbvla.core.interfaces import Observer
from wbvla.core.records import Tick
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.person_contact import PersonContact
from wbvla.sim.scene import World
from wbvla.sim.tasks import tasks
from wbvla.sim.tasks.task import Task, has_fallen


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Who acts where."""

    robot: str = "agibot_x2"
    """robot by name"""
    task: str = "box-lift"
    """task by name"""
    cameras: tuple[str, ...] = ()
    """cameras to draw; `policy` stands for all that a policy sees; empty = none, which is much faster"""
    depths: tuple[str, ...] = ()
    """cameras that give depth maps too"""
    width: int = 160
    """[px]"""
    height: int = 120
    """[px]"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""
    lmo: str = ""
    """folder of a low-level controller; empty = the shipped one"""
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    """how the scripted teleoperator moves"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt."""

    seed: int
    success: bool
    reason: str
    """`success`, or how it failed: `unreachable` after walking, `slipped`, `fell`, `time-out`, `safety: <rule>`"""
    instruction: str
    duration_s: float
    """simulated time [s]"""
    attempts: int
    """grasps that were tried"""
    subgoals_s: Mapping[str, float | None]
    """sub-goal -> when it was first reached [s]"""
    contact: PersonContact | None = None
    """what the person in the scene felt; None where there is no person"""


class Stage:
    """Runs the expert through the deployed robot loop, in lock-step; `close` frees the renderer."""

    def __init__(self, config: StageConfig | None = None) -> None:
        config = self.config = config or StageConfig()
        self.spec = load_robot(self.config.robot)
        self.task = tasks.build(self.config.task)
        self.world = self.task.build(self.spec)
        size = SimBodyConfig(
            cameras=config.cameras,
            depths=config.depths,
            image_width=config.width,
            image_height=config.height,
            samples=config.samples,
        )
        self.body = SimBody(self.world, size)
        folder = Path(self.config.lmo) if self.config.lmo else shipped_lmo(self.config.robot)
        self.lmo = LmoController.load(folder, self.spec)
        self.expert = expert_for(self.task, self.world, self.config.expert)

    def run(self, seed: int, observers: Sequence[Observer] = ()) -> Outcome:
        """One attempt from the start of this seed; the same seed gives the same attempt."""
        self.task.reset(self.world, seed)
        self.body.reset()
        self.expert.seed, self.expert.instruction = seed, self.task.instruction(seed)
        watch = _Watch(self.task, self.world)
        safety = SafetyLayer(self.spec)
        source = LocalSource(self.expert)
        loop = RobotLoop(self.body, self.spec, self.lmo, source, safety, [watch, *observers])
        report = loop.run(round(self.task.time_limit_s * self.body.control_hz), self.expert.instruction)
        return Outcome(
            seed=seed,
            success=watch.success,
            reason="success" if watch.success else self._failure(report.trip),
            instruction=self.expert.instruction,
            duration_s=self.world.time_s,
            attempts=self.expert.attempts + 1,
            subgoals_s=watch.times,
            contact=self.task.person_contact(self.world),
        )

    def close(self) -> None:
        """Free the renderer."""
        self.body.close()

    def _failure(self, trip: str) -> str:
        if has_fallen(self.world) or trip == "tilt":
            return FELL
        return f"safety: {trip}" if trip else self.expert.failure


class _Watch:
    """Notes when each sub-goal is first reached, and whether the task was ever done."""

    def __init__(self, task: Task, world: World) -> None:
        self._task, self._world = task, world
        self.times: dict[str, float | None] = dict.fromkeys(task.subgoals)
        self.success = False

    def observe(self, tick: Tick) -> None:
        """Ask the task ten times per second."""
        if tick.index % 5 == 0:
            for goal, reached in self._task.progress(self._world).items():
                if reached and self.times[goal] is None:
                    self.times[goal] = self._world.time_s
            self.success = self.success or self._task.success(self._world)
