"""Language beside the instruction: sub-tasks of an episode, and other ways to say its task, as LeRobot reads them.

Sub-tasks are two text columns, `subtask` and `skill`, empty where none holds: they travel with their rows through
every cut and merge, and no table of numbers can fall out of step. LeRobot 0.6.1 knows no sub-task table; it reads
the column `language_persistent`, the same list on every row of an episode, which is written too where it is declared:
style `task_aug` for each phrasing, style `subtask` for each start.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbvla.core.errors import DataError

SUBTASK, SKILL, LANGUAGE = "subtask", "skill", "language_persistent"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Frames `start` to `end` (not included) of an episode in which one sub-task is done."""

    start: int
    end: int
    text: str
    """what is done, in words"""
    skill: str = ""
    """name of the skill, from a list that the recorder keeps; may be empty"""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise DataError(f"a segment covers frames start..end with 0 <= start < end, not {self.start}..{self.end}")
        if not self.text.strip():
            raise DataError(f"segment {self.start}..{self.end} has no words; say what is done")


def segment_columns(segments: Sequence[Segment], length: int) -> dict[str, np.ndarray]:
    """The columns `subtask` and `skill` (T,); raises DataError on an overlap or a segment past the end."""
    columns = {name: np.full(length, "", dtype=object) for name in (SUBTASK, SKILL)}
    before: Segment | None = None
    for segment in sorted(segments, key=lambda s: s.start):
        if segment.end > length:
            raise DataError(f"segment {segment.text!r} ends at frame {segment.end}, the episode has {length}")
        if before is not None and segment.start < before.end:
            raise DataError(f"segments {before.text!r} and {segment.text!r} overlap at frame {segment.start}")
        columns[SUBTASK][segment.start : segment.end] = segment.text
        columns[SKILL][segment.start : segment.end] = segment.skill
        before = segment
    return columns


def segments_of(columns: Mapping[str, np.ndarray]) -> list[Segment]:
    """Inverse of `segment_columns`; two neighbours of the same words and skill come back as one."""
    words, skills = columns[SUBTASK], columns.get(SKILL)
    if skills is None:
        skills = np.full(len(words), "", dtype=object)
    changes = [i for i in range(1, len(words)) if (words[i], skills[i]) != (words[i - 1], skills[i - 1])]
    edges = [0, *changes, len(words)]
    return [
        Segment(start=a, end=b, text=str(words[a]), skill=str(skills[a]))
        for a, b in itertools.pairwise(edges)
        if a < b and words[a]
    ]


def language_rows(phrasings: Sequence[str], segments: Sequence[Segment], fps: int) -> list[dict[str, Any]]:
    """The rows of `language_persistent`, in LeRobot's fields and styles, in order of time."""
    rows = [_row("user", text, "task_aug", 0.0) for text in dict.fromkeys(phrasings)]
    starts = sorted(segments, key=lambda s: s.start)
    return rows + [_row("assistant", s.text, "subtask", s.start / fps) for s in starts]


def phrasings_of(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The phrasings among rows of `language_persistent`."""
    return tuple(str(r["content"]) for r in rows if r.get("style") == "task_aug" and r.get("content"))


def _row(role: str, content: str, style: str, at_s: float) -> dict[str, Any]:
    time = float(np.float32(at_s))
    return {"role": role, "content": content, "style": style, "timestamp": time, "camera": None, "tool_calls": None}
