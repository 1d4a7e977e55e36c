"""Draws and encodes clips of egocentric video, room by room in as many processes as wanted, handed over in order."""

import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.collect.ego.clips import Clip, ClipConfig, draw_clip
from wbvla.collect.ego.room import EgoRoom, RoomPlan
from wbvla.core.workers import in_order
from wbvla.data.features import IMAGE
from wbvla.data.footage import EpisodeFootage
from wbvla.data.format import Info
from wbvla.data.journal import Commit, Disk
from wbvla.data.ready import Ready, ReadyVideo
from wbvla.data.video import VideoCodec
from wbvla.sim.camera import RenderConfig

WORK = ".shooting"
"""folder of clips under way, in the dataset; readers skip it, and it goes when the recording ends"""
CAMERA = IMAGE + "head"


@dataclass(frozen=True, kw_only=True)
class Reel:
    """What all clips of a recording have in common."""

    clip: ClipConfig
    split: str
    clips_per_room: int
    render: RenderConfig
    info: Info
    """of the dataset while it is empty"""
    folder: Path
    """of the dataset"""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A clip that only has to be committed."""

    phrasings: tuple[str, ...]
    primitive: np.ndarray
    intrinsics: Mapping[str, Any]
    truth: Mapping[str, np.ndarray]
    ready: Ready


class Studio:
    """Draws clips of one reel, one room at a time."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel
        self._room: EgoRoom | None = None

    @staticmethod
    def render(width: int, height: int, samples: int) -> RenderConfig:
        """How pictures are drawn: without cast shadows, which take three times as long."""
        return RenderConfig(width=width, height=height, samples=samples)

    def room(self, number: int) -> EgoRoom:
        """A room, kept until another is asked for."""
        if self._room is None or self._room.plan.number != number:
            self.close()
            reel = self._reel
            self._room = EgoRoom(RoomPlan(reel.split, reel.clip.seed, number), reel.render)
        return self._room

    def shoot(self, index: int) -> Shot:
        """Clip `index`, drawn and encoded in the work folder."""
        room = self.room(index // self._reel.clips_per_room)
        clip = draw_clip(room.plan, self._reel.clip, index)
        return Shot(
            phrasings=clip.phrasings,
            primitive=clip.walk.primitive,
            intrinsics=room.intrinsics,
            truth=truth_of(clip, room.plan.number),
            ready=self._encode(room, clip, index),
        )

    def close(self) -> None:
        """Free OpenGL."""
        if self._room is not None:
            self._room.close()
            self._room = None

    def _encode(self, room: EgoRoom, clip: Clip, index: int) -> Ready:
        folder = _folder(self._reel, index)
        shutil.rmtree(folder, ignore_errors=True)
        info = replace(self._reel.info, features={CAMERA: self._reel.info.features[CAMERA]})
        commit, closed = Commit(folder, Disk()), False
        footage = EpisodeFootage(info, commit, VideoCodec())
        try:
            for row in range(len(clip.walk)):
                footage.add({CAMERA: room.see(clip.walk, row)})
            footage.close()
            closed = True
        finally:
            if not closed:
                footage.abandon()
        coded = info.video_path.format(video_key=CAMERA, chunk_index=0, file_index=0)
        video = ReadyVideo(video=dict(commit.staged())[coded], summary=footage.summaries()[CAMERA])
        return Ready(videos={CAMERA: video}, tasks=(clip.phrasings[0],) * len(clip.walk))


def truth_of(clip: Clip, room: int) -> dict[str, np.ndarray]:
    """What only evaluation may read."""
    walk = clip.walk
    found = {
        "camera_twist": walk.twist,
        "camera_xyz_w": walk.head_xyz,
        "camera_rpy_w": walk.head_rpy,
        "wrists_h": walk.wrists_h,
        "wrists_w": walk.wrists_w,
        "touched": np.array(clip.touched),
        "offset": np.array(clip.offset),
        "is_goal": np.array(clip.is_goal),
        "room": np.array(room),
    }
    return found | ({"goal_xyz_w": np.array(clip.goal.target.solid.xyz)} if clip.goal else {})


def shots(reel: Reel, first: int, last: int, processes: int) -> Generator[Shot, None, None]:
    """Clips from `first` to before `last` in order; `last` 0: without end. The work folder goes when it is left."""
    work = reel.folder / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        # closed here, so that no process writes into the work folder any more when that goes
        with closing(_here(reel, first, last) if processes == 1 else _pooled(reel, first, last, processes)) as made:
            for index, shot in enumerate(made, first):
                yield shot
                shutil.rmtree(_folder(reel, index), ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _folder(reel: Reel, index: int) -> Path:
    return reel.folder / WORK / f"{index:06d}"


def _here(reel: Reel, first: int, last: int) -> Generator[Shot, None, None]:
    studio = Studio(reel)
    try:
        while not last or first < last:
            yield studio.shoot(first)
            first += 1
    finally:
        studio.close()


def _pooled(reel: Reel, first: int, last: int, processes: int) -> Generator[Shot, None, None]:
    """A room is one piece of work: its clips come together, and no two processes build the same room."""
    with closing(in_order(_shoot, _rooms(reel, first, last), processes, (_enter, reel))) as made:
        for room in made:
            yield from room


def _rooms(reel: Reel, first: int, last: int) -> Iterator[range]:
    """Numbers of the clips of each room from `first` to before `last`; `last` 0: without end."""
    while not last or first < last:
        end = (first // reel.clips_per_room + 1) * reel.clips_per_room
        end = min(end, last) if last else end
        yield range(first, end)
        first = end


_studios: list[Studio] = []
"""the studio of a worker process"""


def _enter(reel: Reel) -> None:
    _studios.append(Studio(reel))


def _shoot(clips: range) -> list[Shot]:
    return [_studios[0].shoot(index) for index in clips]
