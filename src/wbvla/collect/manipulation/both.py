"""Work that needs both hands on one thing: lifting a box, pushing a heavy one, passing a bar from hand to hand."""

from dataclasses import replace

import numpy as np

from wbvla.collect.ik import HandPose
from wbvla.collect.manipulation.hands import TICK_S, Script, both, grip_yaw
from wbvla.collect.manipulation.work import ATTEMPTS, OTHER, SIGN, Slip, Work
from wbvla.sim.bench_robot import SIDES

SIDEWAYS_M = 0.017
"""middle of the fingers to their side [m]"""


class LiftBox(Work):
    """A box between both hands onto a mat."""

    name, task = "lift-box", 7002

    def furnish(self) -> str:
        area = (0.43, 0.49, 0.06, 0.15)
        start = self.spot(self.mirrored(area, self.side), 0.16)
        self.goal = self.spot(self.mirrored(area, OTHER[self.side]), 0.16)
        self.add_mat("mat", (0.11, 0.13), self.goal)
        self.add("box", str(self.rng.choice(self.store.boxes)), start, float(self.rng.uniform(-0.12, 0.12)))
        return f"Lift the {self.words['box']} with both hands and put it on the {self.words['mat']}"

    def beside(self, gap: float, up: float = 0.0) -> dict[str, HandPose]:
        """Hands on both sides of the box, a gap away, its upper part between the fingers' sides."""
        half, turn = self.things["box"].half, self.bench.turn_of("box")
        yaw = grip_yaw(turn, False)
        level = self.at("box") + np.array((0.0, 0.0, half[2] - 0.036 + up))
        across = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        away = half[1] + SIDEWAYS_M + gap
        return {side: self.pose(level + SIGN[side] * away * across, yaw, 1.4) for side in SIDES}

    def to(self, poses: dict[str, HandPose], pace: float = 1.0) -> Script:
        """Both hands at once."""
        yield from both(*(self.hands.move(side, poses[side], pace) for side in SIDES))

    def shift(self, by: np.ndarray, pace: float = 0.6) -> Script:
        """Both hands by the same way."""
        yield from self.to({s: replace(self.hands.pose[s], xyz=self.hands.pose[s].xyz + by) for s in SIDES}, pace)

    def squeeze(self) -> Script:
        """Press from both sides within half a second."""
        poses = self.beside(0.0)
        inwards = {side: -SIGN[side] * poses[side].rotation()[:, 1] for side in SIDES}
        yield from self.to(poses, 0.5)
        for tick in range(1, 26):
            for side in SIDES:
                self.hands.force[side] = inwards[side] * self.force * tick / 25
            yield

    def let_go(self) -> Script:
        """Hands apart and up."""
        for side in SIDES:
            self.hands.force[side] = np.zeros(3)
        yield from self.hands.wait(0.1)
        yield from self.to(self.beside(0.06), 0.7)
        yield from self.shift(np.array([0.0, 0.0, 0.14]), 1.0)

    def is_held(self) -> bool:
        return bool(self.bench.held_by("box") >= set(SIDES))

    def script(self) -> Script:
        words, mat = self.words["box"], self.words["mat"]
        self.force = 14.0 + 14.0 * self.things["box"].mass
        for side in SIDES:
            self.hands.opening[side] = 0.5
        for attempt in range(ATTEMPTS):
            self.say(f"Reach for the {words} with both hands" + (" again" if attempt else ""), "Reach")
            if any(self.out_of_reach(side, pose) for side, pose in self.beside(0.05).items()):
                raise Slip("the box is out of reach")
            yield from self.to(self.beside(0.07, 0.12))
            yield from self.to(self.beside(0.05), 0.8)
            self.say(f"Grip the {words} between both hands", "Grasp")
            yield from self.squeeze()
            self.say(f"Lift the {words}", "Lift")
            yield from self.shift(np.array([0.0, 0.0, 0.10]))
            if self.is_held() and self.at("box")[2] > self.table_z + self.things["box"].half[2] + 0.05:
                break
            yield from self.let_go()
        else:
            raise Slip("the box was not lifted")
        self.say(f"Carry the {words} over the {mat}", "Carry")
        for pace in (0.6, 0.4):
            yield from self.shift(np.array([*(np.array(self.goal) - self.at("box")[:2]), 0.0]), pace)
        if not self.is_held():
            raise Slip("the box was lost")
        self.say(f"Put the {words} on the {mat}", "Place")
        drop = self.table_z + self.things["box"].half[2] + 0.002 - self.at("box")[2]
        yield from self.shift(np.array([0.0, 0.0, drop]), 0.5)
        yield from self.let_go()
        self.say("Move both arms back", "Retreat")
        yield from both(self.hands.go_home("left"), self.hands.go_home("right"))

    def is_done(self) -> bool:
        away = np.linalg.norm(self.at("box")[:2] - np.array(self.goal))
        upright = self.bench.turn_of("box")[2, 2] > 0.98
        return bool(away < 0.035 and upright and self.is_still("box"))


