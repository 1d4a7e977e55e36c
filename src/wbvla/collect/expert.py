"""What every scripted teleoperator shares: sees the simulator's state, acts through flags, height, arms and grippers.

An expert is a script: a generator that yields one `Motion` per 0.1 s and reads as the task is told ("walk, lower,
close the hands, lift"). What goes wrong is raised as a `Lapse` and caught where the script can start again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from wbvla.collect.approach import Approach, ApproachConfig
from wbvla.collect.arms import ArmMotion, Reach
from wbvla.collect.ik import ArmIk, IkConfig
from wbvla.core.errors import ConfigError
from wbvla.core.records import Action, Observation
from wbvla.core.registry import Registry
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.sim.scene import World
from wbvla.sim.tasks.task import Task

SIGN = {"left": 1.0, "right": -1.0}
"""side of the body -> direction along its y-axis"""
PERIOD_S = 0.1
"""time of one motion [s]"""
UNREACHABLE, SLIPPED, FELL, TIME_OUT = "unreachable", "slipped", "fell", "time-out"
"""how an attempt fails: the place or the object was not reached after walking, the object was lost, the robot fell, or
nothing of these but the time was up"""


@dataclass(frozen=True, kw_only=True)
class ExpertConfig:
    """What all experts share."""

    approach: ApproachConfig = field(default_factory=ApproachConfig)
    """how it walks"""
    stray_factor: float = 2.5
    """while reaching, an error beyond this multiple of the accepted one sends the robot back to walking [-]"""
    walk_limit_s: float = 25.0
    """a walk that has not arrived after this long has failed [s]"""
    roll_room_rad: float = 0.15
    """shoulders keep this far from their limits, so that hands can press where arms are close together [rad]"""
    lowest_m: float = 0.50
    """deepest stance that is commanded: below it the shipped controller does not stop stepping once it has begun [m]"""
    still_mps: float = 0.05
    """a root slower than this over the floor stands still [m/s]"""
    chunk_steps: int = 8
    """steps of each action chunk at 10 Hz [-]"""
    perturbation: float = 0.0
    """0 = none; 1 = hands wander by about 1 cm and the first stop misses by up to 8 cm, so that recoveries are shown"""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What the robot does in the next 0.1 s."""

    arms: Reach | Float[np.ndarray, " arm"]
    """palms to bring somewhere, or joint angles [rad]"""
    flags: Int[np.ndarray, "3"] | None = None
    """of the walk; None = stand"""
    height_m: float | None = None
    """stance height [m]; None = the robot's nominal one"""
    opening: float = 0.0
    """of both grippers: 0 closed, 1 open"""
    speed_radps: float = 1.2
    """of the fastest joint, where `arms` are joint angles [rad/s]"""


Script = Iterator[Motion]


