"""What IMU and encoders tell the controller: late, with constant errors and noise."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from wbvla.lmo.commands import uniform
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.worlds import Worlds

IMU_NUMBERS = 6
"""angular velocity and gravity come first, then joint angles and speeds"""


class Senses:
    """Keeps the last readings of every half control tick and gives out those that the lags let through."""

    def __init__(self, config: EnvironmentConfig, num_worlds: int) -> None:
        self._config = config
        self._rows = torch.arange(num_worlds)

    def draw(self, ids: Tensor, worlds: Worlds, stage: Stage, rng: Generator) -> None:
        """Lags and constant errors of worlds that start anew."""
        num, config = len(ids), self._config
        if stage.imu_lag > 0:
            worlds.imu_lag[ids] = torch.randint(0, stage.imu_lag + 1, (num,), generator=rng, device=rng.device)
        if stage.joint_lag > 0:
            worlds.joint_lag[ids] = torch.randint(0, stage.joint_lag + 1, (num,), generator=rng, device=rng.device)
        if config.randomize and config.encoder_bias_rad > 0:
            size = (num, worlds.encoder_bias.shape[1])
            worlds.encoder_bias[ids] = uniform(-config.encoder_bias_rad, config.encoder_bias_rad, size, rng)

    def record(self, worlds: Worlds, reading: Float[Tensor, "world number"], stage: Stage) -> None:
        """Remember the readings of a half tick; costs nothing while nothing lags."""
        if stage.imu_lag or stage.joint_lag:
            worlds.senses.copy_(torch.cat([reading[:, None], worlds.senses[:, :-1]], dim=1))

    def told(
        self, worlds: Worlds, reading: Float[Tensor, "world number"], stage: Stage
    ) -> Float[Tensor, "world number"]:
        """`[omega 3, gravity 3, q n, dq n]` as the computer on the robot has it now, before noise."""
        told = reading
        if stage.imu_lag or stage.joint_lag:
            fresh = (worlds.age == 0)[:, None, None]
            worlds.senses.copy_(torch.where(fresh, reading[:, None], worlds.senses))
            imu = worlds.senses[self._rows, worlds.imu_lag, :IMU_NUMBERS]
            told = torch.cat([imu, worlds.senses[self._rows, worlds.joint_lag, IMU_NUMBERS:]], dim=1)
        num = worlds.encoder_bias.shape[1]
        told = told.clone()
        told[:, IMU_NUMBERS : IMU_NUMBERS + num] += worlds.encoder_bias
        return told
