"""One simulated robot that is driven by hand: 50 Hz in real time, arms at work, pushes, falls and fresh starts."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Generator

from wbvla.core.command import Command
from wbvla.core.errors import RobotError
from wbvla.core.records import BodyState, JointTarget
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.deploy.lmo import LmoBatch, load_lmo
from wbvla.lmo.dolly import CHASE, roll_to, studio
from wbvla.lmo.perturb import ArmConfig, ArmMotion
from wbvla.lmo.steer import Steering
from wbvla.robots.description import RobotSpec
from wbvla.sim.body import SimBody, SimBodyConfig

GAIT_S, GLIDE_S = 0.7, 0.5
"""time constants of the shown speed and of the camera's glide [s]"""
FALL_GRAVITY, FALL_DROP_M = -0.6, 0.22


@dataclass(frozen=True, kw_only=True)
class DrivenConfig:
    """The robot that is driven."""

    push_n: float = 150.0
    """force of a push [N]"""
    push_s: float = 0.2
    """length of a push [s]"""
    arm_amplitude: float = 0.7
    """share of the arms' range that they use when they are on [-]"""
    width: int = 560
    """of the picture [px]"""
    height: int = 420
    """of the picture [px]"""
    picture_hz: float = 20.0
    """[Hz]"""
    seed: int = 0
    """of arms and pushes"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is shown beside the picture."""

    time_s: float
    """since the start [s]"""
    flags: tuple[int, int, int]
    height_goal_m: float
    height_m: float
    """of the root"""
    speed: tuple[float, float, float]
    """along and across the heading [m/s], yaw rate [rad/s]; mean over about a gait cycle"""
    reference: tuple[float, float, float]
    """velocity asked for"""
    heading_error_rad: float
    """turned minus asked for, since the last fresh start"""
    place_m: tuple[float, float]
    """where the robot is in the world [m]"""
    fallen: bool
    arms: bool
    """whether the arms move"""
    pushed: bool
    """a push is acting"""
    late_ticks: int
    """ticks of the loop that came too late"""


