"""Recorded channels are named in the order in which the records are written."""

import numpy as np
import pytest

from wbvla.core.records import Action, BodyState
from wbvla.data.features import ACTION, IMAGE, STATE, contract_for, features_for, state_names, state_vector
from wbvla.data.journal import as_json
from wbvla.robots.platforms import load_robot


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_names_and_vectors_have_one_order(robot):
    spec = load_robot(robot)
    joints, arms = len(spec.joint_names), len(spec.arm_joints)
    features = features_for(spec, ("head", "left_hand"), height=120, width=160)
    assert features[IMAGE + "head"].shape == (120, 160, 3)
    assert features[STATE].shape == (2 * joints + 8,)
    assert features[ACTION].shape == (arms + 6,)
    state = BodyState(
        time_s=0.0,
        q=np.arange(joints) * 1.0,
        dq=np.arange(joints) + 100.0,
        torque=np.zeros(joints),
        gripper=np.array([0.2, 0.4]),
        gyro_b=np.array([7.0, 8.0, 9.0]),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )
    named = dict(zip(state_names(spec), state_vector(state)))
    assert named[f"{spec.joint_names[3]}.q_rad"] == 3.0
    assert named[f"{spec.joint_names[3]}.dq_radps"] == 103.0
    assert named["right_gripper.opening"] == pytest.approx(0.4)
    assert (named["gyro_y.radps"], named["gravity_z"]) == (8.0, -1.0)
    action = Action(
        rate_hz=10.0,
        arm_targets=np.arange(arms, dtype=np.float64)[None],
        grippers=np.array([[0.1, 0.9]]),
        flags=np.array([[1, -1, 0]]),
        height_m=np.array([0.6]),
    )
    named = dict(zip(features[ACTION].names or (), action.vectors()[0]))
    assert named[f"{spec.arm_joints[5]}.target_rad"] == 5.0
    assert (named["s_x"], named["s_y"], named["s_psi"], named["height_m"]) == (1.0, -1.0, 0.0, 0.6)
    assert named["left_gripper.opening"] == 0.1
    assert b"joint_names" in as_json(contract_for(spec))
