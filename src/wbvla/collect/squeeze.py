"""The two-handed grasp: hands beside an object, pressed together, lifted, carried, set down and let go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from wbvla.collect.arms import Reach
from wbvla.collect.expert import PERIOD_S, SIGN, SLIPPED, UNREACHABLE, Expert, Lapse, Motion, Script
from wbvla.collect.ik import SIDES, HandPose
from wbvla.core.rotation import wrap_angle
from wbvla.sim.tasks.task import box_half, contacts_of, hand_bodies


@dataclass(frozen=True, kw_only=True)
class SqueezeConfig:
    """Where the hands take hold, how fast they move and how hard they press."""

    palm_below_torso_m: float = 0.06
    """the stance height is chosen so that the hands grasp this far below the torso's origin [m]"""
    grasp_pitch: float = 0.5
    """fingers below the horizontal while grasping [rad]"""
    grasp_ahead_m: float = 0.0
    """grasp point before the object's middle, which puts the palm block there [m]"""
    grasp_low_m: float = 0.0
    """grasp point below the object's middle [m]"""
    toe_in_rad: float = 0.02
    """fingers turned towards the object, so that palm and fingers touch together [rad]"""
    palm_half_m: float = 0.020
    """grasp point to the palm's side face [m]"""
    opening: float = 0.5
    """of the grippers: both fingers and the palm touch the object, a taller patch than closed fingers [-]"""
    spread_m: float = 0.08
    """gap between each hand and the object before closing [m]"""
    squeeze_n: float = 22.0
    """force of each hand on the object [N]"""
    squeeze_rise_s: float = 0.6
    """time over which the squeeze builds up [s]"""
    lowest_hands_m: float = 0.13
    """hands that go down beside the object with the squat are at most this far below the torso's origin [m]"""
    before_m: float = 0.29
    """hands this far before the torso's origin on the last steps to the object [m]"""
    squat_mps: float = 0.12
    """speed of the stance on the way down [m/s]"""
    reach_speed_mps: float = 0.35
    """of the hands on the way to the object [m/s]"""
    close_speed_mps: float = 0.12
    """of the hands towards each other [m/s]"""
    lift_speed_mps: float = 0.12
    """of the hands upwards [m/s]"""
    rise_speed_mps: float = 0.08
    """of the stance with the object in the hands [m/s]"""


def squeeze_phases(noun: str) -> dict[str, tuple[str, str]]:
    """Words and skill of each phase of a two-handed grasp."""
    return {
        "spread": (f"bring the hands to both sides of the {noun}", "reach"),
        "ready": (f"lower the body to the height of the {noun}", "lower"),
        "close": (f"close the hands on the {noun}", "close"),
        "squeeze": (f"press the {noun} between the hands", "grasp"),
        "lift": (f"lift the {noun}", "lift"),
        "release": (f"let go of the {noun}", "release"),
    }


