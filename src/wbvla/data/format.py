"""The dataset on disk, LeRobot v3.0: what a feature is, and where each file lies."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.layout import check_template, read_json

log = logging.getLogger(__name__)

CODEBASE_VERSION = "v3.0"
CHUNK_SIZE = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
LEGACY_DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
LEGACY_VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
TRUTH_PATH = "truth/episode_{episode_index:06d}.npz"
NOTES_PATH = "notes/episode_{episode_index:06d}.json"
DEPTH_PATH = "depth/{video_key}/episode_{episode_index:06d}.mkv"
SIDE_PATHS = (TRUTH_PATH, NOTES_PATH, DEPTH_PATH)
"""files of an episode where LeRobot does not look, one each whatever the layout; depth per depth map"""
MANIFEST_PATH = "meta/manifest/episode_{episode_index:06d}.json"
INFO, SEAL = "meta/info.json", "meta/seal.json"
TASKS, STATS = "meta/tasks.parquet", "meta/stats.json"
CONTRACT, LABELS = "meta/contract.json", "meta/labels.json"

NUMBERS = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
LEGACY_VERSIONS = ("v2.1", "v2.0")
KNOWN_KEYS = (
    "codebase_version",
    "robot_type",
    "total_episodes",
    "total_frames",
    "total_tasks",
    "total_videos",
    "total_chunks",
    "chunks_size",
    "data_files_size_in_mb",
    "video_files_size_in_mb",
    "fps",
    "splits",
    "data_path",
    "video_path",
    "features",
    "tools",
)
"""of info.json, v2.0 to v3.0"""
MAX_FPS = 10_000
DTYPES = (*NUMBERS, "string", "language", "image", "video")
MAX_SIDE, MAX_ELEMENTS, MAX_AXES = 1 << 14, 1 << 24, 5
"""bounds on what a file may declare: picture side [px], numbers per frame of a column, axes of a column"""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column (or one camera) of a dataset."""

    dtype: str
    """one of `DTYPES`: a number, `string`, `language` (a list of rows a frame), `image` (embedded) or `video`"""
    shape: tuple[int, ...]
    """(n,) for a vector, (1,) for a scalar, up to five axes; (height, width, channels) for pictures"""
    names: tuple[str, ...] | None = None
    """name of each channel, in order"""
    info: Mapping[str, Any] = field(default_factory=dict)
    """codec facts of a video, as LeRobot writes them"""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """what info.json says of the feature beyond that, kept as it is"""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"feature dtype {self.dtype!r} is not known; known: {', '.join(DTYPES)}")
        if self.is_picture:
            channels = (1, 3) if self.is_depth else (3,)
            if len(self.shape) != 3 or self.shape[2] not in channels or not 1 <= min(self.shape) <= MAX_SIDE:
                raise ConfigError(f"{self.dtype} shape must be (height, width, 3), depth (.., 1), not {self.shape}")
            if max(self.shape) > MAX_SIDE:
                raise ConfigError(f"{self.dtype} of {self.shape} is larger than {MAX_SIDE} px")
            return
        if not 1 <= len(self.shape) <= MAX_AXES or min(self.shape) < 1 or math.prod(self.shape) > MAX_ELEMENTS:
            raise ConfigError(f"a {self.dtype} feature has 1 to {MAX_AXES} axes of at least 1, not {self.shape}")
        if self.names is not None and len(self.names) != self.shape[0]:
            raise ConfigError(f"{len(self.names)} names for a feature of shape {self.shape}")

    @property
    def is_video(self) -> bool:
        return self.dtype == "video"

    @property
    def is_picture(self) -> bool:
        return self.dtype in ("video", "image")

    @property
    def is_depth(self) -> bool:
        """Whether the pictures are depth maps, by LeRobot's mark or its older spelling."""
        return bool(self.info.get("is_depth_map") or self.info.get("video.is_depth_map"))

    @property
    def is_numeric(self) -> bool:
        return self.dtype in NUMBERS

    @property
    def is_scalar(self) -> bool:
        """One value per frame, kept as a plain column."""
        return self.shape == (1,) or self.dtype in ("language", "image")

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": list(self.names) if self.names is not None else None,
        }
        return value | ({"info": dict(self.info)} if self.info else {}) | dict(self.extra)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Feature":
        """Reads LeRobot's spellings: names as list, dict or nested, pictures with channels first, `video_info`.

        Names that are not one per channel stay in `extra`, so that the file can be written again as it was.
        """
        dtype, shape = str(value["dtype"]), tuple(int(s) for s in value["shape"]) or (1,)
        extra = {k: v for k, v in value.items() if k not in ("dtype", "shape", "names", "info")}
        names = _channel_names(value.get("names"))
        if dtype in ("video", "image"):
            if len(shape) == 3 and shape[0] in (1, 3) and (names or ("",))[0].startswith("channel"):
                shape, names = (shape[1], shape[2], shape[0]), ("height", "width", "channels")
        elif names is None or len(names) != shape[0]:
            names = None
        raw = value.get("names")
        if raw and (names is None or (isinstance(raw, Mapping) and dtype not in ("video", "image"))):
            extra["names"] = raw
        info = value.get("info") or value.get("video_info") or {}
        return Feature(dtype=dtype, shape=shape, names=names, info=info, extra=extra)


