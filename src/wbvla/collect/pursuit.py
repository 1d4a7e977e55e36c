"""Walks far: looks where it goes, turns on the spot towards what lies aside, and passes corners without stopping."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from wbvla.collect.expert import UNREACHABLE, Expert, Lapse, Motion, Script

Place = Callable[[], Float[np.ndarray, "2"]]


@dataclass(frozen=True, kw_only=True)
class PursuitConfig:
    """When to turn and when to walk."""

    turn_rad: float = 0.6
    """a place further aside than this is turned to on the spot"""
    go_rad: float = 0.25
    """until it is this near to straight ahead"""
    accept_rad: float = 0.1
    """a heading this far off is left alone while walking"""
    near_m: float = 0.4
    """a place nearer than this is passed, or left to a walk that stops"""
    limit_s: float = 40.0
    """a place not reached by then is out of reach"""


def pursue(
    expert: Expert, phase: str, place: Place, motion: Callable[[], Motion], config: PursuitConfig | None = None
) -> Script:
    """Walk until a place is near; raises `UNREACHABLE` when that takes too long.

    Args:
        place: where to go in the world [m]; may move.
        motion: what arms, grippers and height do on the way.
    """
    config, turning = config or PursuitConfig(), True
    expert.enter(phase)
    while True:
        ahead, left, _ = expert.error_to(place(), 0.0)
        if float(np.hypot(ahead, left)) < config.near_m:
            return
        if expert.phase_s > config.limit_s:
            raise Lapse(UNREACHABLE)
        aside = float(np.arctan2(left, ahead))
        turning = abs(aside) > (config.go_rad if turning else config.turn_rad)
        yield replace(motion(), flags=steer(expert, ahead, aside, turning, config.accept_rad))


def steer(expert: Expert, ahead: float, aside: float, turning: bool, accept_rad: float) -> np.ndarray:
    """Flags towards a place so far ahead [m] and aside [rad], on the spot or walking."""
    before = expert.approach.config
    expert.approach.config = replace(before, accept=(*before.accept[:2], accept_rad))
    try:
        return expert.approach.step(np.array([0.0 if turning else ahead, 0.0, aside]))
    finally:
        expert.approach.config = before
