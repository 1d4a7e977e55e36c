"""Sub-tasks and phrasings: what is written is read back, what contradicts itself is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import DataError
from wbvla.data.words import SUBTASK, Segment, language_rows, phrasings_of, segment_columns, segments_of

TEXT = st.text(min_size=1, max_size=12).filter(lambda t: t.strip())


@given(st.data())
def test_segments_round_trip(data):
    """Any segments, with or without pauses; equal neighbours are told apart by their words, so give those to all."""
    edges = sorted(data.draw(st.sets(st.integers(0, 60), min_size=2, max_size=9)))
    segments = [
        Segment(start=a, end=b, text=f"{i} {data.draw(TEXT)}", skill=data.draw(st.sampled_from(["", "walk", "é"])))
        for i, (a, b) in enumerate(itertools.pairwise(edges))
        if data.draw(st.booleans())
    ]
    length = edges[-1] + data.draw(st.integers(0, 5))
    columns = segment_columns(segments[::-1], length)
    assert columns[SUBTASK].shape == (length,)
    assert segments_of(columns) == segments
    covered = sum(s.end - s.start for s in segments)
    assert int((columns[SUBTASK] != "").sum()) == covered


def test_neighbours_of_the_same_words_are_one():
    parts = [Segment(start=0, end=2, text="grasp"), Segment(start=2, end=5, text="grasp")]
    assert segments_of(segment_columns(parts, 6)) == [Segment(start=0, end=5, text="grasp")]
    skills = [Segment(start=0, end=2, text="grasp", skill="a"), Segment(start=2, end=5, text="grasp", skill="b")]
    assert segments_of(segment_columns(skills, 6)) == skills


def test_a_column_of_words_alone_is_enough():
    words = np.array(["", "walk", "walk", "", "lift"], dtype=object)
    assert segments_of({SUBTASK: words}) == [Segment(start=1, end=3, text="walk"), Segment(start=4, end=5, text="lift")]
    assert segments_of({SUBTASK: np.array([], dtype=object)}) == []


@pytest.mark.parametrize(
    ("start", "end", "text", "message"),
    [(3, 3, "x", "0 <= start < end"), (-1, 2, "x", "0 <= start"), (0, 2, "  ", "no words")],
)
def test_an_impossible_segment_is_refused(start, end, text, message):
    with pytest.raises(DataError, match=message):
        Segment(start=start, end=end, text=text)


def test_overlap_and_overrun_are_refused():
    a, b = Segment(start=0, end=4, text="walk"), Segment(start=3, end=5, text="lift")
    with pytest.raises(DataError, match="'walk' and 'lift' overlap at frame 3"):
        segment_columns([b, a], 9)
    with pytest.raises(DataError, match="ends at frame 5, the episode has 4"):
        segment_columns([b], 4)


def test_rows_are_those_that_lerobot_reads():
    """Fields, roles and styles of LeRobot 0.6.1's `language.py`; persistent rows carry no camera."""
    segments = [Segment(start=7, end=9, text="lift"), Segment(start=0, end=7, text="walk")]
    rows = language_rows(["lift the box", "raise the box", "lift the box"], segments, fps=10)
    assert [(r["style"], r["role"], r["content"]) for r in rows] == [
        ("task_aug", "user", "lift the box"),
        ("task_aug", "user", "raise the box"),
        ("subtask", "assistant", "walk"),
        ("subtask", "assistant", "lift"),
    ]
    assert [r["timestamp"] for r in rows] == [0.0, 0.0, 0.0, float(np.float32(0.7))]
    assert all(set(r) == {"role", "content", "style", "timestamp", "camera", "tool_calls"} for r in rows)
    assert all(r["camera"] is None for r in rows)
    assert phrasings_of(rows) == ("lift the box", "raise the box")
    assert phrasings_of([]) == ()
