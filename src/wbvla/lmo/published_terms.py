"""Reward terms of the paper and of HOMIE as published, beside our own in `rewards.py`.

Source of weights and names: WholeBodyVLA (arXiv 2512.11047, table of rewards) and HOMIE (arXiv 2502.13013). Where a
name and a weight are published but no formula, the formula is ours and the docstring says "our reading"; some follow
legged_gym's published definitions (arXiv 2109.11978). The weights keep their published signs, so a term with a
positive weight that should punish is at most 0. Units in brackets are those of the term.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from wbvla.lmo.reward_frame import SOFT, TALL_M, Frame

Reward = Float[Tensor, " world"]


def forward(f: Frame) -> Reward:
    """exp(-4 (v_x - s_x v_goal)^2) (paper, HOMIE) [-]."""
    return torch.exp(-4 * f.error_goal[:, 0] ** 2)


def lateral(f: Frame) -> Reward:
    """exp(-4 (v_y - s_y v_goal)^2) (paper, HOMIE) [-]."""
    return torch.exp(-4 * f.error_goal[:, 1] ** 2)


def turn(f: Frame) -> Reward:
    """exp(-4 (w_z - s_psi w_goal)^2) (paper, HOMIE) [-]."""
    return torch.exp(-4 * f.error_goal[:, 2] ** 2)


def height_squared(f: Frame) -> Reward:
    """exp(-4 (h - h*)^2) (paper) [-]."""
    return torch.exp(-4 * f.height_error**2)


def height_absolute(f: Frame) -> Reward:
    """exp(-4 |h - h*|) (HOMIE) [-]."""
    return torch.exp(-4 * f.height_error.abs())


def vertical_speed_tall(f: Frame) -> Reward:
    """v_z^2 where h* is the nominal height, so that squatting is free (HOMIE: h* >= .735 of .74 m) [m2/s2]."""
    return f.vertical**2 * (f.height >= f.body.nominal_height_m - TALL_M)


def joint_acceleration(f: Frame) -> Reward:
    """Sum of ((dq - dq_1) / dt)^2 (paper, HOMIE; difference quotient as in legged_gym) [rad2/s4]."""
    return (f.ddq**2).sum(1)


def roll_action(f: Frame) -> Reward:
    """Sum of a^2 over hip and ankle roll: the paper's "roll action zero", our reading of the name [-]."""
    return _squares(f, f.action, "hip_roll", "ankle_roll")


def stand_contact(f: Frame) -> Reward:
    """Feet off the floor when told to stand: HOMIE's stand still "by contact", our reading [-]."""
    return (~f.contact).float().sum(1) * f.standing


def hip_deviation(f: Frame) -> Reward:
    """Sum of (q - q_default)^2 over hip roll and yaw (HOMIE, our reading) [rad2]."""
    return _squares(f, f.q - f.body.default_q, "hip_roll", "hip_yaw")


def ankle_deviation(f: Frame) -> Reward:
    """Sum of (q - q_default)^2 over ankle roll; pitch must move to squat (HOMIE, our reading) [rad2]."""
    return _squares(f, f.q - f.body.default_q, "ankle_roll")


def knee_squat(f: Frame) -> Reward:
    """Mean over knees of |(h - h*) ((q - q_min) / (q_max - q_min) - 1/2)|.

    Source: HOMIE, the term that teaches squatting by bending knees; the mean over knees is our reading [m].
    """
    left, right = f.body.columns["knee"]
    columns = [left, right]
    low, high = f.body.lower[columns], f.body.upper[columns]
    bent = (f.q[:, columns] - low) / (high - low) - 0.5
    return (f.height_error[:, None] * bent).abs().mean(1)


def air_time(f: Frame) -> Reward:
    """Sum over feet that touch down of (time in the air - .5 s) while walking (HOMIE; formula of legged_gym) [s]."""
    return ((f.landed_s - f.scales.air_time_s) * (f.landed_s > 0)).sum(1) * f.moving


