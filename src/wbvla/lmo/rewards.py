"""What the controller is paid for: one plain function per term, and their weights.

Weights and formulas follow the table of WholeBodyVLA (arXiv 2512.11047, stage I and II), filled in from HOMIE
(arXiv 2502.13013) and holosoma/UniLab-like gait terms where the paper is silent; figures by our own runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Reward = Float[Tensor, " world"]


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weight of each term per second; a term's function has the field's name."""

    track_x: float = 1.5
    track_y: float = 1.0
    track_yaw: float = 1.5
    raw_linear: float = 1.0
    raw_yaw: float = 0.5
    height: float = 1.0
    gait: float = 2.0
    swing: float = 2.0
    alive: float = 0.5
    orientation: float = -3.0
    vertical_speed: float = -0.5
    roll_pitch_rate: float = -0.05
    slip: float = -0.3
    sole_flat: float = -1.0
    foot_yaw: float = -0.5
    foot_distance: float = -4.0
    pose: float = -0.5
    action_rate: float = -0.01
    action_jerk: float = -0.004
    torque: float = -1e-5
    joint_speed: float = -5e-4
    joint_limits: float = -2.0
    still: float = -0.02
    stand_action: float = -0.01
    drift: float = -1.0
    direction: float = -1.0
    place: float = -2.0


@dataclass(frozen=True, kw_only=True)
class RewardScales:
    """Widths of the terms."""

    sigma: tuple[float, float, float] = (0.2, 0.15, 0.3)
    """tracking of x, y [m/s] and yaw [rad/s] at the first stage"""
    height_sigma_m: float = 0.04
    foot_distance_m: tuple[float, float] = (0.20, 0.36)
    """feet closer or wider than this are punished [m]"""
    fall: float = 2.0
    """paid once at a fall"""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Everything the terms look at, of one control tick."""

    error_filtered: Float[Tensor, "world 3"]
    """EMA velocity minus EMA reference, heading frame [m/s, m/s, rad/s]"""
    error_raw: Float[Tensor, "world 3"]
    velocity: Float[Tensor, "world 3"]
    """root velocity in the heading frame [m/s]"""
    omega: Float[Tensor, "world 3"]
    """root angular velocity in the body frame [rad/s]"""
    gravity: Float[Tensor, "world 3"]
    height_error: Float[Tensor, " world"]
    """[m]"""
    heading_error: Float[Tensor, " world"]
    """turned minus asked for since the command began [rad]"""
    course: Float[Tensor, "world 3"]
    """off the intended way: x, y [m], heading [rad]; 0 for presets that do not keep it"""
    contact: Bool[Tensor, "world 2"]
    foot_height: Float[Tensor, "world 2"]
    """sole above the floor [m]"""
    foot_speed2: Float[Tensor, "world 2"]
    """squared horizontal speed of the soles [m2/s2]"""
    foot_tilt2: Float[Tensor, "world 2"]
    """squared horizontal part of the sole's normal [-]"""
    foot_yaw2: Float[Tensor, "world 2"]
    """squared lateral part of the sole's forward axis, heading frame [-]"""
    foot_spread: Float[Tensor, " world"]
    """left foot to the left of the right foot by [m]"""
    q: Float[Tensor, "world joint"]
    dq: Float[Tensor, "world joint"]
    q_reference: Float[Tensor, "world joint"]
    torque: Float[Tensor, "world joint"]
    action: Float[Tensor, "world joint"]
    action_1: Float[Tensor, "world joint"]
    """one tick before"""
    action_2: Float[Tensor, "world joint"]
    """two ticks before"""
    limit_excess: Float[Tensor, " world"]
    """sum of joint angles beyond 95 % of their range [rad]"""
    stance: Bool[Tensor, "world 2"]
    """feet that should stand"""
    swing_target: Float[Tensor, "world 2"]
    """[m]"""
    moving: Bool[Tensor, " world"]
    """the clock runs"""
    recovering: Bool[Tensor, " world"]
    """stands, but was pushed: may step"""
    pose_weight: Float[Tensor, " joint"]
    stand_pose_weight: Float[Tensor, " joint"]
    sigma: tuple[float, float, float]
    scales: RewardScales

    @property
    def standing(self) -> Bool[Tensor, " world"]:
        return ~self.moving & ~self.recovering


def track_x(f: Frame) -> Reward:
    """exp(-(e/sigma)^2), e filtered."""
    return torch.exp(-((f.error_filtered[:, 0] / f.sigma[0]) ** 2))


def track_y(f: Frame) -> Reward:
    """exp(-(e/sigma)^2), e filtered."""
    return torch.exp(-((f.error_filtered[:, 1] / f.sigma[1]) ** 2))


def track_yaw(f: Frame) -> Reward:
    """exp(-(e/sigma)^2), e filtered."""
    return torch.exp(-((f.error_filtered[:, 2] / f.sigma[2]) ** 2))


def raw_linear(f: Frame) -> Reward:
    """exp(-4 |e|^2) of the momentary velocity (paper, forward and lateral)."""
    return torch.exp(-4 * (f.error_raw[:, 0] ** 2 + f.error_raw[:, 1] ** 2))


def raw_yaw(f: Frame) -> Reward:
    """exp(-4 e^2) (paper, yaw)."""
    return torch.exp(-4 * f.error_raw[:, 2] ** 2)


