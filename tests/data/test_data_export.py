"""Export to v2.1 and GR00T: read back equal by our own v2.1 reader; whole or absent."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from foreign import DEPTH, HEAD, WRIST, write_v3
from recording import HAND, make_dataset
from recording import HEAD as OWN_HEAD

from wbvla.core.errors import ConfigError, DataError
from wbvla.data import export as exporting
from wbvla.data.export import export
from wbvla.data.groot import ANNOTATION
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import compact
from wbvla.data.sharing import Layout

LENGTHS = [3, 5, 4]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("own") / "d", LENGTHS)


def require_equal(before: Dataset, after: Dataset, exact: bool = True) -> None:
    """Every column, word and frame that both have."""
    assert [(e.length, e.tasks) for e in after.episodes] == [(e.length, e.tasks) for e in before.episodes]
    assert after.tasks == before.tasks
    for record in before.episodes:
        columns = before.columns(record.index, [n for n in after.info.columns if n in before.info.columns])
        for name, values in columns.items():
            found = after.columns(record.index, [name])[name]
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values)
        for camera in after.cameras:
            ours = before.frames(camera, record.index, range(record.length)).astype(int)
            theirs = after.frames(camera, record.index, range(record.length)).astype(int)
            assert np.abs(ours - theirs).max() <= (0 if exact else 4)


def test_v21_holds_the_same(own, tmp_path):
    seen = []
    done = export(own, tmp_path / "out", show=lambda n, total, note: seen.append((n, total)))
    assert (done.episodes, done.frames, done.copied, done.remuxed, done.encoded) == (3, 12, 6, 0, 0)
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)
    after = Dataset(tmp_path / "out")
    assert after.info.version == "v2.1"
    require_equal(Dataset(own), after)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_files_follow_lerobot_v21(own, tmp_path):
    """What 0.3.3 asks for: totals, statistics without quantiles, pictures (3, 1, 1), `Sequence` for vectors."""
    export(own, tmp_path / "out")
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert (info["codebase_version"], info["total_videos"], info["total_chunks"]) == ("v2.1", 6, 1)
    assert "data_files_size_in_mb" not in info
    lines = [json.loads(line) for line in (tmp_path / "out/meta/episodes_stats.jsonl").read_text().splitlines()]
    assert [line["episode_index"] for line in lines] == [0, 1, 2]
    assert set(lines[1]["stats"]["action"]) == {"min", "max", "mean", "std", "count"}
    assert lines[1]["stats"]["action"]["max"] == [4.0, 0.0]
    assert np.shape(lines[1]["stats"][OWN_HEAD]["mean"]) == (3, 1, 1)
    assert "note" not in lines[1]["stats"]
    path = tmp_path / "out/data/chunk-000/episode_000001.parquet"
    kinds = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert kinds["action"]["_type"] == "Sequence"
    assert (tmp_path / f"out/videos/chunk-000/{HAND}/episode_000002.mp4").is_file()


def test_rolling_files_are_cut_undecoded(own, tmp_path):
    import shutil

    root = shutil.copytree(own, tmp_path / "d")
    compact(root, Layout())
    done = export(root, tmp_path / "out")
    assert (done.copied, done.remuxed, done.encoded) == (0, 6, 0)
    require_equal(Dataset(own), Dataset(tmp_path / "out"))


def test_an_episode_inside_a_group_of_pictures_is_encoded_anew(tmp_path):
    """Embedded pictures travel as they are; depth and language, which v2.1 has not, are named."""
    root = write_v3(tmp_path / "d", [3, 4, 5], per_file=3, group=100)
    done = export(root, tmp_path / "out")
    assert (done.copied, done.remuxed, done.encoded) == (0, 1, 2)
    assert set(done.left_out) == {DEPTH, "language_persistent"}
    after = Dataset(tmp_path / "out")
    assert after.cameras == (HEAD, WRIST)
    require_equal(Dataset(root), after, exact=False)
    assert after.encoded(WRIST, 1)[0] == Dataset(root).encoded(WRIST, 1)[0]


def test_groot_has_modality_annotation_and_statistics(own, tmp_path):
    export(own, tmp_path / "out", "gr00t")
    after = Dataset(tmp_path / "out")
    assert after.columns(1, [ANNOTATION])[ANNOTATION].tolist() == [1] * 5
    assert after.modality["video"] == {"head": {"original_key": OWN_HEAD}, "left_hand": {"original_key": HAND}}
    assert after.modality["annotation"] == {"human.action.task_description": {}}
    assert after.modality["action"] == {"joints": {"start": 0, "end": 2}}
    assert set(after.stats["action"]) == {"mean", "std", "min", "max", "q01", "q99"}
    assert after.stats["action"]["min"] == [0.0, -4.0]


def test_an_export_can_be_exported_again(own, tmp_path):
    export(own, tmp_path / "old")
    export(tmp_path / "old", tmp_path / "groot", "gr00t")
    require_equal(Dataset(own), Dataset(tmp_path / "groot"))


def test_refusals(own, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        export(own, tmp_path / "out")
    with pytest.raises(DataError, match="inside the dataset"):
        export(own, own / "out")
    with pytest.raises(ConfigError, match=r"v1\.0.*v2\.1, gr00t"):
        export(own, tmp_path / "new", "v1.0")
    with pytest.raises(DataError, match="no episodes"):
        export(make_dataset(tmp_path / "empty", []), tmp_path / "new")


@pytest.mark.parametrize("at", ["compute", "rename"])
def test_a_failure_leaves_nothing(own, tmp_path, monkeypatch, at):
    """Half an export is no export: neither the folder nor its beginnings remain."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "modality_of" if at == "compute" else "_make_durable", fail)
    with pytest.raises(DataError, match="No space left"):
        export(own, tmp_path / "out", "gr00t")
    assert list(tmp_path.iterdir()) == []


def test_the_remains_of_a_killed_export_are_removed(own, tmp_path):
    (tmp_path / ".out.exporting/data").mkdir(parents=True)
    (tmp_path / ".out.exporting/data/old.parquet").write_bytes(b"x")
    export(own, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").rglob("old.parquet"))


def test_the_dataset_itself_is_not_touched(own, tmp_path):
    before = Dataset(own).digest
    export(own, tmp_path / "out", "gr00t")
    assert Dataset(own).digest == before
