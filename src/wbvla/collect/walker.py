"""How a person's head and hands move while walking through a room: motion primitives, gait, and walks to a goal."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from wbvla.core.rotation import quat_from_rpy, quat_rotate, wrap_angle

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
NEAR_M = 0.55
"""how close a person comes to a thing to touch it: head to thing, on the ground [m]"""
SQUAT_M = 0.5
"""how far the head sinks in a squat [m]"""


@dataclass(frozen=True, kw_only=True)
class Person:
    """What differs from one person and clip to the next."""

    height: float
    """of the eyes, standing [m]"""
    speed: float
    """cruise [m/s]"""
    turn_rate: float
    """[rad/s]"""
    step_hz: float
    """steps per second at cruise [Hz]"""
    bob: float
    """amplitude of the head's vertical motion while walking [m]"""
    sway: float
    """amplitude of its sideways motion [m]"""
    pitch_down: float
    """gaze below the horizon [rad]"""
    hand_width: float
    """half the distance between the hands [m]"""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Person":
        """Anyone."""
        return Person(
            height=rng.uniform(1.5, 1.75),
            speed=rng.uniform(0.45, 0.85),
            turn_rate=rng.uniform(0.5, 1.0),
            step_hz=rng.uniform(1.5, 2.0),
            bob=rng.uniform(0.008, 0.022),
            sway=rng.uniform(0.008, 0.02),
            pitch_down=rng.uniform(0.35, 0.62),
            hand_width=rng.uniform(0.13, 0.19),
        )


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a clip begins."""

    xy: tuple[float, float]
    """[m]"""
    yaw: float
    """[rad]"""
    squatting: bool = False


@dataclass(frozen=True)
class Walk:
    """One clip's motion, a row per frame."""

    head_xyz: Float[np.ndarray, "frame 3"]
    """of the camera in the world [m]"""
    head_rpy: Float[np.ndarray, "frame 3"]
    """of the camera in the world: yaw, then pitch (down positive), then roll [rad]"""
    hands_b: Float[np.ndarray, "frame 2 3"]
    """left, right wrist in the frame of the camera's heading, from the camera [m]"""
    primitive: Int64[np.ndarray, " frame"]
    """number in `PRIMITIVES`"""
    twist: Float[np.ndarray, "frame 4"]
    """v_x, v_y [m/s], w_z [rad/s], v_z [m/s] of the camera in the frame of its heading, mean until the next frame"""

    def __len__(self) -> int:
        return len(self.primitive)

    def cut(self, length: int) -> "Walk":
        """The first frames only."""
        fields = (self.head_xyz, self.head_rpy, self.hands_b, self.primitive, self.twist)
        return Walk(*(values[:length] for values in fields))


