"""The task on a device: nothing is made elsewhere, a step reads nothing back; training on the GPU engine resumes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wbvla.core.errors import ConfigError
from wbvla.lmo.checkpoint import read_checkpoint
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.learner import Learner, LearnerConfig
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import CHECKPOINT, train
from wbvla.recipes.lmo import tiny_lmo
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
ALL = Stage(
    start_iteration=0, push=0.5, stand_push=0.5, blow=(50.0, 5.0), pull=(10.0, 10.0), bumps_m=0.02, max_delay=3,
    imu_lag=3, joint_lag=3, torque_noise=0.05, any_height_share=0.5, home_share=0.3, reward_set="homie",
)  # fmt: skip
"""everything that can happen to a robot"""


@contextmanager
def elsewhere() -> Iterator[None]:
    """Tensors that are made without naming a device have no memory here; to mix them with ours is an error."""
    with torch.device("meta"):
        yield


class Reads(TorchDispatchMode):
    """Counts single numbers that are fetched from tensors; on a GPU each makes the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def busy(preset: str) -> LmoEnvironment:
    """Short episodes and commands, frequent pushes."""
    config = EnvironmentConfig(num_worlds=32, num_threads=1, preset=preset, episode_s=0.3, push_every_s=0.1)
    config = replace(config, commands=replace(config.commands, hold_s=(0.05, 0.2)))
    env = LmoEnvironment(SPEC, config, ALL)
    env.progress.assist = 0.0
    return env


@pytest.mark.parametrize("preset", ["course", "history"])
def test_every_tensor_of_a_step_is_made_on_the_device_of_the_environment(preset: str) -> None:
    with elsewhere():
        env = busy(preset)
        learner = Learner(env, LearnerConfig(horizon=12, hidden=(16,)))
        obs = learner.rollout(env, env.observations())
        learner.update(0, env.stage)
        env.progress.assist = 0.5
        env.step(torch.zeros(32, env.num_actions, device=env.device))
        env.enter(replace(ALL, plant=replace(ALL.plant, friction=(0.3, 0.4))))
        learner.warm_normalizers(obs)
    assert env.tally.drain()["reward/orientation"] != 0
    for tensors in (obs, *(learner.ppo.storage.observations,)):
        assert all(tensor.device == env.device for tensor in tensors.values())


def test_the_trap_for_tensors_made_elsewhere_closes() -> None:
    env = busy("clock")
    with elsewhere(), pytest.raises((RuntimeError, NotImplementedError)):
        env.worlds.flags.copy_(torch.zeros(32, 3))


def test_a_step_reads_nothing_back_to_the_host() -> None:
    env = busy("course")
    action = torch.zeros(32, env.num_actions)
    with Reads() as reads:
        for _ in range(20):
            env.step(action)
    assert reads.count == 0
    with Reads() as reads:
        env.tally.drain()
        float(env.worlds.flags.sum())
    assert reads.count > 0


def test_an_engine_that_cannot_be_is_refused_before_anything_is_built() -> None:
    with pytest.raises(ConfigError, match="no physics engine"):
        EnvironmentConfig(engine="bullet")
    with pytest.raises(ConfigError, match="runs on the CPU"):
        EnvironmentConfig(device="cuda:0")


def resumes(folder: Path, device: str) -> None:
    """Three iterations at once, and one and two of them, end in the same checkpoint."""
    tiny = tiny_lmo()
    world = replace(tiny.environment, engine="warp", device=device, num_worlds=8)
    config = replace(tiny, environment=world, stages=(replace(ALL, reward_set="own"), Stage(start_iteration=2)))
    config = replace(config, iterations=3, learner=replace(tiny.learner, horizon=4))
    train(config, folder / "straight")
    train(config, folder / "resumed", stop_after=1)
    train(config, folder / "resumed")
    ours, theirs = (read_checkpoint(folder / run / CHECKPOINT)[0] for run in ("straight", "resumed"))
    assert ours.keys() == theirs.keys()
    assert ours["env.engine.qpos"].dtype == torch.float32
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    with pytest.raises(ConfigError, match="from another engine"):
        train(replace(config, environment=replace(world, engine="mujoco", device="cpu")), folder / "resumed")


def test_training_on_the_gpu_engine_resumes_to_the_bit(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp", reason="the extra `gpu` is not installed")
    resumes(tmp_path, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_a_gpu_resumes_to_the_bit(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp", reason="the extra `gpu` is not installed")
    resumes(tmp_path, "cuda:0")
