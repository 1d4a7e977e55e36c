"""What the project knows about one robot: joints, links, groups, gains, heights, cameras, sensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from wbvla.core.command import Shaping
from wbvla.core.errors import ConfigError
from wbvla.core.registry import Registry


@dataclass(frozen=True, kw_only=True)
class LinkFacts:
    """One rigid body of the kinematic tree."""

    name: str
    mass: float
    """[kg]"""
    com_xyz: tuple[float, float, float]
    """centre of mass in the link frame [m]"""
    inertia: tuple[float, float, float, float, float, float]
    """ixx, iyy, izz, ixy, ixz, iyz about the centre of mass [kg.m^2]"""


@dataclass(frozen=True, kw_only=True)
class JointFacts:
    """One hinge, its place in the tree, its drive and how wbvla holds it."""

    name: str
    parent: str
    child: str
    origin_xyz: tuple[float, float, float]
    """child frame in the parent frame [m]"""
    origin_rpy: tuple[float, float, float]
    """[rad]"""
    axis: tuple[float, float, float]
    lower: float
    """[rad]"""
    upper: float
    """[rad]"""
    effort: float
    """largest torque [N.m]"""
    velocity: float
    """largest speed [rad/s]"""
    armature: float
    """reflected rotor inertia [kg.m^2]"""
    damping: float
    """passive joint damping [N.m.s/rad]"""
    kp: float
    """stiffness of the PD drive [N.m/rad]"""
    kd: float
    """damping of the PD drive [N.m.s/rad]"""
    default: float
    """default pose [rad]"""


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """One camera: where it sits and what it sees."""

    name: str
    link: str
    """body it is fixed to; `world` for an outside view"""
    xyz: tuple[float, float, float]
    """in the link frame [m]"""
    pitch_down: float
    """optical axis below the link's x-axis [rad]"""
    width: int = 640
    """[px]"""
    height: int = 480
    """[px]"""
    fovy_deg: float = 42.0
    """vertical field of view [deg]"""
    role: str = "policy"
    """`policy`: part of the observation; `spare`: on the robot, unused; `view`: for people only"""


@dataclass(frozen=True, kw_only=True)
class ImuFacts:
    """One inertial sensor; its frame is parallel to the link's."""

    name: str
    link: str
    xyz: tuple[float, float, float]
    """in the link frame [m]"""


@dataclass(frozen=True, kw_only=True)
class HandFacts:
    """One gripper of one degree of freedom at the end of an arm."""

    side: str
    """`left` or `right`"""
    link: str
    """last arm link it is fixed to"""
    palm_xyz: tuple[float, float, float]
    """point between the finger tips in the link frame [m]"""
    rpy: tuple[float, float, float]
    """hand frame in the link frame [rad]: x along the fingers, z the way they close, y across the palm"""
    mass: float
    """palm and two fingers together, on top of the link's own mass [kg]"""
    com_xyz: tuple[float, float, float]
    """centre of that mass in the link frame [m]"""
    stroke_m: float
    """opening between the fingers when fully open [m]"""
    force: float
    """largest grip force [N]"""


