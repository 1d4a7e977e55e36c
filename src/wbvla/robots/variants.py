"""Robots that differ a little from the described ones: what a controller meets on the next copy of its robot."""

from dataclasses import dataclass, replace

from wbvla.core.errors import ConfigError
from wbvla.robots.description import JointFacts, LinkFacts, RobotSpec

# Joints of X2_URDF-v1.3.0 whose limits [rad] or effort [N.m] are not those of v1.4.0: lower, upper, effort.
# Source: github.com/AgibotTech/agibot_x2_urdf, X2_URDF-v1.3.0/x2_ultra_simple_collision.urdf (Mulan PSL v2).
X2_V1_3_0 = {
    "left_hip_yaw_joint": (-1.684, 3.43, 120.0),
    "left_ankle_pitch_joint": (-0.803, 0.453, 36.0),
    "left_ankle_roll_joint": (-0.262, 0.262, 24.0),
    "right_hip_yaw_joint": (-3.43, 1.684, 120.0),
    "right_ankle_pitch_joint": (-0.803, 0.453, 36.0),
    "right_ankle_roll_joint": (-0.2625, 0.2625, 24.0),
    "waist_yaw_joint": (-3.43, 2.382, 120.0),
    "waist_pitch_joint": (-0.314, 0.314, 48.0),
    "waist_roll_joint": (-0.488, 0.488, 48.0),
    "left_shoulder_pitch_joint": (-3.08, 2.04, 36.0),
    "left_shoulder_roll_joint": (-0.061, 2.993, 36.0),
    "left_shoulder_yaw_joint": (-2.556, 2.556, 24.0),
    "left_elbow_joint": (-2.3556, 0.0, 24.0),
    "left_wrist_yaw_joint": (-2.556, 2.556, 24.0),
    "left_wrist_pitch_joint": (-0.558, 0.558, 4.8),
    "left_wrist_roll_joint": (-1.571, 0.724, 4.8),
    "right_shoulder_pitch_joint": (-3.08, 2.04, 36.0),
    "right_shoulder_roll_joint": (-2.993, 0.061, 36.0),
    "right_shoulder_yaw_joint": (-2.556, 2.556, 24.0),
    "right_elbow_joint": (-2.3556, 0.0, 24.0),
    "right_wrist_yaw_joint": (-2.556, 2.556, 24.0),
    "right_wrist_pitch_joint": (-0.558, 0.558, 4.8),
    "right_wrist_roll_joint": (-0.724, 1.571, 4.8),
    "head_yaw_joint": (-0.366, 0.366, 2.6),
    "head_pitch_joint": (-0.3838, 0.3838, 0.6),
}


@dataclass(frozen=True, kw_only=True)
class Soles:
    """Spheres under a foot, in the frame of the left foot link; the right foot mirrors them."""

    points: tuple[tuple[float, float, float], ...]
    """[m]"""
    radius: float
    """[m]"""


G1_SOLES = Soles(points=tuple((x, y, -0.068) for x in (-0.045, 0.12) for y in (0.024, -0.024)), radius=0.005)
"""the G1's four spheres (its MJCF) under the foot of an X2: as long, half as wide"""
X2_VENDOR_SOLES = Soles(
    points=(
        (-0.05, 0.05, -0.068), (-0.065, 0.025, -0.068), (-0.05, -0.05, -0.068), (-0.065, -0.025, -0.068),
        (0.11, 0.05, -0.068), (0.11, -0.05, -0.068), (-0.02, -0.06, -0.068), (-0.02, 0.06, -0.068),
        (0.07, -0.06, -0.068), (0.07, 0.06, -0.068), (0.139, 0.0, -0.066), (0.128, 0.0, -0.02),
    ),
    radius=0.005,
)  # fmt: skip
"""the vendor's twelve, from X2_URDF-v1.4.0/X2-Ultra.xml of the same repository"""


def scaled_masses(spec: RobotSpec, factor: float) -> RobotSpec:
    """Every mass and inertia of links and hands times `factor`."""
    if factor <= 0:
        raise ConfigError(f"masses must be scaled by more than 0, not {factor}")

    def heavier(link: LinkFacts) -> LinkFacts:
        ixx, iyy, izz, ixy, ixz, iyz = (factor * value for value in link.inertia)
        return replace(link, mass=factor * link.mass, inertia=(ixx, iyy, izz, ixy, ixz, iyz))

    left, right = (replace(hand, mass=factor * hand.mass) for hand in spec.hands)
    return replace(spec, links=tuple(heavier(link) for link in spec.links), hands=(left, right))


def x2_v1_3_0(spec: RobotSpec) -> RobotSpec:
    """The X2 with the joint limits and efforts of its first generation; raises ConfigError for another robot.

    Masses stay those of v1.4.0: the inertias of v1.3.0 are about the wrong point (about the link's origin). The waist's
    pitch and roll stay as weak as measured on a robot, where v1.3.0 promises more.
    """
    spec.indices(tuple(X2_V1_3_0))

    def first(joint: JointFacts) -> JointFacts:
        if joint.name not in X2_V1_3_0:
            return joint
        lower, upper, effort = X2_V1_3_0[joint.name]
        return replace(joint, lower=lower, upper=upper, effort=min(effort, joint.effort))

    return replace(spec, joints=tuple(first(joint) for joint in spec.joints))


def other_soles(spec: RobotSpec, soles: Soles) -> RobotSpec:
    """The robot on another set of sole spheres."""
    return replace(spec, sole_points=soles.points, sole_radius=soles.radius)
