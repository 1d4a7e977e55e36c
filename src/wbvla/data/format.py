"""The dataset on disk, LeRobot v3.0: what a feature is, what info.json holds, and where each file lies."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wbvla.core.errors import ConfigError, DataError

CODEBASE_VERSION = "v3.0"
CHUNK_SIZE = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
TRUTH_PATH = "truth/episode_{episode_index:06d}.npz"
MANIFEST_PATH = "meta/manifest/episode_{episode_index:06d}.json"
INFO, SEAL = "meta/info.json", "meta/seal.json"
TASKS, STATS = "meta/tasks.parquet", "meta/stats.json"
CONTRACT, LABELS = "meta/contract.json", "meta/labels.json"

NUMBERS = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
DTYPES = (*NUMBERS, "string", "video")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column (or one camera) of a dataset."""

    dtype: str
    """`float32`, `float64`, an integer type, `bool`, `string` or `video`"""
    shape: tuple[int, ...]
    """(n,) for a vector, (1,) for a scalar, (height, width, 3) for video"""
    names: tuple[str, ...] | None = None
    """name of each channel, in order"""
    info: Mapping[str, Any] = field(default_factory=dict)
    """codec facts of a video, as LeRobot writes them"""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"feature dtype {self.dtype!r} is not known; known: {', '.join(DTYPES)}")
        if self.dtype == "video":
            if len(self.shape) != 3 or self.shape[2] != 3 or self.shape[0] % 2 or self.shape[1] % 2:
                raise ConfigError(f"video shape must be (even height, even width, 3), not {self.shape}")
        elif len(self.shape) != 1 or self.shape[0] < 1:
            raise ConfigError(f"a {self.dtype} feature is a vector (n,); flatten {self.shape}")
        if self.names is not None and self.dtype != "video" and len(self.names) != self.shape[0]:
            raise ConfigError(f"{len(self.names)} names for a feature of shape {self.shape}")

    @property
    def is_video(self) -> bool:
        return self.dtype == "video"

    @property
    def is_numeric(self) -> bool:
        return self.dtype in NUMBERS

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": list(self.names) if self.names is not None else None,
        }
        return {**value, "info": dict(self.info)} if self.info else value

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Feature":
        """Reads LeRobot's spelling too: names as dict or nested list, `video_info` for `info`."""
        names = value.get("names")
        if isinstance(names, Mapping):
            parts = list(names.values())
            nested = len(parts) == 1 and isinstance(parts[0], list)
            names = parts[0] if nested else list(names)
        return Feature(
            dtype=value["dtype"],
            shape=tuple(int(s) for s in value["shape"]) or (1,),
            names=tuple(str(n) for n in names) if names else None,
            info=value.get("info") or value.get("video_info") or {},
        )


def vector(names: Sequence[str], dtype: str = "float32") -> Feature:
    """A vector with one name per channel."""
    return Feature(dtype=dtype, shape=(len(names),), names=tuple(names))


def scalar(dtype: str) -> Feature:
    """One number, flag or string per frame."""
    return Feature(dtype=dtype, shape=(1,))


def video(height: int, width: int) -> Feature:
    """One camera [px, px]."""
    return Feature(dtype="video", shape=(height, width, 3), names=("height", "width", "channels"))


OWN_FEATURES: Mapping[str, Feature] = {
    "timestamp": scalar("float32"),
    "frame_index": scalar("int64"),
    "episode_index": scalar("int64"),
    "index": scalar("int64"),
    "task_index": scalar("int64"),
}
"""The columns the writer adds to every dataset."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """meta/info.json."""

    fps: int
    robot: str
    features: Mapping[str, Feature]
    """recorded features followed by `OWN_FEATURES`"""
    total_episodes: int = 0
    total_frames: int = 0
    total_tasks: int = 0
    data_path: str = DATA_PATH
    video_path: str = VIDEO_PATH

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(k for k, f in self.features.items() if f.is_video)

    @property
    def columns(self) -> dict[str, Feature]:
        return {k: f for k, f in self.features.items() if not f.is_video}

    def to_json(self) -> dict[str, Any]:
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": self.robot,
            "total_episodes": self.total_episodes,
            "total_frames": self.total_frames,
            "total_tasks": self.total_tasks,
            "chunks_size": CHUNK_SIZE,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self.fps,
            "splits": {"train": f"0:{self.total_episodes}"},
            "data_path": self.data_path,
            "video_path": self.video_path if self.cameras else None,
            "features": {k: f.to_json() for k, f in self.features.items()},
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Info":
        """Raises DataError on another major version or a missing key."""
        version = str(value.get("codebase_version", "unknown"))
        if not version.startswith("v3."):
            raise DataError(
                f"dataset version {version} is not readable, only {CODEBASE_VERSION}; "
                "convert it first (LeRobot ships `convert_dataset_v21_to_v30`)"
            )
        try:
            return Info(
                fps=int(value["fps"]),
                robot=str(value.get("robot_type") or "unknown"),
                features={k: Feature.from_json(f) for k, f in value["features"].items()},
                total_episodes=int(value["total_episodes"]),
                total_frames=int(value["total_frames"]),
                total_tasks=int(value["total_tasks"]),
                data_path=value["data_path"],
                video_path=value.get("video_path") or VIDEO_PATH,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{INFO} is incomplete: {error!r}; run `wbvla data check`") from error


def read_info(root: Path) -> Info:
    """Read meta/info.json; raises DataError when it is absent or not JSON."""
    path = Path(root) / INFO
    if not path.is_file():
        raise DataError(f"{root} is no dataset: it has no {INFO}")
    try:
        return Info.from_json(json.loads(path.read_text()))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); restore it from a copy") from error


def file_of(episode_index: int) -> dict[str, int]:
    """Chunk and file of an episode written here: one file per episode."""
    return {"chunk_index": episode_index // CHUNK_SIZE, "file_index": episode_index % CHUNK_SIZE}


def check_names(features: Mapping[str, Feature]) -> None:
    """Raises ConfigError on a feature name that LeRobot refuses or that the writer adds itself."""
    for name in features:
        if "/" in name or not name:
            raise ConfigError(f"feature name {name!r} must not be empty or hold a '/'")
        if name in OWN_FEATURES:
            raise ConfigError(f"feature {name!r} is added by the writer; do not declare it")
