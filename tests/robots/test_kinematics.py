"""Forward kinematics and the squat table against closed facts and the height commands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.robots.kinematics import centre_of_mass, height_reference, link_poses, squat_table
from wbvla.robots.platforms import load_robot

X2, G1 = load_robot("agibot_x2"), load_robot("unitree_g1")
TABLES = {spec.name: squat_table(spec) for spec in (X2, G1)}
# hip pitch, knee, ankle pitch -> pelvis height of the X2 with flat soles, solved elsewhere on a physics model
KNOWN_SQUATS = [(-0.303, 0.570, -0.267, 0.650), (-0.616, 1.158, -0.542, 0.575), (-0.825, 1.551, -0.726, 0.500)]


def stand(spec, height: float) -> np.ndarray:
    """Default pose on the legs of a stance height."""
    q = spec.column("default")
    q[spec.indices(spec.lmo_joints)] = height_reference(TABLES[spec.name], np.array(height))
    return q


def sole_height(spec, q: np.ndarray) -> np.ndarray:
    """Height of the root above each sole contact."""
    poses = link_poses(spec, q)
    points = [poses[spec.foot_links[0]].apply(np.array(point)) for point in spec.sole_points]
    return np.array([-point[2] + spec.sole_radius for point in points])


@pytest.mark.parametrize(("hip", "knee", "ankle", "height"), KNOWN_SQUATS)
def test_known_squats(hip: float, knee: float, ankle: float, height: float) -> None:
    q = np.zeros(len(X2.joints))
    for name, angle in (("hip_pitch", hip), ("knee", knee), ("ankle_pitch", ankle)):
        q[X2.indices([f"left_{name}_joint", f"right_{name}_joint"])] = angle
    np.testing.assert_allclose(sole_height(X2, q), height, atol=1.5e-3)


def test_straight_legs_reach_the_documented_height() -> None:
    np.testing.assert_allclose(sole_height(X2, np.zeros(31)), 0.675, atol=1e-3)


@settings(max_examples=8, deadline=None)
@given(share=st.floats(0.0, 1.0), which=st.sampled_from([X2, G1]))
def test_every_commanded_height_is_met_with_flat_soles(share: float, which) -> None:
    low, high = which.height_range_m
    height = low + share * (high - low)
    reached = sole_height(which, stand(which, height))
    assert np.ptp(reached) < 1e-6, "sole is not flat"
    assert reached[0] == pytest.approx(height, abs=2e-3)


@pytest.mark.parametrize("spec", [X2, G1], ids=lambda s: s.name)
def test_centre_of_mass_stands_over_the_feet(spec) -> None:
    q = stand(spec, spec.nominal_height_m)
    ankle = link_poses(spec, q)[spec.foot_links[0]].xyz
    assert centre_of_mass(spec, q)[0] - ankle[0] == pytest.approx(0.03, abs=2e-3)
    assert abs(centre_of_mass(spec, q)[1]) < 3e-3


@pytest.mark.parametrize("spec", [X2, G1], ids=lambda s: s.name)
def test_default_pose_is_the_nominal_stance(spec) -> None:
    np.testing.assert_allclose(spec.column("default"), stand(spec, spec.nominal_height_m), atol=1e-3)


def test_references_stay_within_limits_and_batch() -> None:
    heights = np.linspace(0.3, 0.8, 12).reshape(3, 4)
    reference = height_reference(TABLES[X2.name], heights)
    assert reference.shape == (3, 4, 13)
    legs = X2.indices(X2.lmo_joints)
    assert (reference >= X2.column("lower")[legs]).all()
    assert (reference <= X2.column("upper")[legs]).all()
    single = height_reference(TABLES[X2.name], heights[1, 2])
    np.testing.assert_array_equal(reference[1, 2], single)


def test_batched_poses_equal_single_ones() -> None:
    q = np.random.default_rng(1).uniform(X2.column("lower"), X2.column("upper"), (5, 31))
    batch, single = link_poses(X2, q), link_poses(X2, q[3])
    for name, pose in single.items():
        np.testing.assert_allclose(batch[name].xyz[3], pose.xyz, atol=1e-12)


def test_wrong_number_of_joints_is_refused() -> None:
    with pytest.raises(ConfigError, match="31 joints"):
        link_poses(X2, np.zeros(29))
