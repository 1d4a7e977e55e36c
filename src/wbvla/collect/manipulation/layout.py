"""Writes recorded work in AgiBot World's layout (task_info, observations, proprio_stats, parameters), truth/ beside it.

What differs from AgiBot's a2d: arms are named by `sim/bench_robot.py`, head and waist do not move and there is no base
(their sets are empty, as the format has it), rows follow at the recording's rate (told by /timestamp), poses of the
hands are in the world's frame with the floor at z = 0, and grippers say how far they are open [mm].
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.files import fsync_folder, write_json
from wbvla.data.video import VideoCodec, VideoWriter

PARTS = ("observations", "proprio_stats", "parameters", "truth")
"""folders that hold one folder per episode, below that of its task"""
VIDEOS = {"head": "head_color", "left_hand": "hand_left_color", "right_hand": "hand_right_color"}
"""our camera -> name of the video"""
SOURCE = "source.json"
"""tells an importer who recorded, under which licence"""
CLIP = "clip.json"
EMPTY = ("state/head/position", "state/waist/position", "action/head/position", "action/waist/position")
"""sets that a fixed base does not fill"""


@dataclass(kw_only=True)
class Rows:
    """What is measured and commanded at every frame; each list has one entry per frame."""

    q: list[Float[np.ndarray, "14"]] = field(default_factory=list)
    """[rad]"""
    dq: list[Float[np.ndarray, "14"]] = field(default_factory=list)
    """[rad/s]"""
    torque: list[Float[np.ndarray, "14"]] = field(default_factory=list)
    """[N.m]"""
    gap_mm: list[Float[np.ndarray, "2"]] = field(default_factory=list)
    """between the fingers [mm]"""
    end_xyz: list[Float[np.ndarray, "2 3"]] = field(default_factory=list)
    """[m]"""
    end_xyzw: list[Float[np.ndarray, "2 4"]] = field(default_factory=list)
    target: list[Float[np.ndarray, "14"]] = field(default_factory=list)
    """commanded [rad]"""
    closing: list[Float[np.ndarray, "2"]] = field(default_factory=list)
    """commanded: 0 open, 1 closed"""
    target_xyz: list[Float[np.ndarray, "2 3"]] = field(default_factory=list)
    """commanded [m]"""
    target_xyzw: list[Float[np.ndarray, "2 4"]] = field(default_factory=list)

    def sets(self, fps: int) -> Mapping[str, np.ndarray]:
        """Data sets of proprio_stats.h5, float64, times in ns."""
        count = len(self.q)
        index: Int64[np.ndarray, " frame"] = np.arange(count, dtype=np.int64)
        found: dict[str, np.ndarray] = {"timestamp": index * 10**9 // fps}
        named = {
            "state/joint/position": self.q,
            "state/joint/velocity": self.dq,
            "state/joint/effort": self.torque,
            "state/effector/position": self.gap_mm,
            "state/end/position": self.end_xyz,
            "state/end/orientation": self.end_xyzw,
            "action/joint/position": self.target,
            "action/effector/position": self.closing,
            "action/end/position": self.target_xyz,
            "action/end/orientation": self.target_xyzw,
        }
        found |= {name: np.array(rows, dtype=np.float64) for name, rows in named.items()}
        found |= {f"action/{group}/index": index for group in ("joint", "effector", "end")}
        return found | {name: np.zeros(0) for name in EMPTY}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One finished piece of work without its pictures."""

    number: int
    """in the recording"""
    task: int
    episode: int
    instruction: str
    scene: str
    segments: tuple[tuple[int, int, str, str], ...]
    """first frame, end, words, skill"""
    failed: tuple[str, ...]
    """why earlier attempts at this clip were not kept"""
    rows: Rows
    cameras: Mapping[str, Any]
    """name of a file in parameters/ -> its document"""
    truth: Mapping[str, np.ndarray]
    """what only the simulation knows"""

    @property
    def length(self) -> int:
        return len(self.rows.q)

    @property
    def place(self) -> str:
        """Its folder below each of `PARTS`."""
        return f"{self.task}/{self.episode}"

    def told(self) -> dict[str, Any]:
        """Its row in task_info."""
        steps = [
            {"start_frame": start, "end_frame": end, "action_text": text, "skill": skill}
            for start, end, text, skill in self.segments
        ]
        words = {"task_name": self.instruction, "init_scene_text": self.scene}
        return {"episode_id": self.episode, **words, "label_info": {"action_config": steps}}


