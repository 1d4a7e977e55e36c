"""EgoDex: poses of camera and joints in step with the video; words; broken pairs."""

import h5py
import numpy as np
import pytest
from foreign_layouts import egodex, egodex_h5, levels, mp4, truncate
from hypothesis import given
from hypothesis import strategies as st
from imported import imported, require_levels

from wbvla.core.errors import DataError
from wbvla.core.rotation import quat_from_rpy, quat_rotate
from wbvla.data.importers.egodex import quaternions

HEAD = "observation.images.head"


def test_episodes_and_values(tmp_path):
    src = egodex(tmp_path / "src", [8, 5])
    report, data = imported("egodex", src, tmp_path / "d")
    assert (report.episodes, report.frames, dict(report.rejected)) == (2, 13, {})
    names = data.features["observation.skeleton"].names or ()
    assert len(names) == 21
    assert names[:2] == ("leftHand.x_m", "leftHand.y_m")
    pose = data.columns(0)["observation.skeleton"][4, :7]
    np.testing.assert_allclose(pose, [1.04, 1.04, 1.04, np.cos(0.2), 0, 0, np.sin(0.2)], atol=1e-6)
    np.testing.assert_allclose(data.columns(1)["observation.camera_pose"][0], [0, 0, 0, 1, 0, 0, 0], atol=1e-7)
    assert (data.columns(1)["observation.confidence"] == 0.75).all()
    require_levels(data, HEAD, 1, levels(5, 11))
    np.testing.assert_allclose(data.columns(0)["stamps"].reshape(-1), np.arange(8) / 30, atol=1e-5)
    assert data.tasks == ["fold the shirt"]
    assert data.notes(0)["cameras"]["head"]["fx"] == 700.0
    assert "action" not in data.features
    assert "BY-NC-ND" in report.licence


def test_of_two_descriptions_the_one_that_holds(tmp_path):
    src = egodex(tmp_path / "src", [4, 4])
    both = {"llm_description": "open the box", "llm_description2": "close the box"}
    egodex_h5(src / "part1/fold_shirt/0.hdf5", 4, **both, which_llm_description="2")
    egodex_h5(src / "part1/fold_shirt/1.hdf5", 4, **both, which_llm_description="1")
    _, data = imported("egodex", src, tmp_path / "d")
    assert [e.tasks[0] for e in data.episodes] == ["close the box", "open the box"]


def test_no_confidences_no_column(tmp_path):
    src = egodex(tmp_path / "src", [4])
    egodex_h5(src / "part1/fold_shirt/0.hdf5", 4, confidences=False)
    _, data = imported("egodex", src, tmp_path / "d")
    assert "observation.confidence" not in data.features


def test_broken_pairs_are_named(tmp_path):
    src = egodex(tmp_path / "src", [6] * 9)
    where = src / "part1/fold_shirt"
    (where / "1.hdf5").unlink()
    (where / "2.mp4").unlink()
    truncate(where / "3.mp4")
    truncate(where / "4.hdf5", 0.3)
    mp4(where / "5.mp4", levels(4))
    with h5py.File(where / "6.hdf5", "a") as file:
        file["transforms/leftHand"][3] = np.nan
    with h5py.File(where / "7.hdf5", "a") as file:
        file["transforms/rightHand"][2, :3, :3] *= 2
    with h5py.File(where / "8.hdf5", "a") as file:
        del file["transforms"]
    report, data = imported("egodex", src, tmp_path / "d")
    assert data.num_episodes == 1
    wanted = (
        "1.hdf5 is missing",
        "2.mp4 is missing",
        "3.mp4",
        "4.hdf5 cannot be read",
        "observation.images.head 4",
        "transforms/leftHand holds NaN or infinity at frame 3",
        "transforms/rightHand is no rigid transform at frame 2",
        "holds 0 joints",
    )
    reasons = [report.rejected[f"part1/fold_shirt/{i}"] for i in range(1, 9)]
    assert [w in r for w, r in zip(wanted, reasons)] == [True] * 8, reasons


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "src").mkdir()
    with pytest.raises(DataError, match="neither"):
        imported("egodex", tmp_path / "src", tmp_path / "d")


@given(rpy=st.tuples(*[st.floats(-3.2, 3.2)] * 3))
def test_quaternions_turn_as_their_matrices(rpy):
    wanted = quat_from_rpy(np.array(rpy))
    matrix = np.stack([quat_rotate(wanted, axis) for axis in np.eye(3)], axis=1)
    (found,) = quaternions(matrix[None])
    np.testing.assert_allclose(np.linalg.norm(found), 1.0, atol=1e-12)
    back = np.stack([quat_rotate(found, axis) for axis in np.eye(3)], axis=1)
    np.testing.assert_allclose(back, matrix, atol=1e-9)
