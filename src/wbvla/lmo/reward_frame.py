"""What the reward terms look at: one control tick of all worlds; what costs time waits until a term asks for it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy, quat_rotate
from wbvla.lmo.frames import to_heading_frame
from wbvla.lmo.plant import Feet
from wbvla.robots.description import RobotSpec
from wbvla.robots.kinematics import link_poses

GRAVITY = 9.81
"""[m/s^2]"""
SOFT = 0.95
"""share of a joint's range, speed and torque beyond which it costs [-]"""
TALL_M = 0.005
"""a height reference less than this below the nominal height is standing tall [m] (HOMIE: .735 of .74 m)"""
STANCE_M = 0.2743
"""between the ankles of the X2 as it stands: what `foot_distance_m` is stated for [m]"""
LOOSE = {"hip_pitch": 0.02, "knee": 0.02, "ankle_pitch": 0.02, "ankle_roll": 0.5}
"""weight of these joints' way from the reference pose; 1 for the others [-]"""
STAND_STIFFER = 0.3
"""added to it when standing [-]"""


@dataclass(frozen=True, kw_only=True)
class RewardScales:
    """Widths of the terms."""

    sigma: tuple[float, float, float] = (0.2, 0.15, 0.3)
    """tracking of x, y [m/s] and yaw [rad/s] at the first stage"""
    height_sigma_m: float = 0.04
    foot_distance_m: tuple[float, float] = (0.20, 0.36)
    """feet closer or wider than this are punished, on a robot that stands `STANCE_M` wide; others in proportion [m]"""
    lateral_m: tuple[float, float] = (0.20, 0.35)
    """the same for HOMIE's terms of feet and knees [m]"""
    clearance_m: float = 0.14
    """height of a swinging ankle above the floor (HOMIE) [m]"""
    air_time_s: float = 0.5
    """steps shorter than this cost, longer ones pay (legged_gym) [s]"""
    force_limit: float = 1.2
    """force on one foot beyond which it costs, in body weights (our reading) [-]"""
    arrived: tuple[float, float] = (0.06, 0.10)
    """off the intended way by this counts as nearly there: distance [m], heading [rad]"""
    fall: float = 2.0
    """paid once at a fall"""


class LegChain:
    """Centres of both knee joints in the root's frame from the low-level joints."""

    def __init__(self, spec: RobotSpec) -> None:
        self._chains = [self._chain(spec, side) for side in ("left", "right")]

    @staticmethod
    def _chain(spec: RobotSpec, side: str) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor, int]]]:
        """The knee in its parent link, and from there up: origin, fixed rotation, axis and column of each joint."""
        by_child = {joint.child: joint for joint in spec.joints}
        knee = next(joint for joint in spec.joints if joint.name == f"{side}_knee_joint")
        link, chain = knee.parent, []
        while link != spec.root_link:
            joint = by_child[link]
            turn = np.tile(quat_from_rpy(np.array(joint.origin_rpy)), (3, 1))
            fixed = quat_rotate(turn, np.eye(3))  # rows: where the axes go
            parts = (_tensor(joint.origin_xyz), _tensor(fixed), _tensor(joint.axis))
            chain.append((*parts, spec.lmo_joints.index(joint.name)))
            link = joint.parent
        return _tensor(knee.origin_xyz), chain

    def __call__(self, q: Float[Tensor, "world lmo"]) -> Float[Tensor, "world 2 3"]:
        """Left and right knee [m] for joint angles [rad]; the rotation of each joint by Rodrigues' formula."""
        knees = []
        for knee, chain in self._chains:
            point = knee.to(q).expand(len(q), 3)
            for origin, fixed, axis, column in chain:
                axis = axis.to(q).expand_as(point)
                cos, sin = torch.cos(q[:, column, None]), torch.sin(q[:, column, None])
                along = (point * axis).sum(1, keepdim=True) * axis
                turned = along + cos * (point - along) + sin * torch.linalg.cross(axis, point)
                point = origin.to(q) + turned @ fixed.to(q)
            knees.append(point)
        return torch.stack(knees, dim=1)


@dataclass(frozen=True, kw_only=True)
class BodyFacts:
    """Constants of the robot that terms need; joints in `lmo_joints` order."""

    default_q: Float[Tensor, " joint"]
    """[rad]"""
    lower: Float[Tensor, " joint"]
    """[rad]"""
    upper: Float[Tensor, " joint"]
    """[rad]"""
    speed_limit: Float[Tensor, " joint"]
    """[rad/s]"""
    effort: Float[Tensor, " joint"]
    """[N.m]"""
    columns: dict[str, tuple[int, int]]
    """left and right column of each kind of leg joint"""
    pose_weight: Float[Tensor, " joint"]
    knees: LegChain
    weight_n: float
    """what the bare robot weighs [N]"""
    ankle_m: float
    """ankle above a flat sole [m]"""
    nominal_height_m: float
    stance_m: float
    """between the ankles in the default pose [m]"""
    dt_s: float
    """control tick [s]"""


