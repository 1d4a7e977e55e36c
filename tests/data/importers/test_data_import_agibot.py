"""AgiBot World with each of its traps: empty sets, scattered actions, over-long ones, labels, broken videos."""

import json
import shutil
from typing import Any

import h5py
import numpy as np
import pytest
from foreign_layouts import agibot, agibot_episode, agibot_h5, levels, mp4, truncate, write_json
from imported import imported, require_levels

from wbvla.core.errors import DataError

HEAD, HAND, DEPTH = "observation.images.head", "observation.images.hand_left", "observation.images.head_depth"
H5 = "proprio_stats/327/{}/proprio_stats.h5"


def test_episodes_and_values(tmp_path):
    src = agibot(tmp_path / "src", [10, 7])
    report, data = imported("agibot-world", src, tmp_path / "d", depth=True)
    assert (report.episodes, report.frames, dict(report.rejected)) == (2, 17, {})
    assert (data.robot, data.fps) == ("agibot_a2d", 30)
    require_levels(data, HEAD, 1, levels(7, 11))
    require_levels(data, HAND, 0, levels(10, 60))
    assert report.copied_videos == 2, "the hand camera's groups are short"
    columns = data.columns(1)
    np.testing.assert_allclose(columns["observation.state"][3], 0.03 + 0.1 * np.arange(14), rtol=1e-6)
    np.testing.assert_allclose(columns["action"][3], 0.035 + 0.1 * np.arange(14), rtol=1e-6)
    np.testing.assert_allclose(columns["observation.effector"][4], [4.0, 8.0])
    np.testing.assert_allclose(columns["action.effector"][0], [0.0, 1.0])
    assert data.features["action"].names[7] == "right_joint_0.target_rad"
    assert data.features["observation.effector"].names == ("left_gripper.position_mm", "right_gripper.position_mm")
    np.testing.assert_allclose(columns["stamps"].reshape(-1)[0], 1.7e9)
    np.testing.assert_allclose(np.diff(columns["stamps"].reshape(-1)), 1 / 30, atol=1e-5)
    assert data.episodes[0].tasks == ("Pick the cup | A cup on a table.",)
    assert [(s.start, s.end, s.text, s.skill) for s in data.segments(1)] == [
        (0, 3, "Reach for the cup", "Reach"),
        (3, 7, "Lift the cup", "Lift"),
    ]
    maps = data.depth(DEPTH, 0, [0, 9])
    assert (maps[0] == 700).all()
    assert (maps[1] == 790).all()
    assert data.notes(0)["cameras"]["head_intrinsic_params"]["intrinsic"]["fx"] == 600.0
    assert "CC BY-NC-SA" in data.contract["import"]["licence"]


def test_empty_sets_are_absent_not_zeros(tmp_path):
    src = agibot(tmp_path / "src", [6])
    _, data = imported("agibot-world", src, tmp_path / "d")
    absent = {"observation.effort", "observation.velocity", "action.head", "action.waist", "action.base"}
    assert not absent & set(data.features)
    assert {"observation.head", "observation.waist", "action.ee_position"} <= set(data.features)
    assert (data.columns(0)["action_given"] == 1).all()


