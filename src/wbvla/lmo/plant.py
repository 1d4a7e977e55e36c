"""The model the controller learns on, and where its joints and foot sensors lie in the engine's arrays."""

from dataclasses import dataclass, replace

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from wbvla.robots.description import RobotSpec
from wbvla.sim.ground import Ground, GroundConfig
from wbvla.sim.mjcf import TRAINING, MjcfOptions, build_robot, joint_addresses

FEET = ("left", "right")
FORCE = "force"
NET_FORCE = 3
"""MuJoCo's code for a contact sensor that sums up all contacts, in the world frame"""
FLAT = GroundConfig()
FULL = MjcfOptions(visuals=False, cameras=False, grippers=False, colliders=False)
"""all joints free, default solver; only soles touch, as nothing else is there to touch"""


@dataclass(frozen=True, kw_only=True)
class PhysicsConfig:
    """The world a trial runs in; the defaults are those of the training, on the full model."""

    options: MjcfOptions = FULL
    """solver, time step and soles"""
    ground: GroundConfig = FLAT
    """what the robots stand on"""
    body: RobotSpec | None = None
    """the robot that is simulated, where it differs from the one whose controller runs; None: the same"""


def training_options(spec: RobotSpec) -> MjcfOptions:
    """Head and wrists welded for speed, their mass kept; the waist stays free (docs/lmo.md: welding it hides falls)."""
    wrists = tuple(name for name in spec.arm_joints if "wrist" in name)
    return replace(TRAINING, welded=(*spec.head_joints, *wrists))


def build_model(
    spec: RobotSpec, options: MjcfOptions, foot_forces: bool = False, ground: GroundConfig = FLAT
) -> mujoco.MjModel:
    """The robot on its ground; IMU sensors are dropped, the environment reads the root's state itself.

    `foot_forces` adds the whole force of the floor on each foot, where a reward needs more than its normal part; it
    slows the physics by about a tenth.
    """
    model = build_robot(spec, options)
    Ground(ground).add(model)
    for imu in spec.imus:
        for sensor in [s for s in model.sensors if s.objname == f"{imu.name}_imu"]:
            model.delete(sensor)
    if foot_forces:
        for side, link in zip(FEET, spec.foot_links):
            model.add_sensor(
                name=f"{side}_foot_{FORCE}",
                type=mujoco.mjtSensor.mjSENS_CONTACT,
                objtype=mujoco.mjtObj.mjOBJ_BODY,
                objname=link,
                intprm=[1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), NET_FORCE, 1],
            )
    return model.compile()


@dataclass(frozen=True, kw_only=True)
class Feet:
    """What the foot sensors said after a step."""

    position_w: Float[Tensor, "world 2 3"]
    """of the sole's centre [m]"""
    velocity_w: Float[Tensor, "world 2 3"]
    """[m/s]"""
    normal_w: Float[Tensor, "world 2 3"]
    forward_w: Float[Tensor, "world 2 3"]
    force: Float[Tensor, "world 2"]
    """pressed by the floor along its normal [N]"""
    force_w: Float[Tensor, "world 2 3"] | None
    """of the floor on the foot [N]; None where the model has no sensors for it"""


class Layout:
    """Index tables from names to columns of one compiled model."""

    def __init__(self, spec: RobotSpec, model: mujoco.MjModel) -> None:
        free = {model.joint(i).name for i in range(model.njnt)}
        self.joint_names = tuple(name for name in spec.joint_names if name in free)
        self.arm_names = tuple(name for name in spec.arm_joints if name in free)
        self.held_names = tuple(n for n in self.joint_names if n not in spec.lmo_joints and n not in self.arm_names)
        every = joint_addresses(model, self.joint_names)
        self.qpos, self.qvel, self.ctrl = (_index(every[k]) for k in ("qpos", "qvel", "ctrl"))
        self.lmo = self._columns(spec.lmo_joints)
        self.arm = self._columns(self.arm_names)
        self.held = self._columns(self.held_names)
        self.default = torch.tensor(spec.column("default")[spec.indices(self.joint_names)], dtype=torch.float32)
        self.root_body = model.body(spec.root_link).id
        self.link_bodies = tuple(model.body(link.name).id for link in spec.links)
        self._sensors = {
            kind: torch.cat([_sensor_columns(model, f"{side}_foot_{kind}") for side in FEET])
            for kind in ("pos", "linvel", "zaxis", "xaxis", "touch", *([FORCE] if _feels(model) else []))
        }

    def _columns(self, names: tuple[str, ...]) -> Int[Tensor, " name"]:
        """Positions of joints among those the model leaves free."""
        return torch.tensor([self.joint_names.index(n) for n in names], dtype=torch.long)

    def feet(self, sensors: Float[Tensor, "world sensor"]) -> Feet:
        """Foot readings by name."""
        part = {kind: sensors[:, columns] for kind, columns in self._sensors.items()}
        vector = {kind: part[kind].reshape(-1, 2, 3) for kind in ("pos", "linvel", "zaxis", "xaxis")}
        return Feet(
            position_w=vector["pos"],
            velocity_w=vector["linvel"],
            normal_w=vector["zaxis"],
            forward_w=vector["xaxis"],
            force=part["touch"],
            force_w=-part[FORCE].reshape(-1, 2, 3) if FORCE in part else None,
        )

    def neutral_sensors(self, num: int, size: int) -> Float[Tensor, "num sensor"]:
        """Readings of feet that lie flat without touching, for worlds that have not stepped yet."""
        rows = self.default.new_zeros(num, size)
        rows[:, self._sensors["zaxis"][[2, 5]]] = 1.0
        rows[:, self._sensors["xaxis"][[0, 3]]] = 1.0
        rows[:, self._sensors["pos"][1:2]] = 0.14
        rows[:, self._sensors["pos"][4:5]] = -0.14
        return rows


def _feels(model: mujoco.MjModel) -> bool:
    return any(model.sensor(i).name == f"{FEET[0]}_foot_{FORCE}" for i in range(model.nsensor))


def _index(array: np.ndarray) -> Int[Tensor, " n"]:
    return torch.tensor(np.asarray(array, dtype=np.int64))


def _sensor_columns(model: mujoco.MjModel, name: str) -> Int[Tensor, " n"]:
    sensor = model.sensor(name)
    return torch.arange(int(sensor.adr[0]), int(sensor.adr[0]) + int(sensor.dim[0]))


def leg_columns(names: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Left and right column of each kind of leg joint among `names`."""
    kinds = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
    return {kind: (names.index(f"left_{kind}_joint"), names.index(f"right_{kind}_joint")) for kind in kinds}