@dataclass(frozen=True, kw_only=True)
class ShapeFacts:
    """One primitive fixed to a link: part of what it looks like, or what it touches things with."""

    link: str
    kind: str
    """`box`, `sphere`, `ellipsoid`, `cylinder` or `capsule`; the last two point along their own z"""
    size: tuple[float, ...]
    """box, ellipsoid: half sizes; sphere: radius; cylinder, capsule: radius, half length [m]"""
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[m]"""
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[rad]"""
    colour: str = "shell"
    """name in the palette of `sim/appearance.py`; unused for colliders"""


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """One robot. Joint arrays everywhere in wbvla are in the order of `joint_names`."""

    name: str
    version: str
    joints: tuple[JointFacts, ...]
    links: tuple[LinkFacts, ...]
    root_link: str
    """link that carries the free joint and the height frame"""
    leg_joints: tuple[str, ...]
    waist_joints: tuple[str, ...]
    arm_joints: tuple[str, ...]
    """left 7, then right 7"""
    head_joints: tuple[str, ...]
    lmo_joints: tuple[str, ...]
    """the joints the low-level controller drives: 12 legs + waist yaw"""
    foot_links: tuple[str, str]
    """left, right"""
    sole_points: tuple[tuple[float, float, float], ...]
    """centres of the contact spheres in a foot link's frame, left foot; y mirrors for the right [m]"""
    sole_radius: float
    """[m]"""
    torso_link: str
    height_range_m: tuple[float, float]
    """stance heights the command may ask for: root link above the floor [m]"""
    nominal_height_m: float
    """stance height of the neutral command [m]"""
    shaping: Shaping
    cameras: tuple[CameraFacts, ...]
    imus: tuple[ImuFacts, ...]
    hands: tuple[HandFacts, HandFacts]
    """left, right"""
    shells: tuple[ShapeFacts, ...] = ()
    """what it looks like, without mass or contact"""
    colliders: tuple[ShapeFacts, ...] = ()
    """what touches objects and furniture besides soles and grippers"""
    sources: tuple[str, ...]
    """where the figures come from"""

    def __post_init__(self) -> None:
        names = self.joint_names
        for group in ("leg_joints", "waist_joints", "arm_joints", "head_joints", "lmo_joints"):
            unknown = [n for n in getattr(self, group) if n not in names]
            if unknown:
                raise ConfigError(f"{self.name}.{group} names unknown joints {unknown}; known: {list(names)}")
        self._check_links()
        low, high = self.height_range_m
        if not low < self.nominal_height_m < high:
            raise ConfigError(f"{self.name}: nominal height {self.nominal_height_m} outside {low}..{high} m")

    def _check_links(self) -> None:
        links = {link.name for link in self.links}
        used = [*self.foot_links, self.root_link, self.torso_link, *(h.link for h in self.hands)]
        used += [c.link for c in self.cameras if c.link != "world"] + [i.link for i in self.imus]
        used += [s.link for s in (*self.shells, *self.colliders)]
        used += [name for j in self.joints for name in (j.parent, j.child)]
        unknown = sorted(set(used) - links)
        if unknown:
            raise ConfigError(f"{self.name} uses unknown links {unknown}; known: {sorted(links)}")

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(j.name for j in self.joints)

    @cached_property
    def camera_names(self) -> tuple[str, ...]:
        """Cameras that are part of the observation, in order."""
        return tuple(c.name for c in self.cameras if c.role == "policy")

    def indices(self, names: Sequence[str]) -> Int[np.ndarray, " name"]:
        """Positions of joints in `joint_names`; raises ConfigError on an unknown one."""
        unknown = [n for n in names if n not in self.joint_names]
        if unknown:
            raise ConfigError(f"{self.name} has no joints {unknown}; it has {list(self.joint_names)}")
        return np.array([self.joint_names.index(n) for n in names], dtype=np.int64)

    def column(self, field: str) -> Float[np.ndarray, " joint"]:
        """One number of every joint (`lower`, `upper`, `effort`, `velocity`, `kp`, `kd`, `default` ...)."""
        return np.array([getattr(j, field) for j in self.joints], dtype=np.float64)

    def mirror(self, names: Sequence[str]) -> tuple[Int[np.ndarray, " name"], Float[np.ndarray, " name"]]:
        """Left-right reflection of an array over `names`: mirrored[i] = sign[i] * array[index[i]].

        Joints about y keep their sign, joints about x or z change it; `left_` and `right_` swap.
        """
        order = list(names)
        swap = {"left": "right", "right": "left"}
        partner, sign = [], []
        for name in order:
            side, _, rest = name.partition("_")
            partner.append(order.index(f"{swap[side]}_{rest}") if side in swap else order.index(name))
            axis = self.joints[self.joint_names.index(name)].axis
            sign.append(1.0 if abs(axis[1]) > 0.5 else -1.0)
        return np.array(partner, dtype=np.int64), np.array(sign)


robots: Registry[RobotSpec] = Registry("robot")
