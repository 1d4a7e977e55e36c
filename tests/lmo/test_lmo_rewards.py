"""Reward terms: each against a number worked out by hand, on a small frame of two robots."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from wbvla.lmo.plant import Feet, leg_columns
from wbvla.lmo.reward_frame import Before, BodyFacts, Frame, RewardScales, body_facts
from wbvla.lmo.rewards import TERMS, RewardWeights, total
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
NAMES = SPEC.lmo_joints
E1 = math.exp(-1)
ZERO3 = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
FEET = Feet(
    position_w=torch.tensor([[[0.0, 0.14, 0.0], [0.0, -0.14, 0.0]]] * 2),
    velocity_w=torch.zeros(2, 2, 3),
    normal_w=torch.tensor([[[0.0, 0.0, 1.0]] * 2] * 2),
    forward_w=torch.tensor([[[1.0, 0.0, 0.0]] * 2] * 2),
    force=torch.zeros(2, 2),
    force_w=torch.zeros(2, 2, 3),
)


def joints(first: dict[str, float], second: dict[str, float]) -> Tensor:
    """Values of some joints for the first and the second robot; 0 for the rest."""
    out = torch.zeros(2, len(NAMES))
    for row, values in enumerate((first, second)):
        for name, value in values.items():
            out[row, NAMES.index(f"{name}_joint")] = value
    return out


def round_body() -> BodyFacts:
    """The X2's knees and joint names with round limits: +-1 rad, 10 rad/s, 100 N.m, 400 N, ankle 7 cm, 20 ms."""
    ones = torch.ones(len(NAMES))
    return replace(
        body_facts(SPEC, leg_columns(NAMES), 0.02),
        default_q=0 * ones, lower=-ones, upper=ones, speed_limit=10 * ones, effort=100 * ones,
        weight_n=400.0, ankle_m=0.07, nominal_height_m=0.63,
    )  # fmt: skip


def still_frame() -> Frame:
    """Two robots that stand on both feet and do nothing wrong."""
    zero, none = torch.zeros(2, len(NAMES)), torch.zeros(2)
    return Frame(
        error_filtered=torch.zeros(2, 3), speed=torch.zeros(2, 3), goal=torch.zeros(2, 3), vertical=none,
        omega=torch.zeros(2, 3), gravity=torch.tensor([[0.0, 0.0, -1.0]] * 2), height=torch.full((2,), 0.63),
        height_error=none, heading_error=none, walk_error=none, course=torch.zeros(2, 3), feet=FEET,
        contact=torch.ones(2, 2, dtype=torch.bool), landed_s=torch.zeros(2, 2), heading=(torch.ones(2), none),
        q=zero, dq=zero, q_reference=zero, q_target=zero, torque=zero, action=zero, action_1=zero,
        before=Before(reference=torch.zeros(2, 3), asked=zero, action_2=zero, dq_1=zero),
        stance=torch.ones(2, 2, dtype=torch.bool), swing_target=torch.zeros(2, 2),
        moving=torch.zeros(2, dtype=torch.bool), recovering=torch.zeros(2, dtype=torch.bool),
        sigma=(0.2, 0.15, 0.3), scales=RewardScales(), body=round_body(),
    )  # fmt: skip


def frame(**changes: Any) -> Frame:
    """`still_frame` with some fields of its own, its feet or what the tick began with replaced; lists will do."""
    parts: dict[str, dict[str, Any]] = {"frame": {}, "feet": {}, "before": {}}
    of = {"feet": {f.name for f in fields(Feet)}, "before": {f.name for f in fields(Before)}}
    for name, value in changes.items():
        home = next((part for part, names in of.items() if name in names), "frame")
        parts[home][name] = torch.tensor(value) if isinstance(value, list) else value
    base = still_frame()
    feet, before = replace(base.feet, **parts["feet"]), replace(base.before, **parts["before"])
    return replace(base, feet=feet, before=before, **parts["frame"])


