"""How recorded channels look in a mirror: left and right swap, and each number keeps or changes its sign."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from wbvla.core.errors import ConfigError
from wbvla.robots.description import RobotSpec

SWAP = {"left": "right", "right": "left"}
POLAR = {"x": 1.0, "y": -1.0, "z": 1.0}
"""points, velocities, accelerations, gravity: the plane y = 0 is the mirror"""
AXIAL = {"x": -1.0, "y": 1.0, "z": -1.0}
"""angular velocities and the vector part of a quaternion"""
FLAGS = {"s_x": 1.0, "s_y": -1.0, "s_psi": -1.0, "height_m": 1.0}
"""the command: forward and height stay, sideways and turning change"""
POLAR_CHANNEL = re.compile(r"(?:^|_)(?:gravity|accel)_([xyz])(?:\.|$)|\.([xyz])_m$|^v_?([xyz])(?:[._]|$)")
AXIAL_CHANNEL = re.compile(r"(?:^|_)gyro_([xyz])(?:\.|$)|\.q([xyz])$")
EVEN_CHANNEL = re.compile(r"\.opening$|\.qw$|\.time_s$")


@dataclass(frozen=True)
class ChannelMirror:
    """mirrored[..., i] = sign[i] * x[..., index[i]]; its own inverse."""

    index: Int[np.ndarray, " channel"]
    sign: Float[np.ndarray, " channel"]

    def __call__(self, x: Shaped[np.ndarray, "*b channel"]) -> Shaped[np.ndarray, "*b channel"]:
        """The mirror image, in the dtype of `x`."""
        return (x[..., self.index] * self.sign).astype(x.dtype)


def mirror_channels(spec: RobotSpec, names: Sequence[str]) -> ChannelMirror:
    """The mirror of a vector by the names of its channels, as recordings spell them (`left_elbow_joint.q_rad`).

    Knows joints of the robot, grippers, IMU, poses of hands and the command. Raises ConfigError on any other name,
    and when the partner of a channel is not among `names`.
    """
    order, partners = list(names), [swap_sides(n) for n in names]
    alone = [n for n, partner in zip(order, partners) if partner not in order]
    if alone:
        raise ConfigError(f"the mirror image of {alone[0]!r} is {swap_sides(alone[0])!r}, which is no channel here")
    sign = np.array([_sign(spec, n) for n in order], dtype=np.float64)
    return ChannelMirror(np.array([order.index(p) for p in partners], dtype=np.int64), sign)


def swap_sides(name: str) -> str:
    """`left` and `right` exchanged wherever they stand as a word of their own in a channel's or camera's name."""
    return "".join(SWAP.get(part, part) for part in re.split(r"([._/])", name))


def _sign(spec: RobotSpec, name: str) -> float:
    joint = name.partition(".")[0]
    if joint in spec.joint_names:
        return float(spec.mirror([joint, swap_sides(joint)] if swap_sides(joint) != joint else [joint])[1][0])
    if name in FLAGS:
        return FLAGS[name]
    for pattern, signs in ((POLAR_CHANNEL, POLAR), (AXIAL_CHANNEL, AXIAL)):
        if found := pattern.search(name):
            return signs[next(axis for axis in found.groups() if axis)]
    if EVEN_CHANNEL.search(name):
        return 1.0
    raise ConfigError(
        f"the mirror image of channel {name!r} is not known for {spec.name}; switch mirroring off, or name the channel "
        "as wbvla's recordings do"
    )
