"""Videos that were made elsewhere, taken into an episode as they are: the counterpart of `footage` without encoders."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.format import DEPTH_PATH, Info, file_of
from wbvla.data.journal import Commit


@dataclass(frozen=True, kw_only=True)
class ReadyVideo:
    """One finished camera of one episode, on the dataset's own disk; the commit moves it away."""

    video: Path
    """mp4 whose frame i is at i / fps"""
    lossless: Path | None = None
    """the lossless maps beside it, for depth"""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """statistics of its pictures"""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Every camera of an episode, and its length."""

    videos: Mapping[str, ReadyVideo]
    """by feature"""
    tasks: tuple[str, ...]
    """instruction of each frame; its length is the episode's [frames]"""


class ReadyFootage:
    """The pictures of one episode that is committed with finished videos."""

    def __init__(self, info: Info, commit: Commit, ready: Ready) -> None:
        """Raises DataError when the videos are not those the dataset has."""
        if set(ready.videos) != set(info.videos) or not ready.tasks:
            raise DataError(f"videos of {sorted(ready.videos)} given for an episode, the dataset has {info.videos}")
        self._videos = ready.videos
        index = info.total_episodes
        for name, given in ready.videos.items():
            target = commit.stage(info.video_path.format(video_key=name, **file_of(index, info.chunks_size)))
            shutil.move(given.video, target)
            if given.lossless is not None:
                beside = commit.stage(DEPTH_PATH.format(video_key=name, episode_index=index))
                shutil.move(given.lossless, beside)

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras and depth maps."""
        return tuple(self._videos)

    def check(self, name: str, value: Any) -> np.ndarray:
        """Refuses: the episode has all its pictures."""
        raise DataError(f"{name!r} is a finished video here; this episode takes no single frames")

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Refuses as `check` does."""
        raise DataError("this episode takes no single frames; its videos are finished")

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Statistics by camera."""
        return {name: dict(given.summary) for name, given in self._videos.items()}

    def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is open."""
