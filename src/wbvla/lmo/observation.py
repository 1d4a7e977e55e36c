"""What the controller sees, what its critic sees besides, and how both look in a mirror."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from wbvla.robots.description import RobotSpec

PRESETS: dict[str, tuple[str, ...]] = {
    "paper": (),
    "clock": ("clock",),
    "heading": ("clock", "heading"),
    "course": ("clock", "course"),
    "history": ("history",),
}
"""Blocks after [u 4, omega 3, gravity 3, q 13, dq 13, a_prev 13], the paper's 49 numbers: `clock` sin, cos of the gait;
`heading` turned minus asked for, by the gyro; `course` that and the distance from the intended place, by leg odometry;
`history` the 49 numbers of the five ticks before, newest first (HOMIE: six frames)"""
PAST = 5
"""ticks of the past that `history` keeps"""
WIDTH = {"clock": 2, "heading": 1, "course": 3}
SWAP = ((1, 0), (1.0, 1.0))
FLAGS = ((0, 1, 2), (1.0, -1.0, -1.0))
"""also velocities along x, y and about z"""
VECTOR = ((0, 1, 2), (1.0, -1.0, 1.0))
"""also gravity"""
AXIAL = ((0, 1, 2), (-1.0, 1.0, -1.0))
"""angular velocity"""
SAME = ((0,), (1.0,))
CLOCK = ((0, 1), (-1.0, -1.0))
"""half a stride later"""
HANDS = ((3, 4, 5, 0, 1, 2), (1.0, -1.0, 1.0, 1.0, -1.0, 1.0))
"""forces on the left and right hand"""
Mirror = tuple[tuple[int, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Half widths of uniform noise on the controller's senses (docs/lmo.md)."""

    omega: float = 0.15
    """[rad/s]"""
    gravity: float = 0.03
    """[-]"""
    q: float = 0.01
    """[rad]"""
    dq: float = 0.5
    """[rad/s]"""


@dataclass(frozen=True)
class MirrorMap:
    """mirrored[..., i] = sign[i] * x[..., index[i]]; its own inverse."""

    index: Int[Tensor, " n"]
    sign: Float[Tensor, " n"]

    def __call__(self, x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
        return x[..., self.index] * self.sign


def joint_mirror(spec: RobotSpec, names: tuple[str, ...]) -> Mirror:
    """Left-right reflection of values of the named joints."""
    index, sign = spec.mirror(names)
    return tuple(int(i) for i in index), tuple(float(s) for s in sign)


def chain_mirrors(parts: list[Mirror]) -> MirrorMap:
    """One map for blocks that stand side by side."""
    index: list[int] = []
    sign: list[float] = []
    for columns, signs in parts:
        index += [len(sign) + c for c in columns]
        sign += signs
    return MirrorMap(torch.tensor(index), torch.tensor(sign))


def actor_mirror(spec: RobotSpec, preset: str) -> MirrorMap:
    """Mirror of the controller's observation."""
    joints = joint_mirror(spec, spec.lmo_joints)
    blocks = [FLAGS, SAME, AXIAL, VECTOR, joints, joints, joints]
    extra = {"clock": [CLOCK], "heading": [((0,), (-1.0,))], "course": [FLAGS], "history": PAST * blocks}
    return chain_mirrors([*blocks, *(part for block in PRESETS[preset] for part in extra[block])])


def critic_mirror(spec: RobotSpec, preset: str, arm_names: tuple[str, ...], held_names: tuple[str, ...]) -> MirrorMap:
    """Mirror of the critic's observation, in the order of `privileged`."""
    actor = actor_mirror(spec, preset)
    first = (tuple(actor.index.tolist()), tuple(actor.sign.tolist()))
    known = [VECTOR, FLAGS, FLAGS, SAME, SWAP, SWAP, CLOCK, SAME]
    joints = [joint_mirror(spec, arm_names), joint_mirror(spec, held_names)]
    return chain_mirrors([first, *known, *joints, SAME, SAME, SWAP, SAME, SAME, FLAGS, FLAGS, HANDS, SAME, SAME])


def action_mirror(spec: RobotSpec) -> MirrorMap:
    """Mirror of an action."""
    return chain_mirrors([joint_mirror(spec, spec.lmo_joints)])


def noise_scale(preset: str, num_joints: int, config: NoiseConfig) -> Float[Tensor, " n"]:
    """Half width of the noise on each number of the observation."""
    widths = [0.0] * 4 + [config.omega] * 3 + [config.gravity] * 3
    widths += [config.q] * num_joints + [config.dq] * num_joints + [0.0] * num_joints
    more = {**WIDTH, "history": PAST * len(widths)}
    return torch.tensor(widths + [0.0] * sum(more[block] for block in PRESETS[preset]))


def add_noise(clean: Float[Tensor, "world n"], scale: Float[Tensor, " n"], rng: Generator) -> Float[Tensor, "world n"]:
    """clean + scale * U(-1, 1)."""
    return clean + scale * (2 * torch.rand(clean.shape, generator=rng, device=rng.device) - 1)


def clock_signal(phase: Float[Tensor, " world"], moving: Tensor) -> Float[Tensor, "world 2"]:
    """sin and cos of the gait phase; 0 while standing."""
    angle = 2 * np.pi * phase
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=1) * moving[:, None]
