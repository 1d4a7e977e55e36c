"""Plants that differ: friction, masses, payloads, gains and torque limits of each world, drawn once from a seed."""

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.robots.description import RobotSpec
from wbvla.sim.engine import Engine

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class RandomizeConfig:
    """Ranges of U(low, high) per world."""

    friction: Range = (0.5, 1.25)
    """of the soles [-]"""
    gain: Range = (0.9, 1.1)
    """factor on kp, and another on kd, of each joint"""
    torso_mass: Range = (0.85, 1.25)
    """factor"""
    torso_payload_kg: Range = (-1.0, 3.0)
    """added to the torso"""
    hand_payload_kg: Range = (0.0, 0.6)
    """added to each hand, the same on both in half of the worlds"""
    waist_gain: Range = (0.8, 1.3)
    """factor on kp and on kd of the held waist joints (one factor for both)"""
    waist_effort: Range = (1.0, 1.5)
    """factor on their torque limit"""


def randomize(
    engine: Engine, model: mujoco.MjModel, spec: RobotSpec, config: RandomizeConfig, seed: int
) -> Float[np.ndarray, "world 4"]:
    """Write each world's own plant; returns friction, torso mass factor and the two hand payloads, for the critic."""
    rng, worlds = np.random.default_rng(seed), engine.num_worlds
    friction = rng.uniform(*config.friction, worlds)
    engine.parameter("geom_friction")[:, :, 0] = friction[:, None]
    _gains(engine, model, spec, config, rng)
    mass, inertia = engine.parameter("body_mass"), engine.parameter("body_inertia")
    torso = model.body(spec.torso_link).id
    factor = rng.uniform(*config.torso_mass, worlds)
    factor = factor + rng.uniform(*config.torso_payload_kg, worlds) / mass[:, torso]
    mass[:, torso] *= factor
    inertia[:, torso] *= factor[:, None]
    payload = rng.uniform(*config.hand_payload_kg, (worlds, 2))
    same = rng.random(worlds) < 0.5
    payload[same, 1] = payload[same, 0]
    for side, hand in enumerate(spec.hands):
        body = model.body(hand.link).id
        inertia[:, body] *= (1 + payload[:, side] / mass[:, body])[:, None]
        mass[:, body] += payload[:, side]
    engine.commit()
    return np.stack([friction, factor, payload[:, 0], payload[:, 1]], axis=1)


def _gains(
    engine: Engine, model: mujoco.MjModel, spec: RobotSpec, config: RandomizeConfig, rng: np.random.Generator
) -> None:
    """kp and kd of every joint by factors of their own; held waist joints by wider ones."""
    gain, bias = engine.parameter("actuator_gainprm"), engine.parameter("actuator_biasprm")
    limit = engine.parameter("actuator_forcerange")
    worlds = engine.num_worlds
    stiffness, damping = (rng.uniform(*config.gain, (worlds, model.nu)) for _ in range(2))
    held = [n for n in spec.waist_joints if n not in spec.lmo_joints]
    for name in held:
        actuator = model.actuator(name).id
        wide = rng.uniform(*config.waist_gain, worlds)
        stiffness[:, actuator] *= wide
        damping[:, actuator] *= wide
        limit[:, actuator] *= rng.uniform(*config.waist_effort, worlds)[:, None]
    gain[:, :, 0] *= stiffness
    bias[:, :, 1] *= stiffness
    bias[:, :, 2] *= damping