# name of the term -> (what the two robots do, what they get for it); the arithmetic is in the comment
BY_HAND: dict[str, tuple[dict[str, Any], Sequence[float]]] = {
    # off by one width of .2 m/s
    "track_x": ({"error_filtered": [[0.0, 0.0, 0.0], [-0.2, 0.0, 0.0]]}, [1.0, E1]),
    # off by two widths of .15 m/s: exp(-4)
    "track_y": ({"error_filtered": [[0.2, 0.0, 0.0], [0.0, 0.3, 0.0]]}, [1.0, 0.0183156]),
    # off by half a width of .3 rad/s: exp(-1/4)
    "track_yaw": ({"error_filtered": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.15]]}, [1.0, 0.7788008]),
    # .5 - .2 = .3 along x, 0 - .4 along y; 4 (.09 + .16) = 1
    "raw_linear": ({"speed": [[0.2, 0.4, 0.9], [0.5, 0.0, 0.0]], "reference": [[0.2, 0.4, 0.0]] * 2}, [1.0, E1]),
    # 4 * .5^2 = 1
    "raw_yaw": ({"speed": [[0.7, 0.0, 0.3], [0.0, 0.0, 0.8]], "reference": [[0.0, 0.0, 0.3]] * 2}, [1.0, E1]),
    # 4 cm is one width; 2 cm half of it
    "height": ({"height_error": [0.04, -0.02]}, [E1, 0.7788008]),
    # the second has its right foot in the air when it should stand
    "gait": ({"contact": [[True, True], [True, False]]}, [1.0, 0.5]),
    # the first stands; the sole of the second is at 6 of 8 cm: 1 - 2/8
    "swing": (
        {
            "moving": [False, True],
            "stance": [[True, True], [True, False]],
            "swing_target": [[0.0, 0.0], [0.0, 0.08]],
            "position_w": [[[0.0, 0.1, 0.0], [0.0, -0.1, 0.06]]] * 2,
        },
        [1.0, 0.75],
    ),
    "alive": ({}, [1.0, 1.0]),
    # .09 + .16
    "orientation": ({"gravity": [[0.0, 0.0, -1.0], [0.3, -0.4, -0.866]]}, [0.0, 0.25]),
    "vertical_speed": ({"vertical": [0.1, -0.3]}, [0.01, 0.09]),
    # 1 + 4; turning is free
    "roll_pitch_rate": ({"omega": [[0.0, 0.0, 5.0], [1.0, -2.0, 5.0]]}, [0.0, 5.0]),
    # the left foot touches at 5 m/s, the right one is in the air; moving upwards is no slip
    "slip": (
        {
            "velocity_w": [[[0.0, 0.0, 9.0], [0.0, 0.0, 0.0]], [[3.0, 4.0, 1.0], [1.0, 0.0, 0.0]]],
            "contact": [[True, True], [True, False]],
        },
        [0.0, 25.0],
    ),
    # .6^2 + .1^2
    "sole_flat": ({"normal_w": [[[0.0, 0.0, 1.0]] * 2, [[0.6, 0.0, 0.8], [0.0, 0.1, 0.995]]]}, [0.0, 0.37]),
    # both feet of the first point along its heading; the second looks along the world's y, its left foot along x
    "foot_yaw": (
        {
            "heading": (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])),
            "forward_w": [[[1.0, 0.0, 0.0]] * 2, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]],
        },
        [0.0, 1.0],
    ),
    # 10 cm: .2 - .1; 46 cm: (.46 - .36) / 2
    "foot_distance": (
        {"position_w": [[[0.0, 0.05, 0.0], [0.0, -0.05, 0.0]], [[0.0, 0.23, 0.0], [0.0, -0.23, 0.0]]]},
        [0.1, 0.05],
    ),
    # hip yaw has weight 1, 1.3 standing: .04 and .052; the knee .02, .32 standing: .005 and .08
    "pose": (
        {
            "moving": [True, False],
            "q": joints(*[{"left_hip_yaw": 0.2, "right_knee": 0.5}] * 2),
        },
        [0.045, 0.132],
    ),
    # (1 - 0)^2 + (0 - 2)^2
    "action_rate": (
        {"action": joints({}, {"left_knee": 1.0}), "action_1": joints({}, {"waist_yaw": 2.0})},
        [0.0, 5.0],
    ),
    # 1 - 2 * 2 - 1 = -4; a straight ramp 3, 2, 1 costs nothing
    "action_jerk": (
        {
            "action": joints({"left_knee": 3.0}, {"left_knee": 1.0}),
            "action_1": joints({"left_knee": 2.0}, {"left_knee": 2.0}),
            "action_2": joints({"left_knee": 1.0}, {"left_knee": -1.0}),
        },
        [0.0, 16.0],
    ),
    "torque": ({"torque": joints({}, {"left_knee": 3.0, "waist_yaw": -4.0})}, [0.0, 25.0]),
    "joint_speed": ({"dq": joints({}, {"left_knee": 2.0, "waist_yaw": -1.0})}, [0.0, 5.0]),
    # of +-1 rad 95 % are free: .10 and .02 beyond
    "joint_limits": ({"q": joints({"left_knee": 0.94}, {"left_knee": 1.05, "waist_yaw": -0.97})}, [0.0, 0.12]),
    # the first walks
    "still": ({"moving": [True, False], "dq": joints(*[{"left_knee": 1.0, "waist_yaw": -2.0}] * 2)}, [0.0, 3.0]),
    # 1 + 4 of the legs; the waist is no leg, and the first walks
    "stand_action": (
        {
            "moving": [True, False],
            "action": joints(*[{"left_knee": 1.0, "right_ankle_roll": -2.0, "waist_yaw": 3.0}] * 2),
        },
        [0.0, 5.0],
    ),
    "drift": ({"moving": [True, False], "error_filtered": [[0.1, -0.2, 0.3]] * 2}, [0.0, 0.6]),
    "direction": ({"moving": [False, True], "heading_error": [-0.4, -0.4]}, [0.0, 0.4]),
    # .5 m and half of .2 rad
    "arrived": ({"course": [[0.0, 0.0, 0.0], [0.0, 0.06, 0.1]]}, [1.0, 0.1353]),
    "place": ({"course": [[0.0, 0.0, 0.0], [0.3, 0.4, -0.2]]}, [0.0, 0.6]),
    # .8 - .3 = .5; 4 * .25 = 1; what the shaped reference says is of no matter
    "forward": (
        {
            "speed": [[0.3, 0.9, 0.0], [0.8, 0.0, 0.0]],
            "goal": [[0.3, 0.0, 0.0]] * 2,
            "reference": [[0.8, 0.0, 0.0]] * 2,
        },
        [1.0, E1],
    ),
    # .05 + .2 = .25; 4 / 16
    "lateral": ({"speed": [[0.9, -0.2, 0.0], [0.0, 0.05, 0.0]], "goal": [[0.0, -0.2, 0.0]] * 2}, [1.0, 0.7788008]),
    # 0 - .5
    "turn": ({"speed": [[0.9, 0.0, 0.5], [0.0, 0.0, 0.0]], "goal": [[0.0, 0.0, 0.5]] * 2}, [1.0, E1]),
    # 4 * .25; 4 * .01
    "height_squared": ({"height_error": [-0.5, 0.1]}, [E1, 0.9607894]),
    # 4 * .25; 4 * .01
    "height_absolute": ({"height_error": [-0.25, 0.01]}, [E1, 0.9607894]),
    # the first squats, which it may do at any speed
    "vertical_speed_tall": ({"vertical": [0.3, 0.3], "height": [0.5, 0.63]}, [0.0, 0.09]),
    # (1 - .9) / .02 = 5 rad/s2; (-.04 - 0) / .02 = -2
    "joint_acceleration": (
        {"dq": joints({}, {"left_knee": 1.0, "waist_yaw": -0.04}), "dq_1": joints({}, {"left_knee": 0.9})},
        [0.0, 29.0],
    ),
    # 1 + 4; knee and yaw are free
    "roll_action": (
        {"action": joints({"left_knee": 3.0, "left_hip_yaw": 1.0}, {"left_hip_roll": 1.0, "right_ankle_roll": -2.0})},
        [0.0, 5.0],
    ),
    # the first walks, with both feet off the floor
    "stand_contact": ({"moving": [True, False], "contact": [[False, False], [True, False]]}, [0.0, 1.0]),
    # .09 + .16
    "hip_deviation": (
        {"q": joints({"left_hip_pitch": 0.9}, {"left_hip_roll": 0.3, "right_hip_yaw": -0.4})},
        [0.0, 0.25],
    ),
    "ankle_deviation": ({"q": joints({"left_ankle_pitch": 0.7}, {"right_ankle_roll": -0.2})}, [0.0, 0.04]),
    # knees at 1 and 0 rad of +-1: bent by 1/2 and 0 off the middle; .1 m too high: (.05 + 0) / 2
    "knee_squat": (
        {"height_error": [0.0, 0.1], "q": joints(*[{"left_knee": 1.0}] * 2)},
        [0.0, 0.025],
    ),
    # .2 s is .3 too short; .8 s is .3 more; feet that were not in the air do not count
    "air_time": ({"moving": [True, True], "landed_s": [[0.2, 0.0], [0.0, 0.8]]}, [-0.3, 0.3]),
    # soles at 7 and 3 cm are ankles at 14 and 10 cm; .04^2 * 5 m/s
    "clearance": (
        {
            "position_w": [[[0.0, 0.1, 0.07], [0.0, -0.1, 0.0]], [[0.0, 0.1, 0.03], [0.0, -0.1, 0.0]]],
            "velocity_w": [[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]] * 2,
        },
        [0.0, 0.008],
    ),
    # 10 cm: .1 - .2; 47 cm: .35 - .47
    "feet_lateral": (
        {"position_w": [[[0.0, 0.05, 0.0], [0.0, -0.05, 0.0]], [[0.0, 0.24, 0.0], [0.0, -0.23, 0.0]]]},
        [-0.1, -0.12],
    ),
    # hip roll axis at y = .13705, knee .31995 below and .000225 outside of it. Rolled in by .2 rad:
    # y = .13705 + .00022 - .31995 sin .2 = .07371, 14.74 cm between both; left one out by .5 rad:
    # y = .13705 + .00020 + .31995 sin .5 = .29064, and .13728 on the right: 42.79 cm
    "knees_lateral": (
        {"q": joints({"left_hip_roll": -0.2, "right_hip_roll": 0.2}, {"left_hip_roll": 0.5})},
        [-0.0526, -0.0779],
    ),
    # |3 * -2| + |4 * 1|; torque without motion does no work
    "power": (
        {
            "torque": joints({"left_knee": 9.0}, {"left_knee": 3.0, "waist_yaw": 4.0}),
            "dq": joints({}, {"left_knee": -2.0, "waist_yaw": 1.0}),
        },
        [0.0, 10.0],
    ),
    # 2.9 and 3.1 times the vertical force
    "stumble": (
        {"force_w": [[[2.9, 0.0, 1.0], [0.0, 0.0, 9.0]], [[0.0, 0.0, 9.0], [0.0, 3.1, 1.0]]]},
        [0.0, 1.0],
    ),
    # beyond 9.5 rad/s: .4, and 2.5 that counts as 1
    "joint_speed_limits": ({"dq": joints({"left_knee": 9.4}, {"left_knee": 9.9, "waist_yaw": -12.0})}, [0.0, 1.4]),
    # beyond 95 N.m: 2 and 5
    "torque_limits": ({"torque": joints({"left_knee": 94.0}, {"left_knee": 97.0, "waist_yaw": -100.0})}, [0.0, 7.0]),
    # both walk; the first on both feet
    "no_fly": ({"moving": [True, True], "contact": [[True, True], [False, True]]}, [0.0, 1.0]),
    # .2^2 + .2^2
    "tracking_error": (
        {"q": joints({}, {"left_knee": 0.3}), "q_target": joints({}, {"left_knee": 0.1, "waist_yaw": -0.2})},
        [0.0, 0.08],
    ),
    # 1.2 * 400 N are free
    "contact_forces": ({"force": [[480.0, 480.0], [500.0, 100.0]]}, [0.0, 20.0]),
    # -.1 m/s * 300 N; going up under load is free, and so is going down without
    "contact_momentum": (
        {
            "velocity_w": [[[0.0, 0.0, 0.2], [0.0, 0.0, -0.5]], [[0.0, 0.0, -0.1], [0.0, 0.0, 0.2]]],
            "force": [[200.0, 0.0], [300.0, 100.0]],
        },
        [0.0, -30.0],
    ),
    # 6 - 5 and 7 - 5 beyond the clip
    "action_vanish": (
        {
            "asked": joints({"left_knee": 4.0}, {"left_knee": 6.0, "waist_yaw": -7.0}),
            "action": joints({"left_knee": 4.0}, {"left_knee": 5.0, "waist_yaw": -5.0}),
        },
        [0.0, 3.0],
    ),
    # once round and .1 rad is .1 rad off, over a tick of .02 s; -.3 rad
    "direction_end": ({"walk_error": [2 * math.pi + 0.1, -0.3]}, [5.0, 15.0]),
}


