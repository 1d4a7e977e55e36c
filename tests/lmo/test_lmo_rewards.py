"""Reward terms: each weight has its function, and the formulas give the numbers they promise."""

from dataclasses import fields, replace

import pytest
import torch

from wbvla.lmo import rewards
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.rewards import TERMS, Frame, RewardWeights
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot


@pytest.fixture(scope="module")
def frame() -> Frame:
    env = LmoEnvironment(
        load_robot("agibot_x2"), EnvironmentConfig(num_worlds=4, num_threads=1), Stage(start_iteration=0, push=0.0)
    )
    return env._frame(torch.zeros(4, 3), torch.zeros(4, 13))


def test_every_weight_has_its_term() -> None:
    assert list(TERMS) == [f.name for f in fields(RewardWeights)]
    assert all(term.__doc__ for term in TERMS.values())


def test_tracking_is_one_without_error_and_falls_as_stated(frame: Frame) -> None:
    error = torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.15, 0.3], [-0.2, 0.0, 0.0], [0.0, 0.0, 0.6]])
    f = replace(frame, error_filtered=error, error_raw=error, sigma=(0.2, 0.15, 0.3))
    e = torch.exp(torch.tensor(-1.0)).item()
    assert rewards.track_x(f).tolist() == pytest.approx([1, e, e, 1])
    assert rewards.track_y(f).tolist() == pytest.approx([1, e, 1, 1])
    assert rewards.track_yaw(f)[3].item() == pytest.approx(e**4)
    assert rewards.raw_yaw(f)[3].item() == pytest.approx(e ** (4 * 0.36))


def test_a_pushed_robot_may_step(frame: Frame) -> None:
    """While recovering, lifted feet and moving joints cost a standing robot nothing."""
    still = replace(
        frame,
        moving=torch.zeros(4, dtype=torch.bool),
        stance=torch.ones(4, 2, dtype=torch.bool),
        contact=torch.tensor([[True, False]]).repeat(4, 1),
        dq=torch.ones(4, 13),
        recovering=torch.tensor([True, False, True, False]),
    )
    assert rewards.gait(still).tolist() == [1.0, 0.5, 1.0, 0.5]
    assert rewards.still(still).tolist() == [0.0, 13.0, 0.0, 13.0]


def test_total_is_the_weighted_sum(frame: Frame) -> None:
    weights = RewardWeights()
    reward, parts = rewards.total(frame, weights)
    by_hand = sum(getattr(weights, name) * term(frame) for name, term in TERMS.items())
    assert torch.allclose(reward, torch.as_tensor(by_hand), atol=1e-5)
    assert parts["alive"].item() == pytest.approx(weights.alive)


def test_stages_scale_what_they_say() -> None:
    stage = Stage(start_iteration=0, smoothness=3.0, sharpness=0.5)
    assert stage.apply(RewardWeights()).action_rate == pytest.approx(-0.03)
    assert stage.apply(RewardWeights()).torque == RewardWeights().torque
    assert stage.sharpen((0.2, 0.15, 0.3)) == pytest.approx((0.1, 0.075, 0.15))
