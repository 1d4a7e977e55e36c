"""Expert of bag-packing: take the bag, back off, side-step to the carton, squat, put the bag inside, open, rise."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from wbvla.collect.arms import Reach
from wbvla.collect.expert import PERIOD_S, SIGN, SLIPPED, Expert, Lapse, Motion, Script, experts
from wbvla.collect.ik import HandPose
from wbvla.collect.squeeze import Squeeze, SqueezeConfig, squeeze_phases
from wbvla.core.rotation import yaw_of
from wbvla.sim.tasks.bag_packing import BAG, CARTON, TABLE, carton_half, inside_carton
from wbvla.sim.tasks.task import box_bottom_m, box_half, contacts_of

ACCEPT = (0.06, 0.035, 0.08)
"""a stop before the bag: a hand that has to grasp near the body's midline cannot turn flat to the bag's side any more,
so that only its fingers press and the bag turns between them; x [m], y [m], psi [rad]"""
STOP_M = 0.35
"""pelvis to bag when standing at the table [m]"""
CLEAR_M = 0.20
"""pelvis to the table's front edge at least: further in, the legs would meet it [m]"""
NEAR_M, AT_BAG_M = 0.25, 0.12
"""a robot this near to where it takes the bag steps back before it tries again; hands this near to where they hold the
bag open first, hands further away would only knock it over on their way to it [m]"""
ASIDE_M, VIA_M = 0.25, 0.62
"""a robot further aside first walks to a place so far before the bag: table and carton are not in its way there [m]"""
RAISE_ARMS_M = 0.45
"""the arms come up to the carrying pose when less than this is left to walk [m]"""
GRASP = SqueezeConfig(grasp_low_m=-0.04, grasp_ahead_m=0.02, squeeze_n=26.0)
"""above the middle, so that the hands stay over the carton's walls"""
LIFT_M, ENOUGH_M = 0.08, 0.055
"""wanted room under the bag, over table or carton, while it is carried; and what will do [m]"""
LIFT_LIMIT_S = 4.0
"""a bag that is not up by then has slipped [s]"""
CARRY_HEIGHT_M = 0.62
"""stance height while walking with the bag [m]"""
BACK_M = 0.16
"""how far the robot backs off from the table before it side-steps [m]"""
SWAY_S = 1.5
"""time over which the bag's place before the robot is averaged: it sways with every step [s]"""
CARTON_STOP_M = (0.42, 0.46)
"""pelvis to the carton's middle when standing at it: nearest, for the legs' sake, and farthest [m]"""
NEAR_SIDE_M = 0.05
"""the bag is put this far before the carton's middle [m]"""
PLACE_BELOW_TORSO_M = 0.09
"""hands below the torso's origin when the bag is set down [m]"""
SHIFT_M, REACH_M = 0.06, 0.41
"""largest shift of both hands that corrects where the bag is set down; ahead, to this from the torso [m]"""
OVER_M, OVER_LIMIT_S = 0.05, 3.0
"""a bag goes down when it is this near to being over its place [m], or after so long [s]"""
LOWER_MPS = 0.10
"""speed at which the body, and then the hands, go down with the bag [m/s]"""
LOW_M, SQUAT_LIMIT_S, DOWN_LIMIT_S = 0.03, 2.5, 7.0
"""the hands go on when the squat is this near to its end [m] or took so long; after so long they open anyway [s]"""
LEAVE_MPS = 0.20
"""speed of the hands out of the carton [m/s]"""
LEVEL_S = 0.25
"""the bag touches the carton for this long before the hands open [s]"""
APART_M = 0.04
"""gap between hands and bag after letting go: they are between the carton's walls [m]"""
CARTON_FLOOR_M = 0.012
"""thickness of the carton's bottom [m]"""
LOST_M = 0.3
"""a bag lower than any table or carton is lost [m]"""
WALKS = {
    "walk": ("walk to the bag", "walk"),
    "back_off": ("step back from the table with the bag", "walk"),
    "side_step": ("side-step to the carton", "walk"),
    "step_up": ("step up to the carton", "walk"),
    "lower": ("squat and lower the bag into the carton", "place"),
    "rise": ("take the hands away and stand up", "rise"),
    "leave": ("step back from the carton", "walk"),
}
BACK, NO_ERROR = (-1, 0, 0), np.zeros(3)


