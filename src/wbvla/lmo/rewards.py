"""What the controller is paid for: one plain function per term, and their weights.

The defaults are those of the shipped recipe: terms of our own and some of WholeBodyVLA (arXiv 2512.11047) and HOMIE
(arXiv 2502.13013), figures by our own runs. The other published terms are in `published_terms.py`, with weight 0 here;
the published sets of weights are in `reward_sets.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wbvla.lmo import published_terms as published
from wbvla.lmo.frames import to_heading_frame
from wbvla.lmo.published_terms import Reward
from wbvla.lmo.reward_frame import SOFT, STANCE_M, STAND_STIFFER, Frame


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weight of each term per second; a term's function has the field's name. 0: the term is not even computed."""

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
    arrived: float = 0.0
    forward: float = 0.0
    lateral: float = 0.0
    turn: float = 0.0
    height_squared: float = 0.0
    height_absolute: float = 0.0
    vertical_speed_tall: float = 0.0
    joint_acceleration: float = 0.0
    roll_action: float = 0.0
    stand_contact: float = 0.0
    hip_deviation: float = 0.0
    ankle_deviation: float = 0.0
    knee_squat: float = 0.0
    air_time: float = 0.0
    clearance: float = 0.0
    feet_lateral: float = 0.0
    knees_lateral: float = 0.0
    power: float = 0.0
    stumble: float = 0.0
    joint_speed_limits: float = 0.0
    torque_limits: float = 0.0
    no_fly: float = 0.0
    tracking_error: float = 0.0
    contact_forces: float = 0.0
    contact_momentum: float = 0.0
    action_vanish: float = 0.0
    direction_end: float = 0.0


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
    return f.vertical**2


def roll_pitch_rate(f: Frame) -> Reward:
    """w_x^2 + w_y^2 (HOMIE)."""
    return f.omega[:, 0] ** 2 + f.omega[:, 1] ** 2


def slip(f: Frame) -> Reward:
    """Squared speed of the soles that touch (HOMIE)."""
    return (f.foot_speed2 * f.contact).sum(1)


def sole_flat(f: Frame) -> Reward:
    """Squared horizontal part of the soles' normals (HOMIE, feet_ground_parallel)."""
    return (f.feet.normal_w[:, :, :2] ** 2).sum((1, 2))


def foot_yaw(f: Frame) -> Reward:
    """Squared lateral part of the soles' forward axes in the heading frame (HOMIE, feet_parallel)."""
    cos, sin = (part[:, None] for part in f.heading)
    return (to_heading_frame(f.feet.forward_w[:, :, :2], cos, sin)[:, :, 1] ** 2).sum(1)


def foot_distance(f: Frame) -> Reward:
    """relu(near - d) + relu(d - far) / 2 (HOMIE, feet lateral), near and far by how wide the robot stands."""
    near, far = (limit * f.body.stance_m / STANCE_M for limit in f.scales.foot_distance_m)
    return (near - f.foot_spread).clamp(min=0) + 0.5 * (f.foot_spread - far).clamp(min=0)


def pose(f: Frame) -> Reward:
    """w (q - q_ref(h))^2, stiffer when standing."""
    weight = f.body.pose_weight + STAND_STIFFER * f.standing[:, None]
    return (weight * (f.q - f.q_reference) ** 2).sum(1)


def action_rate(f: Frame) -> Reward:
    """|a - a_1|^2 (HOMIE)."""
    return ((f.action - f.action_1) ** 2).sum(1)


def action_jerk(f: Frame) -> Reward:
    """|a - 2 a_1 + a_2|^2 (HOMIE, second order)."""
    return ((f.action - 2 * f.action_1 + f.before.action_2) ** 2).sum(1)


def torque(f: Frame) -> Reward:
    """|tau|^2 (HOMIE)."""
    return (f.torque**2).sum(1)


def joint_speed(f: Frame) -> Reward:
    """|dq|^2 (HOMIE)."""
    return (f.dq**2).sum(1)


def joint_limits(f: Frame) -> Reward:
    """Sum of angles beyond 95 % of the range (HOMIE) [rad]."""
    middle, half = (f.body.lower + f.body.upper) / 2, SOFT * (f.body.upper - f.body.lower) / 2
    return ((f.q - middle).abs() - half).clamp(min=0).sum(1)


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


def arrived(f: Frame) -> Reward:
    """exp(-(|e_x, e_y| / s)^2 - (e_psi / s_psi)^2) off the intended way: pays for the last centimetres."""
    distance, heading = f.scales.arrived
    off = (f.course[:, :2] ** 2).sum(1) / distance**2 + f.course[:, 2] ** 2 / heading**2
    return torch.exp(-off)


def place(f: Frame) -> Reward:
    """|e_x, e_y| + |e_psi| / 2 off the intended way: what tracking of velocities alone adds up to."""
    return f.course[:, :2].norm(dim=1) + 0.5 * f.course[:, 2].abs()


TERMS: dict[str, Callable[[Frame], Reward]] = {
    term.__name__: term
    for term in (
        track_x, track_y, track_yaw, raw_linear, raw_yaw, height, gait, swing, alive, orientation, vertical_speed,
        roll_pitch_rate, slip, sole_flat, foot_yaw, foot_distance, pose, action_rate, action_jerk, torque,
        joint_speed, joint_limits, still, stand_action, drift, direction, place, arrived,
        published.forward, published.lateral, published.turn, published.height_squared, published.height_absolute,
        published.vertical_speed_tall, published.joint_acceleration, published.roll_action,
        published.stand_contact, published.hip_deviation, published.ankle_deviation, published.knee_squat,
        published.air_time, published.clearance, published.feet_lateral, published.knees_lateral, published.power,
        published.stumble, published.joint_speed_limits, published.torque_limits, published.no_fly,
        published.tracking_error, published.contact_forces, published.contact_momentum, published.action_vanish,
        published.direction_end,
    )
}  # fmt: skip


def total(frame: Frame, weights: RewardWeights) -> tuple[Reward, dict[str, Tensor]]:
    """Weighted sum of the terms that have a weight [1/s], and the mean of each weighted term."""
    used = {name: weight for name in TERMS if (weight := getattr(weights, name)) != 0.0}
    parts = {name: weight * TERMS[name](frame) for name, weight in used.items()}
    if not parts:
        return torch.zeros_like(frame.height_error), {}
    return torch.stack(list(parts.values())).sum(0), {name: part.mean() for name, part in parts.items()}