def test_few_actions_are_scattered_over_the_state(tmp_path):
    """By their index; the end's falls back on the joints', the effector holds its last command."""
    src = agibot(tmp_path / "src", [8])
    at = np.array([1, 4, 5])
    agibot_h5(
        src / H5.format(1001),
        8,
        action__joint__position=np.full((3, 14), 9.0),
        action__joint__index=at,
        action__end__position=np.full((3, 2, 3), 7.0),
        action__end__orientation=np.zeros((0,)),
        action__effector__position=np.array([[0.25, 0.5], [0.75, 1.0]]),
        action__effector__index=np.array([2, 6]),
        action__head__position=np.full((1, 2), 0.9),
        action__head__index=np.array([7]),
    )
    report, data = imported("agibot-world", src, tmp_path / "d")
    columns = data.columns(0)
    state, action = columns["observation.state"], columns["action"]
    assert (action[at] == 9.0).all()
    rest = [0, 2, 3, 6, 7]
    np.testing.assert_array_equal(action[rest], state[rest])
    assert (columns["action.ee_position"][at] == 7.0).all()
    assert (columns["action.ee_position"][rest] == 0.5).all()
    assert columns["action.effector"][:, 0].tolist() == [0.25] * 6 + [0.75] * 2
    np.testing.assert_allclose(columns["action.head"][:, 0], [0.3] * 7 + [0.9], rtol=1e-6)
    names, given = data.features["action_given"].names, columns["action_given"]
    assert np.flatnonzero(given[:, names.index("action")]).tolist() == [1, 4, 5]
    assert np.flatnonzero(given[:, names.index("action.effector")]).tolist() == [2, 6]
    assert any("action_given" in r for r in report.remarks)


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"action__joint__position": np.zeros((9, 14))}, "more actions than frames"),
    ({"timestamp": np.zeros((0,), np.int64)}, "no frames"),
    ({"state__joint__position": np.zeros((0,))}, "no measured joints"),
    ({"state__joint__position": np.full((8, 14), np.nan)}, "NaN or infinity at frame 0"),
    ({"state__joint__position": np.zeros((5, 14))}, "5 rows, /timestamp 8"),
    ({"state__joint__position": np.zeros((8, 13))}, "not (N, 14)"),
    ({"state__effector__position": np.zeros((8, 5))}, "grippers have 2, hands 12"),
    ({"action__joint__position": np.zeros((3, 14)), "action__joint__index": None}, "cannot be placed"),
    ({"action__joint__position": np.zeros((2, 14)), "action__joint__index": [3, 99]}, "does not rise within 0..7"),
    ({"action__joint__position": np.zeros((2, 14)), "action__joint__index": [3, 3]}, "does not rise within 0..7"),
    ({"timestamp": np.zeros(8, np.int64)}, "do not increase"),
    ({"timestamp": np.arange(8) * 10**9 // 15}, "15.00 Hz"),
    ({"timestamp": np.array([b"x"] * 8)}, "no plain array"),
    ({"state__head__position": np.zeros((0,))}, "no observation.head, which the dataset has"),
)


def test_bad_numbers_are_named(tmp_path):
    src = agibot(tmp_path / "src", [8] * (1 + len(BAD)))
    for i, (sets, _) in enumerate(BAD):
        agibot_h5(src / H5.format(1002 + i), 8, **sets)
    report, data = imported("agibot-world", src, tmp_path / "d")
    assert data.num_episodes == 1
    reasons = [report.rejected[f"327/{1002 + i}"] for i in range(len(BAD))]
    assert [wanted in found for (_, wanted), found in zip(BAD, reasons)] == [True] * len(BAD), reasons


def test_broken_files_are_named(tmp_path):
    src = agibot(tmp_path / "src", [6] * 7)
    truncate(src / "observations/327/1002/videos/head_color.mp4")
    mp4(src / "observations/327/1003/videos/head_color.mp4", levels(5))
    truncate(src / H5.format(1004))
    (src / H5.format(1005)).unlink()
    shutil.rmtree(src / "observations/327/1006")
    told = json.loads((src / "task_info/task_327.json").read_text())
    write_json(src / "task_info/task_327.json", [t for t in told if t["episode_id"] != 1007])
    report, data = imported("agibot-world", src, tmp_path / "d")
    assert data.num_episodes == 1
    reasons = {k.removeprefix("327/"): v for k, v in report.rejected.items()}
    assert set(reasons) == {"1002", "1003", "1004", "1005", "1006", "1007"}
    assert "head_color.mp4" in reasons["1002"]
    assert "observation.images.head 5" in reasons["1003"]
    assert "proprio_stats.h5 cannot be read" in reasons["1004"]
    assert "proprio_stats.h5 is missing" in reasons["1005"]
    assert "no video" in reasons["1006"]
    assert "does not tell of it" in reasons["1007"]


def test_a_bad_task_file_leaves_the_other_tasks(tmp_path):
    src = agibot(tmp_path / "src", [6])
    write_json(src / "task_info/task_328.json", [agibot_episode(src, 2001, 6, task=328)])
    (src / "task_info/task_328.json").write_text('[{"episode_id": 2001,')
    report, data = imported("agibot-world", src, tmp_path / "d")
    assert data.num_episodes == 1
    assert "is not JSON" in report.rejected["328"]
    assert "does not tell" in report.rejected["328/2001"]
    with pytest.raises(DataError, match="task_info"):
        imported("agibot-world", tmp_path, tmp_path.parent / f"{tmp_path.name}-x")


def test_labels_that_reach_too_far_are_cut_and_counted(tmp_path):
    src = agibot(tmp_path / "src", [8])
    rows = [
        {"start_frame": 5, "end_frame": 12, "action_text": "", "skill": "Place"},
        {"start_frame": 0, "end_frame": 6, "action_text": "Reach", "skill": "Reach"},
        {"start_frame": 7, "end_frame": 7, "action_text": "Nothing", "skill": ""},
    ]
    words = {"task_name": "Pick the cup", "init_scene_text": ""}
    told = [{"episode_id": 1001, **words, "label_info": {"action_config": rows}}]
    write_json(src / "task_info/task_327.json", told)
    report, data = imported("agibot-world", src, tmp_path / "d")
    assert [(s.start, s.end, s.text) for s in data.segments(0)] == [(0, 6, "Reach"), (6, 8, "Place")]
    assert data.tasks == ["Pick the cup"]
    assert len(report.remarks) == 3


def test_hands_and_grippers_need_datasets_of_their_own(tmp_path):
    src = agibot(tmp_path / "src", [6, 6])
    hands = {"state__effector__position": np.zeros((6, 12)), "action__effector__position": np.zeros((6, 12))}
    agibot_h5(src / H5.format(1002), 6, **hands)
    report, _ = imported("agibot-world", src, tmp_path / "d")
    assert "of their own" in report.rejected["327/1002"]
    _, data = imported("agibot-world", src, tmp_path / "hands", only=("327/1002",))
    assert data.features["observation.effector"].names[7] == "right_finger_1.q_rad"


def test_what_the_dataset_has_not_is_counted(tmp_path):
    src = agibot(tmp_path / "src", [6, 6])
    mp4(src / "observations/327/1002/videos/back_left_fisheye_color.mp4", levels(6))
    report, data = imported("agibot-world", src, tmp_path / "d")
    assert data.num_episodes == 2
    assert report.left_out == {"observation.images.back_left_fisheye": 1}


def test_a_link_out_of_the_h5_is_refused(tmp_path):
    src = agibot(tmp_path / "src", [6, 6])
    secret = agibot_h5(tmp_path / "secret.h5", 6)
    with h5py.File(src / H5.format(1002), "a") as file:
        del file["state/joint/position"]
        file["state/joint/position"] = h5py.ExternalLink(str(secret), "/state/joint/position")
    report, _ = imported("agibot-world", src, tmp_path / "d")
    assert "leads out of the file" in report.rejected["327/1002"]