class BagPackingExpert(Expert):
    """Takes the bag again when it slips on the table, steps up again when it strays before the carton."""

    phases = WALKS | squeeze_phases("bag")

    def script(self) -> Script:
        """Take the bag, carry it, pack it; from the beginning when it slips or the robot strays."""
        self._bag = Squeeze(self, BAG, GRASP)
        while True:
            try:
                if not self._bag.holding():
                    yield from self._fetch()
                yield from self._bring()
                yield from self._pack()
                return
            except Lapse as lapse:
                costly = self.recover(lapse)
                self.attempts += int(costly)
                if float(np.linalg.norm(self._bag_error()[:2])) < NEAR_M:
                    if costly and self.arms.distance_m(self._bag.grasp(0.0)) < AT_BAG_M:
                        yield from self._bag.release()
                    yield from self.stride("walk", BACK, lambda: Motion(arms=self.carry), BACK_M)

    def is_lost(self) -> bool:
        """The bag lies on the floor."""
        return bool(self.world.body_pose(BAG)[0][2] < LOST_M)

    # Fetch it.

    def _fetch(self) -> Script:
        self._bag.config = GRASP
        if abs(self._bag_error()[1]) > ASIDE_M:
            yield from self.walk("walk", lambda: self._before_bag(VIA_M), self._walking, enough=2.0, passing=True)
        yield from self.exactly(ACCEPT, self.walk("walk", self._bag_error, self._walking))
        yield from self._bag.take(self._bag_error)
        self._from_m = box_bottom_m(self.world, BAG)
        self._rise_m, self._low_m = self._rise(), float(self.world.root_pose()[0][2])
        self._held = self._seen()
        yield from self.during("lift", self._lifting, self._is_up)

    def exactly(self, accept: tuple[float, float, float], walk: Script) -> Script:
        """A walk that ends with smaller errors than others."""
        before = self.approach.config
        self.approach.config = replace(before, accept=accept)
        try:
            yield from walk
        finally:
            self.approach.config = before

    def _bag_error(self) -> Float[np.ndarray, "3"]:
        return self._before_bag(max(STOP_M, self._inset_m() + CLEAR_M), missed=True)

    def _before_bag(self, distance_m: float, missed: bool = False) -> Float[np.ndarray, "3"]:
        xyz, yaw = self.pose_of(BAG)
        return self.error_to(xyz[:2] - distance_m * np.array([np.cos(yaw), np.sin(yaw)]), yaw, missed)

    def _inset_m(self) -> float:
        """How far behind the table's front edge the bag's middle stands [m]."""
        top = self.world.model.body(TABLE).geomadr[0]
        place = self.world.body_pose(BAG)[0] - self.world.body_pose(TABLE)[0]
        return float(place[0] + self.world.model.geom_size[int(top)][0])

    def _walking(self, error: Float[np.ndarray, "3"]) -> Motion:
        raised = float(np.hypot(*error[:2])) < RAISE_ARMS_M or self.attempts > 0
        return Motion(arms=self.carry if raised else self.rest)

    def _rise(self) -> float:
        """How far the hands rise in the torso frame for the bag to clear table and carton."""
        bottom, root = self._from_m, self.world.root_pose()[0][2]
        clear = max(bottom, self._rim_m()) + LIFT_M
        return float(clear - bottom - (CARRY_HEIGHT_M - root))

    def _lifting(self) -> Motion:
        """Up, and to the body's midline, where both hands lie flat on the bag's sides."""
        height = min(CARRY_HEIGHT_M, self._low_m + GRASP.rise_speed_mps * self.phase_s)
        return self._bag.carrying(self._rise_m, height, aside_m=self._centred(min(1.0, self.phase_s)))

    def _centred(self, share: float = 1.0) -> tuple[float, float]:
        """Shift of the hands that brings the bag to the body's midline, or this share of it [m]."""
        return 0.0, -share * float(self._bag.held_at()[1])

    def _is_up(self) -> bool:
        """The bag clears table and carton; raises `SLIPPED` when the hands are up but it is not."""
        if TABLE not in contacts_of(self.world, BAG):
            room = box_bottom_m(self.world, BAG) - max(self._from_m, self._rim_m())
            if room > ENOUGH_M or (room > ENOUGH_M / 2 and self.phase_s > LIFT_LIMIT_S):
                return True
        if self.phase_s > LIFT_LIMIT_S:
            raise Lapse(SLIPPED)
        return False

    # Bring it.

    def _bring(self) -> Script:
        yield from self.stride("back_off", BACK, lambda: self._carrying(NO_ERROR), BACK_M)
        yield from self.walk("side_step", lambda: self._carton_error(BACK_M), self._carrying, enough=1.5, passing=True)
        yield from self.walk("step_up", self._carton_error, self._carrying)

    def _carton_error(self, behind_m: float = 0.0) -> Float[np.ndarray, "3"]:
        """How to move for the bag in the hands to come before the carton's middle, or so far behind that place."""
        xyz, yaw = self.pose_of(CARTON)
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        left = np.array([-ahead[1], ahead[0]])
        stop_m = float(np.clip(self._held[0] + NEAR_SIDE_M, *CARTON_STOP_M)) + behind_m
        return self.error_to(xyz[:2] - stop_m * ahead - self._held[1] * left, yaw)

    def _seen(self) -> Float[np.ndarray, "2"]:
        """The bag seen from the pelvis, ahead and to the left [m]."""
        root, quat = self.world.root_pose()
        heading = float(yaw_of(quat))
        cos, sin = np.cos(heading), np.sin(heading)
        return np.array([[cos, sin], [-sin, cos]]) @ (self._bag_xy() - root[:2])

    def _bag_xy(self) -> Float[np.ndarray, "2"]:
        return self.world.body_pose(BAG)[0][:2]

    def _carrying(self, error: Float[np.ndarray, "3"]) -> Motion:
        self._held = self._held + PERIOD_S / SWAY_S * (self._seen() - self._held)
        return self._bag.carrying(self._rise_m, CARRY_HEIGHT_M, aside_m=self._centred())

    # Pack it.

    def _pack(self) -> Script:
        self._bag.config = replace(GRASP, palm_below_torso_m=PLACE_BELOW_TORSO_M, spread_m=APART_M)
        self._down_s = self._hands_s = self._on_s = 0.0
        yield from self.during("lower", self._lowering, self._is_down)
        yield from self._bag.release()
        up, self._low_m = self._bag.grasp(APART_M), float(self.world.root_pose()[0][2])
        yield from self.during("rise", lambda: self._rising(up), lambda: self.phase_s > 2.5)
        yield from self.stride("leave", BACK, lambda: Motion(arms=self.carry), BACK_M)
        yield from self.during("leave", lambda: Motion(arms=self.carry), lambda: self.phase_s > 2.0)

    def _lowering(self) -> Motion:
        """The hands bring the bag over its place, the body squats with it, the hands lower it the rest."""
        carton, yaw = self.pose_of(CARTON)
        origin, rotation = self.torso()
        place = carton[:2] - NEAR_SIDE_M * np.array([np.cos(yaw), np.sin(yaw)])
        if float(np.linalg.norm(self._bag_xy() - place)) < OVER_M or self.phase_s > OVER_LIMIT_S:
            self._down_s += PERIOD_S
        grasp_m = float(box_half(self.world, BAG)[2]) - GRASP.grasp_low_m
        lowest = self.stance_for(self._floor_m() + grasp_m, PLACE_BELOW_TORSO_M)
        if self.world.root_pose()[0][2] < lowest + LOW_M or self._down_s > SQUAT_LIMIT_S:
            self._hands_s += PERIOD_S
        floor = np.array([*place, self._floor_m() - 0.02 + grasp_m])
        shift = rotation.T @ (floor - origin) - self._bag.held_at()
        ahead = max(SHIFT_M, REACH_M - float(self._bag.held_at()[0]))
        aside = np.clip(shift[:2], -SHIFT_M, (ahead, SHIFT_M)) * min(1.0, self.phase_s)
        rise = max(float(shift[2]), self._rise_m - LOWER_MPS * self._hands_s)
        height = max(lowest, CARRY_HEIGHT_M - LOWER_MPS * self._down_s)
        return self._bag.carrying(rise, height, aside_m=(float(aside[0]), float(aside[1])))

    def _is_down(self) -> bool:
        """The bag has stood in the carton for a moment, which levels it."""
        on = CARTON in contacts_of(self.world, BAG) and inside_carton(self.world)
        self._on_s = self._on_s + PERIOD_S if on else 0.0
        return self._on_s > LEVEL_S or self._down_s > DOWN_LIMIT_S

    def _rising(self, up: Mapping[str, HandPose]) -> Motion:
        """Hands up out of the carton first, then apart, off a bag that leans, and the body up too."""
        rise, apart = min(0.14, 0.15 * self.phase_s), min(0.10, max(0.0, 0.10 * (self.phase_s - 0.6)))
        goals = {
            side: replace(pose, xyz=pose.xyz + np.array([0.0, SIGN[side] * apart, rise])) for side, pose in up.items()
        }
        height = min(CARRY_HEIGHT_M, self._low_m + LOWER_MPS * max(0.0, self.phase_s - 0.8))
        return Motion(arms=Reach(goals=goals, speed_mps=LEAVE_MPS), height_m=height, opening=GRASP.opening)

    # What is known of the carton.

    def _rim_m(self) -> float:
        return float(self.world.body_pose(CARTON)[0][2] + carton_half(self.world)[2])

    def _floor_m(self) -> float:
        """Height of what the bag will stand on [m]."""
        return float(self.world.body_pose(CARTON)[0][2] - carton_half(self.world)[2]) + CARTON_FLOOR_M


@experts.register("bag-packing")
def bag_packing() -> type[Expert]:
    """Expert of bag-packing."""
    return BagPackingExpert
