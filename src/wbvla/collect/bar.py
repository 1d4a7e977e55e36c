"""The grasp of a bar: open grippers behind it, over and under it, closed around it, let go."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbvla.collect.arms import Reach
from wbvla.collect.expert import SIGN, UNREACHABLE, Expert, Lapse, Motion, Script
from wbvla.collect.ik import HandPose
from wbvla.core.rotation import wrap_angle
from wbvla.sim.cart import bar_pose


@dataclass(frozen=True, kw_only=True)
class BarConfig:
    """Where the hands take hold and how fast they move."""

    apart_m: float = 0.17
    """each hand is this far left or right of the bar's middle"""
    pitch: float = 0.4
    """fingers below the horizontal [rad]"""
    inside_m: float = 0.019
    """bar behind the grasp point, along the fingers: 7 mm before the palm, which touches it when it pushes"""
    back_m: float = 0.10
    """hands wait this far behind before they reach, fingertips clear of the bar"""
    stance_m: float = 0.61
    """stance height with the hands at the bar"""
    speed_mps: float = 0.25
    """of the hands when nothing is held"""
    close_s: float = 0.7
    """time for the grippers to close"""


def bar_phases(noun: str) -> dict[str, tuple[str, str]]:
    """Words and skill of each phase of taking a bar."""
    return {
        "ready": (f"bring the hands behind {noun}", "reach"),
        "reach": (f"put the open hands around {noun}", "reach"),
        "close": (f"close the hands around {noun}", "grasp"),
        "release": (f"let go of {noun}", "release"),
    }


class Bar:
    """Skills of one expert on the bar of one cart."""

    def __init__(self, expert: Expert, name: str, held: Callable[[], bool], config: BarConfig | None = None) -> None:
        """`held` tells whether both hands touch the bar."""
        self.config, self.held, self._expert, self._name = config or BarConfig(), held, expert, name

    def middle(self) -> tuple[Float[np.ndarray, "3"], float]:
        """Middle of the bar [m] and the heading that faces it [rad]."""
        return bar_pose(self._expert.world, self._name)

    def hands(self, middle: Float[np.ndarray, "3"], yaw: float, back_m: float = 0.0) -> dict[str, HandPose]:
        """Hands around a bar with this middle and heading, or behind it, in the torso frame."""
        config, (origin, rotation) = self.config, self._expert.torso()
        facing = float(wrap_angle(yaw - np.arctan2(rotation[1, 0], rotation[0, 0])))
        stoop = float(np.arcsin(np.clip(-rotation[2, 0], -1.0, 1.0)))
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        level, down = np.cos(config.pitch), np.sin(config.pitch)
        fingers = np.array([np.cos(yaw) * level, np.sin(yaw) * level, -down])
        grasp = middle + (config.inside_m - back_m) * fingers
        return {
            side: HandPose(
                xyz=rotation.T @ (grasp + sign * config.apart_m * left - origin),
                pitch_down=config.pitch - stoop,
                yaw=facing,
            )
            for side, sign in SIGN.items()
        }

    def take(self, error: Callable[[], np.ndarray]) -> Script:
        """Behind the bar, around it, close; `error` to the standing place, which the robot may stray from meanwhile.

        Raises `UNREACHABLE` when a hand has not got hold of it.
        """
        expert, config = self._expert, self.config

        def near(back_m: float, tolerance_m: float) -> bool:
            expert.stay(error())
            away = expert.arms.distance_m(self.hands(*self.middle(), back_m))
            return (away < tolerance_m and expert.phase_s > 0.5) or expert.phase_s > 3.0

        def low() -> bool:
            return abs(float(expert.world.root_pose()[0][2]) - config.stance_m) < 0.03 or expert.phase_s > 3.0

        yield from expert.during("ready", lambda: self.free(config.back_m), lambda: near(config.back_m, 0.02) and low())
        yield from expert.during("reach", lambda: self.free(0.0), lambda: near(0.0, 0.012))
        yield from expert.during("close", lambda: self.free(0.0, 0.0), lambda: expert.phase_s > config.close_s)
        if not self.held():
            raise Lapse(UNREACHABLE)

    def release(self) -> Script:
        """Open the hands where they are, then draw them back."""
        expert = self._expert
        yield from expert.during(
            "release",
            lambda: self.free(0.0 if expert.phase_s < 0.5 else self.config.back_m),
            lambda: expert.phase_s > 1.5,
        )

    def free(self, back_m: float, opening: float = 1.0) -> Motion:
        """Hands that follow the bar without pressing on it."""
        reach = Reach(goals=self.hands(*self.middle(), back_m), speed_mps=self.config.speed_mps)
        return Motion(arms=reach, height_m=self.config.stance_m, opening=opening)
