"""The JSON-lines tables of v2.1: read, or refused with the line that is wrong."""

import json

import pytest
from foreign import TASKS, write_lines, write_v21
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import DataError
from wbvla.data import v21
from wbvla.data.format import load_info
from wbvla.data.reader import Dataset


@pytest.fixture
def root(tmp_path):
    return write_v21(tmp_path / "d", [2, 3])


def test_v20_without_statistics_and_a_single_task_word_is_read(tmp_path):
    root = write_v21(tmp_path / "d", [2], version="v2.0")
    (root / "meta/episodes_stats.jsonl").unlink()
    write_lines(root / "meta/episodes.jsonl", [{"episode_index": 0, "tasks": TASKS[0], "length": 2}])
    data = Dataset(root)
    assert data.episodes[0].tasks == (TASKS[0],)
    assert v21.read_stats(root) == {}


def test_statistics_and_modality(root):
    assert v21.read_stats(root)[1]["observation.state"]["count"] == [1]
    assert v21.read_modality(root) == {}
    modality = {"state": {"arm": {"start": 0, "end": 3}}}
    (root / v21.MODALITY).write_text(json.dumps(modality))
    (root / "meta/stats.json").write_text("{}")
    assert v21.read_modality(root) == modality
    assert Dataset(root).modality == modality
    (root / v21.MODALITY).write_text("[1]")
    with pytest.raises(DataError, match="no object"):
        v21.read_modality(root)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("episodes", '{"episode_index": 0', "line 1 is not JSON"),
        ("episodes", "[1, 2]", "no object"),
        ("episodes", '{"episode_index": 0}', "length"),
        ("episodes", '{"episode_index": 0, "length": 0}', "length 0"),
        ("episodes", '{"episode_index": 1, "length": 2}', "lacks the meta rows"),
        ("tasks", '{"task_index": 3, "task": "x"}', "not 0"),
        ("tasks", '{"task_index": 0}', "task"),
    ],
)
def test_a_broken_line_is_named(root, name, line, message):
    (root / f"meta/{name}.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        Dataset(root)


def test_missing_tables(root):
    (root / "meta/episodes.jsonl").unlink()
    with pytest.raises(DataError, match=r"has no meta/episodes\.jsonl"):
        Dataset(root)


def test_missing_parquet_is_named_when_it_is_read(root):
    (root / "data/chunk-000/episode_000001.parquet").unlink()
    data = Dataset(root)
    assert data.columns(0)["index"].tolist() == [0, 1]
    with pytest.raises(DataError, match="episode_000001"):
        data.columns(1)


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_no_bytes_crash_the_tables(tmp_path_factory, content):
    """Whatever stands in a table: rows, or a DataError."""
    root = tmp_path_factory.mktemp("bytes")
    (root / "meta").mkdir()
    for name in (v21.EPISODES, v21.TASKS, v21.EPISODES_STATS, v21.MODALITY, "meta/info.json"):
        (root / name).write_bytes(content)
    for work in (v21.read_tasks, v21.read_stats, v21.read_modality, load_info):
        try:
            work(root)
        except DataError:
            continue