class ClipWriter:
    """Writes one clip into a folder of its own, pictures as they come; `close` makes it whole and durable."""

    def __init__(self, folder: Path, clip: Clip, fps: int, sizes: Mapping[str, int]) -> None:
        """`sizes`: edge of each camera's square pictures [px]."""
        self._folder, self._clip, self._fps = folder, clip, fps
        shutil.rmtree(folder, ignore_errors=True)
        videos = folder / "observations" / clip.place / "videos"
        videos.mkdir(parents=True)
        codec = VideoCodec()
        self._videos = {n: VideoWriter(videos / f"{VIDEOS[n]}.mp4", s, s, fps, codec) for n, s in sizes.items()}

    def add(self, images: Mapping[str, np.ndarray]) -> None:
        """The next frame of every camera."""
        for name, video in self._videos.items():
            video.add(images[name])

    def close(self) -> None:
        """Finish the videos; write numbers, cameras and truth."""
        clip = self._clip
        for video in self._videos.values():
            video.close()
        _write_h5(self._part("proprio_stats") / "proprio_stats.h5", clip.rows.sets(self._fps))
        for name, document in clip.cameras.items():
            _write(self._part("parameters") / "camera" / f"{name}.json", document)
        np.savez(self._part("truth") / "world.npz", allow_pickle=False, **clip.truth)
        facts = {"clip": clip.number, "length": clip.length, "failed": list(clip.failed), "told": clip.told()}
        _write(self._part("truth") / CLIP, facts)
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())

    def abandon(self) -> None:
        """Leave nothing."""
        for video in self._videos.values():
            video.abandon()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _part(self, part: str) -> Path:
        path = self._folder / part / self._clip.place
        path.mkdir(parents=True, exist_ok=True)
        return path


class Layout:
    """The folder of a recording: which clips it has, and how one more gets in."""

    def __init__(self, root: Path, clips: Sequence[tuple[int, int]]) -> None:
        """`clips`: how the task and the episode of clip i follow, for one round of tasks; episodes count up by one."""
        self.root, self._round = root, tuple(clips)
        self.failures: dict[str, int] = {}
        self.num_clips = self.num_frames = 0
        self._told = {task: self._read(task) for task, _ in self._round}
        self._count()

    def place(self, number: int) -> tuple[int, int]:
        """Task and episode of a clip."""
        task, first = self._round[number % len(self._round)]
        return task, first + number

    def commit(self, made: Path) -> None:
        """Take the finished clip that lies in a folder as the next one; whole or absent after a kill."""
        task, episode = self.place(self.num_clips)
        facts = _json(made / "truth" / f"{task}/{episode}" / CLIP)
        for part in PARTS:
            target = self.root / part / f"{task}/{episode}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(made / part / f"{task}/{episode}", target)
            fsync_folder(target.parent)
        self._told[task].append(facts["told"])
        self._write(task)
        self._add(facts)
        shutil.rmtree(made)

    def _count(self) -> None:
        """Find the whole clips, remove what a kill left behind them."""
        while True:
            task, episode = self.place(self.num_clips)
            rows = self._told[task]
            nth = self.num_clips // len(self._round)
            if nth >= len(rows):
                break
            if rows[nth]["episode_id"] != episode:
                raise DataError(f"{self.root} holds episode {rows[nth]['episode_id']} of task {task}, not {episode}")
            path = self.root / "truth" / f"{task}/{episode}" / CLIP
            if not path.is_file():
                raise DataError(f"{path} is missing; delete {self.root} or put it back")
            self._add(_json(path))
        for part in PARTS:
            for task, told in self._told.items():
                known = {str(row["episode_id"]) for row in told}
                for path in (self.root / part / str(task)).glob("*"):
                    if path.name not in known:
                        shutil.rmtree(path)

    def _add(self, facts: Mapping[str, Any]) -> None:
        self.num_clips += 1
        self.num_frames += int(facts["length"])
        for reason in facts["failed"]:
            self.failures[reason] = self.failures.get(reason, 0) + 1

    def _file(self, task: int) -> Path:
        return self.root / "task_info" / f"task_{task}.json"

    def _read(self, task: int) -> list[dict[str, Any]]:
        path = self._file(task)
        return list(_json(path)) if path.is_file() else []

    def _write(self, task: int) -> None:
        write_json(self._file(task), self._told[task])


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def _write_h5(path: Path, sets: Mapping[str, np.ndarray]) -> None:
    """Data sets in a new file, the same bytes for the same numbers."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ConfigError(
            "HDF5 is written by h5py, which is not installed; run `pip install 'wbvla[collect]'`"
        ) from error
    with h5py.File(path, "w", track_order=False) as file:
        for name in sorted(sets):
            file.create_dataset(name, data=sets[name], track_times=False)
