"""Scripted teleoperator of box-lift: sees the simulator's state, acts only through flags, height, arms and grippers."""

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from jaxtyping import Float

from wbvla.collect.approach import Approach, ApproachConfig
from wbvla.collect.arms import ArmMotion, Reach, carry_pose
from wbvla.collect.ik import SIDES, ArmIk, HandPose
from wbvla.core.records import Action, Observation
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.sim.scene import World
from wbvla.sim.tasks.box_lift import BOX
from wbvla.sim.tasks.task import Task, box_half, contacts_of, hand_bodies

SIGN = {"left": 1.0, "right": -1.0}


class Phase(Enum):
    """What the expert is doing."""

    WALK = "walk"
    READY = "ready"
    SPREAD = "spread"
    CLOSE = "close"
    SQUEEZE = "squeeze"
    LIFT = "lift"
    RELEASE = "release"
    GIVE_UP = "give_up"


@dataclass(frozen=True, kw_only=True)
class ExpertConfig:
    """Distances, speeds and forces of the demonstration."""

    stop_m: float = 0.33
    """pelvis to box centre when standing at the box [m]"""
    approach: ApproachConfig = field(default_factory=ApproachConfig)
    """how it walks"""
    stray_factor: float = 2.0
    """while reaching, an error beyond this multiple of the accepted one sends the robot back to walking [-]"""
    raise_arms_m: float = 0.45
    """the arms come up to the carrying pose when less than this is left to walk [m]"""
    palm_below_torso_m: float = 0.06
    """the stance height is chosen so that the hands grasp this far below the torso's origin [m]"""
    grasp_pitch: float = 0.5
    """fingers below the horizontal while grasping [rad]"""
    grasp_ahead_m: float = 0.0
    """grasp point before the box's middle, which puts the palm block there [m]"""
    grasp_low_m: float = 0.0
    """grasp point below the box's middle [m]"""
    toe_in_rad: float = 0.02
    """fingers turned towards the box, so that palm and fingers touch together [rad]"""
    palm_half_m: float = 0.020
    """grasp point to the palm's side face [m]"""
    grasp_opening: float = 0.5
    """of the grippers: both fingers and the palm touch the box, a taller patch than closed fingers [-]"""
    spread_m: float = 0.07
    """gap between each hand and the box before closing [m]"""
    squeeze_n: float = 22.0
    """force of each hand on the box [N]"""
    squeeze_rise_s: float = 0.6
    """time over which the squeeze builds up [s]"""
    lift_m: float = 0.13
    """how far the hands rise in the torso frame [m]"""
    lift_height_m: float = 0.60
    """stance height after lifting [m]"""
    reach_speed_mps: float = 0.35
    """of the hands on the way to the box [m/s]"""
    close_speed_mps: float = 0.12
    """of the hands towards each other [m/s]"""
    lift_speed_mps: float = 0.12
    """of the hands upwards [m/s]"""
    rise_speed_mps: float = 0.08
    """of the stance while lifting [m/s]"""
    chunk_steps: int = 8
    """steps of each action chunk at 10 Hz [-]"""
    perturbation: float = 0.0
    """0 = none; 1 = hands wander by about 1 cm and the first stop misses by up to 8 cm, so that recoveries are shown"""


