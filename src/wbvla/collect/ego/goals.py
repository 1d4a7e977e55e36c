"""Things a person may go to, and words that name exactly one of them by what stands near it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from wbvla.collect.ego.arms import Solid

NEAR_M, FAR_M = 0.75, 1.25
"""a thing is `by` a landmark up to the first distance, and surely not from the second on [m]"""
IN_WALLS = ("window", "door")
"""landmarks that things are `by`; they are `next to` the others"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What stands on the floor, or a piece of wall, as a rectangle along the walls [m]."""

    low: tuple[float, float]
    high: tuple[float, float]

    def distance(self, xy: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b"] | np.floating:
        """From points to the rectangle; 0 inside [m]."""
        out = np.maximum(np.array(self.low) - xy, xy - np.array(self.high))
        return np.linalg.norm(np.maximum(out, 0.0), axis=-1)

    def meets(self, other: "Footprint", margin: float) -> bool:
        """Whether two rectangles come nearer than a margin [m]."""
        return all(self.low[i] < other.high[i] + margin and other.low[i] < self.high[i] + margin for i in range(2))


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """What other things are told apart by."""

    kind: str
    """as it is called"""
    place: Footprint


@dataclass(frozen=True, kw_only=True)
class Target:
    """A thing a person may want."""

    noun: str
    """what it is called without saying where: `red box`, `chair`"""
    solid: Solid
    """where it is touched"""
    support: str = ""
    """what it stands on; empty = the floor"""
    own: Footprint | None = None
    """where it stands, for furniture: it is not near itself"""
    shape: int = -1
    """number of its geometry in the room, for checks"""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A thing, and words that name it and no other thing of the room."""

    target: Target
    names: tuple[str, ...] = field(default=())
    """such as `the red box by the window`; the shortest first"""


def relations(target: Target, landmarks: Sequence[Landmark], limit_m: float) -> dict[str, str]:
    """Where a thing is, as landmark -> words, for every landmark nearer than a limit."""
    xy, found = np.array(target.solid.xyz[:2]), {}
    for mark in landmarks:
        if mark.place == target.own or mark.kind in (target.noun, target.support):
            continue
        if mark.place.distance(xy) < limit_m:
            found[mark.kind] = "by" if mark.kind in IN_WALLS else "next to"
    if target.support:
        found[f"on {target.support}"] = "on"
    return found


def goals_of(targets: Sequence[Target], landmarks: Sequence[Landmark]) -> list[Goal]:
    """The things that words can name without doubt, with all such names."""
    near = [relations(target, landmarks, NEAR_M) for target in targets]
    perhaps = [relations(target, landmarks, FAR_M) for target in targets]
    found = []
    for i, target in enumerate(targets):
        rivals = [j for j, other in enumerate(targets) if j != i and other.noun == target.noun]
        names = [] if rivals else [f"the {target.noun}"]
        for kind, word in near[i].items():
            if not any(kind in perhaps[j] for j in rivals):
                names.append(f"the {target.noun} {word} the {kind.removeprefix('on ')}")
        if names:
            found.append(Goal(target=target, names=tuple(names)))
    return found
