"""Recording: what is committed is read back; what is not leaves nothing; what does not fit is refused."""

import json
import multiprocessing

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import CONFIG, FEATURES, HAND, HEAD, HEIGHT, WIDTH, make_dataset, picture, record, require_episode, row

from wbvla.core.errors import ConfigError, ContractMismatch, DataError
from wbvla.data.format import Feature, Info, scalar, vector, video
from wbvla.data.journal import STAGING
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter


def test_round_trip(tmp_path):
    """Columns exactly, frames within the codec's error, words, truth, contract, global indices."""
    data = Dataset(make_dataset(tmp_path / "d", [3, 7, 2]))
    assert (len(data), data.num_episodes, data.fps, data.robot) == (12, 3, 10, "agibot_x2")
    assert data.tasks == ["lift the box", "step back"]
    assert data.contract == {"joint_names": ["a", "b"]}
    for index, length in enumerate([3, 7, 2]):
        require_episode(data, index, length)
        for camera, number in ((HEAD, 0), (HAND, 1)):
            frames = data.frames(camera, index, range(length))
            expected = np.stack([picture(index, f, number) for f in range(length)])
            assert np.abs(frames.astype(int) - expected).max() <= 2
    assert [data.instruction(i) for i in range(3)] == ["lift the box", "step back", "lift the box"]
    assert data.column("success").tolist() == [True] * 3 + [False] * 7 + [True] * 2
    assert data.truth(1)["twist"].shape == (7, 6)
    assert data.locate(9) == (1, 6)
    assert data.locate(10) == (2, 0)
    with pytest.raises(DataError, match="has 12"):
        data.locate(12)


def test_random_reads_equal_sequential_reads(tmp_path):
    """Any order of frame numbers gives the pictures of those numbers, whatever the decoder's position."""
    data = Dataset(make_dataset(tmp_path / "d", [40]))
    whole = data.load_video(HEAD, (HEIGHT, WIDTH))
    order = np.random.default_rng(0).permutation(40).tolist()
    order += [39, 39, 0, 1, 30, 2]
    for index in order:
        np.testing.assert_array_equal(data.frames(HEAD, 0, [index, 0])[0], whole[index])
    np.testing.assert_array_equal(data.frames(HEAD, 0, order), whole[order])
    assert data.load_video(HEAD, (16, 24)).shape == (40, 16, 24, 3)


def test_window_clamps_and_marks_padding(tmp_path):
    data = Dataset(make_dataset(tmp_path / "d", [4, 5]))
    window = data.window(1, 4, {"action": [-1, 0, 1], HEAD: [-5, 0]})
    assert window["action"][:, 0].tolist() == [3, 4, 4]
    assert window["action_is_pad"].tolist() == [False, False, True]
    assert window[f"{HEAD}_is_pad"].tolist() == [True, False]
    assert window[HEAD].shape == (2, HEIGHT, WIDTH, 3)
    assert data.whole_windows(-1, 2).tolist() == [1, 5, 6]


def test_dataset_travels_to_workers(tmp_path):
    """A dataset that went through a pipe, as to a worker, reads on with files of its own."""
    data = Dataset(make_dataset(tmp_path / "d", [5]))
    before = data.frames(HEAD, 0, [3])
    here, there = multiprocessing.Pipe()
    here.send(data)
    copy = there.recv()
    np.testing.assert_array_equal(copy.frames(HEAD, 0, [3]), before)