def body_facts(spec: RobotSpec, columns: dict[str, tuple[int, int]], dt_s: float) -> BodyFacts:
    """From a robot's description."""
    index = spec.indices(spec.lmo_joints)
    names = {"default_q": "default", "lower": "lower", "upper": "upper", "speed_limit": "velocity", "effort": "effort"}
    weight = torch.ones(len(index))
    for kind, value in LOOSE.items():
        weight[list(columns[kind])] = value
    poses = link_poses(spec, spec.column("default"))
    left, right = (poses[link] for link in spec.foot_links)
    mass = sum(link.mass for link in spec.links) + sum(hand.mass for hand in spec.hands)
    return BodyFacts(
        columns=columns,
        pose_weight=weight,
        knees=LegChain(spec),
        weight_n=mass * GRAVITY,
        ankle_m=spec.sole_radius - min(point[2] for point in spec.sole_points),
        nominal_height_m=spec.nominal_height_m,
        stance_m=float(left.xyz[1] - right.xyz[1]),
        dt_s=dt_s,
        **{name: _tensor(spec.column(column)[index]) for name, column in names.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a tick began with, and is gone when it is paid for."""

    reference: Float[Tensor, "world 3"]
    """velocity to be tracked [m/s, m/s, rad/s]"""
    asked: Float[Tensor, "world joint"]
    """action before it was clipped"""
    action_2: Float[Tensor, "world joint"]
    """two ticks before"""
    dq_1: Float[Tensor, "world joint"]
    """joint speeds at its start [rad/s]"""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One control tick of all worlds."""

    error_filtered: Float[Tensor, "world 3"]
    """EMA velocity minus EMA reference, heading frame [m/s, m/s, rad/s]"""
    speed: Float[Tensor, "world 3"]
    """along x, y of the heading frame and yaw rate [m/s, m/s, rad/s]"""
    goal: Float[Tensor, "world 3"]
    """s * v_goal: what the flags ask for before any shaping [m/s, m/s, rad/s]"""
    vertical: Float[Tensor, " world"]
    """root velocity upwards [m/s]"""
    omega: Float[Tensor, "world 3"]
    """root angular velocity in the body frame [rad/s]"""
    gravity: Float[Tensor, "world 3"]
    height: Float[Tensor, " world"]
    """slewed reference h* [m]"""
    height_error: Float[Tensor, " world"]
    """[m]"""
    heading_error: Float[Tensor, " world"]
    """turned minus asked for since the command began [rad]"""
    walk_error: Float[Tensor, " world"]
    """turned minus asked for over a whole walk, in the tick in which it ends; 0 otherwise [rad]"""
    course: Float[Tensor, "world 3"]
    """off the intended way: x, y [m], heading [rad]; 0 for presets that do not keep it"""
    feet: Feet
    contact: Bool[Tensor, "world 2"]
    landed_s: Float[Tensor, "world 2"]
    """how long feet that touch down in this tick were in the air; 0 for the others [s]"""
    heading: tuple[Float[Tensor, " world"], Float[Tensor, " world"]]
    """cosine and sine"""
    q: Float[Tensor, "world joint"]
    dq: Float[Tensor, "world joint"]
    q_reference: Float[Tensor, "world joint"]
    """pose of the height reference [rad]"""
    q_target: Float[Tensor, "world joint"]
    """of the PD drives [rad]"""
    torque: Float[Tensor, "world joint"]
    action: Float[Tensor, "world joint"]
    action_1: Float[Tensor, "world joint"]
    """one tick before"""
    before: Before
    stance: Bool[Tensor, "world 2"]
    """feet that should stand"""
    swing_target: Float[Tensor, "world 2"]
    """[m]"""
    moving: Bool[Tensor, " world"]
    """the clock runs"""
    recovering: Bool[Tensor, " world"]
    """stands, but was pushed: may step"""
    sigma: tuple[float, float, float]
    scales: RewardScales
    body: BodyFacts

    @cached_property
    def standing(self) -> Bool[Tensor, " world"]:
        return ~self.moving & ~self.recovering

    @cached_property
    def error_raw(self) -> Float[Tensor, "world 3"]:
        """Velocity minus shaped reference."""
        return self.speed - self.before.reference

    @cached_property
    def error_goal(self) -> Float[Tensor, "world 3"]:
        """Velocity minus s * v_goal."""
        return self.speed - self.goal

    @cached_property
    def foot_height(self) -> Float[Tensor, "world 2"]:
        """Sole above the floor [m]."""
        return self.feet.position_w[:, :, 2]

    @cached_property
    def foot_speed2(self) -> Float[Tensor, "world 2"]:
        """Squared horizontal speed of the soles [m2/s2]."""
        return (self.feet.velocity_w[:, :, :2] ** 2).sum(2)

    @cached_property
    def foot_spread(self) -> Float[Tensor, " world"]:
        """Left foot to the left of the right foot by [m]."""
        apart = self.feet.position_w[:, 0, :2] - self.feet.position_w[:, 1, :2]
        return to_heading_frame(apart, *self.heading)[:, 1]

    @cached_property
    def knee_spread(self) -> Float[Tensor, " world"]:
        """Left knee to the left of the right knee, in the root's frame, by [m]."""
        knees = self.body.knees(self.q)
        return knees[:, 0, 1] - knees[:, 1, 1]

    @cached_property
    def force_w(self) -> Float[Tensor, "world 2 3"]:
        """Of the floor on each foot [N]; raises ConfigError where the model has no such sensor."""
        if self.feet.force_w is None:
            raise ConfigError("the model has no foot force sensors; build it with foot_forces=True")
        return self.feet.force_w

    @cached_property
    def ddq(self) -> Float[Tensor, "world joint"]:
        """Change of joint speeds over the tick [rad/s^2]."""
        return (self.dq - self.before.dq_1) / self.body.dt_s


def _tensor(values: object) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
