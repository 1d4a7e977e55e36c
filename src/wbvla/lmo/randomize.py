"""Plants that differ: friction, masses, payloads, gains and torque limits of each world, drawn from a seed."""

from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from jaxtyping import Float

from wbvla.robots.description import RobotSpec
from wbvla.sim.engine import Engine

Range = tuple[float, float]
FIELDS = (
    "geom_friction", "body_mass", "body_inertia", "actuator_gainprm", "actuator_biasprm", "actuator_forcerange",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RandomizeConfig:
    """Ranges of U(low, high) per world."""

    friction: Range = (0.5, 1.25)
    """of the soles [-]"""
    gain: Range = (0.9, 1.1)
    """factor on kp, and another on kd, of each joint"""
    link_mass: Range = (1.0, 1.0)
    """factor on mass and inertia of every link, each its own"""
    torso_mass: Range = (0.85, 1.25)
    """factor"""
    torso_payload_kg: Range = (-1.0, 3.0)
    """added to the torso"""
    hand_payload_kg: Range = (0.0, 0.6)
    """added to each hand, the same on both in half of the worlds"""
    empty_hands_share: float = 0.0
    """worlds without any payload in the hands [-]"""
    waist_gain: Range = (0.8, 1.3)
    """factor on kp and on kd of the held waist joints (one factor for both)"""
    waist_effort: Range = (1.0, 1.5)
    """factor on their torque limit"""


CENTRED = RandomizeConfig(torso_payload_kg=(-1.5, 1.5), empty_hands_share=0.5)
"""around the bare robot, so that it is the bare one that walks without a bias"""
UNEVEN = RandomizeConfig(
    torso_payload_kg=(-1.5, 1.5), empty_hands_share=0.5, link_mass=(0.9, 1.1), friction=(0.4, 1.25)
)
"""the same, with links of other masses than the table says"""
PAPER = RandomizeConfig(
    friction=(0.1, 3.0), link_mass=(0.8, 1.2), torso_mass=(1.0, 1.0), torso_payload_kg=(-5.0, 10.0),
    hand_payload_kg=(-0.1, 0.3),
)  # fmt: skip
"""ranges of the paper (arXiv 2512.11047) and of HOMIE; torque noise, pushes and lags stand in `Stage`"""


class Plants:
    """Draws plants on the host, each time from the values the model came with, and writes them into an engine."""

    def __init__(self, engine: Engine, model: mujoco.MjModel, spec: RobotSpec) -> None:
        self._engine, self._model, self._spec = engine, model, spec

    def draw(self, config: RandomizeConfig, seed: int) -> Float[np.ndarray, "world 4"]:
        """Give each world its own plant; returns friction, torso mass factor and the two hand payloads [kg]."""
        rng, worlds = np.random.default_rng(seed), self._engine.num_worlds
        drawn = {name: np.repeat(np.array(getattr(self._model, name))[None], worlds, axis=0) for name in FIELDS}
        friction = rng.uniform(*config.friction, worlds)
        drawn["geom_friction"][:, :, 0] = friction[:, None]
        self._draw_gains(drawn, config, rng)
        mass, inertia = drawn["body_mass"], drawn["body_inertia"]
        if config.link_mass != (1.0, 1.0):
            links = rng.uniform(*config.link_mass, mass.shape)
            mass *= links
            inertia *= links[:, :, None]
        torso = self._model.body(self._spec.torso_link).id
        factor = rng.uniform(*config.torso_mass, worlds)
        factor = factor + rng.uniform(*config.torso_payload_kg, worlds) / mass[:, torso]
        mass[:, torso] *= factor
        inertia[:, torso] *= factor[:, None]
        payload = _hand_payload(config, worlds, rng)
        for side, hand in enumerate(self._spec.hands):
            body = self._model.body(hand.link).id
            inertia[:, body] *= (1 + payload[:, side] / mass[:, body])[:, None]
            mass[:, body] += payload[:, side]
        for name, values in drawn.items():
            self._engine.parameter(name).copy_(torch.from_numpy(values))
        self._engine.commit()
        return np.stack([friction, factor, payload[:, 0], payload[:, 1]], axis=1)

    def _draw_gains(self, drawn: dict[str, np.ndarray], config: RandomizeConfig, rng: np.random.Generator) -> None:
        """kp and kd of every joint by factors of their own; held waist joints by wider ones."""
        gain, bias, limit = (drawn[f"actuator_{name}"] for name in ("gainprm", "biasprm", "forcerange"))
        worlds = self._engine.num_worlds
        stiffness, damping = (rng.uniform(*config.gain, (worlds, self._model.nu)) for _ in range(2))
        for name in (n for n in self._spec.waist_joints if n not in self._spec.lmo_joints):
            actuator = self._model.actuator(name).id
            wide = rng.uniform(*config.waist_gain, worlds)
            stiffness[:, actuator] *= wide
            damping[:, actuator] *= wide
            limit[:, actuator] *= rng.uniform(*config.waist_effort, worlds)[:, None]
        gain[:, :, 0] *= stiffness
        bias[:, :, 1] *= stiffness
        bias[:, :, 2] *= damping


def _hand_payload(config: RandomizeConfig, worlds: int, rng: np.random.Generator) -> Float[np.ndarray, "world 2"]:
    payload = rng.uniform(*config.hand_payload_kg, (worlds, 2))
    same = rng.random(worlds) < 0.5
    payload[same, 1] = payload[same, 0]
    if config.empty_hands_share > 0:
        payload[rng.random(worlds) < config.empty_hands_share] = 0.0
    return payload
