"""One clip of a person in a room: what is asked, where it begins, and the motion that does it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from wbvla.collect.ego.arms import Solid
from wbvla.collect.ego.body import Walk
from wbvla.collect.ego.goals import Goal
from wbvla.collect.ego.looks import key
from wbvla.collect.ego.person import Person
from wbvla.collect.ego.room import RoomPlan
from wbvla.collect.ego.walker import NEAR_M, PRIMITIVES, Start, Walker, walk_primitive, walk_to_goal
from wbvla.collect.ego.words import SAYINGS, SHARES, phrasings

CLEARANCE_M, WALL_M, BODY_M = 0.12, 0.08, 0.22
"""how near the head passes by furniture and, bent over it, by walls; how near a path may be planned [m]"""
STANDING = (PRIMITIVES.index("stop_ready"), PRIMITIVES.index("squat_down"))
"""primitives in which the head may be over furniture"""
FAR_M = (0.9, 2.6)
"""how far from the thing a walk to it begins, to its nearest side [m]"""
AHEAD_SHARE, AHEAD_RAD, ASIDE_RAD = 0.2, 0.12, (0.2, 1.05)
"""share of walks that begin heading for the thing, within an angle; the others begin looking past it, left as often
as right"""
TRIES = 40


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """What kinds of clips there are, and how long they take."""

    seconds: float
    """length of a clip of one primitive [s]"""
    goal_seconds: float
    """longest walk to a thing [s]"""
    goal_share: float
    """share of walks to a thing [-]"""
    fps: int
    """frames per second [Hz]"""
    seed: int
    """of people, motion and words"""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip before it is drawn."""

    phrasings: tuple[str, ...]
    """the instruction first"""
    walk: Walk
    person: Person
    goal: Goal | None
    """what the person wants; None for a primitive without one"""
    is_goal: bool
    """a walk to the thing, and not a primitive"""
    offset: float
    """direction of the thing from the heading at the start, left positive [rad]"""

    @property
    def touched(self) -> bool:
        """Whether a fingertip comes to rest on the thing."""
        if not self.is_goal or self.goal is None:
            return False
        tips, solid = self.walk.fingertips(self.person)[-1], self.goal.target.solid
        return min(float(np.linalg.norm(solid.nearest(tip) - tip)) for tip in tips) < 0.015


def draw_clip(plan: RoomPlan, config: ClipConfig, index: int) -> Clip:
    """Words and motion of one clip: a pure function of room, seed and number."""
    return _Draw(plan, config, index).clip()


