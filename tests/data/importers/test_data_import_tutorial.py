"""The tutorial's layout: rate and names are asked for; whatever does not fit is named."""

import numpy as np
import pytest
from foreign_layouts import levels, picture, truncate, tutorial
from imported import imported, require_levels

from wbvla.core.errors import DataError
from wbvla.robots.platforms import load_robot

HEAD = "observation.images.head"


def test_episodes_and_values(tmp_path):
    src = tutorial(tmp_path / "src", [12, 5])
    report, data = imported("tutorial", src, tmp_path / "d", fps=10, robot="agibot_x2")
    assert (report.episodes, report.frames, dict(report.rejected)) == (2, 17, {})
    assert data.fps == 10
    arms = [f"{n}.target_rad" for n in load_robot("agibot_x2").arm_joints]
    assert list(data.features["action"].names or ()) == arms
    np.testing.assert_allclose(data.columns(1)["action"][4], np.arange(56, 70) / 100 + 1, rtol=1e-6)
    assert data.tasks == ["put the box on the cart"]
    require_levels(data, HEAD, 0, levels(12))
    require_levels(data, HEAD, 1, levels(5, 11))
    assert not {"observation.state", "stamps", "success"} & set(data.features), "what the layout lacks is absent"
    assert data.robot == "agibot_x2"


def test_pictures_are_counted_by_value(tmp_path):
    """10.png comes after 9.png."""
    src = tutorial(tmp_path / "src", [12])
    _, data = imported("tutorial", src, tmp_path / "d", fps=10, robot="agibot_x2")
    require_levels(data, HEAD, 0, levels(12))


def test_names_are_given_or_the_robots(tmp_path):
    src = tutorial(tmp_path / "src", [3], width=2)
    with pytest.raises(DataError, match="give --joints"):
        imported("tutorial", src, tmp_path / "a", fps=10)
    with pytest.raises(DataError, match="2 channels, 20 names"):
        imported("tutorial", src, tmp_path / "b", fps=10, robot="agibot_x2")
    _, data = imported("tutorial", src, tmp_path / "c", fps=10, joints=("slide_m", "turn_rad"))
    assert data.features["action"].names == ("slide_m", "turn_rad")
    assert data.robot == "unknown"
    whole = tutorial(tmp_path / "whole", [3], width=20)
    _, data = imported("tutorial", whole, tmp_path / "e", fps=10, robot="agibot_x2")
    assert (data.features["action"].names or ())[-4:] == ("s_x", "s_y", "s_psi", "height_m")


def test_a_rate_is_asked_for(tmp_path):
    src = tutorial(tmp_path / "src", [3])
    with pytest.raises(DataError, match="give --fps"):
        imported("tutorial", src, tmp_path / "d", robot="agibot_x2")


def test_one_folder_per_camera(tmp_path):
    src = tutorial(tmp_path / "src", [4])
    folder = src / "task_001/episode_000/images"
    for path in list(folder.iterdir()):
        picture(folder / "left" / path.name, 40)
        (folder / "head").mkdir(exist_ok=True)
        path.rename(folder / "head" / path.name)
    _, data = imported("tutorial", src, tmp_path / "d", fps=10, robot="agibot_x2")
    require_levels(data, HEAD, 0, levels(4))
    require_levels(data, "observation.images.left", 0, [40] * 4)
    _, data = imported("tutorial", src, tmp_path / "one", fps=10, robot="agibot_x2", cameras=("left",))
    assert data.cameras == ("observation.images.left",)


def test_broken_episodes_are_named(tmp_path):
    src = tutorial(tmp_path / "src", [6] * 10)
    folder = [src / f"task_001/episode_{i:03d}" for i in range(10)]
    (folder[0] / "images/3.png").unlink()
    (folder[1] / "actions.npy").unlink()
    (folder[2] / "lang.txt").write_text("  \n")
    actions = np.ones((6, 14))
    actions[4, 2] = np.nan
    np.save(folder[3] / "actions.npy", actions)
    np.save(folder[4] / "actions.npy", np.array([{"a": 1}] * 6, dtype=object))
    truncate(folder[5] / "images/2.png")
    truncate(folder[6] / "actions.npy")
    (folder[7] / "lang.txt").unlink()
    for path in (folder[8] / "images").iterdir():
        path.unlink()
    report, data = imported("tutorial", src, tmp_path / "d", fps=10, robot="agibot_x2")
    assert data.num_episodes == 1
    reasons = [report.rejected[f"task_001/episode_{i:03d}"] for i in range(9)]
    wanted = (
        "observation.images.head 5",
        "actions.npy is missing",
        "lang.txt is empty",
        "NaN or infinity at frame 4",
        "actions.npy cannot be read",
        "2.png cannot be decoded",
        "actions.npy cannot be read",
        "lang.txt is missing",
        "there are no pictures",
    )
    assert [w in r for w, r in zip(wanted, reasons)] == [True] * 9, reasons


def test_a_link_out_of_the_source_is_refused(tmp_path):
    src = tutorial(tmp_path / "src", [3])
    other = tutorial(tmp_path / "other", [3])
    (src / "task_001/episode_001").symlink_to(other / "task_001/episode_000")
    report, _ = imported("tutorial", src, tmp_path / "d", fps=10, robot="agibot_x2")
    assert "lies outside" in report.rejected["task_001/episode_001"]