class DrivenRobot:
    """`tick` is one control period; `run` repeats it until `stop`."""

    def __init__(
        self, policy: Path, spec: RobotSpec, steering: Steering, config: DrivenConfig, pictures: bool = True
    ) -> None:
        self.spec, self.steering, self.config = spec, steering, config
        session, settings = load_lmo(policy, spec)
        self._settings, self._lmo = settings, LmoBatch(session, settings, spec, 1)
        self.world = studio(spec, (CHASE,))
        draw = SimBodyConfig(
            realtime=True, image_width=config.width, image_height=config.height, image_hz=config.picture_hz,
            cameras=(CHASE.name,) if pictures else (), samples=0,
        )  # fmt: skip
        self.body = SimBody(self.world, draw)
        self.dt_s = 1.0 / self.body.control_hz
        self._legs, self._arm_index = spec.indices(spec.lmo_joints), spec.indices(spec.arm_joints)
        self._arms = ArmMotion(spec, tuple(spec.arm_joints), ArmConfig(), 1)
        self._rng, self._torch_rng = np.random.default_rng(config.seed), Generator().manual_seed(config.seed)
        self._kp, self._kd = spec.column("kp"), spec.column("kd")
        self._kp[self._legs], self._kd[self._legs] = settings.kp, settings.kd
        self._ended = threading.Event()
        self.arms, self._time_s = True, 0.0
        self.restart()

    def restart(self) -> None:
        """Stand at the origin."""
        self.world.reset()
        self.body.reset()
        self._lmo.reset(np.array([self.spec.nominal_height_m]))
        self.steering.level()
        self._arms.state.command[:] = self._arms.default
        self._arms.state.left_s[:] = 0.0
        self.fallen, self._push_left_s = False, 0.0
        self._speed, self._turned, self._asked, self._yaw = np.zeros(3), 0.0, 0.0, 0.0
        self._dolly, self._dolly_yaw = np.zeros(2), 0.0
        self.status = self._report(Command(height_m=self.spec.nominal_height_m), np.zeros(3))

    def run(self) -> None:
        """Real time, until `stop`."""
        while not self._ended.is_set():
            self.advance()

    def advance(self) -> None:
        """One tick; a simulation that diverges starts afresh."""
        try:
            self.tick()
        except RobotError:
            self.restart()

    def stop(self) -> None:
        """End `run` after its tick."""
        self._ended.set()

    def close(self) -> None:
        """Free what draws; may be repeated."""
        self.stop()
        self.body.close()

    def picture(self) -> tuple[UInt8[np.ndarray, "height width 3"], float] | None:
        """The newest picture and its time stamp; None before the first."""
        image = self.body.images().get(CHASE.name)
        return None if image is None else (image.rgb, image.time_s)

    def tick(self) -> None:
        """20 ms: keys, balance, physics, and the wait for the clock."""
        for name in self.steering.take():
            self._act(name)
        command, state = self.steering.command(self.dt_s), self.body.read()
        reference = self._balance(state, command)
        data = self.world.data
        data.xfrc_applied[self.world.root, :2] = self._force if self._push_left_s > 0 else 0.0
        self._push_left_s -= self.dt_s
        roll_to(self.world, self._dolly, self._dolly_yaw)
        self.body.tick()
        self._time_s += self.dt_s
        self._observe(reference)
        self.status = self._report(command, reference)

    def _act(self, name: str) -> None:
        if name == "reset":
            self.restart()
        elif name == "arms":
            self.arms = not self.arms
        elif name == "push":
            angle = self._rng.uniform(-np.pi, np.pi)
            self._force = self.config.push_n * np.array([np.cos(angle), np.sin(angle)])
            self._push_left_s = self.config.push_s

    def _balance(self, state: BodyState, command: Command) -> Float[np.ndarray, "3"]:
        """Write the targets of this tick; a fallen robot lies damped. Returns the velocity asked for."""
        zero = np.zeros(len(self._kp))
        if self.fallen or not np.isfinite(state.q).all():
            self.body.write(JointTarget(q=state.q, kp=zero, kd=self._kd, gripper=np.ones(2)))
            return np.zeros(3)
        flags = np.array([command.flags], dtype=np.float64)
        seen = self._lmo.observe(
            flags, state.gyro_b[None], state.gravity_b[None], state.q[None, self._legs], state.dq[None, self._legs]
        )
        q = self.spec.column("default")
        q[self._legs] = self._lmo.step(flags, np.array([command.height_m]), seen)[0]
        amplitude, home = (self.config.arm_amplitude, 0.0) if self.arms else (0.0, 1.0)
        if not self.arms:
            self._arms.state.target[:], self._arms.state.clip[:] = self._arms.default, -1.0
        q[self._arm_index] = self._arms.advance(amplitude, self.dt_s, self._torch_rng, home)[0].numpy()
        self.body.write(JointTarget(q=q, kp=self._kp, kd=self._kd, gripper=np.ones(2)))
        return np.asarray(self._lmo.reference(flags))[0]

    def _observe(self, reference: Float[np.ndarray, "3"]) -> None:
        """Speed, heading, falls, and where the camera glides."""
        data = self.world.data
        yaw = float(yaw_of(data.qpos[3:7]))
        cos, sin = np.cos(yaw), np.sin(yaw)
        vx, vy = data.qvel[:2]
        now = np.array([cos * vx + sin * vy, cos * vy - sin * vx, data.qvel[5]])
        self._speed += (now - self._speed) * self.dt_s / GAIT_S
        self._turned += float(wrap_angle(yaw - self._yaw))
        self._asked += float(reference[2]) * self.dt_s
        self._yaw = yaw
        self._dolly += (data.qpos[:2] - self._dolly) * self.dt_s / GLIDE_S
        self._dolly_yaw += float(wrap_angle(yaw - self._dolly_yaw)) * self.dt_s / GLIDE_S
        gravity_z = self.body.read().gravity_b[2]
        low = data.qpos[2] < float(self._lmo.height[0]) - FALL_DROP_M
        self.fallen = bool(self.fallen or low or gravity_z > FALL_GRAVITY)

    def _report(self, command: Command, reference: Float[np.ndarray, "3"]) -> Status:
        place = self.world.data.qpos[:3]
        x, y, psi = (round(float(v), 3) for v in self._speed)
        ax, ay, apsi = (round(float(v), 3) for v in reference)
        return Status(
            time_s=round(self._time_s, 2),
            flags=command.flags,
            height_goal_m=round(command.height_m, 3),
            height_m=round(float(place[2]), 3),
            speed=(x, y, psi),
            reference=(ax, ay, apsi),
            heading_error_rad=round(self._turned - self._asked, 3),
            place_m=(round(float(place[0]), 3), round(float(place[1]), 3)),
            fallen=self.fallen,
            arms=self.arms,
            pushed=self._push_left_s > 0,
            late_ticks=self.body.late_ticks,
        )
