"""A simulated robot behind the `Body` interface: 50 Hz control over 200 Hz physics, in lock-step or in real time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt16

from wbvla.core.errors import ConfigError, RobotError
from wbvla.core.records import BodyState, Image, JointTarget
from wbvla.core.rotation import projected_gravity
from wbvla.robots.imu import ImuChain
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.render_process import RenderProcess
from wbvla.sim.scene import World

CONTROL_HZ = 50.0


@dataclass(frozen=True, kw_only=True)
class SimBodyConfig:
    """How a simulated body keeps time and draws its cameras."""

    realtime: bool = False
    """wait for the wall clock and draw in another process; else each tick returns as soon as it is computed"""
    image_width: int = 160
    """[px]"""
    image_height: int = 120
    """[px]"""
    image_hz: float = 10.0
    """frames per second of each camera [Hz]"""
    cameras: tuple[str, ...] = ("policy",)
    """cameras by name; `policy` stands for all that a policy sees; empty = draw nothing"""
    depths: tuple[str, ...] = ()
    """cameras that give depth maps too, in lock-step only"""
    shadows: bool = False
    """cast shadows, at ten times the cost without a graphics card"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""
    imu: str | None = None
    """IMU by name, None: the robot's first; readings behind the waist are carried to the root by its encoders"""

    def camera_names(self, world: World) -> tuple[str, ...]:
        """The cameras to draw, `policy` resolved."""
        groups = [world.spec.camera_names if name == "policy" else (name,) for name in self.cameras]
        return tuple(dict.fromkeys(name for group in groups for name in group))

    def render(self) -> RenderConfig:
        """Size and quality for a renderer."""
        return RenderConfig(
            width=self.image_width, height=self.image_height, shadows=self.shadows, samples=self.samples
        )


