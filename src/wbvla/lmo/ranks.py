"""Training in several processes (`torchrun`): who this process is, and what all of them agree on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from wbvla.core.errors import ConfigError

SEED_APART = 7919
"""seeds of the environments of two neighbouring ranks differ by this"""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Place of this process among those that train together."""

    rank: int = 0
    """0 writes the log and the checkpoint that counts"""
    world: int = 1
    """processes"""
    local: int = 0
    """number of this process on its machine: its accelerator"""

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def apart(self) -> int:
        """What this rank adds to seeds."""
        return SEED_APART * self.rank

    @property
    def for_ppo(self) -> dict[str, Any] | None:
        """What `rsl_rl` wants to know; None when alone."""
        return {"global_rank": self.rank, "world_size": self.world} if self.world > 1 else None

    def device(self, name: str) -> str:
        """The device of this rank: of those of one kind (`cuda`, `cuda:0`) the one with its local number."""
        if self.world == 1 or not name.startswith("cuda"):
            return name
        return f"cuda:{self.local % max(1, torch.cuda.device_count())}"

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Mean of each number over all ranks; the same keys everywhere."""
        if self.world == 1:
            return dict(values)
        names = sorted(values)
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        numbers = torch.tensor([float(values[name]) for name in names], dtype=torch.float64, device=device)
        dist.all_reduce(numbers)
        return dict(zip(names, (numbers / self.world).tolist()))

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            dist.barrier()


def join(device: str = "cpu") -> Ranks:
    """The ranks that `torchrun` started (one, without it); connects them by nccl on CUDA devices, else by gloo."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks()
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(f"WORLD_SIZE is {world}, but {', '.join(missing)} is not set; start with torchrun")
    local = int(os.environ["LOCAL_RANK"])
    if not dist.is_initialized():
        if device.startswith("cuda"):
            torch.cuda.set_device(local % torch.cuda.device_count())
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Ranks(rank=dist.get_rank(), world=dist.get_world_size(), local=local)


def leave(ranks: Ranks) -> None:
    """Disconnect."""
    if ranks.world > 1 and dist.is_initialized():
        dist.destroy_process_group()
