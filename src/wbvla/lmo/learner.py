"""PPO by `rsl_rl`, with mirrored halves of each batch and our own step of the learning rate."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.observation import action_mirror
from wbvla.lmo.ranks import Ranks
from wbvla.lmo.stages import Stage

REPLACE, AUGMENT, NONE = "replace", "augment", "none"
GROUPS = {"actor": ["policy"], "critic": ["critic"]}


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """PPO as validated on this task (docs/lmo.md)."""

    horizon: int = 24
    """ticks per world and iteration"""
    epochs: int = 4
    """passes over each batch"""
    minibatches: int = 4
    """parts of a batch"""
    hidden: tuple[int, ...] = (256, 128)
    """widths of the hidden layers"""
    gamma: float = 0.99
    """discount per control tick [-]"""
    gae_lambda: float = 0.95
    """of the generalised advantage [-]"""
    clip: float = 0.2
    """of the probability ratio and the value [-]"""
    max_grad_norm: float = 1.0
    """gradients are scaled down to this norm"""
    initial_std: float = 0.6
    """of the actions at the start [-]"""
    learning_rate: float = 1e-3
    """at the start; then adapted to the KL divergence"""
    learning_rate_range: tuple[float, float] = (3e-5, 1.5e-3)
    """the rate falls by 1.5 above twice the stage's KL and rises by 1.3 below half of it, after each epoch"""
    symmetry: str = REPLACE
    """`replace`: half of each batch is mirrored, at no cost; `augment`: rsl_rl's own, which appends the mirror image of
    each minibatch, at twice the cost; `none`"""
    last_layer_gain: float = 0.05
    """scale of the actor's last layer at the start: the first actions are small"""

    def __post_init__(self) -> None:
        if self.symmetry not in (REPLACE, AUGMENT, NONE):
            raise ConfigError(f"no symmetry {self.symmetry!r}; known: {REPLACE}, {AUGMENT}, {NONE}")


