"""One episode of a source made ready for the dataset: every check passed, every camera a finished video."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.depth import depth_map
from wbvla.data.features import STAMPS
from wbvla.data.footage import EpisodeFootage
from wbvla.data.format import DEPTH_PATH, OWN_FEATURES, Feature, Info, check_names, scalar, vector, video
from wbvla.data.importers.streams import Pictures, VideoPictures
from wbvla.data.importers.take import ImportConfig, Item, Take, importers, rate_of, rows_at
from wbvla.data.journal import Commit, Disk
from wbvla.data.parts import Clip, join_clips
from wbvla.data.ready import Ready, ReadyVideo
from wbvla.data.stamps import StampRules, check_stamps
from wbvla.data.stats import ImageTally
from wbvla.data.transforms import resize
from wbvla.data.values import check_column
from wbvla.data.video import VideoCodec
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK, Segment, segment_columns
from wbvla.data.writer import DatasetConfig

CODEC = VideoCodec()
WORDS = (LANGUAGE, SUBTASK, SKILL)
FOREIGN = (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)
"""what a file that nobody thought of can raise: it costs its episode, never the import"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One episode to make ready, in this process or another."""

    format: str
    src: Path
    item: Item
    config: ImportConfig
    info: Info | None
    """of the dataset it shall fit; None = it is the first, and the dataset becomes what it has"""
    folder: Path
    """for its finished videos; on the dataset's disk"""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An episode that only has to be committed."""

    features: Mapping[str, Feature]
    fps: int
    task: str
    columns: Mapping[str, np.ndarray]
    ready: Ready
    segments: tuple[Segment, ...]
    phrasings: tuple[str, ...]
    notes: Mapping[str, Any]
    copied: tuple[str, ...]
    """cameras whose packets were taken as they are"""
    left_out: tuple[str, ...]
    """what the episode has and the dataset has not"""
    remarks: tuple[str, ...]
    folder: Path
    """where its videos lie until then"""


def prepare(job: Job) -> Prepared | str:
    """The episode, or the reason why it cannot be had. Raises DataError only when the dataset's disk is full."""
    if job.item.broken:
        return job.item.broken
    try:
        take = importers.build(job.format).take(job.src, job.item, job.config)
        return _prepare(job, take)
    except (DataError, ConfigError, *FOREIGN) as error:
        shutil.rmtree(job.folder, ignore_errors=True)
        if shutil.disk_usage(job.folder.parent).free < 1 << 24:
            raise DataError(f"{job.folder.parent}: the disk is full; free space and run the import again") from error
        own = isinstance(error, DataError | ConfigError)
        return " ".join(f"{error if own else repr(error)}".split())[:1000]


def _prepare(job: Job, take: Take) -> Prepared:
    length = take.length
    fps = job.info.fps if job.info is not None else _fps(job, take)
    rows = rows_at(fps, length, take.times_s, take.rate_hz)
    offered = features_of(take, job.config)
    check_names(offered)
    fresh = DatasetConfig(fps=fps, robot="", features=offered).info()
    info = replace(job.info or fresh, total_episodes=0, total_frames=0)
    wanted = {k: f for k, f in info.features.items() if k not in OWN_FEATURES}
    _require_same(wanted, offered)
    given = {name: values[rows] for name, (_, values) in take.columns.items() if name in wanted}
    if STAMPS in wanted:
        given[STAMPS] = np.stack([times[rows] for times in take.times_s.values()], axis=1)
        check_stamps(given[STAMPS], wanted[STAMPS].names or (), fps, StampRules())
    columns = {k: check_column(k, wanted[k], _plain(wanted[k], v), len(rows)) for k, v in given.items()}
    lacking = [k for k, f in wanted.items() if not f.is_video and k not in columns and k not in WORDS]
    if lacking:
        raise DataError(f"it has no {', '.join(lacking)}, which the dataset has")
    segments = _segments(take.segments, rows)
    segment_columns(segments, len(rows))
    ready, copied = _footage(job, replace(info, features=wanted), take, rows)
    tasks = tuple(take.tasks[i] for i in rows) if take.tasks else (take.task,) * len(rows)
    return Prepared(
        features=wanted,
        fps=fps,
        task=take.task,
        columns=columns,
        ready=Ready(videos=ready, tasks=tasks),
        segments=segments,
        phrasings=take.phrasings,
        notes=take.notes,
        copied=copied,
        left_out=tuple(k for k in offered if k not in wanted),
        remarks=take.remarks,
        folder=job.folder,
    )


def _plain(feature: Feature, values: np.ndarray) -> np.ndarray:
    """A column of one channel without its axis."""
    return values.reshape(len(values)) if feature.shape == (1,) else values


def _fps(job: Job, take: Take) -> int:
    fps = job.config.fps or round(rate_of(next(iter(take.times_s.values()), None), take.rate_hz))
    if fps < 1:
        raise DataError(f"{job.format} does not say how fast its frames follow; give --fps")
    return fps


def features_of(take: Take, config: ImportConfig) -> dict[str, Feature]:
    """What the dataset holds when this episode is its first."""
    found: dict[str, Feature] = {}
    for name, pictures in take.cameras.items():
        height, width = (config.height, config.width) if config.height else pictures.size
        found[name] = depth_map(height, width) if pictures.is_depth else video(height, width)
    found |= {name: feature for name, (feature, _) in take.columns.items()}
    if take.times_s:
        found[STAMPS] = vector([f"{name}.time_s" for name in take.times_s], "float64")
    if take.subtasks:
        found |= {SUBTASK: scalar("string"), SKILL: scalar("string")}
    if take.language:
        found[LANGUAGE] = scalar("language")
    return found


