"""Forward kinematics, centre of mass and the squat table of a robot, in numpy and batched."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import cross, quat_from_rpy, quat_multiply, quat_rotate
from wbvla.robots.description import RobotSpec

SQUAT_JOINTS = ("hip_pitch", "knee", "ankle_pitch")
ANKLE_MARGIN = 0.023
"""distance the squat table keeps from the ankle's limit [rad]"""


@dataclass(frozen=True)
class Pose:
    """A frame in the root link's frame."""

    xyz: Float[np.ndarray, "*b 3"]
    """[m]"""
    quat_wxyz: Float[np.ndarray, "*b 4"]
    """root from this frame"""

    def apply(self, point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*b 3"]:
        """A point of this frame, seen from the root link [m]."""
        return self.xyz + quat_rotate(self.quat_wxyz, np.broadcast_to(point, self.xyz.shape))


def link_poses(spec: RobotSpec, q: Float[np.ndarray, "*b joint"]) -> Mapping[str, Pose]:
    """Frame of every link in the root link's frame, for joint angles in `spec.joint_names` order [rad]."""
    if q.shape[-1] != len(spec.joints):
        raise ConfigError(f"{spec.name} has {len(spec.joints)} joints, q has {q.shape[-1]}")
    batch = q.shape[:-1]
    identity = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), (*batch, 4))
    poses = {spec.root_link: Pose(np.zeros((*batch, 3)), identity)}
    for index, joint in enumerate(spec.joints):
        parent = poses[joint.parent]
        fixed = np.broadcast_to(quat_from_rpy(np.array(joint.origin_rpy)), (*batch, 4))
        half = q[..., index, None] / 2.0
        turn = np.concatenate([np.cos(half), np.sin(half) * np.array(joint.axis)], axis=-1)
        quat = quat_multiply(parent.quat_wxyz, quat_multiply(fixed, turn))
        poses[joint.child] = Pose(parent.apply(np.array(joint.origin_xyz)), quat)
    return poses


