"""A helping hand on the pelvis while the gait is learned: a wrench that fades as falls become rare.

Without it (and without ending episodes that stall) the policy learns to stand still: a first step is a fall.
"""

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wbvla.lmo.frames import to_world_frame
from wbvla.lmo.plant import Layout

TILT, TILT_RATE, YAW, PUSH = 300.0, 30.0, 15.0, 150.0
"""[N.m], [N.m.s/rad], [N.m.s/rad], [N.s/m] at full strength"""
LIFT, MAX_LIFT = 2000.0, 150.0
"""[N/m], [N]"""
FIRM = 0.155
"""root inertia that bears the full rate gains [kg.m2]"""


def root_inertia(model: mujoco.MjModel, layout: Layout) -> float:
    """Of the root about the axis on which it yields most, with all joints free, in the default pose [kg.m2].

    The inverse of the largest diagonal element of the rotational part of M^-1.
    """
    data = mujoco.MjData(model)
    data.qpos[layout.qpos.cpu().numpy()] = layout.default.cpu().numpy()
    mujoco.mj_forward(model, data)
    unit = np.eye(model.nv)[3:6]
    yielding = np.zeros_like(unit)
    mujoco.mj_solveM(model, data, yielding, unit)
    return float(1 / np.diag(yielding[:, 3:6]).max())


class Assist:
    """The wrench for one robot.

    It is held for a whole control tick, so a rate gain that is large for what the root weighs turns every rotation
    over within the tick, and the robot is shaken to pieces at any physics step. Rate gains therefore shrink with the
    root's inertia (0.087 kg.m2 for the G1) below `FIRM`, a round value just under the X2's.
    """

    def __init__(self, model: mujoco.MjModel, layout: Layout) -> None:
        self.rate_share = min(1.0, root_inertia(model, layout) / FIRM)

    def wrench(
        self,
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
        tilt_rate, yaw = self.rate_share * TILT_RATE, self.rate_share * YAW
        roll = TILT * lean_y - tilt_rate * rate[:, 0]
        pitch = -TILT * lean_x - tilt_rate * rate[:, 1]
        turn = yaw * (reference[:, 2] - twist[:, 5])
        return strength * torch.stack([force[:, 0], force[:, 1], lift, roll, pitch, turn], dim=1)
