"""Work of one hand or of each hand in turn: placing, stacking, a drawer, wiping; and the table of all kinds of work."""

from dataclasses import replace

import numpy as np

from wbvla.collect.ik import HandPose
from wbvla.collect.manipulation.both import HandOver, LiftBox, Push
from wbvla.collect.manipulation.hands import TICK_S, Script, both, grip_yaw
from wbvla.collect.manipulation.work import ATTEMPTS, OTHER, SIDE_AREA, SIGN, Slip, Work
from wbvla.sim.workbench import DRAWER_HALF, DRAWER_TRAVEL_M, HANDLE_OUT_M


class PickPlace(Work):
    """A small thing into a container."""

    name, task = "pick-place", 7001

    def furnish(self) -> str:
        self.add_container("goal", (0.42, 0.52, -0.10, 0.10))
        xy = self.spot(self.mirrored(SIDE_AREA, self.side), 0.05)
        self.add("thing", str(self.rng.choice(self.store.things)), xy, float(self.rng.uniform(-1.5, 1.5)))
        return f"Put the {self.words['thing']} into the {self.words['goal']}"

    def script(self) -> Script:
        yield from self.pick(self.side, "thing")
        words, goal = self.words["goal"], self.at("goal")
        self.say(f"Carry the {self.words['thing']} to the {words}", "Carry")
        above = goal + np.array((0.0, 0.0, self.half[2] + 0.05 + self.things["thing"].half[2]))
        yield from self.carry(self.side, "thing", above)
        self.say(f"Put the {self.words['thing']} into the {words}", "Place")
        yield from self.hands.grip(self.side, 0.9)
        yield from self.hands.shift(self.side, (0.0, 0.0, 0.08))
        yield from self.rest(self.side)

    def is_done(self) -> bool:
        low = self.at("thing")[2] < self.at("goal")[2] + self.half[2] + self.things["thing"].half[2]
        return bool(low and self.is_within("thing", "goal", self.half[:2]) and self.is_still("thing"))


class Stack(Work):
    """One hand brings the lower block to the middle, the other puts the upper one on it."""

    name, task = "stack", 7005

    def furnish(self) -> str:
        noun = self.flat()
        for name, side in (("lower", self.side), ("upper", OTHER[self.side])):
            xy = self.spot(self.mirrored(SIDE_AREA, side), 0.05)
            self.add(name, noun, xy, float(self.rng.uniform(-0.7, 0.7)))
        self.goal = (float(self.rng.uniform(0.44, 0.50)), float(self.rng.uniform(-0.02, 0.02)))
        self._taken.append((*self.goal, 0.08))
        return f"Put the {self.words['lower']} in the middle and stack the {self.words['upper']} on it"

    def script(self) -> Script:
        first, second, low, up = self.side, OTHER[self.side], self.words["lower"], self.words["upper"]
        yield from self.pick(first, "lower")
        self.say(f"Put the {low} in the middle of the table", "Place")
        yield from self.carry(first, "lower", (*self.goal, self.table_z + 0.12), 0.0)
        yield from self.set_down(first, "lower", self.table_z)
        yield from both(self.hands.go_home(first), self.pick(second, "upper"))
        self.say(f"Stack the {up} on the {low}", "Stack")
        half = self.things["lower"].half[2]
        base, turn = self.at("lower"), self.bench.turn_of("lower")
        above = base + np.array((0.0, 0.0, half + 0.03 + self.things["upper"].half[2]))
        yield from self.carry(
            second, "upper", above + np.array((0.0, 0.0, 0.05)), grip_yaw(turn, self.things["lower"].square)
        )
        yield from self.carry(second, "upper", above)
        yield from self.set_down(second, "upper", base[2] + half)
        yield from self.rest(second)

    def is_done(self) -> bool:
        lift = self.at("upper")[2] - self.at("lower")[2]
        wanted = self.things["upper"].half[2] + self.things["lower"].half[2]
        half = np.array(self.things["lower"].half) * 0.9
        return bool(
            abs(lift - wanted) < 0.005 and self.is_within("upper", "lower", half[:2]) and self.is_still("upper")
        )


