"""Reading what other writers made: LeRobot's rolling v3 and its v2.1, to the bit; what is broken or hostile is told."""

import json
import logging

import numpy as np
import pyarrow.parquet as pq
import pytest
from foreign import (
    DEPTH,
    FPS,
    HEAD,
    HEIGHT,
    TASKS,
    WIDTH,
    WRIST,
    depth,
    edit_info,
    language,
    level,
    mp4,
    value,
    write_v3,
    write_v21,
)

from wbvla.core.errors import DataError
from wbvla.data.format import read_info
from wbvla.data.journal import Disk
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetWriter

LENGTHS = [4, 3, 5, 2, 3]


@pytest.fixture(scope="module")
def rolling(tmp_path_factory):
    return write_v3(tmp_path_factory.mktemp("v3") / "d", LENGTHS)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return write_v21(tmp_path_factory.mktemp("v21") / "d", LENGTHS, chunks_size=2)


@pytest.fixture(params=["rolling", "old"])
def data(request):
    return Dataset(request.getfixturevalue(request.param))


def copy_of(root, tmp_path, name="copy"):
    import shutil

    return shutil.copytree(root, tmp_path / name)


def test_every_number_and_word_is_what_the_file_holds(data):
    assert (data.num_episodes, len(data), data.fps, data.robot) == (5, sum(LENGTHS), FPS, "bench")
    assert data.tasks == TASKS
    start = 0
    for episode, length in enumerate(LENGTHS):
        assert (data.episodes[episode].start, data.episodes[episode].length) == (start, length)
        columns = data.columns(episode)
        assert set(columns) == set(data.info.columns)
        for name in ("observation.state", "observation.tactile", "observation.cube", "done"):
            expected = np.array([value(name, episode, i) for i in range(length)]).astype(data.features[name].dtype)
            assert columns[name].dtype == expected.dtype
            np.testing.assert_array_equal(columns[name], expected)
        assert columns["remark"].tolist() == [value("remark", episode, i) for i in range(length)]
        assert columns["index"].tolist() == list(range(start, start + length))
        words = [TASKS[value("task_index", episode, i)] for i in range(length)]
        assert [data.instruction(episode, i) for i in range(length)] == words
        start += length


def test_frames_are_those_of_the_episode(data):
    """From a shared mp4, a file of its own, and embedded PNGs, in any order, at an even size that is not square."""
    assert data.cameras == (HEAD, WRIST)
    for episode, length in enumerate(LENGTHS):
        order = np.random.default_rng(episode).permutation(length).tolist()
        video, embedded = data.frames(HEAD, episode, order), data.frames(WRIST, episode, order)
        assert video.shape == embedded.shape == (length, HEIGHT, WIDTH, 3)
        for at, frame in enumerate(order):
            assert np.abs(video[at].astype(int) - level(episode, frame)).max() <= 3
            np.testing.assert_array_equal(embedded[at], level(episode, frame + 1))
    assert data.frames(WRIST, 0, [1], size=(10, 20)).shape == (1, 10, 20, 3)
    with pytest.raises(DataError, match="frame 4 asked"):
        data.frames(WRIST, 0, [4])
    with pytest.raises(DataError, match="no camera 'tail'"):
        data.frames("tail", 0, [0])
    with pytest.raises(DataError, match="not embedded"):
        data.encoded(HEAD, 0)


def test_windows_pad_at_the_ends_of_the_episode(data):
    window = data.window(2, 4, {"observation.tactile": [-5, 0, 1], HEAD: [-1, 1], WRIST: [0]})
    assert window["observation.tactile_is_pad"].tolist() == [True, False, True]
    assert window["observation.tactile"][:, 0, 0].tolist() == [200.0, 204.0, 204.0]
    assert window[f"{HEAD}_is_pad"].tolist() == [False, True]
    assert [round(float(f.mean()) / 7) for f in window[HEAD] - 100.0] == [3, 4]


def test_depth_and_language_of_v3(rolling):
    data = Dataset(rolling)
    assert data.depths == (DEPTH,)
    maps = data.depth(DEPTH, 1, [2, 0])
    assert maps.dtype == np.uint16
    np.testing.assert_array_equal(maps, np.stack([depth(1, 2), depth(1, 0)]))
    np.testing.assert_array_equal(data.window(1, 0, {DEPTH: [-1, 0]})[DEPTH][1], depth(1, 0))
    with pytest.raises(DataError, match="no depth"):
        data.depth(HEAD, 0, [0])
    with pytest.raises(DataError, match="no camera"):
        data.frames(DEPTH, 0, [0])
    rows = data.columns(1, ["language_persistent"])["language_persistent"]
    assert rows[0] == []
    assert rows[1] == [{**language(101), "tool_calls": [{"name": "stop", "n": [1]}]}]


def test_drift_of_half_a_frame_is_forgiven(tmp_path):
    """Starts in concatenated videos drift as durations are added up as floats."""
    for name, drift in (("early", -0.04), ("late", 0.04)):
        data = Dataset(write_v3(tmp_path / name, [3, 4, 2], per_file=3, drift_s=drift))
        for episode, length in enumerate([3, 4, 2]):
            found = data.frames(HEAD, episode, range(length)).mean(axis=(1, 2, 3))
            np.testing.assert_allclose(found, [level(episode, i) for i in range(length)], atol=3)


