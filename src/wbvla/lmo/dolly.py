"""Cameras on a dolly that glides along with a robot: a film shows the ground passing, not the pelvis swaying."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions, camera_quat
from wbvla.sim.scene import RoomConfig, World, build_scene

DOLLY = "dolly"
STUDIO = RoomConfig(half_x=30.0, half_y=30.0, height=4.0, furnished=False)
"""walls far from where a robot gets in a minute"""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Where a camera stands on the dolly, which is level and heads where it is turned."""

    name: str
    xyz: tuple[float, float, float]
    """from the point on the floor below the robot: ahead, left, up [m]"""
    look_m: float = 0.55
    """height of what it looks at, above the robot's place [m]"""
    fovy_deg: float = 27.0
    """vertical angle of view [deg]"""


SIDE = Shot(name="side", xyz=(0.9, -3.4, 0.75))
FRONT = Shot(name="front", xyz=(3.4, -0.9, 0.75))
CHASE = Shot(name="chase", xyz=(-2.7, -0.9, 1.5), look_m=0.5, fovy_deg=44.0)


def studio(spec: RobotSpec, shots: tuple[Shot, ...]) -> World:
    """The robot with its shells in a large room, and a dolly with cameras."""
    scene = build_scene(spec, MjcfOptions(cameras=False), STUDIO)
    dolly = scene.worldbody.add_body(name=DOLLY, mocap=True)
    for shot in shots:
        x, y, z = shot.xyz
        pitch = float(np.arctan2(z - shot.look_m, np.hypot(x, y)))
        quat = camera_quat(pitch, float(np.arctan2(-y, -x)))
        dolly.add_camera(name=shot.name, pos=shot.xyz, quat=quat, fovy=shot.fovy_deg)
    return World(spec, scene)


def roll_to(world: World, xy: Float[np.ndarray, "2"], yaw: float) -> None:
    """Put the dolly below a place, heading there."""
    body = int(world.model.body(DOLLY).mocapid[0])
    world.data.mocap_pos[body] = (*xy, 0.0)
    world.data.mocap_quat[body] = quat_from_rpy(np.array([0.0, 0.0, yaw]))


def refresh(world: World) -> None:
    """What drawing needs of a state that was set."""
    mujoco.mj_kinematics(world.model, world.data)
    mujoco.mj_comPos(world.model, world.data)
    mujoco.mj_camlight(world.model, world.data)
