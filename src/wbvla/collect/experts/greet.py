"""Expert of greet: walk up to the person, stop at the distance of a talk, face them and wave."""

from typing import ClassVar, cast

from wbvla.collect.expert import Lapse, Motion, Script, experts
from wbvla.collect.experts.social import WAVES, SocialExpert
from wbvla.sim.tasks.greet import Greet

STOP_M, SIDE_RAD = 1.25, 0.4
"""where it stops before the person [m], and how far beside where they look at most [rad]"""
WAVE_S = 12.0
"""a wave that was not enough by then is begun anew [s]"""


class GreetExpert(SocialExpert):
    """Comes again when it has strayed from the person."""

    phases: ClassVar = WAVES

    def script(self) -> Script:
        """Come and wave; from the beginning when the robot strays."""
        task = cast(Greet, self.task)
        while True:
            try:
                yield from self.come(lambda: self.before(STOP_M, SIDE_RAD), lambda: Motion(arms=self.rest))
                yield from self.wave(WAVE_S, lambda: task.meets(self.world, task.config.distance_m))
            except Lapse as lapse:
                self.recover(lapse)


@experts.register("greet")
def greet() -> type[GreetExpert]:
    """Expert of greet."""
    return GreetExpert
