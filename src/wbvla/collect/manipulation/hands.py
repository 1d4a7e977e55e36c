"""Moves the two hands of the bench robot: smooth reference poses, inverse kinematics, gravity and speed fed forward.

Scripts are generators that yield once per tick and move the reference; two of them run side by side by `both`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.collect.ik import HandPose
from wbvla.core.rotation import wrap_angle
from wbvla.sim.bench_robot import ARM_JOINTS, SIDES, build_bench_robot, gains
from wbvla.sim.workbench import STEP_S, Bench

TICK_S = 0.02
"""period of the expert [s]"""
STEPS = round(TICK_S / STEP_S)
DOWN = np.pi / 2
"""pitch of a hand whose fingers point down [rad]"""
POSITION_COST, TURN_COST, POSTURE_COST = 20.0, 4.0, 0.12
"""weights of the solver: square roots of W and L [1/m, 1/rad, 1/rad]"""
POSTURE_S = 0.3
"""time in which elbows drift to the resting posture where the hands leave them free [s]"""
FASTEST = 3.0
"""a joint's reference [rad/s]"""
Script = Iterator[None]


class BenchIk:
    """Both arms on a kinematic copy of the robot: one damped least-squares step per tick, which takes a tenth of the
    time of a quadratic program; speeds and joint ranges are cut.

    q' solves (J^T W J + L) q' = J^T W e + L (q_rest - q) / T (Buss 2004, section 5; W weights, e the wanted twist).
    """

    def __init__(self) -> None:
        self._model = build_bench_robot(visuals=False).compile()
        self._data = mujoco.MjData(self._model)
        joints = [self._model.joint(name) for name in ARM_JOINTS]
        self._rows, self._dofs = (np.array([j.qposadr[0] for j in joints]), np.array([j.dofadr[0] for j in joints]))
        self._low, self._high = self._model.jnt_range[[j.id for j in joints]].T + np.array([[1e-3], [-1e-3]])
        self._sites = {side: int(self._model.site(f"{side}_palm").id) for side in SIDES}
        self._weights = np.tile([POSITION_COST] * 3 + [TURN_COST] * 3, 2)[:, None] ** 2
        self._jacobian = np.zeros((2, 6, self._model.nv))
        self.reset()

    def reset(self) -> None:
        """Arms at rest."""
        self.q = gains("rest")
        self._update()

    def palm(self, side: str) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
        """Grasp point [m] and orientation of a hand at the reference."""
        site = self._sites[side]
        return self._data.site_xpos[site].copy(), self._data.site_xmat[site].reshape(3, 3).copy()

    def step(self, poses: Mapping[str, HandPose]) -> Float[np.ndarray, "14"]:
        """One tick towards poses in the world; returns the speed of the reference [rad/s]."""
        wish = np.empty(12)
        for row, (side, site) in enumerate(self._sites.items()):
            mujoco.mj_jacSite(self._model, self._data, self._jacobian[row, :3], self._jacobian[row, 3:], site)
            now = self._data.site_xmat[site].reshape(3, 3)
            wish[6 * row : 6 * row + 3] = (poses[side].xyz - self._data.site_xpos[site]) / TICK_S
            wish[6 * row + 3 : 6 * row + 6] = _turn_between(now, poses[side].rotation()) / TICK_S
        jacobian = self._jacobian[:, :, self._dofs].reshape(12, -1)
        speed = self._solve(jacobian, wish)
        speed *= np.repeat(np.minimum(1.0, FASTEST / np.abs(speed).reshape(2, 7).max(axis=1)), 7)
        before, self.q = self.q, np.clip(self.q + speed * TICK_S, self._low, self._high)
        self._update()
        return (self.q - before) / TICK_S

    def _solve(self, jacobian: Float[np.ndarray, "12 14"], wish: Float[np.ndarray, "12"]) -> Float[np.ndarray, "14"]:
        """Speeds; a joint that would leave its range is held at its end and the others do what they can without it."""
        low, high = (self._low - self.q) / TICK_S, (self._high - self.q) / TICK_S
        posture = POSTURE_COST**2 * (gains("rest") - self.q) / POSTURE_S
        speed, free = np.zeros(14), np.ones(14, dtype=bool)
        for _ in range(4):
            part = jacobian[:, free]
            weighted = part.T * self._weights.T
            rest = wish - jacobian[:, ~free] @ speed[~free]
            square = weighted @ part + POSTURE_COST**2 * np.eye(int(free.sum()))
            speed[free] = np.linalg.solve(square, weighted @ rest + posture[free])
            beyond = free & ((speed < low) | (speed > high))
            if not beyond.any():
                break
            speed[beyond] = np.clip(speed, low, high)[beyond]
            free &= ~beyond
        return np.clip(speed, low, high)

    def push(self, forces_w: Mapping[str, Float[np.ndarray, "3"]]) -> Float[np.ndarray, "14"]:
        """Joint torques by which the hands push with forces [N.m]."""
        torque = np.zeros(len(ARM_JOINTS))
        for row, side in enumerate(SIDES):
            if forces_w[side].any():
                torque += self._jacobian[row, :3, self._dofs] @ forces_w[side]
        return torque

    def _update(self) -> None:
        self._data.qpos[self._rows] = self.q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)


