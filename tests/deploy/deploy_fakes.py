"""A body, a balancer and a policy for the runtime's tests; each checks what it is given."""

import numpy as np

from wbvla.core.command import Command
from wbvla.core.errors import RobotError
from wbvla.core.records import Action, BodyState, Image, JointTarget, Observation
from wbvla.robots.description import RobotSpec

HZ = 50.0


class IdealBody:
    """A robot whose joints follow their targets, slower when stiffness falls; time is simulated or given."""

    control_hz = HZ

    def __init__(self, spec: RobotSpec) -> None:
        self.joint_names = spec.joint_names
        self.q, self.dq = spec.column("default"), np.zeros(len(spec.joints))
        self.kp = spec.column("kp")
        self.gravity, self.lag_s, self.time_s = np.array([0.0, 0.0, -1.0]), 0.0, 0.0
        self.written: list[JointTarget] = []

    def read(self) -> BodyState:
        joints = len(self.q)
        return BodyState(
            time_s=self.time_s - self.lag_s,
            q=self.q.copy(),
            dq=self.dq.copy(),
            torque=np.zeros(joints),
            gripper=np.ones(2),
            gyro_b=np.zeros(3),
            gravity_b=self.gravity.copy(),
        )

    def images(self) -> dict[str, Image]:
        frame = np.full((12, 16, 3), int(self.time_s * 10) % 256, dtype=np.uint8)
        return {name: Image(rgb=frame, time_s=self.time_s) for name in ("head", "left_hand", "right_hand")}

    def write(self, target: JointTarget) -> None:
        if target.q.shape != self.q.shape:
            raise RobotError("wrong number of joints")
        if not (target.kd > 0).all() or not (target.kp > 0).all():
            raise RobotError("zero torque on a standing robot")
        self.written.append(target)

    def tick(self) -> float:
        if self.written:
            self.q = self.q + 0.5 * (self.written[-1].q - self.q)
        self.time_s += 1.0 / HZ
        return self.time_s

    def close(self) -> None:
        self.written.clear()


class StandingBalancer:
    """Holds the default legs and remembers the commands it was given."""

    def __init__(self, spec: RobotSpec) -> None:
        index = spec.indices(spec.lmo_joints)
        self.kp, self.kd, self._legs = (spec.column(c)[index] for c in ("kp", "kd", "default"))
        self.commands: list[Command] = []
        self.fail_after = 10**9

    def reset(self, height_m: float) -> None:
        self.commands.clear()

    def step(self, state: BodyState, command: Command) -> np.ndarray:
        self.commands.append(command)
        return self._legs * (np.nan if len(self.commands) > self.fail_after else 1.0)


class WalkingPolicy:
    """Walks forward and moves its arms: chunk value = the observation's sequence, scaled; refuses bad input."""

    instruction = "walk"

    def __init__(self, spec: RobotSpec, steps: int = 10) -> None:
        self.spec, self.steps, self.resets = spec, steps, 0
        self.seen: list[Observation] = []

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: Observation) -> Action:
        assert observation.state.q.shape == (len(self.spec.joints),)
        assert set(observation.images) == {"head", "left_hand", "right_hand"}
        self.seen.append(observation)
        rest = self.spec.column("default")[self.spec.indices(self.spec.arm_joints)]
        return chunk(rest, self.steps)


def chunk(arm: np.ndarray, steps: int = 10, **changes) -> Action:
    """A chunk that walks forward with constant arms, with fields changed."""
    fields = {
        "rate_hz": 10.0,
        "arm_targets": np.tile(arm, (steps, 1)),
        "grippers": np.ones((steps, 2)),
        "flags": np.tile(np.array([1, 0, 0]), (steps, 1)),
        "height_m": np.full(steps, 0.62),
    }
    return Action(**{**fields, **changes})
