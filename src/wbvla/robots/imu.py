"""What an IMU behind moving joints says about the root link: the controller always sees the root's frame."""

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import cross, quat_from_rpy, quat_rotate
from wbvla.robots.description import ImuFacts, RobotSpec


def find_imu(spec: RobotSpec, name: str) -> ImuFacts:
    """Raises ConfigError when the robot has none of that name."""
    known = {imu.name: imu for imu in spec.imus}
    if name not in known:
        raise ConfigError(f"{spec.name} has no IMU {name!r}; known: {', '.join(known)}")
    return known[name]


class ImuChain:
    """Carries readings of one IMU to the root link by the joints between them; exact for rigid links.

    An IMU in the torso turns with the waist: gravity and specific force turn by R = prod R_i of the waist's angles, and
    the root's angular velocity is R omega - sum dq_i a_i (a_i: the axes, root frame). The lever arm's part of the
    specific force is not taken off.
    """

    def __init__(self, spec: RobotSpec, name: str) -> None:
        link, by_child = find_imu(spec, name).link, {joint.child: joint for joint in spec.joints}
        chain = []
        while link != spec.root_link:
            joint = by_child[link]
            column = spec.joint_names.index(joint.name)
            chain.append((quat_from_rpy(np.array(joint.origin_rpy)), np.array(joint.axis), column))
            link = joint.parent
        self._chain = tuple(chain)

    def to_root(self, vector_b: Float[np.ndarray, "3"], q: Float[np.ndarray, " joint"]) -> Float[np.ndarray, "3"]:
        """A direction (gravity, specific force) of the IMU's frame, seen from the root link.

        Args:
            q: angles of all joints in `spec.joint_names` order [rad].
        """
        for fixed, axis, column in self._chain:
            vector_b = quat_rotate(fixed, _turned(vector_b, axis, float(q[column])))
        return vector_b

    def rate_to_root(
        self, omega_b: Float[np.ndarray, "3"], q: Float[np.ndarray, " joint"], dq: Float[np.ndarray, " joint"]
    ) -> Float[np.ndarray, "3"]:
        """Angular velocity of the root link in its own frame [rad/s] from the IMU's, joint angles and joint speeds."""
        for fixed, axis, column in self._chain:
            omega_b = quat_rotate(fixed, _turned(omega_b, axis, float(q[column])) - dq[column] * axis)
        return omega_b


def _turned(vector: np.ndarray, axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    along = (vector @ axis) * axis
    return np.asarray(along + np.cos(angle) * (vector - along) + np.sin(angle) * cross(axis, vector))
