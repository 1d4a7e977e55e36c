"""Puts one control tick on the engine: late PD targets, torques that are off, and what pushes and pulls the robot."""

from collections.abc import Callable

import mujoco
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from wbvla.lmo.disturb import pull, push, strike
from wbvla.lmo.plant import Layout
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.worlds import Worlds
from wbvla.robots.description import RobotSpec
from wbvla.sim.engine import Engine


class Drive:
    """The way from the controller's targets to the physics of all worlds."""

    def __init__(self, engine: Engine, layout: Layout, model: mujoco.MjModel, spec: RobotSpec) -> None:
        self._engine, self._layout = engine, layout
        self._every = torch.arange(engine.num_worlds)
        self._hands = torch.tensor([model.body(hand.link).id for hand in spec.hands])
        effort = spec.column("effort")[spec.indices(layout.joint_names)]
        self._effort = torch.tensor(effort, dtype=torch.float64)
        self._helped = False

    def disturb(self, worlds: Worlds, stage: Stage, config: EnvironmentConfig, dt_s: float, rng: Generator) -> None:
        """Pushes, blows, pulls at the hands and torque noise of this tick; what the stage lacks stops at once.

        Forces that a user put on robots with fixed commands are left alone, once the root is helped no more.
        """
        if stage.push > 0:
            push(self._engine, worlds, stage, config, dt_s, rng)
        wrench = self._engine.state("xfrc_applied")
        if any(stage.blow):
            strike(worlds, stage, config, dt_s, rng)
        else:
            worlds.blow.zero_()
        if any(stage.blow) or config.commands.resample or self._helped:
            self._helped = False
            wrench[:, self._layout.root_body, :2] = worlds.blow[:, :2].to(wrench.dtype)
            wrench[:, self._layout.root_body, 2:5] = 0.0
            wrench[:, self._layout.root_body, 5] = worlds.blow[:, 2].to(wrench.dtype)
        if any(stage.pull):
            pull(worlds, stage, config, dt_s, rng)
        else:
            worlds.pull.zero_()
        if any(stage.pull) or config.commands.resample:
            wrench[:, self._hands, :3] = worlds.pull.to(wrench.dtype)
        torque = self._engine.state("qfrc_applied")
        if stage.torque_noise > 0:
            share = 2 * torch.rand(len(torque), len(self._effort), generator=rng, device=rng.device) - 1
            torque[:, self._layout.qvel] = (stage.torque_noise * share * self._effort).to(torque.dtype)
        elif config.commands.resample:
            torque.zero_()

    def help(self, wrench_w: Float[Tensor, "world 6"]) -> None:
        """A wrench on the root, on top of what disturbs it [N, N.m]."""
        wrench = self._engine.state("xfrc_applied")
        wrench[:, self._layout.root_body] += wrench_w.to(wrench.dtype)
        self._helped = True

    def advance(
        self, worlds: Worlds, targets: Float[Tensor, "world joint"], substeps: int, sense: Callable[[], None]
    ) -> None:
        """Two half ticks of physics; each world gets the target that its delay lets through. `sense` follows each."""
        w, ctrl = worlds, self._engine.state("ctrl")
        w.targets.copy_(torch.cat([targets[:, None], w.targets[:, :-1]], dim=1))
        for half in (0, 1):
            back = torch.div(w.delay + 1 - half, 2, rounding_mode="floor")
            ctrl[:, self._layout.ctrl] = w.targets[self._every, back].to(ctrl.dtype)
            self._engine.step(substeps // 2)
            sense()
