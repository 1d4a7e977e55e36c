"""Expert of wave: turn to the person, come nearer or step back if need be, raise a hand and swing it."""

from typing import ClassVar, cast

from wbvla.collect.expert import Lapse, Motion, Script, experts
from wbvla.collect.experts.social import WAVES, SocialExpert
from wbvla.sim.tasks.social import sight
from wbvla.sim.tasks.wave import Wave

STOP_M, SLACK_M = 1.8, 0.25
"""a robot nearer or farther than the task wants, but for this, walks to be so far from the person [m]"""
FACING_RAD = 0.2
"""a person further aside is turned to first [rad]"""
WAVE_S = 12.0
"""a wave that was not enough by then is begun anew [s]"""


class WaveExpert(SocialExpert):
    """Waves until it was enough."""

    phases: ClassVar = WAVES

    def script(self) -> Script:
        """Come, face, wave; from the beginning when the robot strays."""
        near, far = cast(Wave, self.task).config.distance_m
        while True:
            try:
                if not near + SLACK_M < sight(self.world)[0] < far - SLACK_M:
                    yield from self.come(lambda: self.before(STOP_M), lambda: Motion(arms=self.rest))
                if abs(sight(self.world)[1]) > FACING_RAD:
                    yield from self.face()
                yield from self.wave(WAVE_S, lambda: self._meets())
            except Lapse as lapse:
                self.recover(lapse)

    def _meets(self) -> bool:
        task = cast(Wave, self.task)
        return task.meets(self.world, task.config.distance_m)


@experts.register("wave")
def wave() -> type[WaveExpert]:
    """Expert of wave."""
    return WaveExpert