class Walker:
    """Integrates a person's motion at 50 Hz towards the velocity a primitive asks for."""

    def __init__(self, person: Person, start: Start, target: Float[np.ndarray, "3"]) -> None:
        self.person, self.target = person, target
        self.xy, self.yaw = np.array(start.xy, dtype=np.float64), start.yaw
        self.sunk = SQUAT_M if start.squatting else 0.0
        self.phase, self.time_s, self.reach = 0.0, 0.0, 0.0
        self._look = self._gaze()
        self._velocity = np.zeros(4)
        self._grasp_s = 0.0

    @property
    def distance(self) -> float:
        """Head to target on the ground [m]."""
        return float(np.linalg.norm(self.target[:2] - self.xy))

    @property
    def bearing(self) -> float:
        """Direction of the target from the heading, left positive [rad]."""
        offset = self.target[:2] - self.xy
        return float(wrap_angle(np.arctan2(offset[1], offset[0]) - self.yaw))

    def step(self, primitive: str) -> None:
        """One tick of 20 ms."""
        wanted, reach = self._wanted(primitive)
        self._velocity += (wanted - self._velocity) * TICK_S / 0.22
        self.reach += (reach - self.reach) * TICK_S / 0.4
        vx, vy, wz, vz = self._velocity
        self.yaw += wz * TICK_S
        forward, left = np.array([np.cos(self.yaw), np.sin(self.yaw)]), np.array([-np.sin(self.yaw), np.cos(self.yaw)])
        self.xy += (vx * forward + vy * left) * TICK_S
        self.sunk = float(np.clip(self.sunk - vz * TICK_S, 0.0, SQUAT_M))
        self.phase += np.pi * self.person.step_hz * TICK_S * self._stride()
        self.time_s += TICK_S
        self._look += (self._gaze() - self._look) * TICK_S / 0.5

    def goal_primitive(self) -> str:
        """What a person does next who wants to take the target: turn to it, walk, come near, get down, be ready."""
        wide = 0.12 if self._velocity[2] ** 2 > 0.01 else 0.4
        if self.distance > 0.8 and abs(self.bearing) > wide:
            return "turn_left" if self.bearing > 0 else "turn_right"
        offside = self.distance * np.sin(self.bearing)
        if self.distance < 1.1 and abs(offside) > (0.04 if abs(self._velocity[1]) > 0.1 else 0.14):
            return "sidestep_left" if offside > 0 else "sidestep_right"
        if self.distance > 1.3:
            return "advance"
        if self.distance > NEAR_M + 0.06:
            return "approach_near"
        if self.target[2] < 0.5 and self.sunk < SQUAT_M - 0.03:
            return "squat_down"
        self._grasp_s += TICK_S
        return "stop_ready"

    @property
    def has_arrived(self) -> bool:
        """Stood ready at the goal for a moment."""
        return self._grasp_s > 0.7

    def camera(self) -> tuple[np.ndarray, np.ndarray]:
        """Position [m] and roll, pitch, yaw [rad] of the camera, gait included."""
        person, stride = self.person, self._stride()
        sway, bob = person.sway * np.sin(self.phase) * stride, person.bob * np.sin(2 * self.phase) * stride
        side = np.array([-np.sin(self.yaw), np.cos(self.yaw)])
        lean = 0.25 * self.sunk * np.array([np.cos(self.yaw), np.sin(self.yaw)])
        xyz = np.array([*(self.xy + sway * side + lean), person.height - self.sunk + bob])
        roll, nod = 0.5 * sway, 0.35 * bob + 0.1 * self.reach
        return xyz, np.array([roll, person.pitch_down + nod + self._look, self.yaw])

    def hands(self) -> np.ndarray:
        """Left and right wrist from the camera, in the frame of its heading [m]."""
        swing = 0.07 * np.sin(self.phase) * self._stride()
        rows = []
        for side in (1.0, -1.0):
            rest = np.array([0.34 + side * swing, side * (self.person.hand_width + 0.03), -0.44])
            ready = np.array([0.46, side * self.person.hand_width * 0.85, -0.36])
            rows.append(rest + (ready - rest) * self.reach)
        return np.array(rows)

    def _gaze(self) -> float:
        """How much further down a person looks to keep a near target in sight [rad]."""
        if self.distance > 1.4 or abs(self.bearing) > 0.7:
            return 0.0
        below = np.arctan2(self.person.height - self.sunk - self.target[2], self.distance)
        return float(np.clip(below - 0.2 - self.person.pitch_down, 0.0, 0.5))

    def _stride(self) -> float:
        """Share of the full gait: 0 standing, 1 at cruise."""
        vx, vy, wz, _ = self._velocity
        return float(np.clip((abs(vx) + abs(vy)) / self.person.speed + 0.5 * abs(wz), 0.0, 1.0))

    def _wanted(self, primitive: str) -> tuple[np.ndarray, float]:
        """Velocity v_x, v_y, w_z, v_z and how far the hands are raised, 0..1."""
        speed, turn, sink = self.person.speed, self.person.turn_rate, 0.32
        if primitive == "approach_near":
            near = np.clip(1.6 * (self.distance - NEAR_M), 0.0, 0.75 * speed)
            return np.array([near, 0.0, np.clip(1.2 * self.bearing, -turn, turn), 0.0]), 0.7
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
        velocity, reach = table[primitive]
        return np.array(velocity), reach


def walk_primitive(walker: Walker, primitive: str, num_frames: int, fps: int) -> Walk:
    """A clip of one primitive; `stop_ready` begins with a second of walking, labelled as such."""
    lead_in = round(1.0 * fps) if primitive == "stop_ready" else 0
    plan = ["advance"] * lead_in + [primitive] * (num_frames - lead_in)
    return _record(walker, lambda frame: plan[min(frame, len(plan) - 1)], num_frames, fps)


def walk_to_goal(walker: Walker, max_frames: int, fps: int) -> Walk:
    """A clip from anywhere to the target, ended early on arrival."""
    return _record(walker, lambda frame: walker.goal_primitive(), max_frames, fps)


def _record(walker: Walker, choose: Callable[[int], str], num_frames: int, fps: int) -> Walk:
    """Walk, looking at the primitive anew each tick, and keep a row per frame and one beyond the last."""
    positions, angles, hands, labels = [], [], [], []
    for frame in range(num_frames + 1):
        primitive = choose(frame)
        xyz, rpy = walker.camera()
        positions.append(xyz)
        angles.append(rpy)
        hands.append(walker.hands())
        labels.append(PRIMITIVES.index(primitive))
        if walker.has_arrived:
            break
        for _ in range(round(1.0 / (fps * TICK_S))):
            walker.step(choose(frame))
    xyz, rpy = np.array(positions), np.array(angles)
    walk = Walk(xyz, rpy, np.array(hands), np.array(labels, dtype=np.int64), camera_twist(xyz, rpy[:, 2], fps))
    return walk.cut(len(labels) - 1)


def camera_twist(
    xyz: Float[np.ndarray, "frame 3"], yaw: Float[np.ndarray, " frame"], fps: int
) -> Float[np.ndarray, "frame 4"]:
    """v_x, v_y, w_z, v_z from each frame to the next, in the heading of the first of the two; the last row repeats."""
    move = np.diff(xyz, axis=0) * fps
    zeros = np.zeros(len(move))
    ahead = quat_rotate(quat_from_rpy(np.stack([zeros, zeros, -yaw[:-1]], axis=-1)), move)
    turn = np.asarray(wrap_angle(np.diff(yaw))) * fps
    rows = np.stack([ahead[:, 0], ahead[:, 1], turn, ahead[:, 2]], axis=-1)
    return np.concatenate([rows, rows[-1:]]) if len(rows) else np.zeros((len(xyz), 4))
