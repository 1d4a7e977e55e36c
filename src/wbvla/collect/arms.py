"""Moves both hands: speed-limited references in the torso frame, solved a chunk ahead and loaded with forces."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from wbvla.collect.ik import SIDES, ArmIk, HandPose

KNOTS = (1, 4, 8)
"""steps of a chunk that are solved; those between are interpolated"""
NO_FORCE: Mapping[str, Float[np.ndarray, "3"]] = {}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What the hands shall do next."""

    goals: Mapping[str, HandPose]
    """in the torso frame"""
    speed_mps: float = 0.35
    """of the palms [m/s]"""
    forces_w: Mapping[str, Float[np.ndarray, "3"]] = field(default_factory=dict)
    """what each palm pushes with, in the world frame [N]"""


class ArmMotion:
    """The reference of both arms: joint angles without load, and the palms they belong to."""

    def __init__(self, ik: ArmIk, num_steps: int = 8, period_s: float = 0.1) -> None:
        self.ik, self._num_steps, self._period_s = ik, num_steps, period_s
        self.posture = ik.solve(carry_pose(), ik.rest, ik.rest).q
        """elbows and wrists of the carrying pose, the posture that all reaching stays near"""
        self.reset()

    def reset(self) -> None:
        """Arms at rest."""
        self.q = self.ik.rest.copy()
        self._poses: dict[str, HandPose] = {}

    def joint_chunk(
        self, goal: Float[np.ndarray, " arm"], speed_radps: float, torso_rotation: Float[np.ndarray, "3 3"]
    ) -> Float[np.ndarray, "step arm"]:
        """Targets on the straight way to joint angles; all joints arrive together."""
        self._poses = {}
        rows, q = [], self.q
        for _ in range(self._num_steps):
            largest = np.abs(goal - q).max()
            q = goal if largest < 1e-9 else q + (goal - q) * min(1.0, speed_radps * self._period_s / largest)
            rows.append(self.ik.loaded(q, torso_rotation, NO_FORCE))
            self.q = q if len(rows) == 1 else self.q
        return np.array(rows)

    def palm_chunk(self, reach: Reach, torso_rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "step arm"]:
        """Targets on the straight way of both palms to their goals."""
        if not self._poses:
            now = self.ik.palms(self.q)
            self._poses = {side: _at(goal, now[side]) for side, goal in reach.goals.items()}
        poses, q, solved = dict(self._poses), self.q, [(0, self.q)]
        for step in range(1, self._num_steps + 1):
            poses = {side: self._towards(poses[side], goal, reach.speed_mps) for side, goal in reach.goals.items()}
            if step == 1:
                self._poses = dict(poses)
            if step in KNOTS or step == self._num_steps:
                q = self.ik.solve(poses, q, self.posture).q
                solved.append((step, q))
        self.q = solved[1][1]
        steps = np.array([step for step, _ in solved], dtype=float)
        ways = np.array([angles for _, angles in solved])
        rows = np.stack([np.interp(np.arange(1, self._num_steps + 1), steps, way) for way in ways.T], axis=1)
        return np.array([self.ik.loaded(row, torso_rotation, reach.forces_w) for row in rows])

    def distance_m(self, goals: Mapping[str, HandPose]) -> float:
        """How far the reference of the worse palm is from its goal [m]."""
        now = self.ik.palms(self.q)
        return max(float(np.linalg.norm(now[side] - goal.xyz)) for side, goal in goals.items())

    def _towards(self, pose: HandPose, goal: HandPose, speed_mps: float) -> HandPose:
        way = goal.xyz - pose.xyz
        share = min(1.0, speed_mps * self._period_s / max(1e-9, float(np.linalg.norm(way))))
        turn = min(1.0, max(share, 0.15))
        return HandPose(
            xyz=pose.xyz + share * way,
            pitch_down=pose.pitch_down + turn * (goal.pitch_down - pose.pitch_down),
            yaw=pose.yaw + turn * (goal.yaw - pose.yaw),
            roll=pose.roll + turn * (goal.roll - pose.roll),
        )


def carry_pose() -> dict[str, HandPose]:
    """Hands raised before the belly and apart, ready to reach; in the torso frame."""
    return {
        side: HandPose(xyz=np.array([0.22, sign * 0.26, 0.0]), pitch_down=0.4) for side, sign in zip(SIDES, (1.0, -1.0))
    }


def _at(goal: HandPose, xyz: Float[np.ndarray, "3"]) -> HandPose:
    return HandPose(xyz=xyz, pitch_down=goal.pitch_down, yaw=goal.yaw, roll=goal.roll)