def _require_same(wanted: Mapping[str, Feature], offered: Mapping[str, Feature]) -> None:
    """Raises DataError naming the first feature of the dataset that the episode lacks or has otherwise."""
    for name, feature in wanted.items():
        other = offered.get(name)
        if other is None:
            raise DataError(
                f"it has no {name}, which the dataset has; import such episodes into a dataset of their own"
            )
        if (other.dtype, other.shape, other.names) != (feature.dtype, feature.shape, feature.names):
            raise DataError(
                f"its {name} is {other.dtype} {other.shape} {_few(other)}, the dataset's {feature.dtype} "
                f"{feature.shape} {_few(feature)}; import such episodes into a dataset of their own"
            )


def _few(feature: Feature) -> str:
    names = feature.names or ()
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _segments(segments: tuple[Segment, ...], rows: Int64[np.ndarray, " row"]) -> tuple[Segment, ...]:
    """Sub-tasks in frames of the dataset; one shorter than a frame of it vanishes."""
    moved = []
    for segment in segments:
        start, end = (int(n) for n in np.searchsorted(rows, (segment.start, segment.end)))
        if start < end:
            moved.append(replace(segment, start=start, end=end))
    return tuple(moved)


# The pictures.


def _footage(
    job: Job, info: Info, take: Take, rows: Int64[np.ndarray, " row"]
) -> tuple[dict[str, ReadyVideo], tuple[str, ...]]:
    """Finished videos in the job's folder, and which of them were copied."""
    cameras = {name: take.cameras[name] for name in info.videos}
    whole = len(rows) == take.length and not job.config.height
    copied = tuple(n for n, p in cameras.items() if whole and _is_copyable(p, info.fps, job.config.copy_gop))
    shutil.rmtree(job.folder, ignore_errors=True)
    done: dict[str, ReadyVideo] = {}
    commit = Commit(job.folder, Disk())
    for name in copied:
        pictures = cameras[name]
        assert isinstance(pictures, VideoPictures)
        target, tally = commit.stage(info.video_path.format(video_key=name, chunk_index=0, file_index=0)), ImageTally()
        for rgb in pictures.frames():  # every frame, so that damage is found
            tally.add(rgb)
        try:
            join_clips(target, [Clip(path=pictures.path, first=0, length=pictures.length)], info.fps)
        except DataError:  # its frames are good, its packets are laid out otherwise than ours must be
            continue
        done[name] = ReadyVideo(video=target, summary=tally.summary())
    rest = {n: p for n, p in cameras.items() if n not in done}
    if rest:
        done |= _encode(commit, replace(info, features={n: info.features[n] for n in rest}), rest, rows)
    return {name: done[name] for name in cameras}, tuple(n for n in cameras if n not in rest)


def _is_copyable(pictures: Pictures, fps: int, copy_gop: int) -> bool:
    """Whether a video may be taken undecoded: codec and pixels of the dataset's, short groups, even size and time."""
    return (
        isinstance(pictures, VideoPictures)
        and pictures.is_plain
        and pictures.largest_group <= copy_gop
        and not (pictures.size[0] % 2 or pictures.size[1] % 2)
        and pictures.is_like("h264", fps)
    )


def _encode(
    commit: Commit, info: Info, cameras: Mapping[str, Pictures], rows: Int64[np.ndarray, " row"]
) -> dict[str, ReadyVideo]:
    """Encode some cameras frame by frame; one picture of each is held."""
    footage, closed = EpisodeFootage(info, commit, CODEC), False
    try:
        chosen, streams = iter(rows.tolist()), {name: pictures.frames() for name, pictures in cameras.items()}
        wanted = next(chosen, None)
        for row, pictures in enumerate(_together(streams)):
            if row == wanted:
                fitted = {n: _fit(p, info.features[n].shape[:2]) for n, p in pictures.items()}
                footage.add({n: footage.check(n, p) for n, p in fitted.items()})
                wanted = next(chosen, None)
        footage.close()
        closed = True
    finally:
        if not closed:
            footage.abandon()
    files, summaries = dict(commit.staged()), footage.summaries()
    result = {}
    for name in cameras:
        coded = info.video_path.format(video_key=name, chunk_index=0, file_index=0)
        lossless = files.get(DEPTH_PATH.format(video_key=name, episode_index=0))
        result[name] = ReadyVideo(video=files[coded], lossless=lossless, summary=summaries[name])
    return result


def _together(streams: Mapping[str, Iterator[np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """One picture of every camera at a time; lengths were compared before."""
    for pictures in zip(*streams.values(), strict=True):
        yield dict(zip(streams, pictures))


def _fit(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A picture at the dataset's size; depth by the nearest pixel, which mixes no near and far."""
    if picture.shape[:2] == tuple(size):
        return picture
    if picture.ndim == 3:
        return resize(picture, (size[0], size[1]))
    across = [np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(int) for n, m in zip(size, picture.shape)]
    return np.ascontiguousarray(picture[np.ix_(*across)])
