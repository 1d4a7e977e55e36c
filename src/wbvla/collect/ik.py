"""Inverse kinematics of both arms on a kinematic copy of the robot, and the joint targets that carry a force."""

from collections.abc import Mapping
from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions, build_robot

SIDES = ("left", "right")
GRAVITY = np.array([0.0, 0.0, -9.81])
"""[m/s^2]"""


@dataclass(frozen=True, kw_only=True)
class IkConfig:
    """Weights and effort of the solver."""

    iterations: int = 12
    """QP steps per call at most [-]"""
    step_s: float = 0.1
    """pseudo time of one QP step [s]"""
    position_cost: float = 20.0
    """weight of the palm's position [1/m]"""
    tilt_cost: float = 3.0
    """weight of the palm's side facing the object [1/rad]"""
    pitch_cost: float = 1.0
    """weight of how steeply the fingers point down; lower than `tilt_cost`, because it hardly matters [1/rad]"""
    posture_cost: float = 0.05
    """pull towards the resting posture, which settles the redundant elbow [1/rad]"""
    stride_rad: float = 0.3
    """largest change of a joint in one QP step, which keeps wishes out of reach from throwing the arms about [rad]"""
    roll_room_rad: float = 0.0
    """shoulders roll no nearer to their limits than this: a drive presses by a target beyond the angle, and a target
    past the limit is cut, so a hand whose shoulder rests on its limit presses with half the force and tilts [rad]"""
    tolerance_m: float = 0.002
    """stop early when both palms are this close [m]"""


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Where a palm should be and how it should point, in the torso frame."""

    xyz: Float[np.ndarray, "3"]
    """grasp point of the hand [m]"""
    pitch_down: float = 0.5
    """fingers below the torso's x-axis [rad]"""
    yaw: float = 0.0
    """fingers turned left of the torso's x-axis [rad]"""
    roll: float = 0.0
    """hand turned about its fingers, its left side upwards [rad]"""

    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Columns: along the fingers, left across the palm, the way the fingers close."""
        cp, sp, cy, sy = np.cos(self.pitch_down), np.sin(self.pitch_down), np.cos(self.yaw), np.sin(self.yaw)
        pointing = np.array([[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0.0, cp]])
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        return pointing @ np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])


@dataclass(frozen=True, kw_only=True)
class IkSolution:
    """Joint angles of both arms and what is left of the wish."""

    q: Float[np.ndarray, " arm"]
    """`RobotSpec.arm_joints` order [rad]"""
    error_m: Float[np.ndarray, "2"]
    """distance of each palm from its target [m]"""
    tilt_rad: Float[np.ndarray, "2"]
    """angle of each palm's side from the wanted one [rad]"""


