"""Expert of box-loading: squat for the box, rise, step back, turn to the trolley, walk there and set the box down."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import PERIOD_S, Expert, Lapse, Motion, Script, experts
from wbvla.collect.squeeze import Squeeze, SqueezeConfig, squeeze_phases
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.sim.tasks.box_loading import BOX, TABLE, TROLLEY, on_bed
from wbvla.sim.tasks.task import box_bottom_m, box_half, contacts_of
from wbvla.sim.trolley import bed_half

BACK = (-1, 0, 0)


@dataclass(frozen=True, kw_only=True)
class LoadingConfig:
    """Distances and heights of the demonstration."""

    stop_m: float = 0.235
    """pelvis to the box's front side when standing at the box: the thighs of the squat stay clear of the table [m]"""
    via_m: float = 0.85
    """a robot that comes from aside first walks to a place this far before the box [m]"""
    aside_m: float = 0.2
    """further aside than this is "from aside" [m]"""
    raise_arms_m: float = 0.5
    """the arms come up to the carrying pose when less than this is left to walk [m]"""
    grasp_m: float = 0.54
    """hands grasp no lower than this above the floor: the deepest stance reaches it [m]"""
    below_top_m: float = 0.05
    """and at least this far below the box's top [m]"""
    grasp_ahead_m: float = -0.03
    """grasp point before the box's middle: nearer to the robot [m]"""
    squeeze_n: float = 27.0
    """force of each hand on the box: with 22 N heavy ones sink and tip on the way (docs/reach.md) [N]"""
    carry_below_torso_m: float = 0.04
    """hands below the torso's origin while carrying [m]"""
    carry_height_m: float = 0.61
    """stance height while carrying [m]"""
    back_m: float = 0.22
    """step back from the table before turning [m]"""
    enough: float = 1.5
    """the bed is larger than a grasp is exact: multiple of the accepted errors at which the box is set down [-]"""
    inset_m: float = 0.07
    """gap between the bed's near edge and the box that is set down [m]"""
    press_s: float = 0.35
    """the box touches the bed for this long before the hands open [s]"""
    lower_mps: float = 0.05
    """speed of the stance while the box goes down on the bed [m/s]"""


