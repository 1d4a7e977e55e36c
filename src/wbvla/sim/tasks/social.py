"""What the social tasks share: a room with a person, who sees whom from where, and the swings of a waving hand."""

from abc import abstractmethod
from dataclasses import dataclass, field

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.person import Person, PersonConfig
from wbvla.sim.person_body import PERSON, add_person
from wbvla.sim.person_contact import PersonContact
from wbvla.sim.scene import RoomConfig, World, build_scene
from wbvla.sim.tasks.start import Start, StartConfig, draw_in_split, place_robot
from wbvla.sim.tasks.task import SOCIAL, Task, has_fallen
from wbvla.sim.tasks.variation import Area, VariationConfig, vary

SEES = "head_forward"
"""the camera that sees people: the policy's head camera looks 40 degrees down, at legs"""
BEHIND_M = 2.7
"""room behind a person's place [m]"""
LOOKS_RAD = -np.pi / 2.0 + 0.35
"""where people look in the room, but for some turn: the camera outside sees them, and the robot from its right [rad]"""
CLEAR_M = 0.9
"""no loose things nearer than this to the way between robot and person [m]"""


@dataclass(frozen=True, kw_only=True)
class SocialConfig:
    """Who stands where, and the robot before them."""

    person: PersonConfig = field(default_factory=PersonConfig)
    """who may stand there"""
    start: StartConfig = field(default_factory=lambda: StartConfig(distance_m=(1.6, 3.0), difficulty=1.0))
    """where the robot starts before the person, seen from the way the person looks"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and grip by seed"""
    place_m: tuple[float, float] = (0.4, 0.5)
    """the person stands up to this before and beside their place in the room"""
    turned_rad: float = 0.3
    """and looks up to this aside of where people look in the room"""
    facing_rad: float = 0.35
    """a robot that has the person within this of its heading faces them"""
    before_rad: float = float(np.pi / 3)
    """a robot within this of where the person looks stands before them"""


class SocialTask(Task):
    """A person who stands, looks and moves an arm, and a robot before them; no person in the world is ever the same
    in `train` and `test`."""

    family = SOCIAL
    cameras = (SEES,)
    room = RoomConfig(half_y=4.6)

    def __init__(self, config: SocialConfig) -> None:
        self.config = config
        self._at, self._yaw = np.zeros(2), 0.0

    # What each task says for itself.

    @abstractmethod
    def begin(self, world: World, rng: np.random.Generator) -> None:
        """Forget the last trial and give the person a plan for this one."""

    def add(self, scene: mujoco.MjSpec) -> None:
        """Things of the task beside room, robot and person."""

    def place(self, world: World) -> None:
        """Put them where they belong; robot and person stand already."""

    # World and start.

    def build(self, spec: RobotSpec) -> World:
        """A furnished room with a person, in the start of seed 0."""
        scene = build_scene(spec, MjcfOptions(), self.room)
        self.add(scene)
        add_person(scene)
        world = World(spec, scene)
        Person(world, self.config.person)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Who the person is, where they stand, where the robot starts, when things happen: all drawn from the seed."""
        rng = np.random.default_rng((seed, 21))
        self._draw(rng)
        draw_in_split(world, self.config.start, rng, lambda start: self._place(world, seed, start), PERSON, SEES)
        self._start(world, seed, rng)

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own, in view or not."""
        rng = np.random.default_rng((seed, 21))
        self._draw(rng)
        self._place(world, seed, start)
        self._start(world, seed, rng)

    def _draw(self, rng: np.random.Generator) -> None:
        config = self.config
        before, beside = rng.uniform(-1, 1, 2) * config.place_m
        self._at = np.array([float(beside), self.room.half_y - BEHIND_M + float(before)])
        self._yaw = LOOKS_RAD + float(rng.uniform(-1, 1)) * config.turned_rad

    def axis(self) -> tuple[Float[np.ndarray, "2"], float]:
        """What starts are measured from: a place [m] and the heading that looks at it [rad]."""
        return self._at, self._yaw + np.pi

    def _place(self, world: World, seed: int, start: Start) -> None:
        at, heading = self.axis()
        place_robot(world, at, heading, start)
        person_of(world).reset(world, self._at, self._yaw, seed)
        self.place(world)

    def _start(self, world: World, seed: int, rng: np.random.Generator) -> None:
        """Looks; nothing loose stands where the robot may walk."""
        points = np.stack([world.root_pose()[0][:2], self._at, self.axis()[0]])
        (low_x, low_y), (high_x, high_y) = points.min(axis=0) - CLEAR_M, points.max(axis=0) + CLEAR_M
        clear: Area = (float(low_x), float(low_y), float(high_x), float(high_y))
        vary(world, self.config.variation, seed, clear=clear)
        self.begin(world, np.random.default_rng((seed, 22)))

    def person_contact(self, world: World) -> PersonContact:
        """What the person has felt since the reset."""
        return person_of(world).meter.report()

    # Who sees whom.

    def meets(self, world: World, distance_m: tuple[float, float]) -> bool:
        """Whether the robot stands upright before the person, faces them, and is neither too near nor too far."""
        away, aside, off = sight(world)
        near, far = distance_m
        faces = abs(aside) < self.config.facing_rad and abs(off) < self.config.before_rad
        return near <= away <= far and faces and not has_fallen(world)


