"""Expert of handshake: walk up, bring an open gripper around the offered fingers, close gently, shake, let go."""

from typing import ClassVar, cast

import numpy as np
from jaxtyping import Float

from wbvla.collect.arms import Reach, carry_pose
from wbvla.collect.expert import SLIPPED, Lapse, Motion, Script, experts
from wbvla.collect.experts.social import SocialExpert
from wbvla.collect.ik import HandPose
from wbvla.sim.person import OFFER
from wbvla.sim.tasks.handshake import Handshake

HAND_AT = (0.39, -0.14)
"""the offered fingers ahead and left of the robot's pelvis when it stands before them [m]"""
ACCEPT = (0.05, 0.05, 0.15)
"""and how far off that may be: x [m], y [m], psi [rad]"""
READY_M, SHORT_M = 0.12, 0.012
"""the open hand waits so far before the fingers, and takes them so far before their middle [m]"""
NEARLY_M, AT_M = 0.05, 0.025
"""a palm this near to where it is wanted waits there, or is there [m]"""
REACH_LIMIT_S = 5.0
"""a hand that is not there by then goes on, or back [s]"""
HOLD_OPENING = 0.10
"""the drive's wish while the gripper holds: 1 cm less than a hand is thick, 12 N on each side"""
FIRM_N = 35.0
"""a hand pressed harder than this is let go at once: ours [N]"""
HOLD_S, SHAKE_M, SHAKE_HZ = 1.8, 0.02, 1.0
"""for how long, how far up and down and how often hands are shaken"""
SPEED_MPS, TAKE_MPS = 0.30, 0.12
"""of the hand on its way to the person's, and around it [m/s]"""
RAISE_M = 0.5
"""the arms come up when less than this is left to walk [m]"""


class HandshakeExpert(SocialExpert):
    """Takes the hand again when it has slipped or the robot strays."""

    phases: ClassVar = {
        "come": ("walk to the person", "walk"),
        "wait": ("wait for the hand", "stop"),
        "ready": ("hold an open hand before the person's", "reach"),
        "take": ("take the offered hand", "reach"),
        "shake": ("shake hands", "shake"),
        "release": ("let the hand go", "release"),
        "back": ("take the arm back", "release"),
    }
    lost_as = "hurt the person"

    def script(self) -> Script:
        """Come, take, shake, let go; from the beginning when the hand slips or the robot strays."""
        while True:
            try:
                yield from self.during("wait", lambda: Motion(arms=self.rest), lambda: self.person.gesture == OFFER)
                yield from self.come(self._place, self._walking)
                yield from self._reach("ready", READY_M, SPEED_MPS, NEARLY_M)
                yield from self._reach("take", SHORT_M, TAKE_MPS, AT_M)
                yield from self._shake()
                yield from self._leave()
            except Lapse as lapse:
                if self.recover(lapse):
                    self.attempts += 1
                    yield from self._leave()

    def is_lost(self) -> bool:
        """The person was hurt."""
        return cast(Handshake, self.task).hurt()

    # Walking.

    def _place(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Where the offered fingers are in reach of the right hand, facing the person."""
        yaw = self.person.facing(self.world)[1] + np.pi
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        left = np.array([-ahead[1], ahead[0]])
        return self.person.fingers(self.world)[:2] - HAND_AT[0] * ahead - HAND_AT[1] * left, yaw

    def _walking(self) -> Motion:
        near = float(np.linalg.norm(self._place()[0] - self.world.root_pose()[0][:2])) < RAISE_M
        return Motion(arms=self.carry if near or self.attempts else self.rest, opening=1.0 if near else 0.0)

    # The hand.

    def _wanted(self, short_m: float, up_m: float = 0.0) -> dict[str, HandPose]:
        """The right hand around the person's fingers, or so far before them, turned to close from both sides."""
        origin, rotation = self.torso()
        along = self.person.hand_axes(self.world)[:, 2]
        place = self.person.fingers(self.world) - short_m * along + np.array([0.0, 0.0, up_m])
        way = rotation.T @ along
        pitch = float(np.clip(-np.arctan2(way[2], np.hypot(way[0], way[1])), -0.5, 0.3))
        yaw = float(np.clip(np.arctan2(way[1], way[0]), -0.4, 0.6))
        taking = HandPose(xyz=rotation.T @ (place - origin), pitch_down=pitch, yaw=yaw, roll=np.pi / 2)
        return {"left": carry_pose()["left"], "right": taking}

    def _reach(self, phase: str, short_m: float, speed_mps: float, near_m: float) -> Script:
        """Bring the hand near; raises `SLIPPED` when it presses on the person on its way, or does not get there."""
        self.enter(phase)
        while True:
            goals = self._wanted(short_m)
            yield Motion(arms=Reach(goals=goals, speed_mps=speed_mps), opening=1.0)
            origin, rotation = self.torso()
            missing = rotation.T @ (self.world.palm_position("right") - origin) - self._wanted(short_m)["right"].xyz
            if float(np.linalg.norm(missing)) < near_m and self.phase_s > 0.5:
                return
            if self.person.meter.force_n("hand") > FIRM_N or self.phase_s > REACH_LIMIT_S:
                raise Lapse(SLIPPED)
            self.stay(self.error_to(*self._place()))

    def _shake(self) -> Script:
        """Close around the fingers and move them up and down."""
        self.enter("shake")
        start, held_s = self._wanted(SHORT_M)["right"], 0.0
        while held_s < HOLD_S:
            up = SHAKE_M * float(np.sin(2.0 * np.pi * SHAKE_HZ * held_s))
            goals = {
                "left": carry_pose()["left"],
                "right": HandPose(
                    xyz=start.xyz + np.array([0.0, 0.0, up]),
                    pitch_down=start.pitch_down,
                    yaw=start.yaw,
                    roll=start.roll,
                ),
            }
            yield Motion(arms=Reach(goals=goals, speed_mps=SPEED_MPS), opening=HOLD_OPENING)
            touched = bool(self.person.meter.touching("hand"))
            held_s = held_s + 0.1 if touched else 0.0
            if self.person.meter.force_n("hand") > FIRM_N or self.phase_s > 3.0 * HOLD_S:
                raise Lapse(SLIPPED)

    def _leave(self) -> Script:
        """Open, draw the hand back along the fingers, then the arm."""
        self.enter("release")
        palm = self.arms.ik.palms(self.arms.q)["right"]
        held = self._wanted(0.0)["right"]
        pose = HandPose(xyz=palm, pitch_down=held.pitch_down, yaw=held.yaw, roll=held.roll)
        away = np.array([np.cos(pose.yaw) * np.cos(pose.pitch_down), np.sin(pose.yaw), -np.sin(pose.pitch_down)])
        while self.phase_s < 1.6:
            back = 0.14 * float(np.clip(self.phase_s - 0.4, 0.0, 1.0))
            right = HandPose(xyz=palm - back * away, pitch_down=pose.pitch_down, yaw=pose.yaw, roll=pose.roll)
            goals = {"left": carry_pose()["left"], "right": right}
            yield Motion(arms=Reach(goals=goals, speed_mps=SPEED_MPS), opening=1.0)
        yield from self.stride("back", (-1, 0, 0), lambda: Motion(arms=self.carry, opening=1.0), 0.15)
        yield from self.during("back", lambda: Motion(arms=self.carry), lambda: self.phase_s > 1.5)


@experts.register("handshake")
def handshake() -> type[HandshakeExpert]:
    """Expert of handshake."""
    return HandshakeExpert