def _channel_names(names: Any) -> tuple[str, ...] | None:
    """One name per channel from a list, a list in a list or dict, or a dict of names."""
    if isinstance(names, Mapping):
        parts = list(names.values())
        nested = len(parts) == 1 and isinstance(parts[0], list)
        names = parts[0] if nested else list(names)
    if isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    return tuple(str(n) for n in names) if isinstance(names, list) and names else None


def vector(names: Sequence[str], dtype: str = "float32") -> Feature:
    """A vector with one name per channel."""
    return Feature(dtype=dtype, shape=(len(names),), names=tuple(names))


def scalar(dtype: str) -> Feature:
    """One number, flag or string per frame."""
    return Feature(dtype=dtype, shape=(1,))


def video(height: int, width: int) -> Feature:
    """One camera to record, even height and width [px, px]: the codecs halve the colour planes."""
    if height % 2 or width % 2:
        raise ConfigError(f"video of {height}x{width} cannot be recorded: height and width must be even")
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
    chunks_size: int = CHUNK_SIZE
    """files (v3) or episodes (v2.1) per chunk folder"""
    data_file_mb: int | float = 100
    """size at which a rolling parquet is closed [MB]"""
    video_file_mb: int | float = 200
    """size at which a rolling mp4 is closed [MB]"""
    version: str = CODEBASE_VERSION
    """format version found"""
    splits: Mapping[str, str] = field(default_factory=dict)
    """named ranges of episodes, as found; empty = all are for training"""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """optional `tools`, and keys we do not know; kept as they are"""

    @property
    def videos(self) -> tuple[str, ...]:
        """Features that have mp4 files: cameras and depth."""
        return tuple(k for k, f in self.features.items() if f.is_video)

    @property
    def images(self) -> tuple[str, ...]:
        """Features whose pictures are embedded in the parquet."""
        return tuple(k for k, f in self.features.items() if f.dtype == "image")

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """Colour pictures, in mp4 files or embedded."""
        return tuple(k for k, f in self.features.items() if f.is_picture and not f.is_depth)

    @cached_property
    def depths(self) -> tuple[str, ...]:
        """Depth maps."""
        return tuple(k for k, f in self.features.items() if f.is_picture and f.is_depth)

    @cached_property
    def columns(self) -> dict[str, Feature]:
        """Numbers, text and language; no pictures."""
        return {k: f for k, f in self.features.items() if not f.is_picture}

    @property
    def stored(self) -> dict[str, Feature]:
        """Everything that stands in the parquet: columns and embedded pictures."""
        return {k: f for k, f in self.features.items() if not f.is_video}

    def to_json(self) -> dict[str, Any]:
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": self.robot,
            "total_episodes": self.total_episodes,
            "total_frames": self.total_frames,
            "total_tasks": self.total_tasks,
            "chunks_size": self.chunks_size,
            "data_files_size_in_mb": self.data_file_mb,
            "video_files_size_in_mb": self.video_file_mb,
            "fps": self.fps,
            "splits": {"train": f"0:{self.total_episodes}"},
            "data_path": self.data_path,
            "video_path": self.video_path if self.videos else None,
            "features": {k: f.to_json() for k, f in self.features.items()},
            **self.extra,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Info":
        """Of v3.x, v2.1 and v2.0. Raises DataError on another version, or a missing, wrong or hostile entry.

        Keys that LeRobot does not define are kept, and named in one warning.
        """
        version = str(value.get("codebase_version", "unknown"))
        fields = fields_of(version)
        unknown = sorted(set(map(str, value)) - set(KNOWN_KEYS))
        if unknown:
            log.warning("%s holds keys that no release of LeRobot defines: %s", INFO, ", ".join(unknown)[:400])
        try:
            fps = float(value["fps"])
            template = value.get("video_path") or (LEGACY_VIDEO_PATH if version in LEGACY_VERSIONS else VIDEO_PATH)
            if fps != int(fps) or not 1 <= fps <= MAX_FPS:
                raise DataError(f"fps {value['fps']!r} in {INFO} is not a whole number of 1..{MAX_FPS} Hz")
            return Info(
                fps=int(fps),
                robot=str(value.get("robot_type") or "unknown"),
                features={str(k): Feature.from_json(f) for k, f in value["features"].items()},
                total_episodes=_count(value, "total_episodes"),
                total_frames=_count(value, "total_frames"),
                total_tasks=_count(value, "total_tasks"),
                data_path=check_template(value["data_path"], fields, "data_path"),
                video_path=check_template(template, (*fields, "video_key"), "video_path"),
                chunks_size=max(int(value.get("chunks_size") or CHUNK_SIZE), 1),
                data_file_mb=_megabytes(value, "data_files_size_in_mb", 100),
                video_file_mb=_megabytes(value, "video_files_size_in_mb", 200),
                version=version,
                splits={str(k): str(v) for k, v in (value.get("splits") or {}).items()},
                extra={k: v for k, v in value.items() if k in unknown or (k == "tools" and v is not None)},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ConfigError) as error:
            raise DataError(f"{INFO} is incomplete or wrong: {error!r}; run `wbvla data check`") from error