def person_of(world: World) -> Person:
    """The person of a social task's world."""
    return next(actor for actor in world.actors if isinstance(actor, Person))


def sight(world: World) -> tuple[float, float, float]:
    """Robot's root to person [m], the person left of the robot's heading, the robot left of where they look [rad]."""
    root, quat = world.root_pose()
    at, looks = person_of(world).facing(world)
    way = at - root[:2]
    bearing = float(np.arctan2(way[1], way[0]))
    aside = float(wrap_angle(bearing - float(yaw_of(quat))))
    return float(np.linalg.norm(way)), aside, float(wrap_angle(bearing + np.pi - looks))


def hand_over_shoulder(world: World, side: str) -> float:
    """Height of a hand of the robot over the shoulder of its arm [m]."""
    first = next(name for name in world.spec.arm_joints if name.startswith(side))
    shoulder = world.data.xpos[int(world.model.joint(first).bodyid[0])]
    return float(world.palm_position(side)[2] - shoulder[2])


def hand_aside_m(world: World, side: str) -> float:
    """A hand of the robot left of the torso's middle [m]."""
    torso = world.data.body(world.spec.torso_link)
    return float(torso.xmat.reshape(3, 3)[:, 1] @ (world.palm_position(side) - torso.xpos))


class Swings:
    """Counts how often something swings to and fro: two turns make one."""

    def __init__(self, least_m: float, longest_s: float) -> None:
        self._least_m, self._longest_s = least_m, longest_s
        self.reset()

    def reset(self) -> None:
        """Nothing has swung yet."""
        self._turns, self._way = 0, 0.0
        self._extreme_m: float | None = None
        self._turned_s = 0.0

    def see(self, value_m: float, time_s: float) -> float:
        """Whole swings so far, after one more look [-]; one that takes too long starts them anew."""
        if self._extreme_m is None:
            self._extreme_m, self._turned_s = value_m, time_s
        if self._turns and time_s - self._turned_s > self._longest_s:
            self.reset()
            self._extreme_m, self._turned_s = value_m, time_s
        gone = value_m - self._extreme_m
        if self._way == 0.0 and abs(gone) < self._least_m:
            return 0.0
        if gone * self._way > 0.0:
            self._extreme_m = value_m
        elif abs(gone) >= self._least_m:
            self._way, self._extreme_m, self._turned_s = float(np.sign(gone)), value_m, time_s
            self._turns += 1
        return self._turns / 2.0


class Waving:
    """Watches both hands of the robot: one that swings to and fro above its shoulder waves."""

    def __init__(self, swing_m: float, longest_s: float) -> None:
        self._hands = {side: Swings(swing_m, longest_s) for side in ("left", "right")}

    def reset(self) -> None:
        """No hand has waved."""
        for hand in self._hands.values():
            hand.reset()

    def see(self, world: World, meets: bool) -> tuple[bool, float]:
        """Whether a hand is up, and its swings so far; only before the person do they count."""
        up, most = False, 0.0
        for side, swings in self._hands.items():
            raised = meets and hand_over_shoulder(world, side) > 0.0
            if not raised:
                swings.reset()
                continue
            up, most = True, max(most, swings.see(hand_aside_m(world, side), world.time_s))
        return up, most
