"""Many seeded robots of the full model under the exported controller: the test bench of protocol and benchmark."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator

from wbvla.core.rotation import projected_gravity, yaw_of
from wbvla.deploy.lmo import LmoBatch, interpolate_rows, load_lmo
from wbvla.lmo.observation import NoiseConfig
from wbvla.lmo.perturb import ArmConfig, ArmMotion
from wbvla.lmo.plant import Layout, PhysicsConfig, build_model
from wbvla.lmo.randomize import CENTRED, Plants, RandomizeConfig
from wbvla.robots.description import RobotSpec
from wbvla.sim.engine import began_anew
from wbvla.sim.engines import check_engine, open_engine
from wbvla.sim.ground import Ground


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """How hard the bench is (docs/lmo.md)."""

    num_robots: int = 100
    """robots that are tried at once"""
    num_threads: int = 2
    """CPU threads of the physics"""
    engine: str = "mujoco"
    """physics: `mujoco`, or `warp` (mujoco-warp)"""
    device: str = "cpu"
    """of the physics: `cpu`, or `cuda:0` with `warp`"""
    seed: int = 0
    """of plants, pushes, noise and arms"""
    arm_amplitude: float = 1.0
    """share of the arms' full motion [-]"""
    max_delay: int = 2
    """actuation delay U{0..this}, in half control ticks [10 ms]"""
    more_delay: int = 0
    """added to the delay of every robot, in half control ticks [10 ms]"""
    push: float = 0.0
    """largest jump of the root velocity, per axis [m/s]"""
    push_every_s: float = 4.0
    """mean time between pushes [s]"""
    push_exact: bool = False
    """pushes of exactly this size, in any direction, exactly this often (each robot from a time of its own on)"""
    wrench: tuple[float, float] = (0.0, 0.0)
    """largest horizontal force [N] and yaw torque [N.m] of blows on the root, as often as pushes"""
    blow_s: float = 0.2
    """length of a blow [s]"""
    fall_gravity: float = -0.6
    """a robot whose gravity vector's z is above this has fallen [-]"""
    fall_drop_m: float = 0.22
    """a pelvis lower than commanded by this has fallen [m]"""
    gyro_bias_radps: float = 0.005
    """half width of the bias of the gyro that the odometry integrates [rad/s]"""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """of the observation"""
    arms: ArmConfig = field(default_factory=ArmConfig)
    """motion of the arms"""
    plant: RandomizeConfig = CENTRED
    """ranges of the robot's properties"""
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)
    """engine's options, ground, and the robot's body"""
    scatter_m: float = 0.0
    """robots start anywhere within this of the origin along x and y, looking along x [m]; 0: at the origin"""

    def __post_init__(self) -> None:
        check_engine(self.engine, self.device)


