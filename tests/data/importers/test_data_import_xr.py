"""Unitree xr_teleoperate: groups side by side, the names that are told, and every kind of broken data.json."""

import json

import numpy as np
import pytest
from foreign_layouts import levels, truncate, write_json, xr
from imported import imported, require_levels

from wbvla.core.errors import DataError
from wbvla.robots.platforms import load_robot

ONE, TWO = "observation.images.color_0", "observation.images.color_1"
UNITREE = ("ShoulderPitch", "ShoulderRoll", "ShoulderYaw", "Elbow", "WristRoll", "WristPitch", "WristYaw")


def edit(src, episode, change):
    path = src / f"episode_{episode:04d}/data.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def test_episodes_and_values(tmp_path):
    src = xr(tmp_path / "src", [6, 4])
    report, data = imported("xr-teleoperate", src, tmp_path / "d", robot="unitree_g1")
    assert (report.episodes, report.frames, dict(report.rejected)) == (2, 10, {})
    assert (data.robot, data.fps) == ("unitree_g1", 30)
    names = list(data.features["observation.state"].names or ())
    arms = [f"{n}.q_rad" for n in load_robot("unitree_g1").arm_joints]
    assert names == [*arms, "left_ee_0.q", "right_ee_0.q"]
    state = data.columns(0)["observation.state"]
    np.testing.assert_allclose(state[3, :7], 0.3 + 0.01 * np.arange(7), rtol=1e-6)
    np.testing.assert_allclose(state[3, 14:], 3.5)
    assert (data.features["action"].names or ())[0] == "left_shoulder_pitch_joint.target_q_rad"
    np.testing.assert_array_equal(data.columns(1)["action"], data.columns(1)["observation.state"])
    require_levels(data, ONE, 1, levels(4, 11))
    require_levels(data, TWO, 0, [(x + 90) % 250 for x in levels(6)])
    assert data.tasks == ["pick up the red cup"]
    assert data.phrasings(0) == ("pick up the red cup", "the cup stands on the table")
    assert data.notes(0)["steps"] == "step1: reach"
    absent = {"observation.velocity", "observation.effort", "stamps", "success"}
    assert not absent & set(data.features), "what is empty is absent"


def test_joints_keep_the_names_they_are_told(tmp_path):
    told = {f"{s}_arm": [f"k{s.title()}{j}" for j in UNITREE] for s in ("left", "right")}
    _, data = imported("xr-teleoperate", xr(tmp_path / "a", [4], told), tmp_path / "d")
    assert (data.features["observation.state"].names or ())[:2] == (
        "left_shoulder_pitch.q_rad",
        "left_shoulder_roll.q_rad",
    )
    assert data.robot == "unknown"
    _, data = imported("xr-teleoperate", xr(tmp_path / "b", [4]), tmp_path / "e")
    assert (data.features["observation.state"].names or ())[0] == "left_arm_0.q_rad", "no name is made up"


def test_what_is_measured_beyond_positions(tmp_path):
    src = xr(tmp_path / "src", [4])

    def more(told):
        for i, row in enumerate(told["data"]):
            row["states"]["left_arm"]["qvel"] = [0.5 * i] * 7
            row["states"]["body"]["qpos"] = [0.1, 0.2]
            row["depths"] = {"depth_0": f"depths/{i:06d}_depth_0.jpg"}

    edit(src, 0, more)
    report, data = imported("xr-teleoperate", src, tmp_path / "d")
    assert data.features["observation.velocity"].names[6] == "left_arm_6.dq_radps"
    assert (data.columns(0)["observation.velocity"][2] == 1.0).all()
    assert data.features["observation.state"].names[-1] == "body_1.q_rad"
    assert report.remarks == {"depths were left out": 1}, "the vendor's depth is a JPEG: it has lost what it measured"


def test_broken_episodes_are_named(tmp_path):
    src = xr(tmp_path / "src", [5] * 9)
    truncate(src / "episode_0001/data.json")
    (src / "episode_0002/colors/000003_color_1.jpg").unlink()
    edit(src, 3, lambda t: t["data"].pop(2))
    edit(src, 4, lambda t: t["data"][1]["states"]["left_arm"].update(qpos=[float("nan")] * 7))
    edit(src, 5, lambda t: t["data"][4]["actions"]["left_ee"].update(qpos=[]))
    edit(src, 6, lambda t: t["data"][0]["colors"].update(color_0="../../episode_0000/colors/000000_color_0.jpg"))
    (src / "episode_0007/data.json").unlink()
    truncate(src / "episode_0008/colors/000002_color_0.jpg")
    report, data = imported("xr-teleoperate", src, tmp_path / "d")
    assert data.num_episodes == 1
    wanted = (
        "data.json is not JSON",
        "000003_color_1.jpg of frame 3 is missing",
        "frame 2 says idx 3",
        "states.left_arm.qpos holds NaN or infinity at frame 1",
        "has 0 numbers at frame 4, 1 at the first",
        "would lie outside",
        "data.json is missing",
        "000002_color_0.jpg cannot be decoded",
    )
    reasons = [report.rejected[f"episode_{i:04d}"] for i in range(1, 9)]
    assert [w in r for w, r in zip(wanted, reasons)] == [True] * 8, reasons


def test_another_robot_is_not_renamed(tmp_path):
    src = xr(tmp_path / "src", [3])
    edit(src, 0, lambda t: [r["states"]["left_arm"].update(qpos=[0.1] * 5) for r in t["data"]])
    with pytest.raises(DataError, match="it is another robot"):
        imported("xr-teleoperate", src, tmp_path / "d", robot="unitree_g1")
    write_json(src / "episode_0000/data.json", {"info": {}, "data": []})
    with pytest.raises(DataError, match="holds no frames"):
        imported("xr-teleoperate", src, tmp_path / "e")
