"""What is asked of the robot: flags alone and together, heights of the robot's own range, shares as configured."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from wbvla.core.command import Shaping
from wbvla.core.errors import ConfigError
from wbvla.lmo.commands import HOMIE_MIX, CommandConfig, HeightBand, sample_commands
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot

NUM = 20_000


def drawn(config: CommandConfig, robot: str = "agibot_x2", any_share: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Many commands for one robot."""
    spec = load_robot(robot)
    heights = HeightBand(nominal_m=spec.nominal_height_m, range_m=spec.height_range_m, any_share=any_share)
    return sample_commands(NUM, config, heights, Generator().manual_seed(3))


def axes_asked(flags: Tensor) -> dict[int, float]:
    """Share of commands by how many axes they move."""
    count = (flags != 0).sum(1)
    return {n: float((count == n).float().mean()) for n in range(4)}


def test_flags_are_ternary_and_come_in_ones_twos_and_threes() -> None:
    """0.8 of the commands walk; 0.3 of those get a second axis, half of these the third as well: .56, .12, .12."""
    config = CommandConfig(stand_share=0.1, squat_share=0.1, second_axis_share=0.3, third_axis_share=0.5)
    flags, _, _ = drawn(config)
    assert set(flags.unique().tolist()) == {-1.0, 0.0, 1.0}
    shares = axes_asked(flags)
    assert shares[0] == pytest.approx(0.2, abs=0.01)
    assert shares[1] == pytest.approx(0.56, abs=0.015)
    assert shares[2] == pytest.approx(0.12, abs=0.01)
    assert shares[3] == pytest.approx(0.12, abs=0.01)
    signs = {tuple(row) for row in flags[(flags != 0).all(1)].int().tolist()}
    assert len(signs) == 8, "all eight ways to ask for three axes at once"


def test_the_third_axis_can_be_switched_off() -> None:
    assert axes_asked(drawn(CommandConfig(third_axis_share=0.0))[0])[3] == 0.0


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_heights_stay_in_the_robots_own_range_and_use_all_of_it(robot: str) -> None:
    low, high = load_robot(robot).height_range_m
    _, height, _ = drawn(CommandConfig(), robot, any_share=0.3)
    assert low <= height.min()
    assert height.max() <= high
    assert height.min() < low + 0.01
    assert height.max() > high - 0.01


def test_homies_mix_squats_a_third_stands_a_sixth_walks_half_and_never_both() -> None:
    flags, height, hold = drawn(HOMIE_MIX)
    nominal = load_robot("agibot_x2").nominal_height_m
    walks, low = (flags != 0).any(1), height != nominal
    assert float(walks.float().mean()) == pytest.approx(1 / 2, abs=0.01)
    assert float((low & ~walks).float().mean()) == pytest.approx(1 / 3, abs=0.01)
    assert not (walks & low).any()
    assert hold.unique().tolist() == [4.0]


def test_shares_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match="squat_share"):
        CommandConfig(stand_share=0.7, squat_share=0.5)
    with pytest.raises(ConfigError, match="third_axis_share"):
        CommandConfig(third_axis_share=1.5)


@pytest.mark.parametrize(
    ("form", "onset", "after_1_s", "stop"), [("held", 0.030, 0.286, 0.283), ("printed", 0.287, 0.044, -0.283)]
)
def test_training_asks_for_the_form_that_its_shaping_names(
    form: str, onset: float, after_1_s: float, stop: float
) -> None:
    """The environment's reference along x: at once, after 1 s, and in the first tick after the release [m/s].

    By hand: 0.3 tanh(2 * 0.05) and 0.3 tanh(2 * 0.95) at once; sbar = 1 - 0.95^51 = 0.927 after 1 s; 0.8807 one tick
    after the release.
    """
    shaping = Shaping(goal_speed=(0.3, 0.3, 0.3), alpha=2.0, smoothing=0.05, form=form)
    config = EnvironmentConfig(num_worlds=2, num_threads=1, shaping=shaping)
    config = replace(config, commands=replace(config.commands, resample=False))
    env = LmoEnvironment(load_robot("agibot_x2"), config, Stage(start_iteration=0, push=0.0))
    env.worlds.sbar.zero_()
    env.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
    asked = []
    for tick in range(52):
        if tick == 51:
            env.worlds.flags.zero_()
        env.step(torch.zeros(2, env.num_actions))
        asked.append(env._reference()[0, 0].item())
    assert [asked[0], asked[50], asked[51]] == pytest.approx([onset, after_1_s, stop], abs=6e-4)