def _turn_between(now: Float[np.ndarray, "3 3"], wanted: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Rotation vector in the world from one orientation to another [rad]."""
    quat, turn = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quat, (wanted @ now.T).flatten())
    mujoco.mju_quat2Vel(turn, quat, 1.0)
    return turn


@functools.cache
def shared_ik() -> BenchIk:
    """One solver per process: it is the same for every clip."""
    return BenchIk()


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one clip is acted out."""

    speed_mps: float = 0.4
    """of a hand on its way [m/s]"""
    wander_m: float = 0.002
    """how far a hand strays from its straight way [m]"""
    slow_s: float = 0.15
    """rest between two motions [s]"""


class Hands:
    """References of both hands, and the robot that follows them."""

    def __init__(self, bench: Bench, style: Style, rng: np.random.Generator) -> None:
        self.bench, self.style, self.rng = bench, style, rng
        self.ik = shared_ik()
        self.ik.reset()
        self.pose: dict[str, HandPose] = {side: _pose_of(*self.ik.palm(side)) for side in SIDES}
        self.home = dict(self.pose)
        self.opening: dict[str, float] = dict.fromkeys(SIDES, 1.0)
        self.force: dict[str, np.ndarray] = {side: np.zeros(3) for side in SIDES}
        self._stray = np.zeros((2, 3))
        self._flow = np.zeros((2, 3))
        self.target = self.ik.q

    def tick(self) -> None:
        """One period of the robot."""
        self._flow += TICK_S / 0.4 * (self.rng.normal(0.0, 1.0, (2, 3)) * 2.2 - self._flow)
        self._stray += TICK_S / 0.4 * (self._flow - self._stray)
        strayed = {
            side: replace(self.pose[side], xyz=self.pose[side].xyz + self._stray[row] * self.style.wander_m)
            for row, side in enumerate(SIDES)
        }
        speed = self.ik.step(strayed)
        self.target = self.ik.q
        opening = np.array([self.opening[side] for side in SIDES])
        self.bench.advance(self.target, speed, opening, self.ik.push(self.force), STEPS)

    # Motions.

    def wait(self, seconds: float) -> Script:
        """Do nothing."""
        for _ in range(round(seconds / TICK_S)):
            yield

    def move(self, side: str, goal: HandPose, pace: float = 1.0) -> Script:
        """Straight and with a smooth start and end (minimum jerk: Flash and Hogan 1985) to a pose."""
        start = self.pose[side]
        way = float(np.linalg.norm(goal.xyz - start.xyz))
        turn = max(abs(goal.pitch_down - start.pitch_down), abs(goal.yaw - start.yaw))
        seconds = max(1.6 * way / (self.style.speed_mps * pace), 1.6 * turn / 1.6, 0.2)
        ticks = round(seconds / TICK_S)
        for tick in range(1, ticks + 1):
            t = tick / ticks
            share = t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
            self.pose[side] = HandPose(
                xyz=start.xyz + share * (goal.xyz - start.xyz),
                pitch_down=start.pitch_down + share * (goal.pitch_down - start.pitch_down),
                yaw=start.yaw + share * (goal.yaw - start.yaw),
            )
            yield

    def shift(self, side: str, by: tuple[float, float, float], pace: float = 1.0) -> Script:
        """Move by a way without turning."""
        yield from self.move(side, replace(self.pose[side], xyz=self.pose[side].xyz + np.array(by)), pace)

    def grip(self, side: str, opening: float) -> Script:
        """Bring the fingers to an opening within a quarter of a second."""
        start = self.opening[side]
        for tick in range(1, 14):
            self.opening[side] = start + (opening - start) * tick / 13
            yield
        yield from self.wait(0.12)

    def go_home(self, side: str) -> Script:
        """Back to the resting pose, hand open."""
        self.opening[side] = 1.0
        yield from self.move(side, self.home[side])

    def holds(self, side: str, name: str) -> bool:
        """Whether a gripper has a thing between its fingers."""
        return bool(self.bench.gap_m[SIDES.index(side)] > 0.008) and side in self.bench.held_by(name)


def both(first: Script, second: Script) -> Script:
    """Two scripts side by side, until both are at their end."""
    running = [first, second]
    while running:
        running = [script for script in running if next(script, StopIteration) is not StopIteration]
        if running:
            yield


def until(condition: Callable[[], bool], seconds: float) -> Script:
    """Wait for a condition, no longer than a time."""
    for _ in range(round(seconds / TICK_S)):
        if condition():
            return
        yield


def grip_yaw(turn: Float[np.ndarray, "3 3"], square: bool) -> float:
    """Yaw of a hand from above whose fingers close along a thing's x-axis; `square` things, along y too [rad]."""
    yaw, period = float(np.arctan2(turn[1, 0], turn[0, 0])), np.pi / 2 if square else np.pi
    return yaw - period * round(yaw / period)


def _pose_of(xyz: Float[np.ndarray, "3"], turn: Float[np.ndarray, "3 3"]) -> HandPose:
    """The pose without roll that is nearest to a hand's."""
    pitch = float(np.arcsin(np.clip(-turn[2, 0], -1.0, 1.0)))
    yaw = float(wrap_angle(float(np.arctan2(turn[1, 0], turn[0, 0]))))
    return HandPose(xyz=xyz, pitch_down=pitch, yaw=yaw)