def test_exception_discards_the_episode(tmp_path):
    root = make_dataset(tmp_path / "d", [3])
    with DatasetWriter.open(root) as writer:
        with pytest.raises(DataError, match="shape"), writer.episode(task="x") as episode:
            episode.add(row(1, 0) | {"action": np.zeros(7)})
        with writer.episode(task="left without commit") as episode:
            episode.add(row(1, 0))
        assert record(writer, 2) == 1
    assert [p.name for p in (root / STAGING).iterdir()] == ["lock"]
    data = Dataset(root)
    assert data.tasks == ["lift the box"]
    require_episode(data, 1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": np.zeros(3)}, "shape"),
        ({"action": np.array([0.0, np.nan])}, "NaN"),
        ({"action": np.array([0.0, 1e300])}, "too large"),
        ({"primitive": 1.5}, "declared int64"),
        ({"note": 3}, "takes text"),
        ({HEAD: np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8)}, "declared uint8"),
        ({HEAD: np.zeros((HEIGHT, WIDTH, 3), np.float32)}, "declared uint8"),
        ({"speed": 1.0}, "no feature 'speed'"),
        ({"timestamp": 1.0}, "no feature 'timestamp'"),
    ],
)
def test_frame_that_does_not_fit_is_refused(tmp_path, change, message):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="x") as episode:
        episode.add(row(0, 0))
        with pytest.raises(DataError, match=message):
            episode.add({**row(0, 1), **change})
        episode.add(row(0, 1))
        episode.fill("success", True)
        episode.commit()
    data = Dataset(tmp_path / "d")
    assert np.abs(data.frames(HEAD, 0, [1])[0].astype(int) - picture(0, 1)).max() <= 2
    require_episode(data, 0, 2)


def test_incomplete_episode_is_refused(tmp_path):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="x") as episode:
        with pytest.raises(DataError, match="at least one frame"):
            episode.commit()
        with pytest.raises(DataError, match="lacks cameras"):
            episode.add({k: v for k, v in row(0, 0).items() if k != HAND})
        episode.add(row(0, 0))
        with pytest.raises(DataError, match="'success' has 0 of 1"):
            episode.commit()
        episode.fill("success", False)
        assert episode.commit() == 0
        with pytest.raises(DataError, match="is over"):
            episode.add(row(0, 1))


def test_one_writer_at_a_time(tmp_path):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer:
        with pytest.raises(DataError, match="another process"):
            DatasetWriter.open(tmp_path / "d")
        with (
            writer.episode(task="a"),
            pytest.raises(DataError, match="already being recorded"),
            writer.episode(task="b"),
        ):
            pass
    with pytest.raises(DataError, match="closed"), writer.episode(task="c"):
        pass


def test_create_open_resume(tmp_path):
    root = make_dataset(tmp_path / "d", [2])
    with pytest.raises(DataError, match="already holds"):
        DatasetWriter.create(root, CONFIG)
    with pytest.raises(DataError, match="no dataset"):
        DatasetWriter.open(tmp_path / "nothing")
    with DatasetWriter.resume(root, CONFIG) as writer:
        assert (writer.num_episodes, writer.num_frames) == (1, 2)
        assert record(writer, 3) == 1
    other = DatasetConfig(fps=20, robot="agibot_x2", features=FEATURES)
    with pytest.raises(ContractMismatch, match="fps"):
        DatasetWriter.resume(root, other)
    with DatasetWriter.resume(tmp_path / "new", CONFIG) as writer:
        assert writer.num_episodes == 0


def test_several_instructions_in_one_episode(tmp_path):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="walk") as episode:
        for frame in range(4):
            episode.add(row(0, frame), task="grasp" if frame > 1 else "")
        episode.fill("success", np.array([True, False, True, True]))
        episode.commit()
    data = Dataset(tmp_path / "d")
    assert [data.instruction(0, f) for f in range(4)] == ["walk", "walk", "grasp", "grasp"]
    assert data.episodes[0].tasks == ("walk", "grasp")


