"""What an episode holds beside pictures and state: depth, capture times, sub-tasks, phrasings, notes, success."""

import json
import logging
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wbvla.core.errors import DataError
from wbvla.data.buffer import ColumnBuffer
from wbvla.data.check import check
from wbvla.data.depth import DepthCodec, depth_map
from wbvla.data.features import FAILED, STAMPS, SUCCEEDED, SUCCESS, UNKNOWN, success_of
from wbvla.data.format import DEPTH_PATH, MANIFEST_PATH, NOTES_PATH, scalar, vector, video
from wbvla.data.journal import Disk
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import compact, delete, merge
from wbvla.data.repair import repair
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK, Segment
from wbvla.data.writer import DatasetConfig, DatasetWriter

HEAD, DEPTH = "observation.images.head", "observation.images.head_depth"
HEIGHT, WIDTH = 16, 24
FEATURES = {
    HEAD: video(HEIGHT, WIDTH),
    DEPTH: depth_map(HEIGHT, WIDTH),
    "observation.state": vector(["a", "b"]),
    SUCCESS: scalar("int64"),
    STAMPS: vector(["body.time_s", "head.time_s"], "float64"),
    SUBTASK: scalar("string"),
    SKILL: scalar("string"),
    LANGUAGE: scalar("language"),
}
CONFIG = DatasetConfig(fps=10, robot="agibot_x2", features=FEATURES)
START_S = 1.7e6
"""a monotonic clock after twenty days, where 32-bit floats are an eighth of a second apart"""


def depth_of(episode: int, frame: int) -> np.ndarray:
    return np.random.default_rng((episode, frame)).integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)


def frame_of(episode: int, frame: int) -> dict[str, object]:
    time_s = START_S + frame / 10
    return {
        HEAD: np.full((HEIGHT, WIDTH, 3), 9 * frame % 250, np.uint8),
        DEPTH: depth_of(episode, frame),
        "observation.state": np.array([episode, frame]),
        STAMPS: np.array([time_s, time_s + 0.003]),
    }