class Lapse(Exception):
    """Something went wrong that the script may recover from; `kind` is one of `UNREACHABLE`, `SLIPPED`, `STRAYED`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


STRAYED = "strayed"
"""the robot has left the place from which it can reach: it walks again, nothing is lost"""


class Expert(ABC):
    """A `Driver`; reset it after the world was reset. Over when the task succeeds, the script ends or all is lost."""

    phases: ClassVar[Mapping[str, tuple[str, str]]]
    """phase -> what is done in words, and the skill it belongs to"""
    lost_as: ClassVar[str] = SLIPPED
    """how an attempt is called after which all is lost"""

    def __init__(self, world: World, task: Task, config: ExpertConfig | None = None, seed: int = 0) -> None:
        self.config, self.world, self.task, self.seed = config or ExpertConfig(), world, task, seed
        self.instruction = task.instruction(seed)
        ik = ArmIk(world.spec, IkConfig(roll_room_rad=self.config.roll_room_rad))
        self.arms = ArmMotion(ik, self.config.chunk_steps)
        self.approach = Approach(world.spec.shaping, self.config.approach)
        self.rest, self.carry = self.arms.ik.rest, self.arms.posture
        rows = world.spec.indices(world.spec.arm_joints)
        self._lower, self._upper = world.spec.column("lower")[rows], world.spec.column("upper")[rows]
        self.reset()

    # What each expert says for itself.

    @abstractmethod
    def script(self) -> Script:
        """The whole task, one motion per 0.1 s; may go on for ever, since success ends it."""

    @abstractmethod
    def is_lost(self) -> bool:
        """Whether the task cannot be done any more: the object lies on the floor, say."""

    # The driver.

    def reset(self) -> None:
        """Start over, with the noise of `seed`."""
        self.arms.reset()
        self.approach.reset()
        self._rng = np.random.default_rng((self.seed, 2))
        self.phase, self.phase_s, self.attempts, self.lost = "", 0.0, 0, False
        self.lapses: list[str] = []
        self.still_s = 0.0
        self._over_s = 0.0
        self._wander = np.zeros((2, 3))
        self._miss = self._rng.uniform(-0.08, 0.08, 2) * self.config.perturbation
        self._script = self.script()

    def act(self, observation: Observation) -> Action | None:
        """The next chunk; None once the task is done or lost."""
        self._over_s = self._over_s + PERIOD_S if self.task.success(self.world) else 0.0
        self.lost = self.lost or self.is_lost()
        if self._over_s > 0.25 or self.lost:
            return None
        self.phase_s += PERIOD_S
        root, quat = self.world.root_pose()
        self.approach.see(np.array([*root[:2], float(yaw_of(quat))]))
        speed = float(np.linalg.norm(self.world.data.qvel[:2]))
        self.still_s = self.still_s + PERIOD_S if speed < self.config.still_mps else 0.0
        motion = next(self._script, None)
        return None if motion is None else self._action(motion)

    @property
    def failure(self) -> str:
        """How an attempt failed that neither fell nor succeeded."""
        kinds = [kind for kind in self.lapses if kind != STRAYED]
        return self.lost_as if self.lost else kinds[-1] if kinds else UNREACHABLE if self.lapses else TIME_OUT

    # Words of a script.

    def enter(self, phase: str) -> None:
        """Name what is done from now on; `phase_s` counts from here."""
        if phase not in self.phases:
            raise ConfigError(f"no phase {phase!r} of {type(self).__name__}; known: {', '.join(self.phases)}")
        self.phase, self.phase_s = phase, 0.0

    def during(self, phase: str, motion: Callable[[], Motion], done: Callable[[], bool]) -> Script:
        """A phase of at least one motion, until it is done."""
        self.enter(phase)
        while True:
            yield motion()
            if done():
                return

    def walk(
        self,
        phase: str,
        error: Callable[[], np.ndarray],
        motion: Callable[[np.ndarray], Motion],
        enough: float = 1.0,
        passing: bool = False,
    ) -> Script:
        """Walk until the robot stands near a place; raises `UNREACHABLE` when that takes too long.

        Args:
            error: the place seen from where the robot stands, x, y [m], psi [rad] (`error_to`).
            motion: what arms, grippers and height do on the way, given the error.
            enough: multiple of the accepted errors that is near enough [-].
            passing: a place to walk through: it is left behind without standing still.
        """
        self.enter(phase)
        while not self.approach.arrived(error(), enough):
            if passing and self.approach.near(error(), enough):
                return
            if self.phase_s > self.config.walk_limit_s:
                raise Lapse(UNREACHABLE)
            now = error()
            yield replace(motion(now), flags=self.approach.step(now))

    def stride(self, phase: str, flags: tuple[int, int, int], motion: Callable[[], Motion], metres: float) -> Script:
        """Hold flags until the robot is this far from where it was, or for 3 s; where exactly does not matter."""
        start = self.world.root_pose()[0][:2]

        def done() -> bool:
            return float(np.linalg.norm(self.world.root_pose()[0][:2] - start)) > metres or self.phase_s > 3.0

        yield from self.during(phase, lambda: replace(motion(), flags=self.approach.follow(np.array(flags))), done)

    def recover(self, lapse: Lapse) -> bool:
        """Write a lapse down; whether it cost a grasp, so that the script has to let go and start again."""
        self.lapses.append(lapse.kind)
        return lapse.kind != STRAYED

    def stay(self, error: np.ndarray) -> None:
        """Raise `STRAYED` when the robot has moved out of the place from which it reaches."""
        if not self.approach.near(error, self.config.stray_factor):
            raise Lapse(STRAYED)

    # What is known of the world.

    def error_to(self, xy: Float[np.ndarray, "2"], yaw: float, missed: bool = False) -> Float[np.ndarray, "3"]:
        """A place to stand seen from where the robot stands: x, y [m], psi [rad].

        Args:
            missed: in the first attempt the place is off by the perturbation, for a recovery to be shown.
        """
        root, quat = self.world.root_pose()
        heading, away = float(yaw_of(quat)), xy - root[:2]
        ahead = np.cos(heading) * away[0] + np.sin(heading) * away[1]
        left = -np.sin(heading) * away[0] + np.cos(heading) * away[1]
        error = np.array([ahead, left, float(wrap_angle(yaw - heading))])
        if missed and self.attempts == 0:
            error[:2] += self._miss
        return error

    def pose_of(self, name: str) -> tuple[Float[np.ndarray, "3"], float]:
        """Middle of an object [m] and its heading [rad]."""
        xyz, quat = self.world.body_pose(name)
        return xyz, float(yaw_of(quat))

    def torso(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
        """Origin [m] of the torso, in whose frame hands are commanded, and its rotation to the world."""
        body = self.world.data.body(self.world.spec.torso_link)
        return body.xpos.copy(), body.xmat.reshape(3, 3).copy()

    def stance_for(self, hands_m: float, below_torso_m: float) -> float:
        """Stance height at which hands this high above the floor are this far below the torso's origin [m]."""
        low, high = max(self.world.spec.height_range_m[0], self.config.lowest_m), self.world.spec.height_range_m[1]
        torso_over_root = self.torso()[0][2] - self.world.root_pose()[0][2]
        return float(np.clip(hands_m + below_torso_m - torso_over_root, low, high - 0.01))

    # From motions to actions.

    def _action(self, motion: Motion) -> Action:
        spec, steps, rotation = self.world.spec, self.config.chunk_steps, self.torso()[1]
        if motion.flags is None:
            self.approach.hold()
        if isinstance(motion.arms, Reach):
            arms = self.arms.palm_chunk(self._wandering(motion.arms), rotation)
        else:
            arms = self.arms.joint_chunk(motion.arms, motion.speed_radps, rotation)
        flags = np.zeros(3, dtype=np.int64) if motion.flags is None else motion.flags
        return Action(
            rate_hz=1.0 / PERIOD_S,
            arm_targets=np.clip(arms, self._lower, self._upper),
            grippers=np.full((steps, 2), motion.opening),
            flags=np.tile(flags, (steps, 1)),
            height_m=np.full(steps, spec.nominal_height_m if motion.height_m is None else motion.height_m),
        )

    def _wandering(self, reach: Reach) -> Reach:
        """The same reach with hands that wander a little, when perturbed and not pressing on anything."""
        if self.config.perturbation <= 0.0 or reach.forces_w:
            return reach
        self._wander = 0.85 * self._wander + self._rng.normal(0.0, 0.006, (2, 3)) * self.config.perturbation
        goals = {
            side: replace(pose, xyz=pose.xyz + noise) for (side, pose), noise in zip(reach.goals.items(), self._wander)
        }
        return replace(reach, goals=goals)


experts: Registry[type[Expert]] = Registry("expert")
"""task by name -> its scripted teleoperator"""