def test_another_rate_is_refused_naming_both(rolling, tmp_path):
    root = copy_of(rolling, tmp_path)
    mp4(root / f"videos/{HEAD}/chunk-000/file-000.mp4", [level(0, i) for i in range(20)], fps=2 * FPS)
    with pytest.raises(DataError, match=r"(?s)20.*10|10.*20"):
        Dataset(root).frames(HEAD, 0, [1])


@pytest.mark.parametrize("key", ["data_path", "video_path"])
@pytest.mark.parametrize(
    "template",
    [
        "../../x/{chunk_index}.parquet",
        "/etc/passwd",
        "data/../../{file_index}",
        "data\\..\\x",
        "data/{chunk_index.__class__}",
        "data/{chunk_index!r}",
        "data/{secret}",
        "data/{chunk_index:0999999999d}",
        "data/{chunk_index",
        "",
        "x" * 5000,
        7,
    ],
)
def test_a_path_that_leaves_the_dataset_is_refused(rolling, tmp_path, key, template):
    """Nothing outside is opened, and no template reaches into objects or asks for a name of a million zeros."""
    root = copy_of(rolling, tmp_path)
    edit_info(root, **{key: template if template != "" else "\0"})
    with pytest.raises(DataError):
        Dataset(root)


def test_a_camera_name_that_climbs_is_refused(rolling, tmp_path):
    root = copy_of(rolling, tmp_path)
    content = json.loads((root / "meta/info.json").read_text())
    features = {("../../../x" if k == HEAD else k): f for k, f in content["features"].items()}
    edit_info(root, features=features)
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet")
    renamed = rows.rename_columns([n.replace(HEAD, "../../../x") for n in rows.column_names])
    pq.write_table(renamed, root / "meta/episodes/chunk-000/file-000.parquet")
    with pytest.raises(DataError, match="outside the dataset"):
        Dataset(root)


def test_unknown_keys_give_one_warning_and_are_kept(rolling, tmp_path, caplog):
    root = copy_of(rolling, tmp_path)
    tools = [{"type": "function"}]
    edit_info(root, colour="red", flavour=3, tools=tools)
    with caplog.at_level(logging.WARNING):
        data = Dataset(root)
    assert [("colour" in r.message and "flavour" in r.message) for r in caplog.records] == [True]
    written = data.info.to_json()
    assert (written["colour"], written["flavour"], written["tools"]) == ("red", 3, tools)
    assert "tools" not in Dataset(rolling).info.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v4.0"}, r"v4\.0"),
        ({"codebase_version": "v1.6"}, r"v1\.6.*convert"),
        ({"fps": 29.97}, "29.97"),
        ({"fps": 0}, "fps"),
        ({"fps": "fast"}, "incomplete or wrong"),
        ({"features": None}, "features"),
        ({"features": [1]}, "incomplete or wrong"),
        ({"features": {"a": {"dtype": "float32", "shape": [2**40]}}}, "axes"),
        ({"features": {"a": {"dtype": "float32", "shape": [1] * 6}}}, "axes"),
        ({"features": {"a": {"dtype": "object", "shape": [1]}}}, "object"),
        ({"features": {"a": {"dtype": "video", "shape": [10, 1 << 20, 3]}}}, "larger"),
        ({"total_episodes": -1}, "no count"),
        ({"total_episodes": 1 << 60}, "lacks the meta rows"),
        ({"total_episodes": 9}, "lacks the meta rows"),
        ({"video_files_size_in_mb": "many"}, "no size"),
    ],
)
def test_info_that_cannot_be_used_is_named(rolling, tmp_path, change, message):
    root = copy_of(rolling, tmp_path)
    edit_info(root, **change)
    with pytest.raises(DataError, match=message):
        Dataset(root)


def test_meta_rows_without_a_camera_are_named(rolling, tmp_path):
    root = copy_of(rolling, tmp_path)
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns([f"videos/{HEAD}/from_timestamp"]), path)
    with pytest.raises(DataError, match="from_timestamp"):
        Dataset(root)


def test_old_versions_are_read_but_not_written(old):
    with pytest.raises(DataError, match=r"v2\.1.*only v3\.0 is written"):
        read_info(old)
    with pytest.raises(DataError, match=r"v2\.1"):
        DatasetWriter.open(old)
    with pytest.raises(DataError, match=r"v2\.1"):
        write_labels(old, {}, [], {"digest": "x"}, Disk())


def test_digest_follows_the_files_of_others(rolling, tmp_path):
    root = copy_of(rolling, tmp_path)
    before = Dataset(root).digest
    assert before == Dataset(rolling).digest
    mp4(root / f"videos/{HEAD}/chunk-000/file-001.mp4", [1] * 30)
    assert Dataset(root).digest != before


def test_columns_read_only_their_row_groups(rolling, tmp_path):
    """Damage in one episode's pages leaves its neighbours in the same file readable."""
    root = copy_of(rolling, tmp_path)
    path = root / "data/chunk-000/file-000.parquet"
    group = pq.ParquetFile(path).metadata.row_group(0)
    content = bytearray(path.read_bytes())
    first = min(group.column(i).data_page_offset for i in range(group.num_columns))
    content[first : first + 64] = b"\xff" * 64
    path.write_bytes(content)
    data = Dataset(root)
    data._first_rows[path] = 0
    np.testing.assert_array_equal(data.columns(1, ["observation.state"])["observation.state"][:, 1], [-100, -101, -102])
