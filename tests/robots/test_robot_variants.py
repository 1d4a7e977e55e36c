"""Variants of a robot differ in what they say and in nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.robots.platforms import load_robot
from wbvla.robots.variants import G1_SOLES, X2_V1_3_0, other_soles, scaled_masses, x2_v1_3_0

X2 = load_robot("agibot_x2")


def test_masses_scale_and_nothing_else_does() -> None:
    heavy = scaled_masses(X2, 1.2)
    for before, after in zip(X2.links, heavy.links):
        assert after.mass == pytest.approx(1.2 * before.mass)
        np.testing.assert_allclose(after.inertia, 1.2 * np.array(before.inertia))
        assert after.com_xyz == before.com_xyz
    assert heavy.hands[0].mass == pytest.approx(1.2 * X2.hands[0].mass)
    assert replace(heavy, links=X2.links, hands=X2.hands) == X2
    with pytest.raises(ConfigError):
        scaled_masses(X2, 0.0)


def test_first_generation_is_weaker_and_never_stronger() -> None:
    first = x2_v1_3_0(X2)
    by_name = {joint.name: joint for joint in first.joints}
    assert by_name["left_ankle_pitch_joint"].effort == 36.0
    assert by_name["right_ankle_roll_joint"].upper == 0.2625
    assert by_name["left_hip_yaw_joint"].lower == -1.684
    for before, after in zip(X2.joints, first.joints):
        assert after.effort <= before.effort
        assert after == before or after.name in X2_V1_3_0
    with pytest.raises(ConfigError, match="no joints"):
        x2_v1_3_0(load_robot("unitree_g1"))


def test_narrow_soles() -> None:
    narrow = other_soles(X2, G1_SOLES)
    width = [np.ptp(np.array(spec.sole_points)[:, 1]) for spec in (X2, narrow)]
    assert width[1] == pytest.approx(0.48 * width[0])
    assert np.array(narrow.sole_points)[:, 2].min() == np.array(X2.sole_points)[:, 2].min()
