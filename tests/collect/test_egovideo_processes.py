"""Egocentric video by several processes: the same bytes as by one, also after SIGKILL of the recording process."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wbvla.collect.ego.shoot import WORK
from wbvla.collect.ego.video import EgoVideoConfig, record_egovideo
from wbvla.data.check import check
from wbvla.data.reader import Dataset

CONFIG = EgoVideoConfig(
    num_clips=5, seconds=0.6, goal_seconds=1.0, goal_share=0.2, width=64, height=48, clips_per_room=2, seed=5
)
CHILD = """
import json, sys
from pathlib import Path
from wbvla.collect.ego.video import EgoVideoConfig, record_egovideo
if __name__ == "__main__":
    record_egovideo(EgoVideoConfig(**json.loads(sys.argv[2])), Path(sys.argv[1]))
"""


def digests(folder: Path) -> dict[str, str]:
    """Of every file of a dataset, statistics included; not of the lock."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "lock"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By one process, without interruption."""
    folder = tmp_path_factory.mktemp("egovideo")
    record_egovideo(CONFIG, folder)
    return folder


def test_killed_in_the_middle_of_two_processes_and_resumed_by_one(whole: Path, tmp_path: Path) -> None:
    """Its workers end with it, and what they had under way is gone; the dataset is that of one process, to the byte."""
    script, folder = tmp_path / "child.py", tmp_path / "dataset"
    script.write_text(CHILD)
    given = json.dumps({**dataclasses.asdict(CONFIG), "processes": 2})
    child = subprocess.Popen([sys.executable, str(script), str(folder), given])
    while not (folder / "truth" / "episode_000001.npz").is_file():  # the second clip is there, others are under way
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    record_egovideo(CONFIG, folder)
    assert check(folder) == []
    assert digests(folder) == digests(whole)
    assert not (folder / WORK).exists()


def test_hours_say_how_much_and_the_first_clips_are_the_same(whole: Path, tmp_path: Path) -> None:
    hours = (Dataset(whole).num_frames - 2) / CONFIG.fps / 3600.0
    frames = record_egovideo(dataclasses.replace(CONFIG, hours=hours, num_clips=1, processes=2), tmp_path)
    assert frames == Dataset(whole).num_frames, "the clip that reaches the hours is kept whole"
    assert digests(tmp_path) == digests(whole)
