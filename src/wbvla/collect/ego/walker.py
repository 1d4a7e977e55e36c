"""How a person moves through a room: motion primitives, gait and gaze, and walks to a thing that end at its touch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wbvla.collect.ego.arms import Reach, Solid, Trunk, plan_reach
from wbvla.collect.ego.body import Body, Walk, poses_to_walk
from wbvla.collect.ego.person import Person
from wbvla.core.rotation import wrap_angle

PRIMITIVES = (
    "advance",
    "turn_left",
    "turn_right",
    "sidestep_left",
    "sidestep_right",
    "squat_down",
    "stand_up",
    "approach_near",
    "back_away",
    "stop_ready",
)
"""labels; the number of a label is its place here"""
TICK_S = 0.02
NEAR_M = 0.42
"""how close a person comes to a thing to touch it: upright head to its nearest side, on the ground [m]"""
SQUAT_M = 0.5
"""how far the head sinks in a squat [m]"""
REACH_S, HOLD_S = 1.1, 0.4
"""time of a hand's way to a thing, and of the touch [s]"""
GLANCES_HZ, GLANCE_YAW, GLANCE_PITCH = 0.3, 0.22, 0.10
"""how often a walking person looks elsewhere, and how far at most [rad]"""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a clip begins."""

    xy: tuple[float, float]
    """[m]"""
    yaw: float
    """[rad]"""
    squatting: bool = False


class Walker:
    """Integrates a person's motion at 50 Hz towards the velocity a primitive asks for."""

    def __init__(self, person: Person, start: Start, target: Solid) -> None:
        self.person, self.target = person, target
        self.xy, self.yaw = np.array(start.xy, dtype=np.float64), start.yaw
        self.sunk = SQUAT_M if start.squatting else 0.0
        self.bend, self.phase, self.raised, self.time_s = 0.0, 0.0, 0.0, 0.0
        self.reach: Reach | None = None
        """how the thing will be touched, once that is decided"""
        self.cannot_reach = False
        self._reach_s, self._velocity = 0.0, np.zeros(4)
        self._rng = np.random.default_rng(person.habits)
        self.phase = float(self._rng.uniform(0.0, 2.0 * np.pi))
        self._gaze, self._glance, self._glance_s = np.array([0.0, self._look_down()]), np.zeros(2), 0.0

    @property
    def gap(self) -> float:
        """Upright head to the nearest side of the thing, on the ground [m]."""
        return self.target.gap(self.xy)[0]

    @property
    def bearing(self) -> float:
        """Direction of the thing from the heading, left positive [rad]."""
        return float(wrap_angle(self.target.gap(self.xy)[1] - self.yaw))

    @property
    def progress(self) -> float:
        """Of the hand on its way to the thing, 0..1, with a soft start and end (minimum jerk)."""
        x = min(self._reach_s / REACH_S, 1.0)
        return x**3 * (10.0 - 15.0 * x + 6.0 * x * x)

    @property
    def has_arrived(self) -> bool:
        """Touched the thing for a moment."""
        return self._reach_s > REACH_S + HOLD_S

    def step(self, primitive: str, reaching: bool = False) -> None:
        """One tick of 20 ms; `reaching`: the hand is on its way to the thing."""
        wanted, raised = self._wanted(primitive)
        self._velocity += (wanted - self._velocity) * TICK_S / 0.22
        self.raised += (raised - self.raised) * TICK_S / 0.4
        vx, vy, wz, vz = self._velocity
        self.yaw += wz * TICK_S
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        self.xy += np.array([vx * cos - vy * sin, vx * sin + vy * cos]) * TICK_S
        self.sunk = min(max(self.sunk - float(vz) * TICK_S, 0.0), SQUAT_M)
        self.phase += np.pi * self.person.step_hz * TICK_S * self._stride()
        self.time_s += TICK_S
        if reaching:
            self._reach_s += TICK_S
        self.bend = self.reach.bend * self.progress if self.reach else 0.0
        self._look(primitive)

    def goal_primitive(self) -> str:
        """What a person does next who wants to touch the thing: turn to it, walk, come near, get down, reach."""
        if self.reach is not None:
            return "squat_down" if self.sunk < self.reach.sunk - 0.075 else "stop_ready"
        gap, bearing = self.gap, self.bearing
        if gap > 0.5 and abs(bearing) > (0.10 if abs(self._velocity[2]) > 0.1 else 0.4):
            return "turn_left" if bearing > 0 else "turn_right"
        if gap > 1.0:
            return "advance"
        offside = (gap + 0.1) * np.sin(bearing)
        if gap < 0.8 and abs(offside) > (0.04 if abs(self._velocity[1]) > 0.1 else 0.17):
            return "sidestep_left" if offside > 0 else "sidestep_right"
        if gap > NEAR_M + 0.03:
            return "approach_near"
        if np.abs(self._velocity[:3]).max() < 0.08 and not self.cannot_reach:
            self.reach = plan_reach(self.person, self._trunk(), self.target)
            self.cannot_reach = self.reach is None
        return "stop_ready"

    def walk_on(self) -> str:
        """One tick of a walk to the thing; returns its primitive."""
        primitive = self.goal_primitive()
        self.step(primitive, reaching=self.reach is not None and primitive == "stop_ready")
        return primitive

    def body(self) -> Body:
        """Where camera, arms and hands are now, gait included."""
        person, stride = self.person, self._stride()
        sway, bob = person.sway * np.sin(self.phase) * stride, person.bob * np.sin(2.0 * self.phase) * stride
        side = np.array([-np.sin(self.yaw), np.cos(self.yaw)])
        # a body leans forward as it gets down
        lean = 0.25 * self.sunk * np.array([np.cos(self.yaw), np.sin(self.yaw)])
        trunk = self._trunk((*(sway * side + lean), bob))
        nod = 0.35 * person.bob * np.sin(2.0 * self.phase + 0.6) * stride / 0.02
        rpy = np.array([0.5 * sway, self._gaze[1] + 0.02 * nod, self.yaw + self._gaze[0]])
        swing = 0.30 * np.sin(self.phase) * stride
        reach = self.reach if self.progress > 0.0 else None
        return Body.of(person, trunk, rpy, (self.raised, swing, self.progress, reach))

    def _trunk(self, shake: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Trunk:
        return Trunk(xy=self.xy.copy(), yaw=self.yaw, sunk=self.sunk, bend=self.bend, shake=shake)

    def _look_down(self) -> float:
        """How far below the horizon a person looks: further to keep a near thing in sight, or the hand at it [rad]."""
        gap, bearing = self.target.gap(self.xy)
        base = self.person.pitch_down
        if self.reach is not None:
            eyes = self._trunk().place(self.person, np.zeros(3))
            ahead, down = np.hypot(*(self.reach.point[:2] - eyes[:2])), eyes[2] - self.reach.point[2]
            return float(np.clip(np.arctan2(down, ahead) - 0.12, 0.1, 1.35))
        if gap > 1.3 or abs(wrap_angle(bearing - self.yaw)) > 0.7:
            return base
        below = np.arctan2(self.person.height - self.sunk - self.target.xyz[2], gap + 0.1)
        return float(np.clip(below - 0.15, base - 0.15, base + 0.55))

    def _look(self, primitive: str) -> None:
        """Turn the head: ahead of a turn, towards a wanted thing, aside now and then."""
        wanted = np.array([0.0, self._look_down()])
        if primitive in ("turn_left", "turn_right"):  # the head leads the body into a turn
            wanted[0] = 0.12 if primitive == "turn_left" else -0.12
        if self.reach is not None:
            wanted[0] = np.clip(self.bearing, -0.4, 0.4)
        if self._glance_s > 0.0:
            self._glance_s -= TICK_S
            wanted += self._glance
        elif primitive == "advance" and self._rng.random() < GLANCES_HZ * TICK_S:
            self._glance_s = float(self._rng.uniform(0.3, 0.7))
            self._glance = self._rng.uniform(-1.0, 1.0, 2) * (GLANCE_YAW, GLANCE_PITCH)
        self._gaze += np.clip((wanted - self._gaze) / 0.25, -1.5, 1.5) * TICK_S

    def _stride(self) -> float:
        """Share of the full gait: 0 standing, 1 at cruise."""
        vx, vy, wz, _ = self._velocity
        return float(np.clip((abs(vx) + abs(vy)) / self.person.speed + 0.5 * abs(wz), 0.0, 1.0))

    def _wanted(self, primitive: str) -> tuple[np.ndarray, float]:
        """Velocity v_x, v_y, w_z, v_z and how far the hands are raised, 0..1."""
        speed, turn, sink = self.person.speed, self.person.turn_rate, 0.32
        if primitive == "approach_near":
            near = np.clip(1.5 * (self.gap - NEAR_M), 0.0, 0.75 * speed)
            return np.array([near, 0.0, np.clip(1.2 * self.bearing, -0.4 * turn, 0.4 * turn), 0.0]), 0.8
        table = {
            "advance": ((speed, 0.0, 0.0, 0.0), 0.0),
            "turn_left": ((0.05, 0.0, turn, 0.0), 0.0),
            "turn_right": ((0.05, 0.0, -turn, 0.0), 0.0),
            "sidestep_left": ((0.0, 0.6 * speed, 0.0, 0.0), 0.1),
            "sidestep_right": ((0.0, -0.6 * speed, 0.0, 0.0), 0.1),
            "squat_down": ((0.0, 0.0, 0.0, -sink), 0.8),
            "stand_up": ((0.0, 0.0, 0.0, sink), 0.3),
            "back_away": ((-0.7 * speed, 0.0, 0.0, 0.0), 0.2),
            "stop_ready": ((0.0, 0.0, 0.0, 0.0), 1.0),
        }
        velocity, raised = table[primitive]
        return np.array(velocity), raised


def walk_primitive(walker: Walker, primitive: str, num_frames: int, fps: int) -> Walk:
    """A clip of one primitive; `stop_ready` begins with a second of walking, labelled as such."""
    lead_in = round(1.0 * fps) if primitive == "stop_ready" else 0
    plan = ["advance"] * lead_in + [primitive] * (num_frames + 1 - lead_in)

    def act(frame: int) -> str:
        walker.step(plan[frame])
        return plan[frame]

    return _record(walker, act, num_frames, fps)


def walk_to_goal(walker: Walker, max_frames: int, fps: int) -> Walk:
    """A clip from anywhere to the touch of the thing, ended early after it."""
    return _record(walker, lambda frame: walker.walk_on(), max_frames, fps)


def _record(walker: Walker, act: Callable[[int], str], num_frames: int, fps: int) -> Walk:
    """Walk and keep a row per frame and one beyond the last; a frame's label is what is done right after it."""
    bodies: list[Body] = []
    labels: list[int] = []
    for frame in range(num_frames + 1):
        bodies.append(walker.body())
        if walker.has_arrived or walker.cannot_reach:
            break
        doing = [act(frame) for _ in range(round(1.0 / (fps * TICK_S)))]
        labels.append(PRIMITIVES.index(doing[0]))
    return poses_to_walk(walker.person, bodies, labels, fps).cut(len(bodies) - 1)