def test_files_follow_lerobot_v3(tmp_path):
    """Paths, schema, row groups, and the metadata that datasets and pandas read."""
    root = make_dataset(tmp_path / "d", [3, 4])
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["chunks_size"], info["splits"]) == ("v3.0", 1000, {"train": "0:2"})
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, 7, 2)
    assert info["features"][HEAD]["info"]["video.codec"] == "h264"
    assert info["features"][HEAD]["names"] == ["height", "width", "channels"]
    assert list(info["features"])[-5:] == ["timestamp", "frame_index", "episode_index", "index", "task_index"]
    file = pq.ParquetFile(root / "data/chunk-000/file-001.parquet")
    assert file.num_row_groups == 1
    assert str(file.schema_arrow.field("action").type) == "fixed_size_list<element: float>[2]"
    described = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert described["action"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": 2, "_type": "List"}
    assert described["success"] == {"dtype": "bool", "_type": "Value"}
    assert HEAD not in described
    pandas = json.loads(pq.read_schema(root / "meta/tasks.parquet").metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]
    meta = pq.read_table(root / "meta/episodes/chunk-000/file-001.parquet").to_pylist()[0]
    assert (meta["dataset_from_index"], meta["dataset_to_index"], meta["length"]) == (3, 7, 4)
    assert (meta[f"videos/{HEAD}/file_index"], meta[f"videos/{HEAD}/to_timestamp"]) == (1, 0.4)
    assert meta["stats/action/max"] == [3.0, 0.0]
    assert np.shape(meta[f"stats/{HEAD}/mean"]) == (3, 1, 1)
    assert (root / f"videos/{HEAD}/chunk-000/file-001.mp4").is_file()


def test_tasks_index_means_the_same_to_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    root = make_dataset(tmp_path / "d", [2, 2])
    tasks = pandas.read_parquet(root / "meta/tasks.parquet")
    assert [tasks.iloc[i].name for i in range(2)] == ["lift the box", "step back"]


def test_datasets_library_reads_the_frames(tmp_path):
    datasets = pytest.importorskip("datasets")
    root = make_dataset(tmp_path / "d", [2, 2])
    files = sorted(str(p) for p in (root / "data").glob("*/*.parquet"))
    table = datasets.Dataset.from_parquet(files, cache_dir=str(tmp_path / "cache"))
    assert table[3]["action"] == [1.0, -1.0]
    assert table.features["action"].length == 2


def test_other_versions_and_impossible_features_are_refused():
    for version in ("v1.6", "v4.0", "unknown"):
        with pytest.raises(DataError, match=version):
            Info.from_json({"codebase_version": version})
    with pytest.raises(DataError, match="incomplete"):
        Info.from_json({"codebase_version": "v3.0"})
    for wrong in (
        lambda: video(31, 48),
        lambda: Feature(dtype="complex64", shape=(1,)),
        lambda: Feature(dtype="int64", shape=(2, 0)),
    ):
        with pytest.raises(ConfigError):
            wrong()
    for name in ("a/b", "timestamp"):
        with pytest.raises(ConfigError):
            DatasetConfig(fps=10, robot="x", features={name: scalar("int64")})


def test_lerobot_spellings_of_features_are_read():
    nested = Feature.from_json({"dtype": "float32", "shape": [2], "names": {"motors": ["l", "r"]}})
    assert nested.names == ("l", "r")
    old = {"dtype": "video", "shape": [4, 6, 3], "names": None, "video_info": {"video.fps": 10}}
    assert Feature.from_json(old).info == {"video.fps": 10}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kind=st.sampled_from(["float32", "float64", "int64", "int8", "uint8", "bool"]),
    width=st.integers(1, 4),
    words=st.lists(st.text(min_size=1, max_size=8), min_size=3, max_size=3),
    seed=st.integers(0, 2**31),
)
def test_any_columns_come_back_equal(tmp_path_factory, lengths, kind, width, words, seed):
    """Any type, width, number of episodes and text: equal to the bit."""
    rng = np.random.default_rng(seed)
    root = tmp_path_factory.mktemp("any") / "d"
    features = {"value": vector([f"v{i}" for i in range(width)], kind), "text": scalar("string")}
    given_rows = [(rng.standard_normal((n, width)) * 50).clip(0, 120).astype(kind) for n in lengths]
    with DatasetWriter.create(root, DatasetConfig(fps=7, robot="r", features=features)) as writer:
        for rows, word in zip(given_rows, words):
            with writer.episode(task=word) as episode:
                for value in rows:
                    episode.add({"value": value, "text": word})
                episode.commit()
    data = Dataset(root)
    for index, (rows, word) in enumerate(zip(given_rows, words)):
        columns = data.columns(index)
        np.testing.assert_array_equal(columns["value"].reshape(rows.shape), rows)
        assert columns["value"].dtype == rows.dtype
        assert (columns["text"] == word).all()
        assert data.instruction(index) == word


def test_indices_beyond_two_to_the_31(tmp_path):
    """Global indices are int64 all the way."""
    root = make_dataset(tmp_path / "d", [2])
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"total_frames": 2**40}))
    with DatasetWriter.open(root) as writer:
        record(writer, 2)
    data = Dataset(root)
    assert data.columns(1)["index"].tolist() == [2**40, 2**40 + 1]
    assert data.episodes[1].start == 2**40