def test_every_term_has_a_weight_a_formula_and_a_number_by_hand() -> None:
    assert list(TERMS) == [f.name for f in fields(RewardWeights)]
    assert all(term.__doc__ for term in TERMS.values())
    assert set(BY_HAND) == set(TERMS)
    same = [name for name, (_, wanted) in BY_HAND.items() if wanted[0] == wanted[1]]
    assert same == ["alive"], "the two robots of a case must differ, or the case says little"


@pytest.mark.parametrize("name", BY_HAND)
def test_terms_give_the_numbers_worked_out_by_hand(name: str) -> None:
    changes, wanted = BY_HAND[name]
    assert TERMS[name](frame(**changes)).tolist() == pytest.approx(list(wanted), rel=1e-4, abs=1e-4)


def test_a_narrower_robot_may_put_its_feet_closer() -> None:
    """20 to 36 cm at the X2's 27.43 cm are 14.58 to 26.25 cm at 20 cm."""
    narrow = replace(frame(), body=replace(round_body(), stance_m=0.2))
    assert narrow.foot_spread.tolist() == pytest.approx([0.28, 0.28])
    assert TERMS["foot_distance"](narrow).tolist() == pytest.approx([(0.28 - 0.2625) / 2] * 2, abs=1e-4)


def test_a_pushed_robot_may_step() -> None:
    """While recovering, lifted feet and moving joints cost a standing robot nothing."""
    pushed = frame(
        contact=[[True, False]] * 2, dq=torch.ones(2, 13), recovering=[True, False], action=torch.ones(2, 13)
    )
    assert TERMS["gait"](pushed).tolist() == [1.0, 0.5]
    assert TERMS["still"](pushed).tolist() == [0.0, 13.0]
    assert TERMS["stand_action"](pushed).tolist() == [0.0, 12.0]
    assert TERMS["stand_contact"](pushed).tolist() == [0.0, 1.0]


def test_total_is_the_weighted_sum_by_hand() -> None:
    """2 * 25 N2m2 of torque at -.1 and 1 of alive at .5: -4.5; the mean over robots is logged for each."""
    weights = replace(RewardWeights(**dict.fromkeys(TERMS, 0.0)), torque=-0.1, alive=0.5)
    reward, parts = total(frame(torque=joints({}, {"left_knee": 5.0, "waist_yaw": -5.0})), weights)
    assert reward.tolist() == pytest.approx([0.5, -4.5])
    assert {name: part.item() for name, part in parts.items()} == pytest.approx({"alive": 0.5, "torque": -2.5})


def test_terms_without_a_weight_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(name: str, term: Any) -> Any:
        return lambda f: asked.append(name) or term(f)

    for name, term in list(TERMS.items()):
        monkeypatch.setitem(TERMS, name, noted(name, term))
    weights = RewardWeights()
    total(frame(), weights)
    assert asked == [name for name in TERMS if getattr(weights, name) != 0]
    assert "knees_lateral" not in asked
    asked.clear()
    reward, parts = total(frame(), RewardWeights(**dict.fromkeys(TERMS, 0.0)))
    assert asked == []
    assert reward.tolist() == [0.0, 0.0]
    assert parts == {}