class _Draw:
    """Tries beginnings until the way is free and, for a walk to a thing, ends at its touch."""

    def __init__(self, plan: RoomPlan, config: ClipConfig, index: int) -> None:
        self._plan, self._config = plan, config
        self._rng = np.random.default_rng(key(config.seed, plan.split, 2, index))
        shares = np.array(list(SHARES.values()), dtype=np.float64)
        self._is_goal = bool(plan.goals) and self._rng.random() < config.goal_share
        self._primitive = str(self._rng.choice(list(SHARES), p=shares / shares.sum()))
        # Every other walk begins looking to the left of its thing: given the words, left and right are as likely.
        self._side = 1.0 if (index + plan.number) % 2 == 0 else -1.0

    def clip(self) -> Clip:
        """The first that is whole, else the longest."""
        best: Clip | None = None
        for _ in range(TRIES):
            clip, whole = self._try()
            if clip is not None and (best is None or len(clip.walk) > len(best.walk)):
                best = clip
            if clip is not None and whole:
                return clip
        return best if best is not None else self._try(anywhere=True)[0] or self._still()

    @cached_property
    def _goals(self) -> tuple[Goal, ...]:
        return tuple(self._plan.goals)

    def _try(self, anywhere: bool = False) -> tuple[Clip | None, bool]:
        """A clip, cut where it is not free, and whether it is whole; None where the way is seen to be blocked."""
        rng, config = self._rng, self._config
        goal = self._goals[int(rng.integers(len(self._goals)))] if self._goals else None
        person = self._plan.person.today(rng)
        solid = goal.target.solid if goal else Solid(xyz=(0.0, 0.0, 0.2))
        start = self._goal_start(solid) if self._is_goal else self._start(person, solid)
        if start is None:
            if not anywhere:
                return None, False
            start = Start(xy=_pair(self._free_place()), yaw=float(rng.uniform(-np.pi, np.pi)))
        walker = Walker(person, start, solid)
        offset = walker.bearing
        if self._is_goal:
            walk = walk_to_goal(walker, round(config.goal_seconds * config.fps), config.fps)
        else:
            walk = walk_primitive(walker, self._primitive, round(config.seconds * config.fps), config.fps)
        clear = walk.cut(self._clear_length(walk))
        clip = Clip(
            phrasings=self._words(goal),
            walk=clear,
            person=person,
            goal=goal if self._is_goal or "{goal}" in self._ways[0] else None,
            is_goal=self._is_goal,
            offset=offset,
        )
        return clip, len(clear) == len(walk) and (not self._is_goal or walker.has_arrived)

    def _still(self) -> Clip:
        """A room so full that nothing can be done in it is a fault of its layout."""
        raise AssertionError(f"no clip fits into room {self._plan.number} of split {self._plan.split}")

    @property
    def _ways(self) -> tuple[str, ...]:
        prompts, goals = SAYINGS[self._plan.split]
        return goals if self._is_goal else prompts[self._primitive]

    def _words(self, goal: Goal | None) -> tuple[str, ...]:
        return phrasings(self._rng, self._ways, goal.names if goal else ("the thing in front of you",))

    def _clear_length(self, walk: Walk) -> int:
        """Frames until the head would pass through a wall or, walking, through furniture."""
        xy, standing = walk.head_xyz[:, :2], np.isin(walk.primitive, STANDING)
        free = (self._plan.is_free(xy, CLEARANCE_M) | standing) & self._plan.is_inside(xy, WALL_M)
        return len(walk) if free.all() else max(int(np.argmin(free)), 2)

    # Beginnings.

    def _free_place(self) -> Float[np.ndarray, "2"]:
        """Somewhere to stand."""
        places = self._rng.uniform(-self._plan.half, self._plan.half, (64, 2))
        return places[int(np.argmax(self._plan.is_free(places, BODY_M + 0.08)))]

    def _way_is_free(self, start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]) -> bool:
        points = start + np.linspace(0.0, 1.0, 12)[:, None] * (end - start)
        return bool(self._plan.is_free(points, BODY_M).all())

    def _goal_start(self, solid: Solid) -> Start | None:
        """A place with a free way to the thing, heading for it or past it; None when a few tries find none."""
        rng, middle = self._rng, np.array(solid.xyz[:2])
        for _ in range(12):
            place = self._free_place()
            gap, bearing = solid.gap(place)
            stand = place + (middle - place) * max(gap - NEAR_M, 0.0) / max(np.linalg.norm(middle - place), 1e-6)
            if FAR_M[0] < gap < FAR_M[1] and self._way_is_free(place, stand):
                break
        else:
            return None
        # bearing - yaw is the side on which the thing lies
        ahead = rng.random() < AHEAD_SHARE
        offset = self._side * (rng.uniform(0.0, AHEAD_RAD) if ahead else rng.uniform(*ASIDE_RAD))
        return Start(xy=_pair(place), yaw=float(bearing - offset))

    def _start(self, person: Person, solid: Solid) -> Start | None:
        """A beginning from which a primitive makes sense: near the thing to leave it, before it to come near it."""
        rng, seconds, name = self._rng, self._config.seconds, self._primitive
        if name not in ("approach_near", "back_away"):
            place, yaw = self._free_place(), float(rng.uniform(-np.pi, np.pi))
            ahead, left = _way(name, person, seconds)
            end = place + np.array([ahead * np.cos(yaw) - left * np.sin(yaw), ahead * np.sin(yaw) + left * np.cos(yaw)])
            free = self._way_is_free(place, end)
            return Start(xy=_pair(place), yaw=yaw, squatting=name == "stand_up") if free else None
        middle, angle = np.array(solid.xyz[:2]), rng.uniform(-np.pi, np.pi)
        towards = np.array([np.cos(angle), np.sin(angle)])
        edge = solid.gap(middle + 5.0 * towards)[0]  # how far the thing extends that way
        pace = 0.75 * person.speed * seconds
        gap = NEAR_M + (rng.uniform(0.35, 0.7) * pace if name == "approach_near" else rng.uniform(0.0, 0.3))
        place = middle + (5.0 - edge + gap) * towards
        end = place + towards * (NEAR_M - gap if name == "approach_near" else 0.7 * person.speed * seconds)
        yaw = float(angle + np.pi + rng.uniform(-0.15, 0.15))
        return Start(xy=_pair(place), yaw=yaw) if self._way_is_free(place, end) else None


def _pair(xy: Float[np.ndarray, "2"]) -> tuple[float, float]:
    return float(xy[0]), float(xy[1])


def _way(primitive: str, person: Person, seconds: float) -> tuple[float, float]:
    """How far ahead and to the left a primitive leads [m]."""
    speed = person.speed
    return {
        "advance": (speed * seconds, 0.0),
        "sidestep_left": (0.0, 0.6 * speed * seconds),
        "sidestep_right": (0.0, -0.6 * speed * seconds),
        "stop_ready": (1.3 * speed, 0.0),
        "squat_down": (0.15, 0.0),
    }.get(primitive, (0.0, 0.0))
