"""GR00T's LeRobot v2.1: slices name the channels, annotations become words, damaged episodes are left out."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from foreign import HEAD, TASKS, edit_info, write_v21
from foreign_layouts import agibot, truncate
from imported import imported

from wbvla.core.errors import DataError
from wbvla.data.export import export
from wbvla.data.format import OWN_FEATURES
from wbvla.data.reader import Dataset

MODALITY = {
    "state": {"left_arm": {"start": 0, "end": 2}, "gripper": {"start": 2, "end": 3}},
    "action": {},
    "video": {"ego_view": {"original_key": HEAD}},
    "annotation": {"human.action.task_description": {}},
}
NOTE = "annotation.human.action.task_description"


def source(root: Path, lengths: list[int]) -> Path:
    """A v2.1 dataset whose state has no names of its own, and GR00T's extras."""
    write_v21(root, lengths)
    info = json.loads((root / "meta/info.json").read_text())
    info["features"]["observation.state"]["names"] = None
    info["features"][NOTE] = {"dtype": "int64", "shape": [1], "names": None}
    edit_info(root, features=info["features"])
    for path in sorted((root / "data").rglob("*.parquet")):
        table = pq.read_table(path)
        words = pa.array(np.arange(table.num_rows) % len(TASKS), pa.int64())
        pq.write_table(table.append_column(NOTE, words), path)
    (root / "meta/modality.json").write_text(json.dumps(MODALITY))
    return root


def test_episodes_and_values(tmp_path):
    src = source(tmp_path / "src", [6, 9])
    report, data = imported("groot", src, tmp_path / "d")
    assert (report.episodes, report.frames, dict(report.rejected)) == (2, 15, {})
    old = Dataset(src)
    assert data.features["observation.state"].names == ("left_arm_0", "left_arm_1", "gripper")
    for i in (0, 1):
        for name in set(data.features) - {HEAD, NOTE, *OWN_FEATURES}:
            np.testing.assert_array_equal(data.columns(i)[name], old.columns(i)[name])
        ours, theirs = (d.frames(HEAD, i, range(d.episodes[i].length)) for d in (data, old))
        assert np.abs(ours.astype(int) - theirs).mean() < 3
        assert [data.instruction(i, f) for f in range(6)] == [old.instruction(i, f) for f in range(6)]
        assert data.columns(i)[NOTE].tolist() == [TASKS[f % len(TASKS)] for f in range(old.episodes[i].length)]
    assert data.contract["modality"]["state"] == MODALITY["state"]
    assert data.info.version == "v3.0"
    assert Dataset(src).info.version == "v2.1", "the source is as it was"


def test_damaged_episodes_are_named(tmp_path):
    src = source(tmp_path / "src", [6, 6, 6, 6, 6])
    truncate(next(src.glob(f"videos/*/{HEAD}/episode_000001.mp4")))
    next(src.glob("data/*/episode_000002.parquet")).unlink()
    truncate(next(src.glob("data/*/episode_000003.parquet")))
    path = next(src.glob("data/*/episode_000004.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 4), path)
    report, data = imported("groot", src, tmp_path / "d")
    assert data.num_episodes == 1
    kinds = [report.rejected[f"episode_{i:06d}"].partition(":")[0] for i in range(1, 5)]
    assert kinds[1:] == ["missing", "unreadable", "length"], report.rejected
    assert "episode_000001.mp4" in report.rejected["episode_000001"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"arm": {"start": 0, "end": 9}}, "is 0..9 of"),
        ({"arm": {"start": 2, "end": 1}}, "is 2..1 of"),
        ({"arm": {"start": 0, "end": 1, "original_key": "nothing"}}, "which the data has not"),
        ({"arm": 3}, "which the data has not"),
    ],
)
def test_slices_that_do_not_fit_are_refused(tmp_path, state, reason):
    src = source(tmp_path / "src", [4])
    (src / "meta/modality.json").write_text(json.dumps(MODALITY | {"state": state}))
    with pytest.raises(DataError, match=reason):
        imported("groot", src, tmp_path / "d")


def test_other_datasets_are_sent_where_they_belong(tmp_path):
    write_v21(tmp_path / "plain", [4])
    with pytest.raises(DataError, match="wbvla data migrate"):
        imported("groot", tmp_path / "plain", tmp_path / "d")
    with pytest.raises(DataError, match=r"has no meta/info\.json"):
        imported("groot", tmp_path, tmp_path.parent / f"{tmp_path.name}-x")


def test_what_was_exported_comes_back(tmp_path):
    """Stamps, sub-tasks and every column of a dataset that went out as GR00T's and came home."""
    _, ours = imported("agibot-world", agibot(tmp_path / "agi", [12, 7]), tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "out", "gr00t")
    report, back = imported("groot", tmp_path / "out", tmp_path / "back")
    assert (report.copied_videos, dict(report.rejected), back.robot) == (4, {}, "agibot_a2d")
    for i in (0, 1):
        columns, again = ours.columns(i), back.columns(i)
        for name in columns:
            np.testing.assert_array_equal(again[name], columns[name], name)
        assert back.segments(i) == ours.segments(i)
        for camera in ours.cameras:
            frames = range(ours.episodes[i].length)
            np.testing.assert_array_equal(back.frames(camera, i, frames), ours.frames(camera, i, frames))