class Squeeze:
    """Skills of one expert on one free box-shaped object; `config` may be replaced between grasps."""

    def __init__(self, expert: Expert, name: str, config: SqueezeConfig | None = None) -> None:
        self.config, self._expert, self._name = config or SqueezeConfig(), expert, name
        self._held: dict[str, HandPose] = {}
        self._held_height_m, self._missing_s = 0.0, 0.0

    # What is known of the object.

    def holding(self) -> bool:
        """Both hands touch the object."""
        touching = contacts_of(self._expert.world, self._name)
        return all(touching & set(hand_bodies(side)) for side in SIDES)

    def stance_m(self) -> float:
        """Stance height at which the hands grasp at their best height [m]."""
        hands_m = self._expert.pose_of(self._name)[0][2] - self.config.grasp_low_m
        return self._expert.stance_for(hands_m, self.config.palm_below_torso_m)

    def grasp(self, gap_m: float) -> dict[str, HandPose]:
        """Hands beside the object with a gap, in the torso frame."""
        config, (origin, rotation) = self.config, self._expert.torso()
        centre, yaw = self._expert.pose_of(self._name)
        ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        facing = float(wrap_angle(yaw - np.arctan2(rotation[1, 0], rotation[0, 0])))
        aside = box_half(self._expert.world, self._name)[1] + config.palm_half_m + gap_m
        middle = centre + config.grasp_ahead_m * ahead - np.array([0.0, 0.0, config.grasp_low_m])
        return {
            side: HandPose(
                xyz=rotation.T @ (middle + sign * aside * left - origin),
                pitch_down=config.grasp_pitch,
                yaw=facing - sign * config.toe_in_rad,
            )
            for side, sign in SIGN.items()
        }

    def held_at(self) -> Float[np.ndarray, "3"]:
        """Middle between the hands when the object was taken, in the torso frame [m]."""
        return np.mean([pose.xyz for pose in self._held.values()], axis=0)

    def before(self) -> Motion:
        """Hands before the body, wide enough for the object and above it: for the last steps to it."""
        half = float(box_half(self._expert.world, self._name)[1])
        aside = half + self.config.palm_half_m + self.config.spread_m
        goals = {
            side: HandPose(xyz=np.array([self.config.before_m, sign * aside, 0.0]), pitch_down=self.config.grasp_pitch)
            for side, sign in SIGN.items()
        }
        return Motion(arms=Reach(goals=goals, speed_mps=self.config.reach_speed_mps), opening=self.config.opening)

    def _beside(self, below_m: float) -> dict[str, HandPose]:
        """Hands with a gap beside the object, but no further below the torso than this."""
        return {
            side: replace(pose, xyz=np.array([*pose.xyz[:2], max(float(pose.xyz[2]), -below_m)]))
            for side, pose in self.grasp(self.config.spread_m).items()
        }

    def push(self, squeeze: float, carry: float) -> dict[str, Float[np.ndarray, "3"]]:
        """Force of each palm on the object: a share of the squeeze inwards, and of half its weight upwards [N]."""
        yaw = self._expert.pose_of(self._name)[1]
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        weight = 9.81 * float(self._expert.world.model.body(self._name).mass[0])
        up = np.array([0.0, 0.0, carry * weight / 2.0])
        return {side: -sign * squeeze * self.config.squeeze_n * left + up for side, sign in SIGN.items()}

    # Scripts.

    def take(self, error: Callable[[], np.ndarray]) -> Script:
        """Bring the hands beside the object, squat, close and press.

        The controller stands still at any height until something moves it, and then keeps stepping in a deep squat: so
        the arms move first, the robot comes to rest, and it squats slowly.

        Args:
            error: to the standing place; raises `STRAYED` when the robot has left it before the hands close.
        """
        expert, config = self._expert, self.config
        start = expert.world.spec.nominal_height_m

        def lowering() -> Motion:
            height = max(self.stance_m(), start - config.squat_mps * expert.phase_s)
            hands = self._beside(min(config.lowest_hands_m, config.squat_mps * expert.phase_s))
            return replace(self._free(hands, config.reach_speed_mps), height_m=height)

        def spread() -> bool:
            expert.stay(error())
            there = expert.arms.distance_m(self._beside(0.0)) < 0.025 and expert.still_s > 0.3
            return there or expert.phase_s > 4.0

        def low() -> bool:
            expert.stay(error())
            below = float(expert.world.root_pose()[0][2]) - self.stance_m() < 0.03
            near = expert.arms.distance_m(self.grasp(config.spread_m)) < 0.025
            return (below and near and expert.still_s > 0.2) or expert.phase_s > 4.0

        yield from expert.during(
            "spread", lambda: replace(self._free(self._beside(0.0), config.close_speed_mps), height_m=start), spread
        )
        yield from expert.during("ready", lowering, low)
        yield from expert.during(
            "close",
            lambda: self._free(self.grasp(-0.01), config.close_speed_mps),
            lambda: self.holding() or expert.phase_s > 2.0,
        )
        yield from expert.during(
            "squeeze", self._pressing, lambda: expert.phase_s > config.squeeze_rise_s + 3 * PERIOD_S
        )
        self._held, self._held_height_m, self._missing_s = self.grasp(0.0), self.stance_m(), 0.0
        if not self.holding():
            raise Lapse(UNREACHABLE)

    def lift(
        self, rise_m: float, height_m: float, done: Callable[[], bool], kept: Callable[[], bool] = lambda: True
    ) -> Script:
        """Raise the hands in the torso frame and stand up to a height, until `done`; see `carrying` for `kept`."""
        expert, speed = self._expert, self.config.rise_speed_mps

        def motion() -> Motion:
            return self.carrying(rise_m, min(height_m, self._held_height_m + speed * expert.phase_s), kept)

        yield from expert.during("lift", motion, done)

    def carrying(
        self,
        rise_m: float,
        height_m: float,
        kept: Callable[[], bool] = lambda: True,
        aside_m: tuple[float, float] = (0.0, 0.0),
    ) -> Motion:
        """Hold the object where it was taken, `rise_m` higher in the torso frame; ask for it once per 0.1 s.

        `aside_m` is added ahead and to the left, to put it where it should go.
        Raises `SLIPPED` when a hand has lost the object for a while, or when it is not `kept` as it should be.
        """
        self._missing_s = 0.0 if self.holding() and kept() else self._missing_s + PERIOD_S
        if self._missing_s > 0.35:
            raise Lapse(SLIPPED)
        shift = np.array([*aside_m, rise_m])
        goals = {side: replace(pose, xyz=pose.xyz + shift) for side, pose in self._held.items()}
        reach = Reach(goals=goals, speed_mps=self.config.lift_speed_mps, forces_w=self.push(1.0, 1.0))
        return Motion(arms=reach, height_m=height_m, opening=self.config.opening)

    def release(self) -> Script:
        """Open the hands where they are and keep them beside the object for a second, at the present height."""
        expert, apart, speed = self._expert, self.config.spread_m, self.config.reach_speed_mps
        height = float(np.clip(expert.world.root_pose()[0][2], *expert.world.spec.height_range_m))

        def motion() -> Motion:
            return replace(self._free(self.grasp(apart), speed), height_m=height)

        yield from expert.during("release", motion, lambda: expert.phase_s > 1.0)

    def _free(self, goals: Mapping[str, HandPose], speed_mps: float) -> Motion:
        """Hands that press on nothing, at the object's height."""
        reach = Reach(goals=goals, speed_mps=speed_mps)
        return Motion(arms=reach, height_m=self.stance_m(), opening=self.config.opening)

    def _pressing(self) -> Motion:
        share = min(1.0, self._expert.phase_s / self.config.squeeze_rise_s)
        reach = Reach(goals=self.grasp(0.0), speed_mps=self.config.close_speed_mps, forces_w=self.push(share, 0.0))
        return Motion(arms=reach, height_m=self.stance_m(), opening=self.config.opening)
