"""Stop when told: walk to a mat; when the person raises a palm stand still, and go on once it is down again."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.sim.contact import NOTHING
from wbvla.sim.person import REST, STOP, Person
from wbvla.sim.scene import RoomConfig, World
from wbvla.sim.tasks.social import SocialConfig, SocialTask, person_of
from wbvla.sim.tasks.start import StartConfig
from wbvla.sim.tasks.task import Task, has_fallen, tasks

MAT = "mat"
COLOURS = ((0.72, 0.24, 0.20), (0.20, 0.36, 0.62), (0.24, 0.50, 0.34), (0.78, 0.60, 0.22))
"""of the mat: red, blue, green, ochre"""
TRAIN = (
    "walk to the mat, but stop when the person raises a hand",
    "go to the mat and stop whenever you are told to",
    "walk over to the mat, stand still while the palm is up",
    "go to the mat and obey the person's stop sign",
    "walk to the mat in front of the person, wait when they show a palm",
    "go ahead to the mat, halt if the person says stop with a hand",
    "approach the mat and pause when a palm is held up",
    "step onto the mat, but wait as long as the person wants you to",
    "please go to the mat and mind the person's hand signs",
    "move to the mat, freeze when the hand goes up, then go on",
    "walk up to the mat and stop on the person's signal",
    "go to the mat, stop for the raised palm and continue afterwards",
)
TEST = (
    "head for the mat and stop dead if a palm comes up",
    "make your way to the mat, but listen to the person's gestures",
    "get onto the mat; a raised hand means wait",
    "cross over to the mat and hold still while you are being stopped",
)


@dataclass(frozen=True, kw_only=True)
class StopConfig(SocialConfig):
    """When the palm goes up, and what standing still is."""

    start: StartConfig = field(
        default_factory=lambda: StartConfig(distance_m=(2.8, 3.4), lateral_m=0.5, heading_rad=0.6, difficulty=1.0)
    )
    """where the robot starts before the mat"""
    mat_half_m: float = 0.35
    """half side of the mat"""
    person_behind_m: float = 0.75
    """the person stands so far behind the mat's middle"""
    person_aside_m: float = 0.45
    """and so far beside it, left or right"""
    set_off_m: float = 0.3
    """a robot this far from its start has set off"""
    after_s: tuple[float, float] = (0.5, 4.5)
    """range of the time from setting off to the palm"""
    held_s: tuple[float, float] = (2.5, 4.5)
    """range of the time for which the palm is held up"""
    react_s: float = 1.0
    """time from the palm being up to standing still: every speed taken from then on has to be"""
    still_mps: float = 0.1
    """a root slower than this, over `window_s`, stands still"""
    still_radps: float = 0.25
    """and turns no faster than this"""
    window_s: float = 0.5
    """time over which speeds are taken, so that swaying is not walking"""
    reach_m: float = 0.3
    """root nearer to the mat's middle than this has arrived"""
    hold_s: float = 1.0
    """time for which it stands there"""


class Signal:
    """When the palm goes up and down, and whether the robot heeds it; asked by the person at every physics step."""

    def __init__(self, config: StopConfig, person: Person, after_s: float, held_s: float) -> None:
        self._config, self._person, self._after_s, self._held_s = config, person, after_s, held_s
        self._start: np.ndarray | None = None
        self._poses: deque[tuple[float, np.ndarray]] = deque()
        self.set_off_s: float | None = None
        self.raised_s: float | None = None
        """the palm is above the shoulder from now"""
        self.lowered_s: float | None = None
        """and no longer"""
        self.still_s = 0.0
        """for how long the robot has stood still"""
        self.ignored = False
        """the robot moved while it was to stand"""

    @property
    def judged_s(self) -> float:
        """So long after the palm the first speed is taken that lies behind the time to react."""
        return self._config.react_s + self._config.window_s

    def __call__(self, world: World) -> str:
        """The person's gesture."""
        now = world.time_s
        self._look(world, now)
        if self.set_off_s is None:
            return REST
        up = self._person.hand_raised(world)
        told = now - self.set_off_s >= self._after_s
        if self.raised_s is None:
            self.raised_s = now if up and told else None
        elif self.lowered_s is None:
            if now - self.raised_s < self._held_s:
                self.ignored |= now - self.raised_s >= self.judged_s and self.still_s <= 0.0
            elif not up:
                self.lowered_s = now
        waits = self.raised_s is None or now - self.raised_s < self._held_s
        return STOP if told and waits else REST

    def _look(self, world: World, now: float) -> None:
        """Where the robot was a moment ago, and whether it has moved since."""
        config, (xyz, quat) = self._config, world.root_pose()
        pose = np.array([*xyz[:2], float(yaw_of(quat))])
        if self._start is None:
            self._start = pose[:2]
        if self.set_off_s is None and float(np.linalg.norm(pose[:2] - self._start)) > config.set_off_m:
            self.set_off_s = now
        self._poses.append((now, pose))
        while now - self._poses[0][0] > config.window_s:
            self._poses.popleft()
        then, before = self._poses[0]
        span = max(now - then, 0.5 * config.window_s)
        slow = float(np.linalg.norm(pose[:2] - before[:2])) < config.still_mps * span
        slow &= abs(float(wrap_angle(pose[2] - before[2]))) < config.still_radps * span
        self.still_s = self.still_s + float(world.model.opt.timestep) if slow else 0.0