class BoxLiftExpert:
    """A `Driver`; reset it after the world was reset. Over when the task succeeds, or when the box is lost."""

    def __init__(self, world: World, task: Task, config: ExpertConfig | None = None, seed: int = 0) -> None:
        self.config, self._world, self._task = config or ExpertConfig(), world, task
        self.instruction = task.instruction(seed)
        self._arms = ArmMotion(ArmIk(world.spec), self.config.chunk_steps)
        self._walk = Approach(world.spec.shaping, self.config.approach)
        self._carry = self._arms.posture
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Start over, with the noise of `seed`."""
        self._arms.reset()
        self._walk.reset()
        self._rng = np.random.default_rng((self.seed, 2))
        self.phase, self.attempts = Phase.WALK, 0
        self._phase_s = 0.0
        self._missing_s = 0.0
        self._over_s = 0.0
        self._wander = np.zeros((2, 3))
        self._miss = self._rng.uniform(-0.08, 0.08, 2) * self.config.perturbation
        self._lift_from: dict[str, HandPose] = {}
        self._lift_height_m = 0.0

    def act(self, observation: Observation) -> Action | None:
        """The next chunk; None once the task is done or lost."""
        self._over_s = self._over_s + 0.1 if self._task.success(self._world) else 0.0
        if self._over_s > 0.25 or self.phase is Phase.GIVE_UP:
            return None
        self._phase_s += 0.1
        self._advance()
        return self._action()

    @property
    def lost(self) -> bool:
        """Whether the box fell and the demonstration was given up."""
        return self.phase is Phase.GIVE_UP

    # What is known of the world.

    def _torso(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
        body = self._world.data.body(self._world.spec.torso_link)
        return body.xpos.copy(), body.xmat.reshape(3, 3).copy()

    def _stop_error(self) -> Float[np.ndarray, "3"]:
        """Where to stand, seen from where the robot stands: x, y [m], psi [rad]."""
        box, turned = self._world.body_pose(BOX)
        root, quat = self._world.root_pose()
        yaw, heading = float(yaw_of(turned)), float(yaw_of(quat))
        place = box[:2] - self.config.stop_m * np.array([np.cos(yaw), np.sin(yaw)])
        away = place - root[:2]
        ahead = np.cos(heading) * away[0] + np.sin(heading) * away[1]
        left = -np.sin(heading) * away[0] + np.cos(heading) * away[1]
        error = np.array([ahead, left, float(wrap_angle(yaw - heading))])
        if self.attempts == 0:
            error[:2] += self._miss
        return error

    def _holding(self) -> bool:
        """Both hands touch the box."""
        touching = contacts_of(self._world, BOX)
        return all(touching & set(hand_bodies(side)) for side in SIDES)

    def _box_lost(self) -> bool:
        """The box lies lower than any table."""
        return bool(self._world.body_pose(BOX)[0][2] < 0.3)

    def _grasp_height_m(self) -> float:
        """Stance height at which the hands grasp at their best height."""
        spec = self._world.spec
        torso_over_root = self._torso()[0][2] - self._world.root_pose()[0][2]
        palm = self._world.body_pose(BOX)[0][2] - self.config.grasp_low_m
        low, high = spec.height_range_m
        return float(np.clip(palm + self.config.palm_below_torso_m - torso_over_root, low + 0.01, high - 0.01))

    def _grasp(self, gap_m: float) -> dict[str, HandPose]:
        """Hands beside the box with a gap, in the torso frame."""
        config, (origin, rotation) = self.config, self._torso()
        box, turned = self._world.body_pose(BOX)
        yaw = float(yaw_of(turned))
        ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        facing = float(wrap_angle(yaw - np.arctan2(rotation[1, 0], rotation[0, 0])))
        aside = box_half(self._world, BOX)[1] + config.palm_half_m + gap_m
        middle = box + config.grasp_ahead_m * ahead - np.array([0.0, 0.0, config.grasp_low_m])
        return {
            side: HandPose(
                xyz=rotation.T @ (middle + sign * aside * left - origin),
                pitch_down=config.grasp_pitch,
                yaw=facing - sign * config.toe_in_rad,
            )
            for side, sign in SIGN.items()
        }

    # What to do next.

    def _enter(self, phase: Phase) -> None:
        self.phase, self._phase_s, self._missing_s = phase, 0.0, 0.0

    def _advance(self) -> None:
        """Move to the next phase when this one is done, or back when it failed."""
        if self._box_lost():
            self._enter(Phase.GIVE_UP)
        elif self.phase is Phase.WALK and self._walk.arrived(self._stop_error()):
            self._enter(Phase.READY)
        elif self.phase in (Phase.READY, Phase.SPREAD) and self._has_strayed():
            self._enter(Phase.WALK)
        elif self.phase is Phase.READY and self._is_low():
            self._enter(Phase.SPREAD)
        elif self.phase is Phase.SPREAD and self._is_spread():
            self._enter(Phase.CLOSE)
        elif self.phase is Phase.CLOSE and (self._holding() or self._phase_s > 2.0):
            self._enter(Phase.SQUEEZE)
        elif self.phase is Phase.SQUEEZE and self._phase_s > self.config.squeeze_rise_s + 0.3:
            self._lift_from, self._lift_height_m = self._grasp(0.0), self._grasp_height_m()
            self._enter(Phase.LIFT if self._holding() else Phase.RELEASE)
        elif self.phase is Phase.LIFT:
            rising = self._phase_s < 3.0 or self._task.progress(self._world)["lifted"]
            self._missing_s = 0.0 if self._holding() and rising else self._missing_s + 0.1
            if self._missing_s > 0.35:
                self._enter(Phase.RELEASE)
        elif self.phase is Phase.RELEASE and self._phase_s > 1.0:
            self.attempts += 1
            self._enter(Phase.WALK)

    def _has_strayed(self) -> bool:
        """The robot has moved out of the place from which it can grasp."""
        limits = self.config.stray_factor * np.array(self.config.approach.accept)
        return bool((np.abs(self._stop_error()) > limits).any())

    def _is_low(self) -> bool:
        height = float(self._world.root_pose()[0][2])
        return (abs(height - self._grasp_height_m()) < 0.03 and self._phase_s > 0.5) or self._phase_s > 3.0

    def _is_spread(self) -> bool:
        return self._arms.distance_m(self._grasp(self.config.spread_m)) < 0.025 or self._phase_s > 3.0

    def _action(self) -> Action:
        """The chunk of the present phase."""
        spec, config, steps = self._world.spec, self.config, self.config.chunk_steps
        rotation = self._torso()[1]
        flags, height = np.zeros(3, dtype=np.int64), spec.nominal_height_m
        if self.phase is Phase.WALK:
            error = self._stop_error()
            flags = self._walk.step(error)
            raised = float(np.hypot(*error[:2])) < config.raise_arms_m or self.attempts > 0
            arms = self._arms.joint_chunk(self._carry if raised else self._arms.ik.rest, 1.2, rotation)
        else:
            self._walk.hold()
            height = self._grasp_height_m()
            if self.phase is Phase.LIFT:
                height = min(config.lift_height_m, self._lift_height_m + config.rise_speed_mps * self._phase_s)
            arms = self._arms.palm_chunk(self._wandering(self._reach()), rotation)
        open_ = self.phase is not Phase.WALK
        return Action(
            rate_hz=10.0,
            arm_targets=np.clip(arms, *self._limits()),
            grippers=np.full((steps, 2), config.grasp_opening if open_ else 0.0),
            flags=np.tile(flags, (steps, 1)),
            height_m=np.full(steps, height),
        )

    def _limits(self) -> tuple[Float[np.ndarray, " arm"], Float[np.ndarray, " arm"]]:
        spec = self._world.spec
        rows = spec.indices(spec.arm_joints)
        return spec.column("lower")[rows], spec.column("upper")[rows]

    def _reach(self) -> Reach:
        """Goals, speed and forces of the hands in the present phase."""
        config, phase = self.config, self.phase
        if phase in (Phase.READY, Phase.RELEASE):
            goals = carry_pose() if phase is Phase.READY else self._grasp(config.spread_m)
            return Reach(goals=goals, speed_mps=config.reach_speed_mps)
        if phase is Phase.SPREAD:
            return Reach(goals=self._grasp(config.spread_m), speed_mps=config.reach_speed_mps)
        if phase is Phase.CLOSE:
            return Reach(goals=self._grasp(-0.01), speed_mps=config.close_speed_mps)
        if phase is Phase.SQUEEZE:
            share = min(1.0, self._phase_s / config.squeeze_rise_s)
            return Reach(goals=self._grasp(0.0), speed_mps=config.close_speed_mps, forces_w=self._push(share, 0.0))
        rise = np.array([0.0, 0.0, config.lift_m])
        goals = {side: replace(pose, xyz=pose.xyz + rise) for side, pose in self._lift_from.items()}
        return Reach(goals=goals, speed_mps=config.lift_speed_mps, forces_w=self._push(1.0, 1.0))

    def _push(self, squeeze: float, carry: float) -> dict[str, Float[np.ndarray, "3"]]:
        """Force of each palm on the box: inwards, and half of its weight upwards [N]."""
        turned = self._world.body_pose(BOX)[1]
        yaw = float(yaw_of(turned))
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        weight = 9.81 * float(self._world.model.body(BOX).mass[0])
        up = np.array([0.0, 0.0, carry * weight / 2.0])
        return {side: -sign * squeeze * self.config.squeeze_n * left + up for side, sign in SIGN.items()}

    def _wandering(self, reach: Reach) -> Reach:
        """The same reach with hands that wander a little, when perturbed."""
        if self.config.perturbation <= 0.0 or self.phase in (Phase.SQUEEZE, Phase.LIFT):
            return reach
        self._wander = 0.85 * self._wander + self._rng.normal(0.0, 0.006, (2, 3)) * self.config.perturbation
        goals = {
            side: replace(pose, xyz=pose.xyz + noise) for (side, pose), noise in zip(reach.goals.items(), self._wander)
        }
        return replace(reach, goals=goals)
