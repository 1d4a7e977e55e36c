"""One piece of work at a table: its things, its words, and the moves that all pieces of work are made of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from wbvla.collect.ik import HandPose
from wbvla.collect.manipulation.catalogue import MAKERS, Catalogue, draw_look, tinted
from wbvla.collect.manipulation.hands import DOWN, Hands, Script, Style, grip_yaw
from wbvla.sim.bench_robot import SIDES
from wbvla.sim.workbench import Bench, Thing, Workbench

ATTEMPTS = 3
"""a grasp is tried this often"""
TIP_M, PALM_M = 0.042, 0.042
"""grasp point to finger tips, and to the palm [m]"""
HOVER_M = 0.10
"""height from which a hand goes down to a thing [m]"""
CLUMSY = 0.15
"""share of grasps whose first aim is off, so that a recovery is shown [-]"""
SIGN = {"left": 1.0, "right": -1.0}
OTHER = {"left": "right", "right": "left"}
Area = tuple[float, float, float, float]
"""x from, x to, y from, y to, on the left; y mirrors for the right [m]"""
SIDE_AREA: Area = (0.40, 0.54, 0.13, 0.34)
ANYWHERE: Area = (0.36, 0.70, -0.50, 0.50)


class Slip(Exception):
    """The work cannot be finished any more; the attempt counts as failed."""


class Work(ABC):
    """Drawn whole from one generator; `start` gives it hands, `script` acts it out, `is_done` judges the world."""

    name: ClassVar[str]
    task: ClassVar[int]
    """number of the task in the layout's folders"""

    def __init__(self, store: Catalogue, rng: np.random.Generator) -> None:
        self.store, self.rng = store, rng
        self.plan = Workbench(draw_look(store, rng))
        self.table_z = self.plan.look.table_z
        self.things: dict[str, Thing] = {}
        self.words: dict[str, str] = {}
        self.drawn: list[tuple[str, str, tuple[float, float, float]]] = []
        """noun, name of the colour and colour of everything on the table"""
        self.labels: list[tuple[int, str, str]] = []
        """frame from which a sub-task runs, its words, its skill"""
        self.frame = 0
        """frames recorded so far; kept by who records"""
        self._taken: list[tuple[float, float, float]] = []
        self._colours = [str(name) for name in rng.permutation(list(store.colours))]
        self.side = str(rng.choice(SIDES))
        self.style = Style(
            speed_mps=float(rng.uniform(0.32, 0.5)),
            wander_m=float(rng.uniform(0.0005, 0.003)),
            slow_s=float(rng.uniform(0.05, 0.3)),
        )
        self.instruction = self.furnish()
        self._distract()

    @abstractmethod
    def furnish(self) -> str:
        """Put the things on the table; returns the instruction."""

    @abstractmethod
    def script(self) -> Script:
        """Act it out; raises Slip when it cannot be finished."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether the world is as the instruction wants it."""

    def watch(self) -> None:
        """Called at every tick, for what a piece of work has to notice on the way."""
        return

    @property
    def scene_text(self) -> str:
        """What stands on the table at the start."""
        things = sorted(set(self.words.values()))
        listed = ", ".join(f"a {words}" for words in things[:-1])
        return f"A table with {listed} and a {things[-1]}." if listed else f"A table with a {things[-1]}."

    def start(self) -> Bench:
        """Compile the world and take the hands."""
        self.bench = self.plan.compile()
        self.hands = Hands(self.bench, self.style, np.random.default_rng(self.rng.integers(1 << 31)))
        return self.bench

    # Furnishing.

    def colour(self) -> str:
        """The next colour; colours repeat only when all are used."""
        self._colours.append(self._colours.pop(0))
        return self._colours[-1]

    def mirrored(self, area: Area, side: str) -> Area:
        """An area on a side."""
        low, high = sorted((SIGN[side] * area[2], SIGN[side] * area[3]))
        return area[0], area[1], low, high

    def spot(self, area: Area, radius: float) -> tuple[float, float]:
        """Somewhere in an area with room around; the roomiest of 40 places."""
        best, room = (0.0, 0.0), -np.inf
        for _ in range(40):
            x, y = float(self.rng.uniform(*area[:2])), float(self.rng.uniform(*area[2:]))
            free = min((np.hypot(x - a, y - b) - r - radius for a, b, r in self._taken), default=1.0)
            if free > room:
                best, room = (x, y), free
            if free > 0.015:
                break
        self._taken.append((*best, radius))
        return best

    def paint(self, noun: str, colour: str) -> tuple[float, float, float]:
        """A colour near the named one, written down."""
        rgb = tinted(self.store.colours[colour], self.rng)
        self.drawn.append((noun, colour, rgb))
        return rgb

    def add(self, name: str, noun: str, xy: tuple[float, float], yaw: float, colour: str = "") -> Thing:
        """A thing of a kind on the table."""
        colour, thing = colour or self.colour(), MAKERS[noun](self.rng)
        self.plan.add_thing(name, thing, xy, yaw, self.paint(noun, colour))
        self.things[name], self.words[name] = thing, f"{colour} {thing.kind}"
        return thing

    def flat(self) -> str:
        """Noun of a thing that stacks, and that a drawer can close over."""
        return str(self.rng.choice([noun for noun in self.store.things if noun in ("block", "brick")]))

    def add_container(self, name: str, area: Area) -> None:
        """A tray or the like."""
        noun = str(self.rng.choice(list(self.store.containers)))
        half, colour = np.array(self.store.containers[noun]) * self.rng.uniform(0.95, 1.15), self.colour()
        xy = self.spot(area, float(np.hypot(half[0], half[1])))
        self.plan.add_container(name, half, xy, float(self.rng.uniform(-0.2, 0.2)), self.paint(noun, colour))
        self.half, self.words[name] = half, f"{colour} {noun}"

    def add_mat(self, name: str, half: tuple[float, float], xy: tuple[float, float]) -> None:
        """A mat."""
        colour = self.colour()
        self.plan.add_mat(name, half, xy, self.paint("mat", colour))
        self.words[name] = f"{colour} mat"

    def _distract(self) -> None:
        """Things that are not meant, of colours of their own while colours last."""
        for index in range(int(self.rng.integers(0, 3))):
            x, y = self.spot(ANYWHERE, 0.07)
            if min(np.hypot(x - a, y - b) - r for a, b, r in self._taken[:-1]) < 0.08:
                continue
            used = {words.split()[0] for words in self.words.values()}
            free = [name for name in self.store.colours if name not in used]
            colour = str(self.rng.choice(free or list(self.store.colours)))
            noun = str(self.rng.choice(self.store.things))
            if f"{colour} {noun}" not in self.words.values():
                self.add(f"other_{index}", noun, (x, y), float(self.rng.uniform(-1.5, 1.5)), colour)

    # Moves.

    def say(self, text: str, skill: str) -> None:
        """A sub-task begins with the next frame."""
        self.labels.append((self.frame, text, skill))

    def at(self, name: str) -> Float[np.ndarray, "3"]:
        """Where a thing is [m]."""
        return self.bench.place_of(name)

    def pose(self, xyz: Sequence[float] | np.ndarray, yaw: float = 0.0, pitch: float = DOWN) -> HandPose:
        """A hand from above."""
        return HandPose(xyz=np.array(xyz, dtype=np.float64), pitch_down=pitch, yaw=yaw)

    def travel(self, side: str, goal: HandPose, pace: float = 1.0) -> Script:
        """To a pose, high enough to pass over what stands on the table."""
        now, high = self.hands.pose[side].xyz, self.table_z + 0.20
        if now[2] < high - 0.05 and np.hypot(*(goal.xyz - now)[:2]) > 0.05:
            yield from self.hands.shift(side, (0.0, 0.0, high - 0.05 - now[2]), 1.3)
        yield from self.hands.move(side, goal, pace)
        yield from self.hands.wait(self.style.slow_s)

    def grip_height(self, name: str) -> float:
        """Grasp point for a thing: deep, but the tips off the table and the palm off the thing [m]."""
        top = self.at(name)[2] + self.things[name].half[2]
        return max(self.at(name)[2] - 0.005, top - PALM_M + 0.008, self.table_z + TIP_M + 0.004)

    def grasp_pose(self, side: str, name: str, along: float = 0.0) -> HandPose:
        """Over a thing, fingers across it; `along` its y-axis [m]."""
        thing, turn = self.things[name], self.bench.turn_of(name)
        middle = self.at(name) + along * turn[:, 1]
        return self.pose((middle[0], middle[1], self.grip_height(name)), grip_yaw(turn, thing.square))

    def pick(self, side: str, name: str, along: float = 0.0) -> Script:
        """Take a thing from above and lift it; tried again when nothing is held. Raises Slip."""
        words = self.words[name]
        for attempt in range(ATTEMPTS):
            self.say(f"Reach for the {words} with the {side} gripper" + (" again" if attempt else ""), "Reach")
            goal = self.grasp_pose(side, name, along)
            if self.out_of_reach(side, goal):
                raise Slip(f"the {name} is out of reach")
            if attempt == 0 and self.rng.random() < CLUMSY:
                goal = replace(goal, xyz=goal.xyz + self._miss(name, along))
            yield from self.travel(side, replace(goal, xyz=goal.xyz + np.array((0.0, 0.0, HOVER_M))))
            yield from self.hands.move(side, goal, 0.8)
            self.say(f"Grasp the {words} with the {side} gripper", "Grasp")
            yield from self.hands.grip(side, 0.0)
            if self.hands.holds(side, name):
                self.say(f"Lift the {words}", "Lift")
                yield from self.hands.shift(side, (0.0, 0.0, HOVER_M))
                if self.hands.holds(side, name):
                    return
            yield from self.hands.grip(side, 1.0)
            yield from self.hands.shift(side, (0.0, 0.0, HOVER_M))
        raise Slip(f"the {name} was not grasped")

    def _miss(self, name: str, along: float) -> Float[np.ndarray, "3"]:
        """A way beyond the end of a thing, where the fingers close on nothing [m]."""
        sign = float(np.sign(along)) or float(self.rng.choice([-1.0, 1.0]))
        beyond = self.things[name].half[1] - abs(along) + self.rng.uniform(0.03, 0.045)
        return sign * beyond * self.bench.turn_of(name)[:, 1]

    def out_of_reach(self, side: str, goal: HandPose) -> bool:
        """Whether a hand cannot go there."""
        reach = np.hypot(goal.xyz[0], goal.xyz[1] - SIGN[side] * 0.19)
        return bool(reach > 0.60 or goal.xyz[0] < 0.30 or goal.xyz[2] < self.table_z)

    def carry(self, side: str, name: str, xyz: Sequence[float] | np.ndarray, yaw: float | None = None) -> Script:
        """Bring the origin of what a hand holds over a place; the way it lies in the hand is made up for."""
        for pace in (1.0, 0.6):
            palm = self.hands.pose[side]
            goal = replace(palm, xyz=palm.xyz + np.array(xyz) - self.at(name))
            goal = goal if yaw is None else replace(goal, yaw=yaw)
            yield from self.hands.move(side, goal, pace)
        self.require_held(side, name)

    def require_held(self, side: str, name: str) -> None:
        """Raises Slip when a thing was lost."""
        if not self.hands.holds(side, name):
            raise Slip(f"the {name} was lost")

    def set_down(self, side: str, name: str, bottom: float) -> Script:
        """Lower what a hand holds onto a height, let go and rise."""
        yield from self.hands.shift(
            side, (0.0, 0.0, bottom + self.things[name].half[2] + 0.002 - self.at(name)[2]), 0.6
        )
        yield from self.hands.grip(side, 0.9)
        yield from self.hands.shift(side, (0.0, 0.0, 0.12))

    def rest(self, *sides: str) -> Script:
        """Hands home, one after the other when both are asked."""
        self.say("Move the " + " and ".join(sides) + " arm back", "Retreat")
        for side in sides:
            yield from self.hands.go_home(side)
        yield from self.hands.wait(0.2)

    def is_still(self, name: str) -> bool:
        """Whether a thing rests and nobody touches it."""
        return bool(self.bench.speed_of(name) < 0.03 and not self.bench.held_by(name))

    def is_within(self, name: str, place: str, half: Sequence[float] | np.ndarray) -> bool:
        """Whether a thing's middle is over a place of half sizes in the place's own axes."""
        offset = self.bench.turn_of(place).T @ (self.at(name) - self.at(place))
        return bool(abs(offset[0]) < half[0] and abs(offset[1]) < half[1])
