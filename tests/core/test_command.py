"""The command and its shaping: signs, no jump, no kick-back; and the printed form's kick-back, kept as an option."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.command import (
    Command,
    Shaping,
    printed_reference_velocity,
    reference_velocity,
    shaped_velocity,
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


PAPER = Shaping(goal_speed=(0.3, 0.3, 0.3), alpha=2.0, smoothing=0.05, form="printed")


def forward_reference(shaping: Shaping, held_s: float) -> np.ndarray:
    """v_ref along x over a held flag and 3 s after, at 50 Hz, by the form that `shaping` names."""
    sbar, out = np.zeros(3), []
    for tick in range(round(held_s * 50) + 150):
        flags = np.array([1.0 if tick < held_s * 50 else 0.0, 0.0, 0.0])
        sbar = smooth_flags(sbar, flags, shaping)
        out.append(shaped_velocity(flags, sbar, np.array(shaping.goal_speed), shaping)[0])
    return np.array(out)


def test_the_printed_form_starts_with_a_jump_lets_go_within_a_second_and_kicks_back():
    """v_goal 0.3 m/s, alpha 2, lambda 0.05 at 50 Hz: 0.287 at once, 0.044 after 1 s, -0.287 m/s at the release."""
    v = forward_reference(PAPER, held_s=5.0)
    assert v[0] == pytest.approx(0.287, abs=5e-4)
    assert v[50] == pytest.approx(0.044, abs=5e-4)
    assert v[249] == pytest.approx(0.0, abs=1e-5)
    assert v[250] == pytest.approx(-0.287, abs=5e-4)
    assert v.sum() / 50 == pytest.approx(0.0, abs=1e-3), "over a press and its release it asks for no way at all"


def test_the_held_form_keeps_the_speed_and_never_turns_round():
    v = forward_reference(replace(PAPER, form="held"), held_s=5.0)
    assert v[0] == pytest.approx(0.3 * np.tanh(0.1))
    assert v[249] == pytest.approx(0.3 * np.tanh(2.0), abs=1e-5)
    assert (v >= 0.0).all()
    assert v.sum() / 50 > 1.4, "5 s at 0.289 m/s are 1.45 m"


def test_an_unknown_form_is_refused():
    with pytest.raises(ConfigError, match="printed"):
        Shaping(form="typed")


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