def record(writer: DatasetWriter, length: int, success: bool | None = True) -> int:
    with writer.episode(task="lift the box") as episode:
        for frame in range(length):
            episode.add(frame_of(episode.index, frame))
        episode.segment(0, 2, "walk to the box", skill="walk")
        episode.segment(2, length, "lift the box")
        episode.add_phrasings(["raise the box", "lift the box", "pick up the crate"])
        episode.note(instructed_by="operator é", consent={"form": 12, "date": "2026-11-21"})
        episode.mark(success)
        return episode.commit()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes, never changed."""
    folder = tmp_path_factory.mktemp("recording") / "d"
    with DatasetWriter.create(folder, CONFIG) as writer:
        for length, success in ((5, True), (9, False), (4, None)):
            record(writer, length, success)
    return folder


def test_everything_comes_back(root):
    data = Dataset(root)
    assert check(root) == []
    assert (data.cameras, data.depths) == ((HEAD,), (DEPTH,))
    for index, length in enumerate((5, 9, 4)):
        maps = np.stack([depth_of(index, f) for f in range(length)])
        np.testing.assert_array_equal(data.depth(DEPTH, index, range(length)), maps)
        np.testing.assert_array_equal(data.depth(DEPTH, index, [length - 1, 0]), maps[[-1, 0]])
        assert data.segments(index) == [
            Segment(start=0, end=2, text="walk to the box", skill="walk"),
            Segment(start=2, end=length, text="lift the box"),
        ]
        assert data.phrasings(index) == ("lift the box", "raise the box", "pick up the crate")
        assert data.notes(index) == {"instructed_by": "operator é", "consent": {"form": 12, "date": "2026-11-21"}}
        stamps = data.columns(index, [STAMPS])[STAMPS]
        assert stamps.dtype == np.float64
        np.testing.assert_array_equal(stamps[:, 0], START_S + np.arange(length) / 10)
    assert [success_of(data.columns(i, [SUCCESS])[SUCCESS]) for i in range(3)] == [SUCCEEDED, FAILED, UNKNOWN]
    with pytest.raises(DataError, match="asked"):
        data.depth(DEPTH, 0, [5])
    with pytest.raises(DataError, match="no depth"):
        data.depth(HEAD, 0, [0])


def test_without_the_lossless_file_the_coded_video_is_read(root, tmp_path):
    """As of a dataset made by LeRobot, or one whose side files were not copied: within the bound of the codes."""
    copy = shutil.copytree(root, tmp_path / "d")
    shutil.rmtree(copy / "depth")
    maps = np.stack([depth_of(1, f) for f in range(9)])
    found, codec = Dataset(copy).depth(DEPTH, 1, range(9)), DepthCodec()
    np.testing.assert_array_equal(found, codec.dequantize(codec.quantize(maps)))
    inside = (maps > 12) & (maps < 10000)
    error = np.abs(found.astype(int) - maps)[inside]
    assert (error <= codec.error_mm(maps[inside])).all()


def test_side_files_are_hashed_with_their_episode(root):
    for index in range(3):
        manifest = json.loads((root / MANIFEST_PATH.format(episode_index=index)).read_bytes())
        owned = {DEPTH_PATH.format(video_key=DEPTH, episode_index=index), NOTES_PATH.format(episode_index=index)}
        assert owned <= set(manifest["files"])


@pytest.mark.parametrize("name", [DEPTH_PATH.format(video_key=DEPTH, episode_index=1), "notes/episode_000001.json"])
@pytest.mark.parametrize("damage", ["gone", "flipped", "empty"])
def test_damage_of_a_side_file_is_named(root, tmp_path, name, damage):
    copy = shutil.copytree(root, tmp_path / "d")
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink() if damage == "gone" else path.write_bytes(content if damage == "flipped" else b"")
    faults = check(copy)
    assert any(f.path == name and f.episode == 1 for f in faults), faults


def test_labels_leave_words_and_side_files_as_they_are(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "d")
    codes = [{"latent.codes": np.full((n, 4), n)} for n in (5, 9, 4)]
    write_labels(copy, {"latent.codes": vector(["a", "b", "c", "d"], "int64")}, codes, {"digest": "x"})
    assert check(copy) == []
    before, after = Dataset(root), Dataset(copy)
    for index in range(3):
        assert after.segments(index) == before.segments(index)
        assert after.phrasings(index) == before.phrasings(index)
        assert after.notes(index) == before.notes(index)
        np.testing.assert_array_equal(after.depth(DEPTH, index, [1]), before.depth(DEPTH, index, [1]))
        ours, theirs = after.columns(index, [LANGUAGE])[LANGUAGE], before.columns(index, [LANGUAGE])[LANGUAGE]
        assert ours.tolist() == theirs.tolist()


def require_same_episode(ours: Dataset, number: int, theirs: Dataset, index: int) -> None:
    """Depth, words, notes, success and capture times of an episode, wherever it lies now."""
    length = theirs.episodes[index].length
    maps = theirs.depth(DEPTH, index, range(length))
    np.testing.assert_array_equal(ours.depth(DEPTH, number, range(length)), maps)
    assert ours.segments(number) == theirs.segments(index)
    assert ours.phrasings(number) == theirs.phrasings(index)
    assert ours.notes(number) == theirs.notes(index)
    for name in (STAMPS, SUCCESS):
        np.testing.assert_array_equal(ours.columns(number, [name])[name], theirs.columns(index, [name])[name])


def test_side_files_go_where_their_episode_goes(root, tmp_path):
    """Rolling files, an episode deleted, datasets merged, a damaged one repaired: nothing is left behind or mixed."""
    before = Dataset(root)
    copy = shutil.copytree(root, tmp_path / "d")
    compact(copy)
    assert check(copy) == []
    for index in range(3):
        require_same_episode(Dataset(copy), index, before, index)
    shutil.rmtree(shutil.copytree(copy, tmp_path / "coded") / "depth")
    coded = Dataset(tmp_path / "coded").depth(DEPTH, 2, [0, 3])
    codec = DepthCodec()
    np.testing.assert_array_equal(coded, codec.dequantize(codec.quantize(before.depth(DEPTH, 2, [0, 3]))))
    delete(copy, [0])
    assert check(copy) == []
    merge(tmp_path / "both", [copy, root])
    assert check(tmp_path / "both") == []
    both = Dataset(tmp_path / "both")
    for number, index in enumerate((1, 2, 0, 1, 2)):
        require_same_episode(both, number, before, index)
    other = shutil.copytree(root, tmp_path / "damaged")
    (other / "data/chunk-000/file-000.parquet").write_bytes(b"")
    assert repair(other).kept == 2
    assert check(other) == []
    for number, index in enumerate((1, 2)):
        require_same_episode(Dataset(other), number, before, index)


def test_windows_reach_over_depth(root):
    window = Dataset(root).window(0, 4, {DEPTH: [-1, 0, 3], STAMPS: [0]})
    np.testing.assert_array_equal(window[DEPTH], np.stack([depth_of(0, 3), depth_of(0, 4), depth_of(0, 4)]))
    assert window[f"{DEPTH}_is_pad"].tolist() == [False, False, True]


def test_depth_in_metres_is_stored_in_millimetres(tmp_path):
    metres = np.linspace(0.0, 4.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    metres[0, :3] = np.nan, np.inf, -1.0
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="x") as episode:
        for frame in range(3):
            episode.add({**frame_of(0, frame), DEPTH: metres})
        with pytest.raises(DataError, match="uint16 in millimetres"):
            episode.add({**frame_of(0, 3), DEPTH: np.ones((HEIGHT, WIDTH), np.int32)})
        episode.mark(None)
        episode.commit()
    found = Dataset(tmp_path / "d").depth(DEPTH, 0, [2])[0]
    assert found[0, :3].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(found[1:], np.rint(metres[1:].astype(np.float64) * 1000))


def test_statistics_of_depth_are_in_its_unit(root):
    stats = Dataset(root).stats[DEPTH]
    assert np.shape(stats["mean"]) == (1, 1, 1)
    assert 25000 < stats["mean"][0][0][0] < 40000
    assert stats["min"][0][0][0] >= 1.0


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (lambda frame: (frame / 60, frame / 60), r"60\.00 Hz.*10 Hz.*0\.17 times"),
        (lambda frame: (frame / 10, frame / 10 + 0.2), "200 ms lie between 'body.time_s' and 'head.time_s'"),
        (lambda frame: (frame / 10, min(frame, 3) / 10), "'head.time_s' do not increase"),
    ],
)
def test_capture_times_that_do_not_fit_discard_the_episode(tmp_path, stamps, message):
    """Frames of a 60 Hz camera kept as 10 Hz would teach a sixth of the speed."""
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer:

        def attempt() -> None:
            with writer.episode(task="x") as episode:
                for frame in range(8):
                    episode.add({**frame_of(0, frame), STAMPS: np.array(stamps(frame))})
                episode.mark(True)
                episode.commit()

        with pytest.raises(DataError, match=message):
            attempt()
        assert record(writer, 4) == 0
    assert check(tmp_path / "d") == []


def test_a_gap_in_the_captures_is_logged_with_its_episode(tmp_path, caplog):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="x") as episode:
        for frame in range(30):
            late = 0.08 if frame >= 20 else 0.0
            episode.add({**frame_of(0, frame), STAMPS: np.array([frame / 10 + late] * 2)})
        episode.mark(True)
        with caplog.at_level(logging.WARNING):
            episode.commit()
    assert "episode 0: 'head.time_s' has 1 gaps" in caplog.text


def test_what_contradicts_itself_is_refused_and_can_be_put_right(tmp_path):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer, writer.episode(task="x") as episode:
        for frame in range(3):
            episode.add(frame_of(0, frame))
        with pytest.raises(DataError, match="by `segment`"):
            episode.fill(SUBTASK, "walk")
        with pytest.raises(DataError, match="empty"):
            episode.add_phrasings(["  "])
        with pytest.raises(DataError, match="notes are"):
            episode.note(picture=np.zeros(3))
        with pytest.raises(DataError, match="notes are"):
            episode.note(share=float("nan"))
        with pytest.raises(DataError, match="at most 65536"):
            episode.note(text="x" * 70000)
        with pytest.raises(DataError, match="'success' has 0 of 3"):
            episode.commit()
        with pytest.raises(DataError, match="frame by frame"):
            episode.fill(DEPTH, depth_of(0, 0))
        with pytest.raises(DataError, match="lacks cameras"):
            episode.add({k: v for k, v in frame_of(0, 3).items() if k != DEPTH})
        episode.mark(False)
        assert episode.commit() == 0
        with pytest.raises(DataError, match="is over"):
            episode.segment(0, 1, "walk")


def test_an_overlap_is_refused_at_commit_and_leaves_nothing(tmp_path):
    with DatasetWriter.create(tmp_path / "d", CONFIG) as writer:

        def attempt() -> None:
            with writer.episode(task="x") as episode:
                for frame in range(3):
                    episode.add(frame_of(0, frame))
                episode.segment(0, 2, "a")
                episode.segment(1, 3, "b")
                episode.mark(True)
                episode.commit()

        with pytest.raises(DataError, match="overlap"):
            attempt()
        assert writer.num_episodes == 0
    assert not (tmp_path / "d" / "depth").exists()


def test_a_dataset_without_the_columns_says_so(tmp_path):
    bare = DatasetConfig(fps=10, robot="human", features={HEAD: video(HEIGHT, WIDTH)})
    with DatasetWriter.create(tmp_path / "d", bare) as writer, writer.episode(task="x") as episode:
        episode.add({HEAD: np.zeros((HEIGHT, WIDTH, 3), np.uint8)})
        for call in (
            lambda: episode.segment(0, 1, "walk"),
            lambda: episode.add_phrasings(["y"]),
            lambda: episode.mark(True),
        ):
            with pytest.raises(DataError, match=r"no (column|feature)"):
                call()
        episode.commit()
    data = Dataset(tmp_path / "d")
    assert (data.segments(0), data.phrasings(0), data.notes(0), data.depths) == ([], ("x",), {}, ())


def test_a_kill_at_any_step_of_a_commit_keeps_side_files_with_their_episode(tmp_path):
    """After recovery there is a whole episode with depth and notes, or none and none of its files."""
    steps: list[str] = []
    with DatasetWriter.create(tmp_path / "whole", CONFIG, Disk(steps.append)) as writer:
        before = len(steps)
        record(writer, 3)
        count = len(steps) - before

    class Cut(BaseException):
        pass

    for number in range(0, count, 11):
        seen: list[str] = []

        def watch(step: str, seen: list[str] = seen, number: int = number) -> None:
            seen.append(step)
            if len(seen) > number:
                raise Cut

        root = tmp_path / f"d{number}"
        DatasetWriter.create(root, CONFIG).close()
        writer = DatasetWriter.open(root, disk=Disk(watch))
        with pytest.raises(Cut):
            record(writer, 3)
        writer._lock.close()
        with DatasetWriter.open(root) as again:
            kept = again.num_episodes
            assert record(again, 4) == kept
        assert check(root) == []
        data = Dataset(root)
        assert [e.length for e in data.episodes] == [3, 4][1 - kept :]
        assert len(list((root / "depth").rglob("*.mkv"))) == len(list((root / "notes").iterdir())) == kept + 1
        np.testing.assert_array_equal(data.depth(DEPTH, kept, [3])[0], depth_of(kept, 3))


def test_success_of_older_datasets_is_read():
    assert success_of(np.array([True, True])) == SUCCEEDED
    assert success_of(np.array([False])) == FAILED
    assert success_of(np.array([-1, -1])) == UNKNOWN
    assert success_of(np.array([], dtype=np.int64)) == UNKNOWN


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 300), width=st.integers(1, 4))
def test_buffer_gives_back_what_was_appended(count, width):
    rows = np.random.default_rng(count).normal(size=(count, width)).astype(np.float32)
    buffer = ColumnBuffer(vector([str(i) for i in range(width)]))
    for row in rows:
        buffer.append(row if width > 1 else row[0])
    assert len(buffer) == count
    np.testing.assert_array_equal(buffer.values().reshape(count, width), rows)


def test_memory_of_a_long_episode_is_its_columns_and_no_pictures(tmp_path):
    """300 frames of 2 cameras are 0.6 MB of pictures as arrays; what the writer holds grows by less than a tenth."""
    plain = {k: f for k, f in FEATURES.items() if k in (HEAD, DEPTH, "observation.state")}
    config = DatasetConfig(fps=10, robot="agibot_x2", features=plain)
    frame = {k: v for k, v in frame_of(0, 0).items() if k in plain}
    with DatasetWriter.create(tmp_path / "d", config) as writer, writer.episode(task="x") as episode:
        for _ in range(100):
            episode.add(frame)
        tracemalloc.start()
        for _ in range(300):
            episode.add(frame)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        pictures = 300 * sum(np.asarray(frame[k]).nbytes for k in (HEAD, DEPTH))
        assert grown < pictures / 10