class Drawer(Work):
    """Open a drawer with one hand, put a thing into it with the other, close it."""

    name, task = "drawer", 7006

    def furnish(self) -> str:
        self.at_xy = (float(self.rng.uniform(0.62, 0.65)), SIGN[self.side] * float(self.rng.uniform(0.0, 0.05)))
        self._taken += [(*self.at_xy, 0.16), (self.at_xy[0] - 0.15, self.at_xy[1], 0.12)]
        colour, knob = self.colour(), self.colour()
        self.plan.add_drawer("chest", self.at_xy, self.paint("chest", colour), self.paint("handle", knob))
        self.words["chest"] = f"{colour} chest"
        xy = self.spot(self.mirrored((0.42, 0.52, 0.19, 0.32), OTHER[self.side]), 0.06)
        self.add("thing", self.flat(), xy, float(self.rng.uniform(-1.5, 1.5)))
        return f"Put the {self.words['thing']} into the drawer of the {self.words['chest']}"

    def handle(self, back: float) -> HandPose:
        """The hand at the handle, pointing at the chest, a way before it."""
        drawer = self.at("chest_drawer")
        pose = self.pose(drawer - np.array((DRAWER_HALF[0] + HANDLE_OUT_M, 0.0, 0.0)), 0.0, 0.35)
        return replace(pose, xyz=pose.xyz - (0.018 + back) * pose.rotation()[:, 0])

    def script(self) -> Script:
        puller, putter, words = self.side, OTHER[self.side], self.words["thing"]
        self.hands.opening[puller] = 0.6
        for _ in range(ATTEMPTS):
            self.say(f"Reach for the handle with the {puller} gripper", "Reach")
            yield from self.hands.move(puller, self.handle(0.10))
            yield from self.hands.move(puller, self.handle(0.0), 0.6)
            yield from self.hands.grip(puller, 0.0)
            self.say(f"Pull the drawer of the {self.words['chest']} open", "Open")
            yield from self.hands.shift(puller, (-DRAWER_TRAVEL_M + 0.004 + self.slide(), 0.0, 0.0), 0.5)
            yield from self.hands.grip(puller, 0.6)
            if self.slide() > 0.8 * DRAWER_TRAVEL_M:
                break
        else:
            raise Slip("the drawer did not open")
        back = replace(self.handle(0.09), xyz=self.handle(0.09).xyz)
        yield from self.hands.move(puller, back)
        yield from both(self.hands.go_home(puller), self.pick(putter, "thing"))
        self.say(f"Put the {words} into the drawer", "Place")
        inside = self.at("chest_drawer") + np.array((0.052 - DRAWER_HALF[0], 0.0, 0.085 + self.things["thing"].half[2]))
        yield from self.carry(putter, "thing", inside + np.array((0.0, 0.0, 0.05)))
        yield from self.carry(putter, "thing", inside)
        yield from self.hands.grip(putter, 0.9)
        yield from self.hands.shift(putter, (0.0, 0.0, 0.10))
        yield from both(self.hands.go_home(putter), self.close(puller))

    def close(self, puller: str) -> Script:
        """Push the handle back with a fist."""
        self.say(f"Push the drawer shut with the {puller} hand", "Close")
        self.hands.opening[puller] = 0.0
        yield from self.hands.move(puller, self.handle(0.08))
        for _ in range(round(4.0 / TICK_S)):
            if self.slide() < 0.004:
                break
            pose = self.hands.pose[puller]
            self.hands.pose[puller] = replace(pose, xyz=pose.xyz + np.array((0.12 * TICK_S, 0.0, 0.0)))
            yield
        yield from self.hands.shift(puller, (-0.08, 0.0, 0.03))
        yield from self.rest(puller)

    def slide(self) -> float:
        return self.bench.slide_of("chest_drawer")

    def is_done(self) -> bool:
        offset = self.at("thing") - self.at("chest_drawer")
        inside = bool((np.abs(offset[:2]) < DRAWER_HALF[:2]).all() and abs(offset[2]) < 0.06)
        return bool(inside and self.slide() < 0.012 and self.is_still("thing"))