def fields_of(version: str) -> tuple[str, ...]:
    """What a path template of this version may hold; raises DataError on a version that is not read here."""
    if version.startswith("v3."):
        return ("chunk_index", "file_index")
    if version in LEGACY_VERSIONS:
        return ("episode_chunk", "episode_index")
    if version.startswith(("v1.", "v2.")):
        way = "LeRobot 0.3.3 ships `convert_dataset_v20_to_v21` and, for v1.x, `convert_dataset_v1_to_v2`"
    else:
        way = "install a newer wbvla: `pip install --upgrade wbvla`"
    known = ", ".join(("v3.x", *LEGACY_VERSIONS))
    raise DataError(f"dataset version {version} is not readable, only {known}; {way}")


def _count(value: Mapping[str, Any], key: str) -> int:
    number = int(value[key])
    if not 0 <= number < 1 << 62:
        raise DataError(f"{key} {number} in {INFO} is no count")
    return number


def _megabytes(value: Mapping[str, Any], key: str, usual: int) -> int | float:
    size = value.get(key) or usual
    if not isinstance(size, int | float) or not 0 < size < 1 << 40:
        raise DataError(f"{key} {size!r} in {INFO} is no size")
    return size


def load_info(root: Path) -> Info:
    """Read meta/info.json of any version that can be read; raises DataError when it is absent or not JSON."""
    path = Path(root) / INFO
    if not path.is_file():
        raise DataError(f"{root} is no dataset: it has no {INFO}")
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no object; restore it from a copy")
    return Info.from_json(value)


def read_info(root: Path) -> Info:
    """`load_info` for whoever changes the dataset: raises DataError on v2.x too, which is read but not written."""
    info = load_info(root)
    require_written(info, root)
    return info


def require_written(info: Info, root: Path) -> None:
    """Raises DataError unless the dataset is of the version that is written here."""
    if info.version in LEGACY_VERSIONS:
        raise DataError(
            f"{root} is version {info.version}: it can be read and trained on, but only {CODEBASE_VERSION} is written; "
            f"run `wbvla data migrate {root}`"
        )


def file_of(episode_index: int, chunks_size: int = CHUNK_SIZE) -> dict[str, int]:
    """Chunk and file of an episode written here: one file per episode.

    After rolling files, each of which holds at least one episode, these names are free and sort last.
    """
    return {"chunk_index": episode_index // chunks_size, "file_index": episode_index % chunks_size}


def check_names(features: Mapping[str, Feature]) -> None:
    """Raises ConfigError on a feature name that LeRobot refuses or that the writer adds itself."""
    for name in features:
        if "/" in name or not name:
            raise ConfigError(f"feature name {name!r} must not be empty or hold a '/'")
        if name in OWN_FEATURES:
            raise ConfigError(f"feature {name!r} is added by the writer; do not declare it")