class SoleChain:
    """Contact points of both soles in the root's frame by the low-level joints; cheap enough for every control tick."""

    def __init__(self, spec: RobotSpec) -> None:
        points = np.array(spec.sole_points) - np.array([0.0, 0.0, spec.sole_radius])
        self._soles = (points, points * np.array([1.0, -1.0, 1.0]))
        self._chains = tuple(self._chain(spec, link) for link in spec.foot_links)

    @staticmethod
    def _chain(spec: RobotSpec, link: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
        """From the foot up: origin, fixed rotation, axis and column of each joint."""
        by_child, chain = {joint.child: joint for joint in spec.joints}, []
        while link != spec.root_link:
            joint = by_child[link]
            turn = quat_from_rpy(np.array(joint.origin_rpy))
            column = spec.lmo_joints.index(joint.name)
            chain.append((np.array(joint.origin_xyz), turn, np.array(joint.axis), column))
            link = joint.parent
        return chain

    def __call__(self, q_lmo: Float[np.ndarray, "*b lmo"]) -> Float[np.ndarray, "*b 2 point 3"]:
        """Points of the left and the right sole [m] for joint angles in `lmo_joints` order [rad]."""
        feet = []
        for sole, chain in zip(self._soles, self._chains):
            point = np.broadcast_to(sole, (*q_lmo.shape[:-1], *sole.shape))
            for origin, fixed, axis, column in chain:
                angle = q_lmo[..., column, None, None]
                cos, sin = np.cos(angle), np.sin(angle)
                along = (point @ axis)[..., None] * axis
                turned = along + cos * (point - along) + sin * cross(axis, point)
                if fixed[0] < 1.0:
                    turned = quat_rotate(np.broadcast_to(fixed, (*turned.shape[:-1], 4)), turned)
                point = origin + turned
            feet.append(point)
        return np.stack(feet, axis=-3)


def centre_of_mass(spec: RobotSpec, q: Float[np.ndarray, "*b joint"]) -> Float[np.ndarray, "*b 3"]:
    """Centre of mass of links and grippers in the root link's frame [m]."""
    poses = link_poses(spec, q)
    weights = [(link.name, link.mass, link.com_xyz) for link in spec.links]
    weights += [(hand.link, hand.mass, hand.com_xyz) for hand in spec.hands]
    moment = sum(mass * poses[name].apply(np.array(com)) for name, mass, com in weights)
    return np.asarray(moment) / sum(mass for _, mass, _ in weights)


@dataclass(frozen=True)
class SquatTable:
    """Leg angles by stance height: pelvis upright, soles flat, centre of mass over the feet."""

    height_m: Float[np.ndarray, " row"]
    """root link above the floor, rising [m]"""
    angles: Float[np.ndarray, "row 3"]
    """hip pitch, knee, ankle pitch of both legs [rad]"""
    columns: tuple[int, ...]
    """for each low-level joint the column of `angles`, or -1 where it stays at 0"""


def squat_table(spec: RobotSpec, com_ahead_m: float = 0.03, num_rows: int = 43) -> SquatTable:
    """Solve the squat over the robot's height range, a little beyond at both ends.

    Args:
        com_ahead_m: how far the centre of mass stands before the ankle joint [m]. Where the ankle's limit (less
            `ANKLE_MARGIN`) forbids it, the height is kept and the centre of mass moves back.
    """
    low, high = spec.height_range_m
    heights = np.linspace(low - 0.01, high + 0.005, num_rows)
    angles = _solve_squat(spec, heights, com_ahead_m)
    reached = _stance(spec, angles)[..., 0]
    if np.abs(reached - heights).max() > 1e-3:
        raise ConfigError(
            f"{spec.name} cannot squat over {low}..{high} m: reached {reached.min():.3f}..{reached.max():.3f} m"
        )
    columns = [next((i for i, key in enumerate(SQUAT_JOINTS) if key in n), -1) for n in spec.lmo_joints]
    return SquatTable(heights, angles, tuple(columns))


def height_reference(table: SquatTable, height_m: Float[np.ndarray, "*b"] | float) -> Float[np.ndarray, "*b lmo"]:
    """Targets of the low-level joints for a stance height, linear between rows, held beyond the ends [rad]."""
    height = np.asarray(height_m, dtype=np.float64)
    legs = [np.interp(height, table.height_m, column) for column in table.angles.T]
    legs.append(np.zeros_like(height))
    return np.stack([legs[column] for column in table.columns], axis=-1)


def _squat_pose(spec: RobotSpec, angles: Float[np.ndarray, "row 3"]) -> Float[np.ndarray, "row joint"]:
    """Default pose with the given legs; everything of the legs and waist that does not squat at 0."""
    q = np.tile(spec.column("default"), (len(angles), 1))
    q[:, spec.indices((*spec.leg_joints, *spec.waist_joints))] = 0.0
    for column, key in enumerate(SQUAT_JOINTS):
        q[:, spec.indices([n for n in spec.leg_joints if key in n])] = angles[:, column, None]
    return q


def _stance(spec: RobotSpec, angles: Float[np.ndarray, "row 3"]) -> Float[np.ndarray, "row 2"]:
    """Height of the root above the sole, and how far the centre of mass is before the left ankle [m]."""
    q = _squat_pose(spec, angles)
    ankle = link_poses(spec, q)[spec.foot_links[0]].xyz
    sole = min(point[2] for point in spec.sole_points) - spec.sole_radius
    return np.stack([-ankle[:, 2] - sole, centre_of_mass(spec, q)[:, 0] - ankle[:, 0]], axis=-1)


def _solve_squat(spec: RobotSpec, heights: Float[np.ndarray, " row"], com_ahead_m: float) -> Float[np.ndarray, "row 3"]:
    """Damped Newton on (knee, ankle); once the ankle is at its limit, the knee alone sets the height."""
    ankle = spec.joints[int(spec.indices([n for n in spec.leg_joints if "ankle_pitch" in n])[0])]
    knee = spec.joints[int(spec.indices([n for n in spec.leg_joints if "knee" in n])[0])]
    low = np.array([0.02, ankle.lower + ANKLE_MARGIN])
    high = np.array([knee.upper - 0.05, ankle.upper - ANKLE_MARGIN])
    goal = np.stack([heights, np.full_like(heights, com_ahead_m)], axis=-1)

    def measure(x: np.ndarray) -> np.ndarray:
        return _stance(spec, np.stack([-x[:, 0] - x[:, 1], x[:, 0], x[:, 1]], axis=-1))

    x = np.tile([0.9, -0.45], (len(heights), 1))
    step, solved = 1e-5, measure(x)
    for _ in range(40):
        jacobian = np.stack([(measure(x + step * e) - solved) / step for e in np.eye(2)], axis=-1)
        move = np.linalg.solve(jacobian + 1e-9 * np.eye(2), (goal - solved)[..., None])[..., 0]
        before, x = x, np.clip(x + np.clip(move, -0.1, 0.1), low, high)
        solved = measure(x)
        if np.abs(x - before).max() < 1e-7:
            break
    for _ in range(30):
        if np.abs(heights - solved[:, 0]).max() < 1e-7:
            break
        slope = (measure(x + step * np.array([1.0, 0.0]))[:, 0] - solved[:, 0]) / step
        x[:, 0] = np.clip(x[:, 0] + np.clip((heights - solved[:, 0]) / slope, -0.1, 0.1), low[0], high[0])
        solved = measure(x)
    return np.stack([-x[:, 0] - x[:, 1], x[:, 0], x[:, 1]], axis=-1)