def height(f: Frame) -> Reward:
    """exp(-(e/sigma)^2); the paper's exp(-4 e^2) is flat at the centimetres that count."""
    return torch.exp(-((f.height_error / f.scales.height_sigma_m) ** 2))


def gait(f: Frame) -> Reward:
    """Share of feet that stand or swing as the clock says; full marks while recovering."""
    right = (f.contact == f.stance).float().mean(1)
    return torch.where(f.recovering, torch.ones_like(right), right)


def swing(f: Frame) -> Reward:
    """How near the swinging sole is to its height; with both feet scheduled to stand, their contact."""
    lift = (1 - (f.foot_height - f.swing_target).abs() / f.swing_target.clamp(min=0.02)).clamp(0, 1)
    swinging = (~f.stance).float()
    lifted = (lift * swinging).sum(1) / swinging.sum(1).clamp(min=1.0)
    planted = torch.where(f.recovering, torch.ones_like(lifted), f.contact.float().mean(1))
    return torch.where(swinging.any(1), lifted, planted)


def alive(f: Frame) -> Reward:
    """1."""
    return torch.ones_like(f.height_error)


def orientation(f: Frame) -> Reward:
    """gx^2 + gy^2 (paper)."""
    return f.gravity[:, 0] ** 2 + f.gravity[:, 1] ** 2


def vertical_speed(f: Frame) -> Reward:
    """v_z^2 (paper)."""
    return f.velocity[:, 2] ** 2


def roll_pitch_rate(f: Frame) -> Reward:
    """w_x^2 + w_y^2 (HOMIE)."""
    return f.omega[:, 0] ** 2 + f.omega[:, 1] ** 2


def slip(f: Frame) -> Reward:
    """Squared speed of the soles that touch (HOMIE)."""
    return (f.foot_speed2 * f.contact).sum(1)


def sole_flat(f: Frame) -> Reward:
    """Tilt of the soles (HOMIE, feet_ground_parallel)."""
    return f.foot_tilt2.sum(1)


def foot_yaw(f: Frame) -> Reward:
    """Feet that point away from the heading (HOMIE, feet_parallel)."""
    return f.foot_yaw2.sum(1)


def foot_distance(f: Frame) -> Reward:
    """relu(near - d) + relu(d - far) / 2 (HOMIE, feet lateral)."""
    near, far = f.scales.foot_distance_m
    return (near - f.foot_spread).clamp(min=0) + 0.5 * (f.foot_spread - far).clamp(min=0)


def pose(f: Frame) -> Reward:
    """w (q - q_ref(h))^2, stiffer when standing."""
    weight = torch.where(f.standing[:, None], f.stand_pose_weight, f.pose_weight)
    return (weight * (f.q - f.q_reference) ** 2).sum(1)


def action_rate(f: Frame) -> Reward:
    """|a - a_1|^2 (HOMIE)."""
    return ((f.action - f.action_1) ** 2).sum(1)


def action_jerk(f: Frame) -> Reward:
    """|a - 2 a_1 + a_2|^2 (HOMIE, second order)."""
    return ((f.action - 2 * f.action_1 + f.action_2) ** 2).sum(1)


def torque(f: Frame) -> Reward:
    """|tau|^2 (HOMIE)."""
    return (f.torque**2).sum(1)


def joint_speed(f: Frame) -> Reward:
    """|dq|^2 (HOMIE)."""
    return (f.dq**2).sum(1)


def joint_limits(f: Frame) -> Reward:
    """Angles beyond 95 % of the range (HOMIE)."""
    return f.limit_excess


def still(f: Frame) -> Reward:
    """Sum of |dq| when told to stand and not recovering."""
    return f.dq.abs().sum(1) * f.standing


def stand_action(f: Frame) -> Reward:
    """J_stand = |a_leg|^2 at s = 0 (paper, stage II)."""
    return (f.action[:, :12] ** 2).sum(1) * f.standing


def drift(f: Frame) -> Reward:
    """|e| of the filtered velocity when told to stand: pays down to the last centimetre per second."""
    return f.error_filtered.abs().sum(1) * ~f.moving


def direction(f: Frame) -> Reward:
    """J_dir = |psi - psi_start - intended turn| while walking (paper, stage II, with intended turns taken off)."""
    return f.heading_error.abs() * f.moving


def place(f: Frame) -> Reward:
    """|e_x, e_y| + |e_psi| / 2 off the intended way: what tracking of velocities alone adds up to."""
    return f.course[:, :2].norm(dim=1) + 0.5 * f.course[:, 2].abs()


TERMS: dict[str, Callable[[Frame], Reward]] = {
    term.__name__: term
    for term in (
        track_x, track_y, track_yaw, raw_linear, raw_yaw, height, gait, swing, alive, orientation, vertical_speed,
        roll_pitch_rate, slip, sole_flat, foot_yaw, foot_distance, pose, action_rate, action_jerk, torque,
        joint_speed, joint_limits, still, stand_action, drift, direction, place,
    )
}  # fmt: skip


def total(frame: Frame, weights: RewardWeights) -> tuple[Reward, dict[str, Tensor]]:
    """Weighted sum of all terms [1/s] and the mean of each weighted term."""
    parts = {f.name: getattr(weights, f.name) * TERMS[f.name](frame) for f in fields(weights)}
    return torch.stack(list(parts.values())).sum(0), {name: part.mean() for name, part in parts.items()}
