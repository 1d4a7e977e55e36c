"""`wbvla preflight`: each line passes on what is there, and fails with what to do on what is not."""

import json

import numpy as np
import pytest

from wbvla.cli.preflight import main
from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.cameras.recorded import Trouble, write_footage
from wbvla.collect.readiness import camera_line
from wbvla.core.errors import ConfigError
from wbvla.data.features import ACTION, PRIMITIVE, SUCCESS
from wbvla.data.format import scalar, vector, video
from wbvla.data.readiness import demonstration_lines, find_sets, manipulation_lines, video_lines
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.train.readiness import model_lines

IMAGE = "observation.images.head"


def write(root, features, rows, episodes=1):
    """A dataset of short episodes; `rows` gives the numbers of a frame."""
    config = DatasetConfig(fps=5, robot="r", features={IMAGE: video(16, 16)} | features)
    with DatasetWriter.create(root, config) as writer:
        for number in range(episodes):
            with writer.episode(task="go") as episode:
                for i in range(3):
                    episode.add({IMAGE: np.full((16, 16, 3), 40 * i, np.uint8)} | rows(number, i))
                episode.commit()


@pytest.fixture
def workspace(tmp_path):
    write(tmp_path / "walks", {PRIMITIVE: scalar("int64")}, lambda n, i: {PRIMITIVE: i % 2}, 2)
    features = {ACTION: vector(["a", "b"]), SUCCESS: scalar("int64")}
    write(tmp_path / "lift", features, lambda n, i: {ACTION: np.array([i, n]), SUCCESS: int(n < 2)}, 3)
    return tmp_path


def line(found, subject):
    return next(f for f in found if f.subject == subject)


def test_video_is_counted_per_primitive(workspace):
    found = list(video_lines(find_sets(workspace), 6 / 5 / 3600))
    assert line(found, "dataset walks").ok
    assert line(found, "video").ok
    assert not line(video_lines(find_sets(workspace), 7 / 5 / 3600), "video").ok
    assert "0 0.0 min" in line(found, "video").found


def test_only_successes_without_fault_count(workspace):
    assert line(demonstration_lines(find_sets(workspace), 2), "demonstrations of lift").ok
    assert not line(demonstration_lines(find_sets(workspace), 3), "demonstrations of lift").ok
    clip = sorted((workspace / "lift").rglob("*.mp4"))[0]
    clip.write_bytes(clip.read_bytes()[:-40])
    sets = find_sets(workspace)
    found = line(demonstration_lines(sets, 2), "demonstrations of lift")
    assert not found.ok
    assert found.found.startswith("1 valid")
    broken = line(manipulation_lines(sets), "dataset lift")
    assert not broken.ok
    assert "repair" in broken.remedy


def test_models_are_judged_by_what_they_wrote(workspace):
    (workspace / "lam").mkdir()
    (workspace / "vla").mkdir()
    quality = {"usage": [0.8, 0.6], "code_gain": {"value": 0.5}, "faults": []}
    (workspace / "lam/figures.json").write_text(json.dumps({"quality": quality}))
    (workspace / "vla/figures.json").write_text(json.dumps({"arms_l1_rad": 0.1, "arms_l1_mean_rad": 0.2}))
    curve = workspace / "vla/metrics.jsonl"
    curve.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    found = list(model_lines(workspace, 0.5))
    assert [f.ok for f in found] == [True, True]
    curve.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 2.0}\n')
    quality["usage"] = [0.5, 0.4]
    (workspace / "lam/figures.json").write_text(json.dumps({"quality": quality}))
    found = list(model_lines(workspace, 0.5))
    assert [f.ok for f in found] == [False, False]
    assert all(f.remedy for f in found)


def test_a_camera_is_judged_by_its_own_count(tmp_path):
    frames = np.zeros((400, 48, 64, 3), np.uint8)
    asked = {"source": "recorded", "width": 64, "height": 48}
    whole = CameraConfig(path=write_footage(tmp_path / "whole", frames), **asked)
    assert camera_line(whole, 1.5, 0.01).ok
    gaps = write_footage(tmp_path / "gaps", frames, [Trouble(kind="drop", at=10, frames=5)])
    found = camera_line(CameraConfig(path=gaps, **asked), 1.5, 0.01)
    assert not found.ok
    assert "5 lost" in found.found
    assert not camera_line(None, 1.0, 0.01).ok
    missing = camera_line(CameraConfig(source="video", path=tmp_path / "none.mp4"), 1.0, 0.01)
    assert not missing.ok


def test_an_empty_workspace_fails_with_what_to_do(tmp_path, capsys):
    out = tmp_path / "out.json"
    names = ["video", "manipulation", "demonstrations", "network"]
    assert main(["--workspace", str(tmp_path), "--out", str(out), "--only", *names]) == 1
    report = json.loads(out.read_text())
    assert {row["part"] for row in report["lines"]} == set(names)
    assert all(not row["ok"] and row["remedy"] for row in report["lines"])
    assert "not ready" in capsys.readouterr().out


def test_parts_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no part weather"):
        main(["--workspace", str(tmp_path), "--only", "weather"])
    with pytest.raises(ConfigError, match="is no folder"):
        main(["--workspace", str(tmp_path / "none")])
