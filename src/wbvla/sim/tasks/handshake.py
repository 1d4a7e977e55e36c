"""Handshake: a person offers a hand; walk up, take it gently, hold it for a second and let it go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wbvla.sim.person import OFFER
from wbvla.sim.scene import World
from wbvla.sim.tasks.social import SocialConfig, SocialTask, person_of
from wbvla.sim.tasks.start import StartConfig
from wbvla.sim.tasks.task import Task, hand_bodies, has_fallen, tasks

TRAIN = (
    "shake hands with the person",
    "shake the offered hand",
    "take the person's hand and shake it",
    "walk up and shake hands",
    "go to the person and give them your hand",
    "the person offers a hand, shake it",
    "greet the person with a handshake",
    "walk to the person, take their hand and let it go again",
    "accept the handshake",
    "please shake the visitor's hand",
    "reach for the offered hand and hold it gently",
    "give the guest a handshake",
    "go and shake hands with our guest",
    "take the hand that is held out to you",
)
TEST = (
    "somebody is holding out a hand, take it",
    "could you shake hands with the visitor",
    "welcome the guest by shaking their hand",
    "step up to the person and clasp the hand they offer",
    "seal it with a handshake",
)


@dataclass(frozen=True, kw_only=True)
class HandshakeConfig(SocialConfig):
    """What counts as a handshake, and what hurts."""

    start: StartConfig = field(default_factory=lambda: StartConfig(distance_m=(1.4, 2.6), difficulty=1.0))
    """where the robot starts before the person: out of reach of the hand"""
    reach_m: float = 0.62
    """pelvis nearer to the offered hand than this counts as having walked there"""
    hold_s: float = 1.0
    """a hand is held for this long"""
    gap_s: float = 0.15
    """touch that is lost for less than this is not lost"""
    limit_n: float = 60.0
    """largest filtered force on the person's hand: our limit, below half of the 140 N of ISO/TS 15066"""
    released_s: float = 0.5
    """a hand not touched for this long has been let go"""


class Handshake(SocialTask):
    """Done when a hand of the robot has held the person's for a second and let it go; a person whom the robot hurt
    once, anywhere, is not shaken hands with."""

    name = "handshake"
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "taken", "shaken", "released")
    time_limit_s = 60.0
    config: HandshakeConfig

    def __init__(self, config: HandshakeConfig | None = None) -> None:
        super().__init__(config or HandshakeConfig())
        self._forget()

    def _forget(self) -> None:
        self._taken_s: float | None = None
        self._touched_s: float | None = None
        self._shaken = self._hurt = False

    def begin(self, world: World, rng: np.random.Generator) -> None:
        """The person holds a hand out, and keeps it there."""
        self._forget()
        from_s = float(rng.uniform(0.0, 1.5))
        person = person_of(world)
        person.plan = lambda world: OFFER if world.time_s >= from_s else person.gesture

    def progress(self, world: World) -> Mapping[str, bool]:
        """`reached`: stands at the hand; `taken`: touches it; `shaken`: held for 1 s; `released`: let go."""
        config, person, now = self.config, person_of(world), world.time_s
        upright = not has_fallen(world)
        contact = person.meter.report()
        self._hurt |= not contact.within_limits or person.meter.force_n("hand") > config.limit_n
        touching = upright and not self._hurt and self._touches(world)
        if touching:
            self._taken_s = now if self._taken_s is None else self._taken_s
            self._touched_s = now
        elif self._touched_s is not None and now - self._touched_s > config.gap_s:
            self._taken_s = None
        self._shaken |= self._taken_s is not None and now - self._taken_s >= config.hold_s - 1e-9
        free_s = 0.0 if self._touched_s is None else now - self._touched_s
        away = np.linalg.norm(world.root_pose()[0][:2] - person.fingers(world)[:2])
        return {
            "reached": upright and bool(away < config.reach_m),
            "taken": touching,
            "shaken": self._shaken and not self._hurt,
            "released": self._shaken and upright and not self._hurt and free_s >= config.released_s - 1e-9,
        }

    def success(self, world: World) -> bool:
        """The hand was shaken and is free again."""
        return self.progress(world)["released"]

    def hurt(self) -> bool:
        """Whether the robot has pressed too hard since the reset, as seen by `progress`."""
        return self._hurt

    @staticmethod
    def _touches(world: World) -> bool:
        """Whether a hand of the robot presses on the person's hand now."""
        person = person_of(world)
        hands = {world.model.body(name).id for side in ("left", "right") for name in hand_bodies(side)}
        return bool(person.meter.touching("hand") & hands)


@tasks.register("handshake")
def handshake() -> Task:
    """Handshake with its default geometry, the person in view at the start."""
    return Handshake()