class Push(Work):
    """A heavy flat thing onto a mat, pushed from behind by both hands."""

    name, task = "push", 7003

    def furnish(self) -> str:
        x, y = self.spot((0.42, 0.45, -0.08, 0.08), 0.16)
        thing = self.add("slab", str(self.rng.choice(self.store.slabs)), (x, y), float(self.rng.uniform(-0.12, 0.12)))
        self.goal = (x + float(self.rng.uniform(0.10, 0.14)), y)
        self._taken.append((*self.goal, 0.16))
        self.add_mat("mat", (thing.half[0] + 0.03, thing.half[1] + 0.03), self.goal)
        return f"Push the {self.words['slab']} forward onto the {self.words['mat']} with both hands"

    def behind(self, gap: float, up: float = 0.0) -> dict[str, HandPose]:
        """Fists behind the near side, apart."""
        half, turn = self.things["slab"].half, self.bench.turn_of("slab")
        yaw = grip_yaw(turn, False)
        ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        middle = self.at("slab") - (half[0] + 0.014 + gap) * ahead
        middle[2] = self.table_z + 0.05 + up
        return {side: self.pose(middle + SIGN[side] * 0.6 * half[1] * left, yaw) for side in SIDES}

    def to(self, poses: dict[str, HandPose], pace: float = 1.0) -> Script:
        yield from both(*(self.hands.move(side, poses[side], pace) for side in SIDES))

    def script(self) -> Script:
        words = self.words["slab"]
        for side in SIDES:
            self.hands.opening[side] = 0.0
        for attempt in range(ATTEMPTS):
            self.say(f"Bring both hands behind the {words}" + (" again" if attempt else ""), "Reach")
            yield from self.to(self.behind(0.035, 0.12))
            yield from self.to(self.behind(0.03), 0.8)
            self.say(f"Push the {words} forward onto the {self.words['mat']}", "Push")
            yield from self.push()
            yield from self.to(
                {s: replace(p, xyz=p.xyz - np.array((0.03, 0.0, 0.0))) for s, p in self.hands.pose.items()}
            )
            if self.goal[0] - self.at("slab")[0] < 0.02:
                break
        self.say("Move both arms back", "Retreat")
        high = {s: replace(p, xyz=p.xyz + np.array((0.0, 0.0, 0.12))) for s, p in self.hands.pose.items()}
        yield from self.to(high)
        yield from both(self.hands.go_home("left"), self.hands.go_home("right"))

    def push(self) -> Script:
        """Forward until the goal is reached; the hand on the side that lags goes further."""
        speed = 0.10 * self.style.speed_mps / 0.4
        for _ in range(round(6.0 / TICK_S)):
            if self.at("slab")[0] > self.goal[0] - 0.004:
                return
            yaw = grip_yaw(self.bench.turn_of("slab"), False)
            for side in SIDES:
                pace = speed * (1.0 + np.clip(SIGN[side] * 5.0 * yaw, -0.6, 0.6))
                step = np.array([pace * TICK_S, 0.0, 0.0])
                self.hands.pose[side] = replace(self.hands.pose[side], xyz=self.hands.pose[side].xyz + step)
            yield

    def is_done(self) -> bool:
        return bool(self.is_within("slab", "mat", (0.035, 0.035)) and self.is_still("slab"))


class HandOver(Work):
    """A long thing from one hand to the other, and onto a mat."""

    name, task = "hand-over", 7004

    def furnish(self) -> str:
        xy = self.spot(self.mirrored((0.42, 0.50, 0.17, 0.24), self.side), 0.14)
        self.add("bar", str(self.rng.choice(self.store.bars)), xy, float(self.rng.uniform(-0.3, 0.3)))
        self.goal = self.spot(self.mirrored((0.42, 0.50, 0.18, 0.28), OTHER[self.side]), 0.15)
        self.add_mat("mat", (0.06, 0.13), self.goal)
        self.givers: set[str] = set()
        words, other = self.words["bar"], OTHER[self.side]
        return f"Pass the {words} to the {other} hand and lay it on the {self.words['mat']}"

    def watch(self) -> None:
        if self.at("bar")[2] > self.table_z + 0.08:
            self.givers |= self.bench.held_by("bar")

    def script(self) -> Script:
        giver, taker, words = self.side, OTHER[self.side], self.words["bar"]
        outer = 0.062 * SIGN[giver]
        yield from self.pick(giver, "bar", outer)
        self.say(f"Bring the {words} before the {taker} hand", "Carry")
        middle = (0.45, 0.0, self.table_z + 0.19)
        yield from self.carry(giver, "bar", middle, 0.0)
        self.say(f"Take the {words} with the {taker} gripper", "Handover")
        for _ in range(ATTEMPTS):
            end = self.at("bar") - outer * self.bench.turn_of("bar")[:, 1]
            goal = self.pose(end + np.array((0.0, 0.0, 0.022)), grip_yaw(self.bench.turn_of("bar"), False))
            yield from self.hands.move(taker, replace(goal, xyz=goal.xyz + np.array((0.0, 0.0, 0.09))))
            yield from self.hands.move(taker, goal, 0.7)
            yield from self.hands.grip(taker, 0.0)
            if self.hands.holds(taker, "bar"):
                break
            yield from self.hands.grip(taker, 1.0)
        self.require_held(taker, "bar")
        self.say(f"Let go of the {words} with the {giver} gripper", "Release")
        yield from self.hands.grip(giver, 0.9)
        yield from self.hands.shift(giver, (0.0, 0.0, 0.10))
        self.require_held(taker, "bar")
        yield from both(self.hands.go_home(giver), self.lay(taker))
        yield from self.rest(taker)

    def lay(self, taker: str) -> Script:
        """Onto the mat."""
        self.say(f"Lay the {self.words['bar']} on the {self.words['mat']}", "Place")
        yield from self.carry(taker, "bar", (*self.goal, self.table_z + 0.12))
        yield from self.set_down(taker, "bar", self.table_z)

    def is_done(self) -> bool:
        return bool(self.givers >= set(SIDES) and self.is_within("bar", "mat", (0.05, 0.06)) and self.is_still("bar"))
