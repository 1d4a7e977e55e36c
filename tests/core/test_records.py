"""Records refuse what cannot be executed: wrong shapes, NaN, flags beyond one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.core.records import Action, BodyState, JointTarget


def make_action(steps: int = 3, **changes) -> Action:
    values = {
        "rate_hz": 10.0,
        "arm_targets": np.zeros((steps, 14)),
        "grippers": np.full((steps, 2), 0.5),
        "flags": np.zeros((steps, 3), dtype=np.int64),
        "height_m": np.full(steps, 0.6),
    }
    return Action(**{**values, **changes})


@given(st.integers(1, 8), st.integers(0, 2**31))
def test_action_vectors_round_trip(steps, seed):
    rng = np.random.default_rng(seed)
    action = make_action(
        steps,
        arm_targets=rng.normal(size=(steps, 14)),
        grippers=rng.uniform(size=(steps, 2)),
        flags=rng.integers(-1, 2, (steps, 3)),
        height_m=rng.uniform(0.4, 0.7, steps),
    )
    back = Action.from_vectors(action.vectors(), 10.0)
    assert np.allclose(back.vectors(), action.vectors())
    assert back.command(steps - 1) == action.command(steps - 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"arm_targets": np.full((3, 14), np.nan)},
        {"height_m": np.array([0.6, np.inf, 0.6])},
        {"flags": np.full((3, 3), 2)},
        {"rate_hz": 0.0},
    ],
)
def test_action_refuses_what_cannot_be_executed(changes):
    with pytest.raises(ConfigError):
        make_action(**changes)


def test_joint_target_with_nan_is_refused():
    ok = np.zeros(31)
    with pytest.raises(ConfigError, match="NaN"):
        JointTarget(q=np.full(31, np.nan), kp=ok, kd=ok, gripper=np.zeros(2))


def test_body_state_with_a_missing_joint_is_refused():
    values = {"time_s": 0.0, "q": np.zeros(31), "dq": np.zeros(31), "torque": np.zeros(31)}
    rest = {"gripper": np.zeros(2), "gyro_b": np.zeros(3), "gravity_b": np.array([0.0, 0.0, -1.0])}
    assert BodyState(**values, **rest).q.shape == (31,)
    with pytest.raises((ConfigError, TypeError)):
        BodyState(**{**values, "dq": np.zeros(30)}, **rest)