class Learner:
    """Actor, critic, optimiser and storage of one training."""

    def __init__(self, env: LmoEnvironment, config: LearnerConfig, ranks: Ranks | None = None) -> None:
        self.config, self.ranks = config, ranks or Ranks()
        with env.device:
            self._build(env)

    def _build(self, env: LmoEnvironment) -> None:
        config = self.config
        self.mirrors = {"policy": env.actor_mirror, "critic": env.critic_mirror}
        self.action_mirror = action_mirror(env.spec)
        obs = env.observations()
        self.actor = MLPModel(
            obs, GROUPS, "actor", env.num_actions, config.hidden, obs_normalization=True,
            distribution_cfg={"class_name": "GaussianDistribution", "init_std": config.initial_std, "std_type": "log"},
        )  # fmt: skip
        self.critic = MLPModel(obs, GROUPS, "critic", 1, config.hidden, obs_normalization=True)
        with torch.no_grad():
            last, value = _linear(self.actor.mlp[-1]), _linear(self.critic.mlp[-1])
            last.weight.mul_(config.last_layer_gain)
            last.bias.zero_()
            value.weight.mul_(0.1)
        storage = RolloutStorage("rl", env.config.num_worlds, config.horizon, obs, [env.num_actions], str(env.device))
        self.ppo = PPO(
            self.actor, self.critic, storage,
            num_learning_epochs=1, num_mini_batches=config.minibatches, clip_param=config.clip, gamma=config.gamma,
            lam=config.gae_lambda, entropy_coef=env.stage.entropy, learning_rate=config.learning_rate,
            max_grad_norm=config.max_grad_norm, schedule="fixed", multi_gpu_cfg=self.ranks.for_ppo,
            symmetry_cfg=self._augmentation(env), device=str(env.device),
        )  # fmt: skip
        if self.ranks.world > 1:
            self.ppo.broadcast_parameters()

    @torch.no_grad()
    def rollout(self, env: LmoEnvironment, obs: TensorDict) -> TensorDict:
        """Fill the storage; returns the observations that follow."""
        for _ in range(self.config.horizon):
            action = self.ppo.act(obs)
            obs, reward, done, extras = env.step(action)
            self.ppo.process_env_step(obs, reward, done, extras)
        self.ppo.compute_returns(obs)
        return obs

    def update(self, iteration: int, stage: Stage) -> dict[str, float]:
        """All epochs over the storage. Each sees half of the samples mirrored, the next epoch the other half.

        The mirror keeps log-probabilities, values and returns, so nothing else of the storage changes; old means
        and deviations are mirrored too, so that the KL divergence stays right (rsl_rl's own augmentation doubles
        the batch instead, and with it the cost).
        """
        storage = self.ppo.storage
        self.ppo.entropy_coef = stage.entropy
        worlds = storage.num_envs // 2
        halves = (slice(0, worlds), slice(worlds, None))
        mirrored = iteration % 2
        self._mirror(storage, halves[mirrored])
        self.actor.obs_normalizer.eval()
        self.critic.obs_normalizer.eval()
        losses: dict[str, float] = {}
        kl = 0.0
        for epoch in range(self.config.epochs):
            if epoch > 0:
                self._mirror(storage, slice(None))
                mirrored = 1 - mirrored
            losses = self.ppo.update()
            kl = self.ranks.mean({"kl": self._divergence(storage, halves[1 - mirrored])})["kl"]
            self._step_learning_rate(kl, stage.target_kl)
        log_std = self.actor.get_parameter("distribution.log_std_param")
        with torch.no_grad():
            log_std.clamp_(max=math.log(stage.max_std))
            seen = storage.observations.flatten(0, 1)
            for model in (self.actor, self.critic):
                model.obs_normalizer.train()
                model.update_normalization(seen)
        deviation = float(log_std.detach().exp().mean())
        return {**losses, "kl": kl, "learning_rate": self.ppo.learning_rate, "std": deviation}

    def _augmentation(self, env: LmoEnvironment) -> dict[str, Any] | None:
        """What rsl_rl needs to append mirror images itself."""
        if self.config.symmetry != AUGMENT:
            return None
        use = {"use_data_augmentation": True, "use_mirror_loss": False}
        return {"env": env, "data_augmentation_func": self._both, **use}

    def _both(
        self, env: LmoEnvironment, obs: TensorDict | None, actions: Tensor | None
    ) -> tuple[TensorDict | None, Tensor | None]:
        """Samples and then their mirror images, as rsl_rl asks for them."""
        del env
        if obs is not None:
            both = {name: torch.cat([obs[name], mirror(obs[name])]) for name, mirror in self.mirrors.items()}
            obs = TensorDict(both, batch_size=[2 * obs.batch_size[0]])
        return obs, None if actions is None else torch.cat([actions, self.action_mirror(actions)])

    @torch.no_grad()
    def _mirror(self, storage: RolloutStorage, worlds: slice) -> None:
        if self.config.symmetry != REPLACE:
            return
        for name, mirror in self.mirrors.items():
            storage.observations[name][:, worlds] = mirror(storage.observations[name][:, worlds])
        storage.actions[:, worlds] = self.action_mirror(storage.actions[:, worlds])
        mean, deviation = _old_distribution(storage)
        mean[:, worlds] = self.action_mirror(mean[:, worlds])
        deviation[:, worlds] = deviation[:, worlds][..., self.action_mirror.index]

    @torch.no_grad()
    def _divergence(self, storage: RolloutStorage, worlds: slice) -> float:
        """Mean KL(old || new) over every third sample of worlds that are not mirrored.

        Mirrored samples would add how unsymmetrical the policy is, which no learning rate can lower.
        """
        seen = storage.observations[:, worlds].flatten(0, 1)[::3]
        self.actor(seen, stochastic_output=True)
        old = tuple(p[:, worlds].flatten(0, 1)[::3] for p in _old_distribution(storage))
        return float(self.actor.get_kl_divergence(old, self.actor.output_distribution_params).mean())

    def _step_learning_rate(self, kl: float, target_kl: float) -> None:
        low, high = self.config.learning_rate_range
        if kl > 2 * target_kl:
            self.ppo.learning_rate = max(low, self.ppo.learning_rate / 1.5)
        elif kl < target_kl / 2:
            self.ppo.learning_rate = min(high, self.ppo.learning_rate * 1.3)
        for group in self.ppo.optimizer.param_groups:
            group["lr"] = self.ppo.learning_rate

    def warm_normalizers(self, obs: TensorDict) -> None:
        """First statistics, before anything is learned: the observations and their mirror images."""
        both = {name: torch.cat([obs[name], mirror(obs[name])]) for name, mirror in self.mirrors.items()}
        seen = TensorDict(both, batch_size=[2 * obs.batch_size[0]])
        self.actor.update_normalization(seen)
        self.critic.update_normalization(seen)


def _linear(module: torch.nn.Module) -> torch.nn.Linear:
    """The last layer of an rsl_rl network, refused if a release of it changes what that is."""
    if not isinstance(module, torch.nn.Linear):
        raise ConfigError(f"the last layer of rsl_rl's MLP is {type(module).__name__}, expected Linear; pin rsl-rl-lib")
    return module


def _old_distribution(storage: RolloutStorage) -> tuple[Tensor, ...]:
    """Means and deviations under which the stored actions were drawn."""
    if storage.distribution_params is None:
        raise ConfigError("the rollout storage is empty; call rollout before update")
    return storage.distribution_params
