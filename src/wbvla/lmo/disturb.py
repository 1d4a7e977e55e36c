"""What disturbs a robot while it learns: pushes that jump its velocity, blows that last, ground that is uneven."""

import mujoco
import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from wbvla.lmo.commands import uniform
from wbvla.lmo.plant import FEET
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.worlds import Worlds
from wbvla.sim.engine import Engine

PLANAR = (0, 1, 5)
"""columns of the root's velocity that a push changes: along x and y, about z"""


def push(engine: Engine, worlds: Worlds, stage: Stage, config: EnvironmentConfig, dt_s: float, rng: Generator) -> None:
    """Now and then a jump of the root velocity; a standing robot may step for a while after it."""
    hit = _hit(worlds, dt_s / config.push_every_s, rng)
    size = torch.where(worlds.moving[hit], stage.push, stage.stand_push)[:, None]
    kick = size * uniform(-1.0, 1.0, (len(hit), 3), rng)
    qvel = engine.state("qvel")
    qvel[hit[:, None], torch.tensor(PLANAR, device=rng.device)] += kick.to(qvel.dtype)
    worlds.recover_s[hit] = config.recover_s


def strike(worlds: Worlds, stage: Stage, config: EnvironmentConfig, dt_s: float, rng: Generator) -> None:
    """Blows begin at random, in any direction, up to the stage's force [N] and yaw torque [N.m]; each ends."""
    worlds.blow_left_s -= dt_s
    worlds.blow[worlds.blow_left_s <= 0] = 0.0
    hit = _hit(worlds, dt_s / config.push_every_s, rng)
    angle, size = uniform(-torch.pi, torch.pi, (len(hit),), rng), uniform(0.0, stage.blow[0], (len(hit),), rng)
    twist = uniform(-stage.blow[1], stage.blow[1], (len(hit),), rng)
    worlds.blow[hit] = torch.stack([size * torch.cos(angle), size * torch.sin(angle), twist], dim=1)
    worlds.blow_left_s[hit] = config.blow_s
    worlds.recover_s[hit] = config.recover_s


def pull(worlds: Worlds, stage: Stage, config: EnvironmentConfig, dt_s: float, rng: Generator) -> None:
    """Forces on the hands begin at random and end: of both together (a cart, a box) or of each its own."""
    worlds.pull_left_s -= dt_s
    worlds.pull[worlds.pull_left_s <= 0] = 0.0
    hit = _hit(worlds, dt_s / config.push_every_s, rng)
    flat, up = stage.pull
    force = uniform(-1.0, 1.0, (len(hit), 2, 3), rng) * torch.tensor([flat, flat, up], device=rng.device)
    together = torch.rand(len(hit), generator=rng, device=rng.device) < 0.5
    force[together, 1] = force[together, 0]
    worlds.pull[hit] = force
    worlds.pull_left_s[hit] = uniform(*config.pull_s, (len(hit),), rng)


def _hit(worlds: Worlds, chance: float, rng: Generator) -> Int[Tensor, " hit"]:
    """Worlds that something begins in; never the calm ones."""
    drawn = torch.rand(len(worlds.calm), generator=rng, device=rng.device) < chance
    return (drawn & ~worlds.calm).nonzero()[:, 0]


class Bumps:
    """Uneven ground without a height field: each corner of a sole gets a bump of its own at every step it takes.

    Moving a contact sphere down by b is standing with that corner on a bump of height b. A real height field halves the
    speed of the physics; `benchmarks/lmo_transfer.py` tries the result on round bumps and on one.
    """

    def __init__(self, engine: Engine, model: mujoco.MjModel) -> None:
        self._places = engine.parameter("geom_pos")
        names = [model.geom(i).name for i in range(model.ngeom)]
        soles = [[i for i, n in enumerate(names) if n.startswith(f"{s}_sole_")] for s in FEET]
        self._soles = torch.tensor(soles, device=engine.device)
        self._flat = self._places[0, self._soles, 2].clone()

    @property
    def num_corners(self) -> int:
        return self._soles.shape[1]

    def tread(self, lifted: Bool[Tensor, "world 2"], worlds: Worlds, stage: Stage, rng: Generator) -> None:
        """New bumps under the feet that have just been lifted; `lifted` is where they are up now."""
        fresh = lifted & ~worlds.lifted
        worlds.lifted.copy_(lifted)
        size = stage.bumps_m * (~worlds.calm)[:, None, None]
        drawn = uniform(-0.5, 0.5, tuple(worlds.bumps.shape), rng) * size
        worlds.bumps.copy_(torch.where(fresh[:, :, None], drawn, worlds.bumps))
        self.put(worlds)

    def put(self, worlds: Worlds) -> None:
        """Make the physics have the bumps that `worlds` remembers."""
        self._places[:, self._soles, 2] = self._flat - worlds.bumps.to(self._flat.dtype)