class ArmIk:
    """Both arms on a torso that is held still; the caller gives targets in the torso frame."""

    def __init__(self, spec: RobotSpec, config: IkConfig | None = None) -> None:
        self.spec, self.config = spec, config or IkConfig()
        self.rest = spec.column("default")[spec.indices(spec.arm_joints)]
        self._kp = spec.column("kp")[spec.indices(spec.arm_joints)]
        self._model = self._torso_model(spec)
        for name in spec.arm_joints:
            if "shoulder_roll" in name:
                self._model.joint(name).range += np.array([1.0, -1.0]) * self.config.roll_room_rad
        self._dofs = np.array([self._model.joint(name).dofadr[0] for name in spec.arm_joints])
        self._configuration = mink.Configuration(self._model)
        orientation = [self.config.tilt_cost, self.config.pitch_cost, self.config.tilt_cost]
        self._hands = {
            side: mink.FrameTask(f"{side}_palm", "site", self.config.position_cost, orientation, lm_damping=1e-3)
            for side in SIDES
        }
        self._wanted: dict[str, HandPose] = {}
        self._posture = mink.PostureTask(self._model, self.config.posture_cost)
        stride = {name: np.array([self.config.stride_rad / self.config.step_s]) for name in spec.arm_joints}
        self._limits = [mink.ConfigurationLimit(self._model), mink.VelocityLimit(self._model, stride)]
        self._lower, self._upper = self._model.jnt_range[:, 0] + 1e-3, self._model.jnt_range[:, 1] - 1e-3

    @staticmethod
    def _torso_model(spec: RobotSpec) -> mujoco.MjModel:
        """The robot with only its arm joints left, its torso at the world's origin."""
        welded = tuple(name for name in spec.joint_names if name not in spec.arm_joints)
        scene = build_robot(
            spec, MjcfOptions(welded=welded, visuals=False, cameras=False, grippers=False, colliders=False)
        )
        scene.delete(scene.joint("root"))
        model = scene.compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        root = model.body(spec.root_link).id
        model.body_pos[root] -= data.body(spec.torso_link).xpos
        return model

    def solve(
        self, targets: Mapping[str, HandPose], start: Float[np.ndarray, " arm"], posture: Float[np.ndarray, " arm"]
    ) -> IkSolution:
        """Joint angles that bring the palms to their targets, from a start and near a posture [rad]."""
        self._configuration.update(self._ordered(start))
        self._posture.set_target(self._ordered(posture))
        self._wanted = dict(targets)
        for side, target in targets.items():
            rotation = mink.SO3.from_matrix(target.rotation())
            self._hands[side].set_target(mink.SE3.from_rotation_and_translation(rotation, target.xyz))
        tasks = [*(self._hands[side] for side in targets), self._posture]
        for _ in range(self.config.iterations):
            velocity = mink.solve_ik(
                self._configuration, tasks, self.config.step_s, "daqp", damping=1e-6, limits=self._limits
            )
            moved = self._configuration.integrate(velocity, self.config.step_s)
            self._configuration.update(np.clip(moved, self._lower, self._upper))
            near = all(self._miss(side)[0] < self.config.tolerance_m for side in targets)
            if near and np.abs(velocity).max() * self.config.step_s < 0.01:
                break
        misses = np.array([self._miss(side) if side in targets else (0.0, 0.0) for side in SIDES])
        q = self._configuration.q[self._dofs].copy()
        return IkSolution(q=q, error_m=misses[:, 0], tilt_rad=misses[:, 1])

    def palms(self, q: Float[np.ndarray, " arm"]) -> Mapping[str, Float[np.ndarray, "3"]]:
        """Grasp point of each hand in the torso frame [m]."""
        self._configuration.update(self._ordered(q))
        return {side: self._configuration.data.site(f"{side}_palm").xpos.copy() for side in SIDES}

    def loaded(
        self,
        q: Float[np.ndarray, " arm"],
        torso_rotation: Float[np.ndarray, "3 3"],
        forces_w: Mapping[str, Float[np.ndarray, "3"]],
    ) -> Float[np.ndarray, " arm"]:
        """Joint targets that hold `q` against the arms' weight while each palm pushes with a force.

        A PD joint rests where kp (target - q) equals its load, so the target is moved by load / kp: the weight on
        this torso plus J^T f of each palm.

        Args:
            torso_rotation: world from torso.
            forces_w: force that each palm exerts on its surroundings, in the world frame [N].
        """
        self._configuration.update(self._ordered(q))
        data = self._configuration.data
        self._model.opt.gravity = torso_rotation.T @ GRAVITY
        data.qvel[:] = 0.0
        mujoco.mj_fwdVelocity(self._model, data)
        load = data.qfrc_bias.copy()
        for side, force in forces_w.items():
            jacobian = np.zeros((3, self._model.nv))
            mujoco.mj_jacSite(self._model, data, jacobian, None, self._model.site(f"{side}_palm").id)
            load += jacobian.T @ (torso_rotation.T @ force)
        return q + load[self._dofs] / self._kp

    def _ordered(self, q: Float[np.ndarray, " arm"]) -> Float[np.ndarray, " arm"]:
        """Arm joints in the copy's own order, inside the limits."""
        ordered = np.empty(self._model.nq)
        ordered[self._dofs] = q
        return np.clip(ordered, self._lower, self._upper)

    def _miss(self, side: str) -> tuple[float, float]:
        """Distance [m] of a palm from its target and angle [rad] of its side from the wanted one."""
        wanted = self._wanted[side]
        site = self._configuration.data.site(f"{side}_palm")
        across = site.xmat.reshape(3, 3)[:, 1] @ wanted.rotation()[:, 1]
        return float(np.linalg.norm(site.xpos - wanted.xyz)), float(np.arccos(np.clip(across, -1, 1)))