class Trial:
    """Robots that stand at time 0 with arms moving at random; `step` runs one control tick of all."""

    def __init__(self, artefact: Path, spec: RobotSpec, config: TrialConfig) -> None:
        self.spec, self.config = spec, config
        session, settings = load_lmo(artefact, spec)
        num = config.num_robots
        self.settings, self.controller = settings, LmoBatch(session, settings, spec, num)
        self.rng = np.random.default_rng(config.seed)
        self.torch_rng = Generator().manual_seed(config.seed)
        physics = config.physics
        model = build_model(physics.body or spec, physics.options, ground=physics.ground)
        self.ground = Ground(physics.ground)
        self.layout = Layout(spec, model)
        outputs = ("sensordata", "subtree_com")
        self.engine = open_engine(config.engine, model, num, outputs, config.device, config.num_threads)
        Plants(self.engine, model, spec).draw(config.plant, config.seed)
        self.arms = ArmMotion(spec, self.layout.arm_names, config.arms, num)
        self.dt_s = 1.0 / settings.rate_hz
        self.half = round(self.dt_s / model.opt.timestep) // 2
        self.gyro_bias = self.rng.uniform(-config.gyro_bias_radps, config.gyro_bias_radps, (num, 3))
        self.delay = config.more_delay + self.rng.integers(0, config.max_delay + 1, num)
        self._push_due_s = self.rng.uniform(0, config.push_every_s, num)
        self.goal_speed = np.array(settings.shaping.goal_speed)
        self._lmo, self._arm = self.layout.lmo.numpy(), self.layout.arm.numpy()
        self._ctrl, self._qpos, self._qvel = (getattr(self.layout, k).numpy() for k in ("ctrl", "qpos", "qvel"))
        self.fallen = np.zeros(num, dtype=bool)
        self._blow_left_s, self._flags = np.zeros(num), np.zeros((num, 3))
        self.place(spec.nominal_height_m)

    def place(self, height_m: float) -> None:
        """Stand all robots at the origin, or scattered around it, looking along x."""
        num, s = self.config.num_robots, self.settings
        self.controller.reset(np.full(num, height_m))
        legs = interpolate_rows(s.reference_rows, s.reference_low_m, s.reference_step_m, self.controller.height)
        q = np.tile(self.layout.default.numpy().astype(np.float64), (num, 1))
        q[:, self._lmo] = legs
        qpos = np.zeros((num, self.engine.state("qpos").shape[1]))
        if self.config.scatter_m > 0:
            qpos[:, :2] = self.rng.uniform(-self.config.scatter_m, self.config.scatter_m, (num, 2))
        qpos[:, 2], qpos[:, 3] = height_m + 0.003 + self.config.physics.ground.unevenness_m, 1.0
        qpos[:, self._qpos] = q
        self._write("qpos", qpos)
        self.engine.state("qvel").zero_()
        ctrl = self._read("ctrl").copy()
        ctrl[:, self._ctrl] = q
        self._write("ctrl", ctrl)
        kept = (self.config.more_delay + self.config.max_delay + 1) // 2 + 1
        self._targets = np.tile(q[:, None], (1, kept, 1))

    def _read(self, name: str) -> Float[np.ndarray, "robot ..."]:
        """A state of the physics; not to be written to."""
        return self.engine.state(name).cpu().double().numpy()

    def _write(self, name: str, values: Float[np.ndarray, "robot ..."]) -> None:
        self.engine.state(name).copy_(torch.from_numpy(values))

    @property
    def position(self) -> Float[np.ndarray, "robot 3"]:
        """Root in the world [m]."""
        return self._read("qpos")[:, :3].copy()

    @property
    def height(self) -> Float[np.ndarray, " robot"]:
        """Root above the ground that carries it, the mean of the places under both feet [m]."""
        z = self._read("qpos")[:, 2].copy()
        if self.ground.is_flat:
            return z
        feet = self.layout.feet(self.engine.output("sensordata")).position_w.cpu().numpy()
        return z - self.ground.height(feet[:, :, :2]).mean(axis=1)

    @property
    def yaw(self) -> Float[np.ndarray, " robot"]:
        """Heading [rad]."""
        return np.asarray(yaw_of(self._read("qpos")[:, 3:7]))

    @property
    def velocity(self) -> Float[np.ndarray, "robot 3"]:
        """Root velocity along x, y of the heading [m/s] and yaw rate [rad/s]."""
        qvel, yaw = self._read("qvel"), self.yaw
        cos, sin = np.cos(yaw), np.sin(yaw)
        return np.stack([cos * qvel[:, 0] + sin * qvel[:, 1], -sin * qvel[:, 0] + cos * qvel[:, 1], qvel[:, 5]], axis=1)

    @property
    def reference(self) -> Float[np.ndarray, "robot 3"]:
        """Velocity asked for now."""
        return self.controller.reference(self._flags)

    @property
    def centre_of_mass(self) -> Float[np.ndarray, "robot 3"]:
        """Whole robot, in the world [m]."""
        return self.engine.output("subtree_com")[:, self.layout.root_body].cpu().double().numpy().copy()

    def step(self, flags: Float[np.ndarray, "robot 3"], height_m: Float[np.ndarray, " robot"]) -> None:
        """One control tick of all robots; who falls once, or whose physics diverges, stays counted as fallen."""
        self._flags = flags
        legs = self.controller.step(flags, height_m, self._observe(flags))
        targets = self._targets[:, 0].copy()
        targets[:, self._lmo] = legs
        arms = self.arms.advance(self.config.arm_amplitude, self.dt_s, self.torch_rng)
        targets[:, self._arm] = arms.numpy()
        self._targets = np.concatenate([targets[:, None], self._targets[:, :-1]], axis=1)
        self._push()
        ctrl, rows, before = (
            self._read("ctrl").copy(),
            np.arange(self.config.num_robots),
            self.engine.state("time").clone(),
        )
        for half in (0, 1):
            ctrl[:, self._ctrl] = self._targets[rows, (self.delay + 1 - half) // 2]
            self._write("ctrl", ctrl)
            self.engine.step(self.half)
        self.fallen |= self._down() | began_anew(self.engine, before, self.dt_s).cpu().numpy()

    def _observe(self, flags: Float[np.ndarray, "robot 3"]) -> Float[np.ndarray, "robot number"]:
        """The controller's observation with the training's sensor noise."""
        qpos, qvel = self._read("qpos"), self._read("qvel")
        c, lmo = self.config.noise, self._lmo
        senses = [
            (qvel[:, 3:6], c.omega),
            (projected_gravity(qpos[:, 3:7]), c.gravity),
            (qpos[:, self._qpos[lmo]], c.q),
            (qvel[:, self._qvel[lmo]], c.dq),
        ]
        noisy = [x + width * self.rng.uniform(-1, 1, x.shape) for x, width in senses]
        self.controller.course_gyro_b = qvel[:, 3:6] + self.gyro_bias
        return self.controller.observe(flags, noisy[0], noisy[1], noisy[2], noisy[3])

    def _push(self) -> None:
        c = self.config
        if c.push > 0:
            qvel = self._read("qvel").copy()
            qvel[:, :2] += self._jumps()
            self._write("qvel", qvel)
        if any(c.wrench):
            self._strike(c.wrench)

    def _jumps(self) -> Float[np.ndarray, "robot 2"]:
        """Of the root velocity in this tick [m/s]."""
        c, rng = self.config, self.rng
        jumps = np.zeros((c.num_robots, 2))
        if not c.push_exact:
            hit = np.flatnonzero(rng.random(c.num_robots) < self.dt_s / c.push_every_s)
            jumps[hit] = rng.uniform(-c.push, c.push, (len(hit), 2))
            return jumps
        self._push_due_s -= self.dt_s
        hit = np.flatnonzero(self._push_due_s <= 0)
        self._push_due_s[hit] += c.push_every_s
        angle = rng.uniform(-np.pi, np.pi, len(hit))
        jumps[hit] = c.push * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return jumps

    def _strike(self, largest: tuple[float, float]) -> None:
        """Blows begin at random, in any direction and of any strength up to the largest, and end after `blow_s`."""
        whole = self._read("xfrc_applied").copy()
        wrench = whole[:, self.layout.root_body]
        self._blow_left_s -= self.dt_s
        wrench[self._blow_left_s <= 0] = 0.0
        hit = np.flatnonzero(self.rng.random(self.config.num_robots) < self.dt_s / self.config.push_every_s)
        angle, size = self.rng.uniform(-np.pi, np.pi, len(hit)), self.rng.uniform(0, largest[0], len(hit))
        wrench[hit, 0], wrench[hit, 1] = size * np.cos(angle), size * np.sin(angle)
        wrench[hit, 5] = self.rng.uniform(-largest[1], largest[1], len(hit))
        self._write("xfrc_applied", whole)
        self._blow_left_s[hit] = self.config.blow_s

    def _down(self) -> Bool[np.ndarray, " robot"]:
        qpos = self._read("qpos")
        tilted = projected_gravity(qpos[:, 3:7])[:, 2] > self.config.fall_gravity
        low = self.height < self.controller.height - self.config.fall_drop_m
        return tilted | low | ~np.isfinite(qpos).all(axis=1)

    def hold_force(self, bodies: Int[np.ndarray, " robot"], force_w: Float[np.ndarray, "robot 3"]) -> None:
        """Hold one force on one body of each robot, and none on the others, until it is set again [N]."""
        wrench = np.zeros(self.engine.state("xfrc_applied").shape)
        wrench[np.arange(self.config.num_robots), bodies, :3] = force_w
        self._write("xfrc_applied", wrench)

    def push_force(self, force_w: Float[np.ndarray, "robot 2"] | float) -> None:
        """Hold this horizontal force on the roots until it is set again [N]."""
        wrench = self.engine.state("xfrc_applied")
        wrench[:, self.layout.root_body, :2] = torch.as_tensor(force_w).to(wrench)
