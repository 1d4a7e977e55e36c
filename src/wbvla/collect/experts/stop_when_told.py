"""Expert of stop-when-told: walk to the mat, stand as soon as the person's hand comes up, go on when it is down."""

from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import UNREACHABLE, Lapse, Motion, Script, experts
from wbvla.collect.experts.social import SocialExpert
from wbvla.collect.pursuit import PursuitConfig, steer
from wbvla.core.rotation import yaw_of
from wbvla.sim.tasks.stop_when_told import StopWhenTold

COMING_M = 0.4
"""a hand less than this below the shoulder is on its way up, or still on its way down [m]"""


class StopWhenToldExpert(SocialExpert):
    """Heeds every palm, also a second one."""

    phases: ClassVar = {"walk": ("walk to the mat", "walk"), "stop": ("stand still while the palm is up", "stop")}
    lost_as = "did not stop"
    pursuit = PursuitConfig()

    def script(self) -> Script:
        """Walk unless told to stop; success ends it."""
        turning = True
        self.enter("walk")
        while True:
            if self._told():
                yield from self.during("stop", lambda: Motion(arms=self.rest), lambda: not self._told())
                self.enter("walk")
                turning = True
            if self.phase_s > self.config.walk_limit_s:
                self.recover(Lapse(UNREACHABLE))
                self.enter("walk")
            ahead, left, _ = error = self._error()
            aside = float(np.arctan2(left, ahead))
            if float(np.hypot(ahead, left)) < self.pursuit.near_m:
                flags = self.approach.step(error)
            else:
                turning = abs(aside) > (self.pursuit.go_rad if turning else self.pursuit.turn_rad)
                flags = steer(self, ahead, aside, turning, self.pursuit.accept_rad)
            yield replace(Motion(arms=self.rest), flags=flags)

    def is_lost(self) -> bool:
        """The robot moved while it was to stand."""
        return cast(StopWhenTold, self.task).signal.ignored

    def _told(self) -> bool:
        """Whether the person's hand is up, or nearly."""
        return bool(self.person.fingers(self.world)[2] > self.person.shoulder_height_m() - COMING_M)

    def _error(self) -> Float[np.ndarray, "3"]:
        """The mat's middle from where the robot stands; any heading will do there."""
        heading = float(yaw_of(self.world.root_pose()[1]))
        return self.error_to(cast(StopWhenTold, self.task).axis()[0], heading)


@experts.register("stop-when-told")
def stop_when_told() -> type[StopWhenToldExpert]:
    """Expert of stop-when-told."""
    return StopWhenToldExpert