def clearance(f: Frame) -> Reward:
    """Sum over feet of (z_ankle - .14 m)^2 |v_xy| (HOMIE, our reading: a foot in motion should be high) [m3/s].

    The ankle's height is the sole's and the foot's own.
    """
    short = f.foot_height + f.body.ankle_m - f.scales.clearance_m
    return (short**2 * f.foot_speed2.sqrt()).sum(1)


def feet_lateral(f: Frame) -> Reward:
    """min(d - .2, 0) + min(.35 - d, 0), d between the feet, sideways (HOMIE, our reading) [m]."""
    return _within(f.foot_spread, f.scales.lateral_m)


def knees_lateral(f: Frame) -> Reward:
    """The same between the knees in the root's frame (HOMIE, our reading) [m]."""
    return _within(f.knee_spread, f.scales.lateral_m)


def power(f: Frame) -> Reward:
    """Sum of |tau dq| (HOMIE) [W]."""
    return (f.torque * f.dq).abs().sum(1)


def stumble(f: Frame) -> Reward:
    """1 where on any foot |F_xy| > 3 |F_z| (HOMIE, legged_gym) [-]."""
    across = f.force_w[:, :, :2].norm(dim=2)
    return (across > 3 * f.force_w[:, :, 2].abs()).any(1).float()


def joint_speed_limits(f: Frame) -> Reward:
    """Sum of |dq| beyond 95 % of the limit, at most 1 rad/s each (HOMIE, legged_gym; the share is ours) [rad/s]."""
    return (f.dq.abs() - SOFT * f.body.speed_limit).clamp(0, 1).sum(1)


def torque_limits(f: Frame) -> Reward:
    """Sum of |tau| beyond 95 % of the limit (HOMIE, legged_gym; the share is ours) [N.m]."""
    return (f.torque.abs() - SOFT * f.body.effort).clamp(min=0).sum(1)


def no_fly(f: Frame) -> Reward:
    """1 where exactly one foot touches while walking (HOMIE; legged_gym's no_fly, our reading: only walking) [-]."""
    return ((f.contact.sum(1) == 1) & f.moving).float()


def tracking_error(f: Frame) -> Reward:
    """Sum of (q - q_target)^2, from where the drives are told to go (HOMIE, our reading) [rad2]."""
    return ((f.q - f.q_target) ** 2).sum(1)


def contact_forces(f: Frame) -> Reward:
    """Sum over feet of the force beyond 1.2 body weights (HOMIE, legged_gym; the limit is ours) [N]."""
    return (f.feet.force - f.scales.force_limit * f.body.weight_n).clamp(min=0).sum(1)


def contact_momentum(f: Frame) -> Reward:
    """Sum over feet of min(v_z, 0) F_z, at most 0: feet that press and still go down (HOMIE, our reading) [W]."""
    return (f.feet.velocity_w[:, :, 2].clamp(max=0) * f.feet.force).sum(1)


def action_vanish(f: Frame) -> Reward:
    """Sum of |a_asked - a|: action beyond the clip, which has no effect (HOMIE, our reading) [-]."""
    return (f.before.asked - f.action).abs().sum(1)


def direction_end(f: Frame) -> Reward:
    """J_dir = |wrap(turned - asked for)| over a walk, paid once when it has ended (paper, stage II) [rad per walk].

    A walk lasts from the first flag that leaves 0 until all are 0 and the robot is still. The paper's
    |wrap(psi_end - psi_start)| would punish commanded turns, so they are taken off. Divided by the tick because
    weights are per second: a weight of -1 takes 1 per rad and walk.
    """
    error = torch.remainder(f.walk_error + torch.pi, 2 * torch.pi) - torch.pi
    return error.abs() / f.body.dt_s


def _squares(f: Frame, values: Float[Tensor, "world joint"], *kinds: str) -> Reward:
    """Sum of squares over both sides of some kinds of leg joints."""
    columns = [column for kind in kinds for column in f.body.columns[kind]]
    return (values[:, columns] ** 2).sum(1)


def _within(spread: Float[Tensor, " world"], band: tuple[float, float]) -> Reward:
    near, far = band
    return (spread - near).clamp(max=0) + (far - spread).clamp(max=0)
