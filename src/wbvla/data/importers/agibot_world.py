"""AgiBot World Alpha and Beta, unpacked: task_info/, observations/, proprio_stats/, parameters/; robot a2d at 30 Hz."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.features import BODY_STAMP, DEPTH_OF, IMAGE
from wbvla.data.importers.agibot_rows import ACTION_GIVEN, action_columns, state_columns
from wbvla.data.importers.hdf5 import Hdf5, open_hdf5
from wbvla.data.importers.streams import FileDepths, Pictures, VideoPictures
from wbvla.data.importers.take import ImportConfig, Item, Take, folders, importers, within
from wbvla.data.layout import read_json
from wbvla.data.listing import find_pictures
from wbvla.data.words import Segment

FPS = 30.0
DEPTH_CAMERA = "head"
SOURCE = "source.json"
"""where another robot was recorded in this layout: its name, licence, units and frames instead of AgiBot's"""
MAX_CALIBRATION = 4096
"""a camera's file of parameters beyond this is not kept with the episode [bytes]"""


@importers.register("agibot-world")
class AgibotWorld:
    """State and action as the source has them, one feature per group; what is empty is absent, never zeros."""

    version = 1
    licence = "CC BY-NC-SA 4.0: no commercial use; what is made of it carries the same licence"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """Every episode that a task file tells, and every one that lies there without being told."""
        if not (src / "task_info").is_dir():
            raise DataError(f"{src} has no task_info/; name the folder that holds it, observations/ and proprio_stats/")
        tasks = {p.name for p in folders(src / "observations")} if (src / "observations").is_dir() else set()
        tasks |= {p.stem.removeprefix("task_") for p in (src / "task_info").glob("task_*.json")}
        for task in sorted(tasks, key=lambda t: (len(t), t)):
            yield from self._items_of(src, task)

    def _items_of(self, src: Path, task: str) -> Iterator[Item]:
        try:
            told = _told(src / "task_info" / f"task_{task}.json")
        except DataError as error:
            yield Item(name=task, broken=str(error))
            told = {}
        there = src / "observations" / task
        found = {p.name for p in folders(there)} if there.is_dir() else set()
        for episode in sorted(found | set(told), key=lambda e: (len(e), e)):
            broken = "" if episode in told else f"task_info/task_{task}.json does not tell of it"
            yield Item(name=f"{task}/{episode}", where={"task": task}, broken=broken)

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One episode; raises DataError with the reason when a trap of the format makes it unusable."""
        task_file = within(src, "task_info", f"task_{item.where['task']}.json")
        told, columns, remarks = _told(task_file)[item.name.rpartition("/")[2]], {}, []
        with open_hdf5(within(src, "proprio_stats", item.name, "proprio_stats.h5")) as file:
            times = _times(file)
            columns |= state_columns(file, len(times))
            columns |= action_columns(file, columns, len(times), remarks)
        cameras = _cameras(src, item.name, config)
        segments = _segments(told, len(times), remarks)
        words = [str(told.get(k, "")).strip() for k in ("task_name", "init_scene_text")]
        task = " | ".join(w for w in words if w)
        if not task:
            raise DataError("neither task_name nor init_scene_text is told")
        calibration = _calibration(src, item.name, remarks)
        return Take(
            task=task,
            rate_hz=FPS,
            columns=columns,
            cameras=cameras,
            times_s={BODY_STAMP: times},
            segments=segments,
            subtasks=True,
            notes={"cameras": calibration} if calibration else {},
            remarks=tuple(dict.fromkeys(remarks)),
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """Units and frames as the source's card has them; who records in this layout tells its own in source.json."""
        told = read_json(within(src, SOURCE)) if (src / SOURCE).is_file() else {}
        if not isinstance(told, dict):
            raise DataError(f"{SOURCE} is no description of a source")
        named = {
            key: told[key] for key in ("robot", "licence", "units", "frames", "clock", "arm_joint_names") if key in told
        }
        return {
            "robot": "agibot_a2d",
            "units": {"angle": "rad", "length": "m", "time": "s", "state gripper": "mm", "action gripper": "0..1"},
            "frames": {"end": "as the source: quaternion x y z w", ACTION_GIVEN: "1 where the source told an action"},
            "clock": "the robot's /timestamp; cameras have no stamps of their own",
            **named,
        }


@lru_cache(maxsize=2)
def _told(path: Path) -> dict[str, dict[str, Any]]:
    """Descriptions of a task's episodes by their number."""
    if not path.is_file():
        raise DataError(f"{path.name} is missing")
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "episode_id" in r for r in rows):
        raise DataError(f"{path.name} is no list of episodes")
    return {str(row["episode_id"]): row for row in rows}


def _times(file: Hdf5) -> np.ndarray:
    stamps = file.read("timestamp")
    if stamps is None:
        raise DataError("/timestamp is empty: the episode has no frames")
    return stamps.astype(np.float64) / 1e9


def _cameras(src: Path, name: str, config: ImportConfig) -> dict[str, Pictures]:
    """Every camera's video, and the head's depth maps where they are wanted."""
    folder = within(src, "observations", name)
    found: dict[str, Pictures] = {}
    for path in sorted((folder / "videos").glob("*.mp4")):
        camera = path.stem.removesuffix("_color")
        if config.takes(camera):
            found[IMAGE + camera] = VideoPictures(within(src, "observations", name, "videos", path.name))
    if config.depth:
        maps = folder / "depth"
        found[IMAGE + DEPTH_CAMERA + DEPTH_OF] = FileDepths(find_pictures(maps) if maps.is_dir() else [])
    if not found:
        raise DataError("it has no video that is wanted")
    return found


def _segments(told: Mapping[str, Any], length: int, remarks: list[str]) -> tuple[Segment, ...]:
    """Sub-task labels in order; what reaches over the end, or into the next one, is cut and remarked on."""
    info = told.get("label_info") or {}
    rows = info.get("action_config") if isinstance(info, dict) else None
    found: list[Segment] = []
    for row in sorted((r for r in rows or [] if isinstance(r, dict)), key=lambda r: _frame(r, "start_frame")):
        start, end = _frame(row, "start_frame"), _frame(row, "end_frame")
        skill = str(row.get("skill") or "").strip()
        text = str(row.get("action_text") or "").strip() or skill
        if end > length:
            remarks.append("a sub-task reached over the end of the episode and was cut")
            end = length
        if found and start < found[-1].end:
            remarks.append("a sub-task began before the one before it ended and was cut")
            start = found[-1].end
        if not text or not 0 <= start < end:
            remarks.append("a sub-task without words or frames was left out")
            continue
        found.append(Segment(start=start, end=end, text=text, skill=skill))
    return tuple(found)


def _frame(row: Mapping[str, Any], key: str) -> int:
    value = row.get(key)
    return value if isinstance(value, int) and value >= 0 else -1


def _calibration(src: Path, name: str, remarks: list[str]) -> dict[str, Any]:
    """Intrinsics and extrinsics of the cameras as the source has them."""
    folder = within(src, "parameters", name, "camera")
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            if path.stat().st_size > MAX_CALIBRATION or len(found) >= 12:
                raise DataError("too large")
            found[path.stem] = _plain(read_json(path))
        except DataError:
            remarks.append("a camera's parameters could not be kept")
    return found


def _plain(value: Any) -> Any:
    """A document without NaN; raises DataError otherwise."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        raise DataError("not a number")
    return value
