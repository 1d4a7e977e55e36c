"""The task: what is seen, how it looks in a mirror, who falls, who is reset."""

from dataclasses import replace

import pytest
import torch

from wbvla.lmo.environment import EnvironmentConfig, LmoEnvironment
from wbvla.lmo.observation import MirrorMap, action_mirror, actor_mirror
from wbvla.lmo.perturb import ArmConfig, ArmMotion, warp_clock
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
STAGE = Stage(start_iteration=0, push=0.0, max_delay=0)


def environment(worlds: int = 8, **changes: object) -> LmoEnvironment:
    config = replace(EnvironmentConfig(num_worlds=worlds, num_threads=1), **changes)  # type: ignore[arg-type]
    return LmoEnvironment(SPEC, config, STAGE)


def test_presets_have_the_papers_49_numbers_and_two_more() -> None:
    assert environment(preset="paper").observations()["policy"].shape == (8, 49)
    assert environment().observations()["policy"].shape == (8, 51)


@pytest.mark.parametrize("preset", ["paper", "clock"])
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
