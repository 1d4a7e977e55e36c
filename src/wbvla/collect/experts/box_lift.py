"""Expert of box-lift: walk to the table, squat, take the box between both hands, lift it and stand up."""

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import Expert, Lapse, Motion, Script, experts
from wbvla.collect.squeeze import Squeeze, squeeze_phases
from wbvla.sim.tasks.box_lift import BOX

STOP_M = 0.33
"""pelvis to box centre when standing at the box [m]"""
RAISE_ARMS_M = 0.45
"""the arms come up to the carrying pose when less than this is left to walk [m]"""
LIFT_M = 0.13
"""how far the hands rise in the torso frame [m]"""
LIFT_HEIGHT_M = 0.60
"""stance height after lifting [m]"""
LOST_M = 0.3
"""a box lower than any table is lost [m]"""


class BoxLiftExpert(Expert):
    """Grasps again until the box is up or on the floor."""

    phases = {"walk": ("walk to the box", "walk")} | squeeze_phases("box")

    def script(self) -> Script:
        """Walk, take, lift; from the beginning when the box slips or the robot strays."""
        box = Squeeze(self, BOX)
        while True:
            try:
                yield from self.walk("walk", self._stop_error, self._walking)
                yield from box.take(self._stop_error)
                yield from box.lift(LIFT_M, LIFT_HEIGHT_M, lambda: False, self._is_rising)
            except Lapse as lapse:
                if self.recover(lapse):
                    yield from box.release()
                    self.attempts += 1

    def is_lost(self) -> bool:
        """The box lies lower than any table."""
        return bool(self.world.body_pose(BOX)[0][2] < LOST_M)

    def _stop_error(self) -> Float[np.ndarray, "3"]:
        xyz, yaw = self.pose_of(BOX)
        return self.error_to(xyz[:2] - STOP_M * np.array([np.cos(yaw), np.sin(yaw)]), yaw, missed=True)

    def _walking(self, error: Float[np.ndarray, "3"]) -> Motion:
        raised = float(np.hypot(*error[:2])) < RAISE_ARMS_M or self.attempts > 0
        return Squeeze(self, BOX).before() if raised else Motion(arms=self.rest)

    def _is_rising(self) -> bool:
        """False when the hands are up but the box is not."""
        return self.phase_s < 3.0 or self.task.progress(self.world)["lifted"]


@experts.register("box-lift")
def box_lift() -> type[Expert]:
    """Expert of box-lift."""
    return BoxLiftExpert
