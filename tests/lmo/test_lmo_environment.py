"""The task: what is seen, how it looks in a mirror, who falls, who is reset."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wbvla.core.errors import ConfigError
from wbvla.deploy.odometry import Odometry
from wbvla.lmo.commands import CommandConfig
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.observation import PRESETS, MirrorMap, action_mirror, actor_mirror
from wbvla.lmo.perturb import ArmConfig, ArmMotion, warp_clock
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
STAGE = Stage(start_iteration=0, push=0.0, max_delay=0)


def environment(worlds: int = 8, **changes: object) -> LmoEnvironment:
    config = replace(EnvironmentConfig(num_worlds=worlds, num_threads=1), **changes)  # type: ignore[arg-type]
    return LmoEnvironment(SPEC, config, STAGE)


def test_presets_have_the_papers_49_numbers_and_two_more() -> None:
    assert environment(preset="paper").observations()["policy"].shape == (8, 49)
    widths = {preset: environment(preset=preset).observations()["policy"].shape[1] for preset in PRESETS}
    assert widths == {"paper": 49, "clock": 51, "heading": 52, "course": 54, "history": 6 * 49}


@pytest.mark.parametrize("preset", PRESETS)
def test_mirrors_undo_themselves(preset: str) -> None:
    env = environment(preset=preset)
    obs = env.observations()
    maps = {"policy": env.actor_mirror, "critic": env.critic_mirror}
    for name, mirror in maps.items():
        assert len(mirror.index) == obs[name].shape[1]
        assert torch.equal(mirror(mirror(obs[name])), obs[name])
        assert not torch.equal(mirror(obs[name]), obs[name])


def mirrored_world(env: LmoEnvironment, mirror: MirrorMap) -> None:
    """Make world 1 the mirror image of world 0, arms and targets included."""
    qpos, qvel = env.engine.state("qpos"), env.engine.state("qvel")
    qpos[1, :7] = qpos[0, :7] * torch.tensor([1, -1, 1, 1, -1, 1, -1])
    qvel[1, :6] = qvel[0, :6] * torch.tensor([1, -1, 1, -1, 1, -1])
    for state, columns in ((qpos, env.layout.qpos), (qvel, env.layout.qvel)):
        names = env.layout.joint_names
        index, sign = SPEC.mirror(names)
        state[1, columns] = state[0, columns][torch.from_numpy(index)] * torch.from_numpy(sign)
    env.engine.state("qacc_warmstart")[:] = 0.0
    w = env.worlds
    w.flags[1] = w.flags[0] * torch.tensor([1.0, -1.0, -1.0])
    for field in ("height", "height_goal"):
        getattr(w, field)[1] = getattr(w, field)[0]
    w.action.zero_()
    index, sign = SPEC.mirror(env.layout.joint_names)
    w.targets[1] = w.targets[0][:, torch.from_numpy(index)] * torch.from_numpy(sign).float()
    for field in ("command", "target"):
        arms = getattr(env.arms.state, field)
        index, sign = SPEC.mirror(env.layout.arm_names)
        arms[1] = arms[0][torch.from_numpy(index)] * torch.from_numpy(sign).float()
    for field in ("rate", "left_s", "clip", "clock_s", "end_s", "gamma"):
        getattr(env.arms.state, field)[:] = torch.tensor(-1.0 if field == "clip" else 1.0)


def test_a_mirrored_robot_under_mirrored_actions_stays_mirrored() -> None:
    """The map the policy is trained with is a symmetry of the simulated robot, not only of its bookkeeping."""
    env = environment(worlds=2, randomize=False)
    env.progress.assist = env.progress.feed_forward = 0.0
    act = action_mirror(SPEC)
    env.worlds.flags[:] = torch.tensor([[0.0, 1.0, 0.0]])
    env.worlds.command_left_s[:] = 100.0
    mirrored_world(env, env.actor_mirror)
    rng = torch.Generator().manual_seed(3)
    for _ in range(2):
        action = 0.3 * torch.randn(1, 13, generator=rng)
        env.step(torch.cat([action, act(action)]))
    env.worlds.phase[:] = torch.tensor([0.25, 0.75])
    clean = env.observations()["critic"][:, :51]
    mirrored = actor_mirror(SPEC, "clock")(clean[0])
    assert (clean[0] - clean[1]).norm() > 1.0
    assert (mirrored - clean[1]).abs().max() < 1e-2  # later the vendor's unequal masses and contacts pull them apart


def test_a_fallen_robot_is_paid_the_fall_and_stands_up_again() -> None:
    env = environment()
    env.engine.state("qpos")[2, 2] = 0.2
    _, reward, done, extras = env.step(torch.zeros(8, 13))
    assert done[2]
    assert not extras["time_outs"][2]
    assert reward[2] < -1.5
    assert env.root_height[2] > 0.4
    assert int(done.sum()) == 1


def test_time_out_is_no_fall() -> None:
    env = environment()
    env.worlds.age[1] = env.episode_ticks
    _, reward, done, extras = env.step(torch.zeros(8, 13))
    assert done[1]
    assert extras["time_outs"][1]
    assert reward[1] > -1.0


def test_a_walk_that_never_lifts_a_foot_is_ended() -> None:
    env = environment(worlds=4, stall_s=0.2)
    env.progress.feed_forward = 0.0
    env.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
    env.worlds.command_left_s[:] = 100.0
    ended = sum(int(env.step(torch.zeros(4, 13))[2].sum()) for _ in range(25))
    assert ended >= 4


def test_delay_holds_targets_back() -> None:
    env = environment(worlds=2, randomize=False)
    env.worlds.delay[:] = torch.tensor([0, 4])
    before = env.worlds.targets[1, 0].clone()
    env.step(torch.ones(2, 13))
    ctrl = env.engine.state("ctrl").float()[:, env.layout.ctrl]
    assert torch.allclose(ctrl[1, env.layout.lmo], before[env.layout.lmo])
    assert not torch.allclose(ctrl[0, env.layout.lmo], before[env.layout.lmo])


def test_warped_clock_stops_at_its_end() -> None:
    clock = torch.zeros(1)
    for _ in range(200):
        clock = warp_clock(clock, torch.tensor([1.5]), torch.tensor([1.0]), torch.tensor([0.1]), 0.02)
    assert clock.item() == 1.5


def test_arms_stay_within_limits_and_rate() -> None:
    names = tuple(n for n in SPEC.arm_joints if "wrist" not in n)
    arms = ArmMotion(SPEC, names, ArmConfig(), 64)
    rng = torch.Generator().manual_seed(0)
    before = arms.state.command.clone()
    for _ in range(150):
        command = arms.advance(1.0, 0.02, rng)
        assert (command - before).abs().max() <= 3.0 * 0.02 + 1e-6
        before = command.clone()
    assert (before >= arms.lower - 1e-6).all()
    assert (before <= arms.upper + 1e-6).all()
    assert (before - arms.default).abs().max() > 0.5


def test_the_robot_keeps_the_same_course_as_its_training() -> None:
    """Deployed odometry, from joints and IMU, beside the environment's, from the simulator's soles of 5 ms before."""
    env = environment(preset="course", odometry_noise_m=0.0, gyro_bias_radps=0.0)
    env.progress.feed_forward = 0.0
    odometry = Odometry(SPEC, env.config.course, 8, 50.0)
    generator = torch.Generator().manual_seed(3)
    env.reset(torch.arange(8))
    for tick in range(30):
        env.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
        env.step(0.15 * torch.randn(8, 13, generator=generator))
        senses = [x.double().numpy() for x in (env._reference(), env.omega, env.gravity, env.q)]
        odometry.advance(env.worlds.walking.numpy(), *senses)
        assert np.abs(odometry.course - env.worlds.course.numpy()).max() < 0.01, tick
    assert (env.worlds.age == 30).all()
    assert env.worlds.course.abs().amax(0).min() > 0.02


def test_history_is_what_was_seen() -> None:
    env = environment(preset="history")
    seen = []
    for _ in range(7):
        seen.append(env.observations()["policy"][:, :49].clone())
        env.seen = torch.cat([seen[-1], env.seen[:, 49:]], dim=1)
        env.step(torch.zeros(8, 13))
    past = env.worlds.past
    for tick in range(5):
        assert torch.equal(past[:, tick], seen[-1 - tick])


def test_velocity_interface_asks_for_shares_of_the_goal_speeds() -> None:
    config = replace(EnvironmentConfig().commands, interface="velocity")
    env = environment(worlds=64, commands=config)
    env.command(torch.arange(64))
    flags = env.worlds.flags
    assert ((flags.abs() > 0) & (flags.abs() < 1)).any()
    assert flags.abs().max() <= 1.0
    assert torch.allclose(env._reference(), flags * torch.tensor(env.config.shaping.goal_speed))
    with pytest.raises(ConfigError, match="discrete"):
        replace(config, interface="thoughts")


def test_bumps_lift_the_corner_they_lie_under() -> None:
    """A robot set down on 2 cm of unevenness stands tilted or higher than on the flat; flat again, it stands flat."""
    env = environment(worlds=4)
    env.enter(replace(STAGE, bumps_m=0.02))
    flat = env.engine.parameter("geom_pos").clone()
    env.bumps.tread(torch.ones(4, 2, dtype=torch.bool), env.worlds, env.stage, env.rng)
    moved = env.engine.parameter("geom_pos") - flat
    assert (moved[..., :2].abs() < 1e-12).all()
    assert np.isclose(-float(moved.sum()), float(env.worlds.bumps.sum()), atol=1e-5)
    assert 0.005 < float(env.worlds.bumps.abs().max()) <= 0.01
    before = env.worlds.bumps.clone()
    env.bumps.tread(torch.ones(4, 2, dtype=torch.bool), env.worlds, env.stage, env.rng)
    assert torch.equal(env.worlds.bumps, before), "a foot that stays up keeps its ground"
    env.worlds.bumps.zero_()
    env.bumps.put(env.worlds)
    assert torch.equal(env.engine.parameter("geom_pos"), flat)


def test_a_robot_that_is_reset_stands_on_flat_ground() -> None:
    env = environment(worlds=4)
    flat = env.engine.parameter("geom_pos").clone()
    env.enter(replace(STAGE, bumps_m=0.02))
    env.bumps.tread(torch.ones(4, 2, dtype=torch.bool), env.worlds, env.stage, env.rng)
    env.reset(torch.tensor([1, 2]))
    apart = (env.engine.parameter("geom_pos") != flat).flatten(1).any(1)
    assert apart.tolist() == [True, False, False, True]


def test_a_world_that_diverges_is_a_fall_and_begins_anew() -> None:
    env = environment(worlds=4)
    for _ in range(3):
        env.step(torch.zeros(4, 13))
    env.engine.state("qvel")[2, 0] = 1e12
    _, _, done, extras = env.step(torch.zeros(4, 13))
    assert done.tolist() == [False, False, True, False]
    assert not extras["time_outs"].any()
    assert env.worlds.age[2] == 0
    assert not env.step(torch.zeros(4, 13))[2].any()


def test_help_is_given_anew_in_each_tick() -> None:
    """Also to robots whose commands stay as they are set; when it ends it leaves nothing behind."""
    env = environment(worlds=4, commands=CommandConfig(resample=False))
    env.progress.assist = 1.0
    wrench = env.engine.state("xfrc_applied")[:, env.layout.root_body]
    for _ in range(40):
        env.step(torch.zeros(4, 13))
    assert 0 < wrench.abs().max() < 300
    assert (env.root_height < 0.75).all()
    env.progress.assist = 0.0
    env.step(torch.zeros(4, 13))
    assert (wrench == 0).all()
    wrench[0, 0] = 5.0
    env.step(torch.zeros(4, 13))
    assert wrench[0, 0] == 5.0, "a user's own force stays"


def test_blows_begin_and_end() -> None:
    env = environment(worlds=64)
    env.enter(replace(STAGE, blow=(150.0, 30.0)))
    env.progress.assist = 0.0
    largest = torch.zeros(3)
    for _ in range(60):
        env.step(torch.zeros(64, 13))
        largest = torch.maximum(largest, env.worlds.blow.abs().amax(0))
        assert (env.worlds.blow[env.worlds.blow_left_s <= 0] == 0).all()
    assert (largest[:2] > 30).all()
    assert largest[:2].norm() <= 150.0 * 2**0.5
    assert 5 < largest[2] <= 30.0
