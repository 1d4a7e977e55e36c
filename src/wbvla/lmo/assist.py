"""A helping hand on the pelvis while the gait is learned: a wrench that fades as falls become rare.

Without it (and without ending episodes that stall) the policy learns to stand still: a first step is a fall.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from wbvla.lmo.frames import to_world_frame

TILT, TILT_RATE, YAW, PUSH = 300.0, 30.0, 15.0, 150.0
"""[N.m], [N.m.s/rad], [N.m.s/rad], [N.s/m] at full strength"""
LIFT, MAX_LIFT = 2000.0, 150.0
"""[N/m], [N]"""


def assist_wrench(
    strength: float,
    quat_wxyz: Float[Tensor, "world 4"],
    twist: Float[Tensor, "world 6"],
    heading: tuple[Tensor, Tensor],
    reference: Float[Tensor, "world 3"],
    height_error: Float[Tensor, " world"],
) -> Float[Tensor, "world 6"]:
    """Force [N] and torque [N.m] in the world frame on the root link.

    Args:
        strength: k in 0..1.
        twist: root linear velocity in the world [m/s], angular velocity in the body [rad/s].
        heading: cosine and sine.
        reference: wanted velocity in the heading frame.
        height_error: root height minus its reference [m].
    """
    w, x, y, z = quat_wxyz.unbind(1)
    lean_x, lean_y = 2 * (x * z + w * y), 2 * (y * z - w * x)
    rate = to_world_frame(twist[:, 3:5], *heading)
    goal = to_world_frame(reference[:, :2], *heading)
    force = PUSH * (goal - twist[:, :2])
    lift = (-LIFT * height_error).clamp(0, MAX_LIFT)
    roll = TILT * lean_y - TILT_RATE * rate[:, 0]
    pitch = -TILT * lean_x - TILT_RATE * rate[:, 1]
    turn = YAW * (reference[:, 2] - twist[:, 5])
    return strength * torch.stack([force[:, 0], force[:, 1], lift, roll, pitch, turn], dim=1)
