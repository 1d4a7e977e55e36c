"""Recording: a dataset open for new episodes, each committed whole or not at all.

    writer = DatasetWriter.create(root, DatasetConfig(fps=10, robot="agibot_x2", features=features))
    with writer, writer.episode(task="lift the box") as episode:
        episode.add({"observation.images.head": rgb, "observation.state": state, "action": action})
        episode.segment(0, 40, "walk to the box", skill="walk")
        episode.mark(success=True)
        episode.commit()

An episode that is left without `commit`, by an exception or otherwise, leaves nothing behind.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError, DataError
from wbvla.data import tables
from wbvla.data.dataset_stats import refresh_stats
from wbvla.data.depth import DepthCodec
from wbvla.data.episode import EpisodeWriter, Session
from wbvla.data.footage import EpisodeFootage, MakeFootage
from wbvla.data.format import (
    CONTRACT,
    INFO,
    LABELS,
    OWN_FEATURES,
    SEAL,
    TASKS,
    Feature,
    Info,
    check_names,
    read_info,
)
from wbvla.data.journal import STAGING, Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import stage_info
from wbvla.data.migrate import bring_up
from wbvla.data.ready import Ready
from wbvla.data.stamps import StampRules
from wbvla.data.video import VideoCodec


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """What a new dataset will hold."""

    fps: int
    """frames per second, the same for all cameras and columns [Hz]"""
    robot: str
    """robot name, or `human` for egocentric video"""
    features: Mapping[str, Feature]
    """columns and cameras by name; the writer adds timestamp, frame_index, episode_index, index, task_index"""
    contract: Mapping[str, Any] = field(default_factory=dict)
    """what the recording promises (joints, units, frames, cameras); kept as meta/contract.json"""
    codec: VideoCodec = field(default_factory=VideoCodec)
    """how camera frames are encoded"""
    depth_codec: DepthCodec = field(default_factory=DepthCodec)
    """how depth maps become 12-bit codes; the lossless maps beside them have no settings"""
    stamps: StampRules = field(default_factory=StampRules)
    """what capture times must keep, where the dataset has `stamps`"""

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise ConfigError(f"fps must be a positive integer, not {self.fps!r}")
        check_names(self.features)

    def info(self) -> Info:
        """meta/info.json of the dataset while it is empty."""
        described = {
            k: replace(f, info=self._codec_of(f).info(f.shape[0], f.shape[1], self.fps)) if f.is_video else f
            for k, f in self.features.items()
        }
        return Info(fps=self.fps, robot=self.robot, features={**described, **OWN_FEATURES})

    def _codec_of(self, feature: Feature) -> VideoCodec | DepthCodec:
        return self.depth_codec if feature.is_depth else self.codec


class DatasetWriter:
    """A dataset open for recording, one writer at a time by a file lock. Use `create`, `open` or `resume`."""

    def __init__(self, root: Path, codec: VideoCodec, stamps: StampRules, disk: Disk) -> None:
        self.root, self._codec, self._stamps, self._disk = Path(root), codec, stamps, disk
        self._lock = lock(self.root)
        with ExitStack() as on_error:
            on_error.callback(self._lock.close)
            recover(self.root, disk)
            self.info = read_info(self.root)
            if self.info.total_episodes and not (self.root / SEAL).is_file():
                # made by another program: each of its episodes gets its hashes before the first of ours
                bring_up(self.root, disk)
                self.info = read_info(self.root)
            self._tasks = tuple(tables.read_tasks(self.root / TASKS))
            on_error.pop_all()
        self._recording, self._grew = False, False

    @staticmethod
    def create(root: Path, config: DatasetConfig, disk: Disk | None = None) -> "DatasetWriter":
        """Start an empty dataset; raises DataError when `root` already holds one."""
        root, disk = Path(root), disk or Disk()
        with lock(root):
            recover(root, disk)
            if (root / INFO).exists():
                raise DataError(f"{root} already holds a dataset; open it, or choose another folder")
            start = Commit(root, disk)
            start.stage_bytes(CONTRACT, as_json(dict(config.contract)))
            stage_info(start, config.info())
            start.apply()
        return DatasetWriter(root, config.codec, config.stamps, disk)

    @staticmethod
    def open(
        root: Path, codec: VideoCodec | None = None, stamps: StampRules | None = None, disk: Disk | None = None
    ) -> "DatasetWriter":
        """Go on recording; an interrupted commit is finished or removed first. Raises DataError where there is none."""
        if not (Path(root) / INFO).is_file() and not (Path(root) / STAGING).is_dir():
            raise DataError(f"{root} is no dataset: it has no {INFO}; create it first")
        return DatasetWriter(Path(root), codec or VideoCodec(), stamps or StampRules(), disk or Disk())

    @staticmethod
    def resume(root: Path, config: DatasetConfig, disk: Disk | None = None) -> "DatasetWriter":
        """Create the dataset, or open it when it exists; raises ContractMismatch when another config made it.

        Columns that were labelled since do not count as a difference.
        """
        root, disk = Path(root), disk or Disk()
        if (root / STAGING).is_dir():
            with lock(root):
                recover(root, disk)
        if not (root / INFO).is_file():
            return DatasetWriter.create(root, config, disk)
        ours, theirs = config.info().to_json(), read_info(root).to_json()
        labelled = json.loads((root / LABELS).read_bytes()) if (root / LABELS).is_file() else {}
        theirs["features"] = {k: f for k, f in theirs["features"].items() if k not in labelled}
        keys = ("fps", "robot_type", "features")
        require_match(f"dataset {root}", {k: ours[k] for k in keys}, {k: theirs[k] for k in keys})
        return DatasetWriter.open(root, config.codec, config.stamps, disk)

    @property
    def num_episodes(self) -> int:
        """Committed episodes."""
        return self.info.total_episodes

    @property
    def num_frames(self) -> int:
        """Committed frames."""
        return self.info.total_frames

    @contextmanager
    def episode(
        self, task: str, ready: Ready | None = None, footage: MakeFootage = EpisodeFootage
    ) -> Iterator[EpisodeWriter]:
        """Record one episode under an instruction; discarded unless `commit` is called inside.

        With `ready` its pictures are finished videos, which are moved in, and its columns are given whole.
        `footage` makes whoever encodes the pictures; the usual one does it in this process.
        """
        if self._lock.closed:
            raise DataError(f"{self.root}: this writer is closed; open the dataset again")
        if self._recording:
            raise DataError(f"{self.root}: an episode is already being recorded; commit or leave it first")
        session = Session(
            root=self.root,
            info=self.info,
            tasks=self._tasks,
            codec=self._codec,
            stamps=self._stamps,
            disk=self._disk,
            finish=self._finish,
            footage=footage,
        )
        self._recording = True
        try:
            episode = EpisodeWriter(session, task, ready)
            try:
                yield episode
            finally:
                episode.discard()
        finally:
            self._recording = False

    def close(self) -> None:
        """Bring meta/stats.json up to date with what was recorded, and release the dataset."""
        try:
            if self._grew and not self._lock.closed:
                refresh_stats(self.root, self._disk)
        finally:
            self._grew = False
            self._lock.close()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._grew = self._grew and kind is None
        self.close()

    def _finish(self, commit: Commit, info: Info, tasks: tuple[str, ...]) -> None:
        """Apply a commit; when that fails the writer closes, and opening the dataset again finishes or removes it."""
        applied = False
        try:
            commit.apply()
            applied = True
        except OSError as error:
            raise DataError(
                f"{self.root}: the commit was interrupted ({error}); free space and open the dataset again"
            ) from error
        finally:
            if not applied:
                self._lock.close()
        self.info, self._tasks, self._grew = info, tasks, True
