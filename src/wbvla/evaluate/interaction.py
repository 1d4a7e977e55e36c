"""Do words and pictures matter? The same observations with other words, or no picture, and how far the actions move."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wbvla.core.errors import WbvlaError
from wbvla.core.records import Action, Image, Observation
from wbvla.evaluate.statistics import bootstrap_mean

Ask = Callable[[Observation], Action]
"""asks a policy that has been reset, so that the same observation gets the same answer"""


def distance(first: Action, second: Action) -> tuple[float, float]:
    """Mean distance of the arm targets [rad] and share of locomotion flags that differ, over the common steps."""
    steps = min(first.num_steps, second.num_steps)
    arms = np.abs(first.arm_targets[:steps] - second.arm_targets[:steps]).mean()
    flags = (first.flags[:steps] != second.flags[:steps]).mean()
    return float(arms), float(flags)


def without_pictures(observation: Observation) -> Observation:
    """The same observation with every camera black."""
    black = {n: Image(rgb=np.zeros_like(i.rgb), time_s=i.time_s) for n, i in observation.images.items()}
    return replace(observation, images=black)


def refuses(ask: Ask, observation: Observation) -> bool:
    """Whether a policy answers an empty instruction with an error."""
    try:
        ask(replace(observation, instruction=""))
    except WbvlaError:
        return True
    return False


def sensitivity(ask: Ask, observations: Sequence[Observation], other_instruction: str) -> dict[str, Any]:
    """Paired on the same observation: mean change of the arm targets [rad] and of the flags, with intervals.

    `repeated` is the noise floor: the same observation asked twice. A policy whose change under other words is no
    larger than that does not listen. An empty instruction should be refused; whether it is, is said.
    """
    changes: dict[str, list[tuple[float, float]]] = {}
    for observation in observations:
        words = " ".join(reversed(observation.instruction.split()))
        variants = {
            "repeated": observation,
            "other instruction": replace(observation, instruction=other_instruction),
            "words reversed": replace(observation, instruction=words),
            "black cameras": without_pictures(observation),
        }
        base = ask(observation)
        for name, variant in variants.items():
            changes.setdefault(name, []).append(distance(base, ask(variant)))
    found: dict[str, Any] = {"observations": len(observations), "other words": other_instruction}
    if observations:
        found["empty instruction"] = "refused" if refuses(ask, observations[0]) else "accepted"
    for name, pairs in changes.items():
        arms = bootstrap_mean([a for a, _ in pairs])
        flags = float(np.mean([f for _, f in pairs]))
        if arms is not None:
            ends = {"low": arms.low, "high": arms.high} if arms.low is not None else {"of": arms.count}
            found[f"{name}: arm change [rad]"] = {"mean": arms.value, **ends}
            found[f"{name}: share of flags changed"] = flags
    return found