class StopWhenTold(SocialTask):
    """Done when the robot stands on the mat and stood for as long as it was told; moving once while it was to stand
    loses the task."""

    name = "stop-when-told"
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("walking", "stopped", "waited", "arrived")
    time_limit_s = 50.0
    room = RoomConfig(half_y=5.0)
    config: StopConfig

    def __init__(self, config: StopConfig | None = None) -> None:
        super().__init__(config or StopConfig())
        self._side = 1.0

    def add(self, scene: mujoco.MjSpec) -> None:
        """The mat: seen, never felt."""
        half = self.config.mat_half_m
        mat = scene.worldbody.add_body(name=MAT, mocap=True)
        for size, height, share in ((half, 0.002, 0.55), (half - 0.05, 0.003, 1.0)):
            geom = mat.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(size, size, height), pos=(0.0, 0.0, height))
            geom.contype, geom.conaffinity = NOTHING.contype, NOTHING.conaffinity
            geom.rgba = (*(share * np.array(COLOURS[0])), 1.0)

    def _draw(self, rng: np.random.Generator) -> None:
        super()._draw(rng)
        self._side = 1.0 if rng.integers(2) else -1.0
        self._colour = np.array(COLOURS[int(rng.integers(len(COLOURS)))])

    def axis(self) -> tuple[Float[np.ndarray, "2"], float]:
        """The mat's middle and the heading that crosses it to the person's side."""
        ahead = np.array([np.cos(self._yaw), np.sin(self._yaw)])
        left = np.array([-ahead[1], ahead[0]])
        config = self.config
        return self._at + config.person_behind_m * ahead + self._side * config.person_aside_m * left, self._yaw + np.pi

    def place(self, world: World) -> None:
        """The mat on its place."""
        (x, y), yaw = self.axis()
        world.place(MAT, (float(x), float(y), 0.0), yaw)
        body = world.model.body(MAT)
        for geom, share in zip(range(int(body.geomadr[0]), int(body.geomadr[0]) + 2), (0.55, 1.0)):
            world.model.geom_rgba[geom, :3] = share * self._colour

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """The palm goes up a time after the robot has set off, and down a time later."""
        person = person_of(world)
        after_s, held_s = (float(rng.uniform(*low_high)) for low_high in (self.config.after_s, self.config.held_s))
        self.signal = Signal(self.config, person, after_s, held_s)
        person.plan = self.signal

    def progress(self, world: World) -> Mapping[str, bool]:
        """`walking`: has set off; `stopped`: stands while the palm is up, in time; `waited`: until it was down;
        `arrived`: stands on the mat."""
        signal, config = self.signal, self.config
        good = not has_fallen(world) and not signal.ignored
        up_s = 0.0 if signal.raised_s is None else world.time_s - signal.raised_s
        waited = good and signal.lowered_s is not None
        away = float(np.linalg.norm(world.root_pose()[0][:2] - self.axis()[0]))
        return {
            "walking": signal.set_off_s is not None,
            "stopped": good and up_s >= signal.judged_s,
            "waited": waited,
            "arrived": waited and away < config.reach_m and signal.still_s >= config.hold_s,
        }

    def success(self, world: World) -> bool:
        """The robot waited, and stands on the mat."""
        return self.progress(world)["arrived"]


@tasks.register("stop-when-told")
def stop_when_told() -> Task:
    """Stop when told with its default geometry, the person in view at the start."""
    return StopWhenTold()
