"""What an operator is asked to show: the motion primitives with their targets, what is there already, and consent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from wbvla.collect.ego.walker import PRIMITIVES
from wbvla.collect.ego.words import PROMPTS, SHARES
from wbvla.core.errors import ConfigError, DataError, UnknownName
from wbvla.data.features import PRIMITIVE
from wbvla.data.format import INFO
from wbvla.data.reader import Dataset

TARGETS: Mapping[str, int] = SHARES
"""clips wanted of each primitive"""
SAID = {name: tuple(p.replace("{goal}", "the thing in front of you") for p in PROMPTS[name]) for name in PRIMITIVES}
"""instruction of each primitive, and other ways to say it"""
QUESTION = "Has everybody who may be seen in this recording agreed to being filmed, and to models learning from it?"


def number_of(primitive: str) -> int:
    """The label of a primitive in the dataset; raises UnknownName."""
    if primitive not in PRIMITIVES:
        raise UnknownName(f"unknown primitive {primitive!r}; known: {', '.join(PRIMITIVES)}")
    return PRIMITIVES.index(primitive)


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The answer to `QUESTION`, as it is kept in the notes of every clip."""

    given_by: str
    """who answered, in words"""
    at: str
    """when, UTC"""

    @staticmethod
    def ask(answer: str) -> "Consent":
        """From what was typed: a name or names. Raises ConfigError where that is no consent."""
        said = answer.strip()
        if said.lower() in ("", "no", "n", "none", "nobody", "-"):
            raise ConfigError(
                f"nothing is recorded without consent. {QUESTION} Give the name of who answers for it with --consent"
            )
        if said.lower() in ("yes", "y", "ok"):
            raise ConfigError("consent needs the name of who answers for it, not only a yes: --consent 'A. Name'")
        return Consent(given_by=said, at=datetime.now(UTC).isoformat(timespec="seconds"))

    def notes(self) -> dict[str, str]:
        """For the notes of a clip."""
        return {"question": QUESTION, "answer": "yes", "given_by": self.given_by, "at": self.at}


class Tallies:
    """Clips and seconds by primitive: read from the dataset, kept up while it grows."""

    def __init__(self, folder: Path) -> None:
        self.clips: dict[str, int] = dict.fromkeys(PRIMITIVES, 0)
        self.seconds: dict[str, float] = dict.fromkeys(PRIMITIVES, 0.0)
        if not (folder / INFO).is_file():
            return
        dataset = Dataset(folder)
        if PRIMITIVE not in dataset.info.features:
            raise DataError(f"{folder} has no column {PRIMITIVE!r}: it is no recording of primitives; choose another")
        for episode in range(dataset.num_episodes):
            labels = dataset.columns(episode, [PRIMITIVE])[PRIMITIVE].reshape(-1)
            values, counts = np.unique(labels, return_counts=True)
            self.add(PRIMITIVES[int(values[counts.argmax()])], len(labels) / dataset.info.fps)

    def add(self, primitive: str, seconds: float) -> None:
        """One more clip."""
        self.clips[primitive] += 1
        self.seconds[primitive] += seconds

    @property
    def hours(self) -> float:
        """Of all clips [h]."""
        return sum(self.seconds.values()) / 3600.0

    def left(self, primitive: str) -> int:
        """Clips still wanted."""
        return max(0, TARGETS[primitive] - self.clips[primitive])

    def next(self) -> str:
        """The primitive that lacks the largest share of its target; `advance` once nothing is lacking."""
        return max(PRIMITIVES, key=lambda name: self.left(name) / TARGETS[name])

    def lines(self) -> list[str]:
        """A table for people."""
        rows = [f"{n:15} {self.clips[n]:4} of {TARGETS[n]:4}  {self.seconds[n] / 60:7.1f} min" for n in PRIMITIVES]
        return [*rows, f"{'all':15} {sum(self.clips.values()):4} of {sum(TARGETS.values())}  {self.hours:7.3f} h"]
