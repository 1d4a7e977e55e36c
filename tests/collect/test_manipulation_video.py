"""Manipulation video: done by contact, imported as AgiBot World, splits apart, the same after kills, by any process."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wbvla.collect.manipulation.catalogue import JITTER, SPLITS
from wbvla.collect.manipulation.clip import ClipConfig, act, open_work
from wbvla.collect.manipulation.layout import SOURCE
from wbvla.collect.manipulation.video import ManipulationVideoConfig, record_manipulation
from wbvla.collect.manipulation.works import WORKS
from wbvla.core.errors import ConfigError, ContractMismatch
from wbvla.data.check import check
from wbvla.data.importers.run import import_dataset
from wbvla.data.importers.take import ImportConfig
from wbvla.data.reader import Dataset

TINY = ManipulationVideoConfig(clips=2, size=48, wrist_size=32, samples=0, seed=1)
CLIP = ClipConfig(fps=10, size=48, wrist_size=0, samples=0, split="train", seed=5)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips."""
    folder = tmp_path_factory.mktemp("recording") / "r"
    record_manipulation(TINY, folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    names = sorted(p for p in folder.rglob("*") if p.is_file() and ".staging" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in names}


@pytest.mark.parametrize("number", [3, 5], ids=["hand-over", "drawer"])
def test_work_is_done_by_contact(number: int) -> None:
    performance = act(CLIP, number, (WORKS[number].task, number))
    rows, clip = performance.clip.rows, performance.clip
    data = performance.bench.data
    assert not data.xfrc_applied.any()
    assert not data.qfrc_applied.any()
    assert performance.bench.model.neq == 2, "only the fingers of each hand are coupled: nothing is welded"
    assert clip.segments[0][0] == 0
    assert clip.segments[-1][1] == clip.length
    assert [a for a, *_ in clip.segments[1:]] == [b for _, b, *_ in clip.segments[:-1]]
    q, target = np.array(rows.q), np.array(rows.target)
    assert 20 < clip.length < 400
    assert np.abs(q - target).max() < 0.6, "the arms follow what they are told"
    poses = [pose[:, :3] for name, pose in clip.truth.items() if name.startswith("pose.")]
    steps = [np.linalg.norm(np.diff(xyz, axis=0), axis=1).max() for xyz in poses]
    assert max(steps) < 0.15, "a thing jumped within a frame"


def test_undone_work_is_no_success() -> None:
    for number in range(len(WORKS)):
        work = open_work(CLIP, number, 0)
        work.start()
        assert not work.is_done()


def test_splits_share_nothing_that_is_drawn() -> None:
    drawn: dict[str, dict[str, set]] = {}
    colours: dict[str, list] = {}
    for split in SPLITS:
        seen = drawn.setdefault(split, {what: set() for what in ("nouns", "colours", "table", "floor", "wall")})
        for number in range(3 * len(WORKS)):
            work = open_work(dataclasses.replace(CLIP, split=split), number, 0)
            look = work.plan.look
            seen["nouns"] |= {noun for noun, _, _ in work.drawn if noun not in ("mat", "chest", "handle", "stain")}
            seen["colours"] |= {name for _, name, _ in work.drawn}
            seen["table"].add(look.table)
            seen["floor"].add(look.room.floor)
            seen["wall"].add(look.room.wall)
            colours.setdefault(split, []).extend(rgb for _, _, rgb in work.drawn)
    for what in drawn["train"]:
        assert len(drawn["train"][what]) > 1
        assert not drawn["train"][what] & drawn["test"][what], what
    owners = {name: split for split, store in SPLITS.items() for name in store.colours}
    named = [np.array(rgb) for store in SPLITS.values() for rgb in store.colours.values()]
    for split, drawn_rgb in colours.items():
        nearest = [int(np.argmin([np.abs(rgb - one).max() for one in named])) for rgb in drawn_rgb]
        assert {list(owners.values())[i] for i in nearest} == {split}, (
            "a drawn colour is nearest to one of the other split"
        )
    apart = [np.abs(a - b).max() for i, a in enumerate(named) for b in named[:i]]
    assert min(apart) > 2 * JITTER


def test_it_imports_as_agibot_world(recording: Path, tmp_path: Path) -> None:
    report = import_dataset("agibot-world", recording, tmp_path / "d", ImportConfig())
    assert (report.episodes, dict(report.rejected)) == (2, {})
    assert report.copied_videos == 6, "videos are laid out as a dataset's"
    assert "Apache" in report.licence
    assert check(tmp_path / "d", deep=True) == []
    data = Dataset(tmp_path / "d")
    assert (data.robot, data.fps) == ("bench_two_arm", 10)
    assert data.contract["arm_joint_names"][0] == "left_shoulder_pitch"
    assert "observation.head" not in data.features
    told = json.loads((recording / "task_info/task_7001.json").read_text())[0]
    assert data.episodes[0].tasks == (f"{told['task_name']} | {told['init_scene_text']}",)
    steps = told["label_info"]["action_config"]
    found = [(s.start, s.end, s.text, s.skill) for s in data.segments(0)]
    assert found == [(s["start_frame"], s["end_frame"], s["action_text"], s["skill"]) for s in steps]
    performance = act(TINY.of_clip(), 0, (7001, 700_000))
    columns, rows = data.columns(0), performance.clip.rows
    for column, values in (
        ("observation.state", rows.q),
        ("action", rows.target),
        ("observation.effector", rows.gap_mm),
        ("action.effector", rows.closing),
    ):
        np.testing.assert_allclose(columns[column], np.array(values), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(columns["stamps"].reshape(-1), np.arange(len(rows.q)) / 10, atol=1e-9)
    assert (columns["action_given"] == 1).all()


def test_processes_and_kills_do_not_matter(recording: Path, tmp_path: Path) -> None:
    """Killed with -9 in its second clip, then finished by two processes: the same bytes."""
    code = (
        "from pathlib import Path\n"
        "from wbvla.collect.manipulation.video import *\n"
        f"import os, signal\nconfig = ManipulationVideoConfig(clips=2, size=48, wrist_size=32, samples=0, seed=1)\n"
        f"record_manipulation(config, Path({str(tmp_path / 'r')!r}), "
        "lambda done, frames: os.kill(os.getpid(), signal.SIGKILL) if done else None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    orphan = tmp_path / "r/observations/7002/700001/videos"
    orphan.mkdir(parents=True)
    (orphan / "head_color.mp4").write_bytes(b"half")
    told: list[tuple[int, int]] = []
    record_manipulation(dataclasses.replace(TINY, processes=2), tmp_path / "r", lambda *at: told.append(at))
    assert [clips for clips, _ in told] == [1, 2]
    assert files(tmp_path / "r") == files(recording)
    with pytest.raises(ContractMismatch):
        record_manipulation(dataclasses.replace(TINY, seed=2), tmp_path / "r")


def test_hours_decide_how_many_clips(recording: Path) -> None:
    config = dataclasses.replace(TINY, clips=0, hours=10 / 3600)
    layout = record_manipulation(config, recording)
    assert layout.num_clips == 2, "two clips are longer than ten seconds: nothing is added"
    assert config.num_frames == 100
    assert json.loads((recording / SOURCE).read_text())["recording"]["seed"] == 1
    for wrong in ({"fps": 7}, {"split": "holdout"}, {"size": 47}, {"hours": 0.0}):
        with pytest.raises(ConfigError):
            dataclasses.replace(TINY, **wrong)