class SimBody:
    """One robot of a `World`. In lock-step time is simulated time; in real time it is the monotonic clock."""

    control_hz = CONTROL_HZ

    def __init__(self, world: World, config: SimBodyConfig) -> None:
        steps = 1.0 / (CONTROL_HZ * world.model.opt.timestep)
        if abs(steps - round(steps)) > 1e-6:
            raise ConfigError(f"time step {world.model.opt.timestep} s does not divide a control tick of 20 ms")
        self.world, self.config = world, config
        self.late_ticks = 0
        """real time: ticks whose deadline had passed when they were ready"""
        self._steps = round(steps)
        self._cameras = config.camera_names(world)
        lacking = [name for name in config.depths if name not in self._cameras]
        if lacking or (config.depths and config.realtime):
            raise ConfigError(f"depth of {list(config.depths)} asked; drawn in lock-step of {list(self._cameras)}")
        self._images: Mapping[str, Image] = {}
        self._renderer: Renderer | None = None
        self._process: RenderProcess | None = None
        if config.realtime and self._cameras:
            self._process = RenderProcess(world.model, self._cameras, config.render(), config.image_hz)
        imu = config.imu or world.spec.imus[0].name
        self._imu = ImuChain(world.spec, imu)
        kinds = ("gyro", "quat", "accelerometer")
        self._gyro, self._quat, self._accel = (world.model.sensor(f"{imu}_{kind}") for kind in kinds)
        self._time_s = self._clock()
        self._deadline_s = self._time_s

    @property
    def joint_names(self) -> Sequence[str]:
        """Order of all joint arrays."""
        return self.world.spec.joint_names

    def read(self) -> BodyState:
        """Proprioception of the last tick; the IMU's readings are seen from the root link."""
        world, data = self.world, self.world.data
        q, dq = data.qpos[world.qpos].copy(), data.qvel[world.qvel].copy()
        return BodyState(
            time_s=self._time_s,
            q=q,
            dq=dq,
            torque=data.actuator_force[world.ctrl].copy(),
            gripper=world.gripper_opening(),
            gyro_b=self._imu.rate_to_root(self._sensed(self._gyro), q, dq),
            gravity_b=self._imu.to_root(projected_gravity(self._sensed(self._quat)), q),
            accel_b=self._imu.to_root(self._sensed(self._accel), q),
        )

    def images(self) -> Mapping[str, Image]:
        """Latest frames; in lock-step a frame is drawn here once it is due."""
        if self._process is not None:
            return self._process.latest()
        due = not self._images or self._time_s - self._stamp() > 1.0 / self.config.image_hz - 1e-6
        if self._cameras and due:
            self._draw()
        return self._images

    def write(self, target: JointTarget) -> None:
        """Set PD targets and gains of all joints and the grippers; raises RobotError on a wrong shape or a NaN."""
        self._validate(target)
        model, data, rows = self.world.model, self.world.data, self.world.ctrl
        model.actuator_gainprm[rows, 0] = target.kp
        model.actuator_biasprm[rows, 1] = -target.kp
        model.actuator_biasprm[rows, 2] = -target.kd
        data.ctrl[rows] = target.q
        data.ctrl[self.world.grippers] = np.clip(target.gripper, 0.0, 1.0)

    def tick(self) -> float:
        """Advance 20 ms of physics; in real time also wait for the absolute deadline. Returns the tick's time [s]."""
        self.world.step(self._steps)
        if self.config.realtime:
            self._wait()
        self._time_s = self._clock()
        if self._process is not None:
            self._process.publish(self.world.data, self._time_s)
        return self._time_s

    def reset(self) -> None:
        """Restart clocks and images after the world was reset between episodes; not part of `Body`."""
        self._images = {}
        self._time_s = self._deadline_s = self._clock()
        if self._process is not None:
            self._process.publish(self.world.data, self._time_s)

    def close(self) -> None:
        """Leave every joint damped (kp 0, the description's kd) and free renderer and process; may be repeated."""
        spec, zero = self.world.spec, np.zeros(len(self.world.spec.joints))
        q = self.world.data.qpos[self.world.qpos]
        q = np.where(np.isfinite(q), q, 0.0)
        self.write(JointTarget(q=q, kp=zero, kd=spec.column("kd"), gripper=self.world.gripper_opening()))
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._process is not None:
            self._process.close()

    def _clock(self) -> float:
        return time.monotonic() if self.config.realtime else self.world.time_s

    def _sensed(self, sensor: Any) -> np.ndarray:
        start = int(sensor.adr[0])
        return self.world.data.sensordata[start : start + int(sensor.dim[0])].copy()

    def _stamp(self) -> float:
        return max(image.time_s for image in self._images.values())

    def _draw(self) -> None:
        if self._renderer is None:
            self._renderer = Renderer(self.world.model, self._cameras, self.config.render())
        frames = self._renderer.render(self.world.data)
        maps = self._renderer.render_depth(self.world.data, self.config.depths) if self.config.depths else {}
        far = self.world.model.vis.map.zfar * self.world.model.stat.extent
        self._images = {
            name: Image(rgb=rgb, time_s=self._time_s, depth_mm=_millimetres(maps[name], far) if name in maps else None)
            for name, rgb in frames.items()
        }

    def _wait(self) -> None:
        """Sleep to the deadline; after a stall of more than five ticks the schedule starts anew."""
        period = 1.0 / CONTROL_HZ
        self._deadline_s += period
        left = self._deadline_s - time.monotonic()
        if left > 0.0:
            time.sleep(left)
            return
        self.late_ticks += 1
        if left < -5.0 * period:
            self._deadline_s = time.monotonic()

    def _validate(self, target: JointTarget) -> None:
        joints = len(self.world.spec.joints)
        for name, size in (("q", joints), ("kp", joints), ("kd", joints), ("gripper", 2)):
            array = getattr(target, name)
            if array.shape != (size,):
                raise RobotError(f"JointTarget.{name} has shape {array.shape}; {self.world.spec.name} needs ({size},)")
            if not np.isfinite(array).all():
                raise RobotError(f"JointTarget.{name} holds NaN or infinity; nothing was sent")
        if (target.kp < 0.0).any() or (target.kd < 0.0).any():
            raise RobotError("JointTarget gains must not be negative; nothing was sent")


def _millimetres(depth_m: Float[np.ndarray, "height width"], far_m: float) -> UInt16[np.ndarray, "height width"]:
    """A drawn depth map as a depth camera gives it; 0 where nothing is before the far plane."""
    hit = depth_m < min(0.999 * far_m, 65.0)
    return np.where(hit, np.rint(depth_m * 1000.0), 0.0).astype(np.uint16)
