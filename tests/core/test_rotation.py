"""Rotations obey the group axioms and agree on frames and signs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wbvla.core import rotation as R

vectors = arrays(np.float64, 3, elements=st.floats(-3, 3))


def unit(rpy: np.ndarray) -> np.ndarray:
    return R.quat_from_rpy(rpy)


@given(vectors, vectors, vectors)
def test_rotating_twice_is_rotating_by_the_product(a, b, v):
    qa, qb = unit(a), unit(b)
    assert np.allclose(R.quat_rotate(qa, R.quat_rotate(qb, v)), R.quat_rotate(R.quat_multiply(qa, qb), v))


@given(vectors, vectors)
def test_conjugate_undoes_and_length_is_kept(a, v):
    q = unit(a)
    assert np.allclose(R.quat_rotate(R.quat_conjugate(q), R.quat_rotate(q, v)), v)
    assert np.isclose(np.linalg.norm(R.quat_rotate(q, v)), np.linalg.norm(v))


@given(vectors)
def test_gravity_is_the_world_down_seen_from_the_body(a):
    q = unit(a)
    down = R.quat_rotate(R.quat_conjugate(q), np.array([0.0, 0.0, -1.0]))
    assert np.allclose(R.projected_gravity(q), down)


@given(st.floats(-3.1, 3.1))
def test_yaw_is_counter_clockwise(yaw):
    q = unit(np.array([0.0, 0.0, yaw]))
    assert np.isclose(R.yaw_of(q), yaw)
    assert np.allclose(R.quat_rotate(q, np.array([1.0, 0, 0])), [np.cos(yaw), np.sin(yaw), 0])


@given(st.floats(-50, 50))
def test_wrap_angle_lands_in_one_turn(angle):
    wrapped = R.wrap_angle(angle)
    assert -np.pi <= wrapped < np.pi
    assert np.isclose(np.cos(wrapped), np.cos(angle), atol=1e-6)


def test_cross_is_numpys_to_the_bit():
    rng = np.random.default_rng(0)
    for first, second in (((3,), (3,)), ((3,), (5, 3)), ((4, 1, 3), (5, 3)), ((2, 5, 3), (2, 5, 3))):
        a, b = rng.normal(size=first), rng.normal(size=second)
        assert np.array_equal(R.cross(a, b), np.cross(a, b))
