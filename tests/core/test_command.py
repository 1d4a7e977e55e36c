"""The command and its shaping: signs, no jump, no kick-back; and the printed form's kick-back, kept as an option."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.command import (
    Command,
    Shaping,
    printed_reference_velocity,
    reference_velocity,
    slew_height,
    smooth_flags,
)
from wbvla.core.errors import ConfigError

SHAPING = Shaping()
GOAL = np.array(SHAPING.goal_speed)
ternary = st.sampled_from([-1, 0, 1])


def press_and_release(sign: int, formula: str) -> np.ndarray:
    """Reference velocity over 2 s of a held flag and 3 s after its release, 50 Hz."""
    sbar, out = np.zeros(3), []
    for tick in range(250):
        flags = np.full(3, float(sign if tick < 100 else 0))
        sbar = smooth_flags(sbar, flags, SHAPING)
        if formula == "ours":
            out.append(reference_velocity(sbar, GOAL, SHAPING))
        else:
            out.append(printed_reference_velocity(flags, sbar, GOAL, SHAPING))
    return np.array(out)


@pytest.mark.parametrize("sign", [-1, 1])
def test_reference_has_the_sign_of_the_flag_and_never_crosses_zero(sign):
    v = press_and_release(sign, "ours")
    assert (v * sign >= 0).all()
    assert np.allclose(v[99], sign * GOAL * np.tanh(SHAPING.alpha), rtol=1e-2)
    assert np.abs(v[-1]).max() < 0.01


def test_reference_rises_and_falls_without_a_jump():
    v = press_and_release(1, "ours")
    largest_step = np.abs(np.diff(v, axis=0, prepend=np.zeros((1, 3)))).max(axis=0)
    assert (largest_step < 0.15 * GOAL).all()


def test_printed_formula_decays_while_held_and_kicks_back_on_release():
    v = press_and_release(1, "printed")
    assert v[0, 0] > 0.9 * GOAL[0]
    assert v[99, 0] < 0.05 * GOAL[0]
    assert v[100, 0] < -0.9 * GOAL[0]


@given(ternary, ternary, ternary, st.floats(0.3, 1.2))
def test_vector_round_trip(s_x, s_y, s_psi, height):
    command = Command(s_x=s_x, s_y=s_y, s_psi=s_psi, height_m=height)
    assert Command.from_vector(command.vector()) == command


@pytest.mark.parametrize("bad", [{"s_x": 2}, {"s_psi": -3}, {"height_m": float("nan")}])
def test_impossible_commands_are_refused(bad):
    with pytest.raises(ConfigError):
        Command(**{"height_m": 0.6, **bad})


def test_half_pressed_flag_in_a_vector_is_refused():
    with pytest.raises(ConfigError, match="flags"):
        Command.from_vector(np.array([0.5, 0.0, 0.0, 0.6]))


@given(st.floats(0.4, 0.7), st.floats(0.4, 0.7))
def test_height_moves_by_at_most_the_slew(now, target):
    new = slew_height(np.array([now]), np.array([target]), SHAPING, 0.02)
    assert abs(new[0] - now) <= SHAPING.height_slew_mps * 0.02 + 1e-12
    assert abs(target - new[0]) <= abs(target - now) + 1e-12
