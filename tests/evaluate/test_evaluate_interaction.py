"""A policy that listens is told from one that does not; the random baseline is what it claims to be."""

import numpy as np
import pytest

from wbvla.core.errors import LinkError
from wbvla.core.records import Action, BodyState, Image, Observation
from wbvla.evaluate.interaction import sensitivity
from wbvla.evaluate.random_policy import RandomPolicy
from wbvla.robots.platforms import load_robot


def observation(words: str, grey: int) -> Observation:
    zeros = np.zeros(31)
    state = BodyState(
        time_s=0.0, q=zeros, dq=zeros, torque=zeros, gripper=np.ones(2), gyro_b=np.zeros(3),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )  # fmt: skip
    rgb = np.full((6, 8, 3), grey, dtype=np.uint8)
    return Observation(sequence=0, state=state, images={"head": Image(rgb=rgb, time_s=0.0)}, instruction=words)


def action(arm: float, flag: int) -> Action:
    return Action(
        rate_hz=10.0, arm_targets=np.full((4, 14), arm), grippers=np.ones((4, 2)),
        flags=np.full((4, 3), flag), height_m=np.full(4, 0.6),
    )  # fmt: skip


def listens(seen: Observation) -> Action:
    return action(0.1 * len(seen.instruction), int("left" in seen.instruction))


def looks(seen: Observation) -> Action:
    if not seen.instruction:
        raise LinkError("policy_fault: the instruction is empty")
    return action(seen.images["head"].rgb.mean() / 255.0, 0)


def test_listening_and_looking_are_told_apart() -> None:
    starts = [observation("walk left to the box", grey) for grey in (100, 120, 150, 180, 200)]
    heard = sensitivity(listens, starts, "sit")
    seen = sensitivity(looks, starts, "sit")
    assert heard["repeated: arm change [rad]"]["mean"] == 0.0
    assert heard["other instruction: arm change [rad]"]["low"] > 0.1
    assert heard["other instruction: share of flags changed"] == 1.0
    assert heard["black cameras: arm change [rad]"]["mean"] == 0.0
    assert (heard["empty instruction"], seen["empty instruction"]) == ("accepted", "refused")
    assert seen["other instruction: arm change [rad]"]["mean"] == 0.0
    assert seen["black cameras: arm change [rad]"]["mean"] == pytest.approx(150 / 255)


def test_random_policy_is_seeded_bounded_and_ignores_what_it_sees() -> None:
    spec = load_robot("agibot_x2")
    arms = spec.indices(spec.arm_joints)
    first, again, other = (RandomPolicy(spec, seed) for seed in (3, 3, 4))
    chunks = [p.act(observation("x", i)) for p in (first,) for i in range(200)]
    np.testing.assert_array_equal(
        chunks[50].vectors(), [again.act(observation("y", 9)) for _ in range(51)][-1].vectors()
    )
    assert not np.array_equal(chunks[0].vectors(), other.act(observation("x", 0)).vectors())
    targets = np.concatenate([c.arm_targets for c in chunks])
    assert (targets >= spec.column("lower")[arms]).all()
    assert (targets <= spec.column("upper")[arms]).all()
    assert np.ptp(targets, axis=0).min() > 0.2
    assert {tuple(c.flags[0]) for c in chunks} >= {(0, 0, 0)} or len({tuple(c.flags[0]) for c in chunks}) > 10
    first.reset()
    np.testing.assert_array_equal(first.act(observation("", 0)).vectors(), chunks[0].vectors())