class Wipe(Work):
    """A stain wiped off the table with a sponge."""

    name, task = "wipe", 7007

    def furnish(self) -> str:
        middle = np.array(self.spot((0.44, 0.50, -0.06, 0.06), 0.11))
        colour, self.spots = self.colour(), int(self.rng.integers(7, 13))
        rgb = self.paint("stain", colour)
        for index in range(self.spots):
            xy = middle + self.rng.uniform((-0.05, -0.07), (0.05, 0.07))
            self.plan.add_spot(
                f"spot_{index}", (float(xy[0]), float(xy[1])), float(self.rng.uniform(0.007, 0.014)), rgb
            )
        self.middle, self.words["stain"] = middle, f"{colour} stain"
        xy = self.spot(self.mirrored((0.42, 0.52, 0.20, 0.32), self.side), 0.06)
        self.add("wiper", str(self.rng.choice(self.store.wipers)), xy, float(self.rng.uniform(-0.6, 0.6)))
        self.back = xy
        return f"Wipe the {self.words['stain']} off the table with the {self.words['wiper']}"

    def watch(self) -> None:
        """What the wiper covers while it lies on the table is gone."""
        height = self.at("wiper")[2] - self.things["wiper"].half[2] - self.table_z
        if height > 0.004:
            return
        turn, half = self.bench.turn_of("wiper"), self.things["wiper"].half
        for index in self.left():
            offset = turn.T @ (self.at(f"spot_{index}") - self.at("wiper"))
            if abs(offset[0]) < half[0] and abs(offset[1]) < half[1] and "table" in self.bench.touching("wiper"):
                self.bench.model.geom(f"spot_{index}").rgba[3] = 0.0

    def left(self) -> list[int]:
        """Spots that are still there."""
        return [i for i in range(self.spots) if self.bench.model.geom(f"spot_{i}").rgba[3] > 0.0]

    def script(self) -> Script:
        side, words = self.side, self.words["wiper"]
        yield from self.pick(side, "wiper")
        low = self.table_z + self.things["wiper"].half[2]
        for attempt in range(ATTEMPTS):
            self.say(f"Wipe the {self.words['stain']}" + (" again" if attempt else ""), "Wipe")
            lanes = self.middle[1] + np.array([-0.06, 0.0, 0.06]) * SIGN[side] * (-1.0) ** attempt
            yield from self.carry(side, "wiper", (self.middle[0] - 0.05, lanes[0], low + 0.05), 0.0)
            yield from self.hands.shift(side, (0.0, 0.0, low + 0.001 - self.at("wiper")[2]), 0.6)
            self.hands.force[side] = np.array([0.0, 0.0, -6.0])
            for lane in lanes:
                for x in (0.065, -0.065, 0.065):
                    goal = np.array([self.middle[0] + x, lane])
                    by = goal - self.at("wiper")[:2]
                    yield from self.hands.shift(side, (by[0], by[1], 0.0), 0.8)
                    self.require_held(side, "wiper")
            self.hands.force[side] = np.zeros(3)
            yield from self.hands.shift(side, (0.0, 0.0, 0.06))
            if not self.left():
                break
        self.say(f"Put the {words} back", "Place")
        yield from self.carry(side, "wiper", (*self.back, self.table_z + 0.10))
        yield from self.set_down(side, "wiper", self.table_z)
        yield from self.rest(side)

    def is_done(self) -> bool:
        return bool(not self.left() and self.is_still("wiper"))


WORKS: tuple[type[Work], ...] = (PickPlace, LiftBox, Push, HandOver, Stack, Drawer, Wipe)
"""clip i shows work i modulo their number"""