class BoxLoadingExpert(Expert):
    """Begins again whenever the box slips, as long as it has not fallen."""

    phases: ClassVar = {
        "walk": ("walk to the box", "walk"),
        **squeeze_phases("box"),
        "back": ("step back from the table", "walk"),
        "turn": ("turn to the cart", "turn"),
        "carry": ("carry the box to the cart", "walk"),
        "place": ("set the box down on the cart", "place"),
        "leave": ("step back from the cart", "walk"),
    }
    loading = LoadingConfig()

    def script(self) -> Script:
        """The whole task; from the beginning when the box slips or the robot strays."""
        while True:
            box = Squeeze(self, BOX, self._grip())
            if on_bed(self.world):
                yield from self._leave()
                continue
            try:
                yield from self._go()
                yield from box.take(self._stop_error)
                yield from self._bring(box)
            except Lapse as lapse:
                if self.recover(lapse):
                    yield from box.release()
                    self.attempts += 1

    def is_lost(self) -> bool:
        """The box lies lower than any table."""
        return bool(self.world.body_pose(BOX)[0][2] < 0.3)

    def _go(self) -> Script:
        """To the place before the box, by way of its axis when the robot comes from aside."""
        if abs(self._stop_error()[1]) > self.loading.aside_m:
            yield from self.walk("walk", lambda: self._before_box(self.loading.via_m), self._walking, 2.0, True)
        yield from self.walk("walk", self._stop_error, self._walking)

    def _bring(self, box: Squeeze) -> Script:
        """With the box in the hands: rise, step back, turn, carry, set down, let go."""
        loading = self.loading
        rise = self._rise_m(box)

        def carrying(error: Float[np.ndarray, "3"]) -> Motion:
            return box.carrying(rise, loading.carry_height_m)

        table_m = box_bottom_m(self.world, BOX)
        yield from box.lift(rise, loading.carry_height_m, lambda: self._is_up(table_m))
        yield from self.stride("back", BACK, lambda: carrying(np.zeros(3)), loading.back_m)
        yield from self.walk("turn", lambda: np.array([0.0, 0.0, self._trolley_error()[2]]), carrying)
        yield from self.walk("carry", self._trolley_error, carrying, loading.enough)
        yield from self._set_down(box, rise)
        yield from box.release()
        yield from self._leave()

    def _set_down(self, box: Squeeze, rise: float) -> Script:
        """Lower the stance until the box has been pressed on the bed for a moment, which levels it."""
        start, speed, lowest = self.loading.carry_height_m, self.loading.lower_mps, self.config.lowest_m
        touching_s = 0.0

        def settled() -> bool:
            nonlocal touching_s
            touching_s = touching_s + PERIOD_S if TROLLEY in contacts_of(self.world, BOX) else 0.0
            return touching_s > self.loading.press_s or self.phase_s > 5.0

        yield from self.during("place", lambda: box.carrying(rise, max(lowest, start - speed * self.phase_s)), settled)

    def _leave(self) -> Script:
        """Away from the cart, hands up; success usually comes before."""
        yield from self.stride("leave", BACK, lambda: Motion(arms=self.carry), self.loading.back_m)

    # What is known of the world.

    def _stand(self) -> tuple[Float[np.ndarray, "2"], float]:
        xyz, quat = self.world.root_pose()
        return xyz[:2], float(yaw_of(quat))

    def _grip(self) -> SqueezeConfig:
        """Where on this box the hands take hold."""
        loading, (xyz, _), half = self.loading, self.pose_of(BOX), box_half(self.world, BOX)
        hands = min(max(float(xyz[2]), loading.grasp_m), float(xyz[2] + half[2]) - loading.below_top_m)
        low, ahead = float(xyz[2]) - hands, loading.grasp_ahead_m
        return SqueezeConfig(grasp_low_m=low, grasp_ahead_m=ahead, squeeze_n=loading.squeeze_n)

    def _rise_m(self, box: Squeeze) -> float:
        """How far the hands must rise in the torso frame to carry."""
        hands = min(float(pose.xyz[2]) for pose in box.grasp(0.0).values())
        return max(0.0, -self.loading.carry_below_torso_m - hands)

    def _is_up(self, table_m: float) -> bool:
        high = box_bottom_m(self.world, BOX) > table_m + 0.06
        stands = float(self.world.root_pose()[0][2]) > self.loading.carry_height_m - 0.03
        return (high and stands and TABLE not in contacts_of(self.world, BOX)) or self.phase_s > 4.0

    def _before_box(self, distance_m: float, missed: bool = False) -> Float[np.ndarray, "3"]:
        xyz, yaw = self.pose_of(BOX)
        return self.error_to(xyz[:2] - distance_m * np.array([np.cos(yaw), np.sin(yaw)]), yaw, missed)

    def _stop_error(self) -> Float[np.ndarray, "3"]:
        return self._before_box(box_half(self.world, BOX)[0] + self.loading.stop_m, missed=True)

    def _walking(self, error: Float[np.ndarray, "3"]) -> Motion:
        raised = float(np.hypot(*error[:2])) < self.loading.raise_arms_m or self.attempts > 0
        return Squeeze(self, BOX).before() if raised else Motion(arms=self.rest)

    def _trolley_error(self) -> Float[np.ndarray, "3"]:
        """How the robot must move so that the box in its hands is over its place on the bed."""
        centre, yaw = self.pose_of(TROLLEY)
        root, heading = self._stand()
        depth = bed_half(self.world, TROLLEY)[0]
        inside = depth - box_half(self.world, BOX)[0] - self.loading.inset_m
        goal = centre[:2] - inside * np.array([np.cos(yaw), np.sin(yaw)])
        turn = float(wrap_angle(yaw - heading))
        away = self.pose_of(BOX)[0][:2] - root
        held = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ away
        return self.error_to(goal - held, yaw)


@experts.register("box-loading")
def box_loading() -> type[Expert]:
    """Expert of box-loading."""
    return BoxLoadingExpert
