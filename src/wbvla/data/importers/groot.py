"""GR00T's LeRobot v2.1 with meta/modality.json: slices give the channels their names, annotations become words."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.faults import Examiner
from wbvla.data.features import STAMPS
from wbvla.data.format import INFO, LEGACY_VERSIONS, OWN_FEATURES, Feature, load_info, scalar
from wbvla.data.groot import DEFAULTS
from wbvla.data.importers.streams import VideoPictures
from wbvla.data.importers.take import Columns, ImportConfig, Item, Take, importers, require_finite, within
from wbvla.data.layout import inside
from wbvla.data.reader import Dataset
from wbvla.data.v21 import MODALITY, read_modality
from wbvla.data.words import SKILL, SUBTASK, segments_of

NOTE = "annotation."


@importers.register("groot")
class Groot:
    """Episode by episode, so that damaged ones are left out; `wbvla data migrate` changes a dataset in place."""

    version = 1
    licence = "not told by the layout; see the dataset's card"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """One per line of meta/episodes.jsonl."""
        for record in _open(src).episodes:
            yield Item(name=f"episode_{record.index:06d}", where={"index": record.index})

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One episode without a fault that can be told; raises DataError naming the first."""
        data, index = _open(src), int(item.where["index"])
        record = next(e for e in data.episodes if e.index == index)
        for name in (record.data, *(path for path, _ in record.videos.values())):
            within(src, inside(name))
        examiner = Examiner(src, data.info, {index: record}, len(data.tasks), hashes=True)
        fault = next(iter(examiner.episode(record)), None)
        if fault is not None:
            raise DataError(f"{fault.kind}: {fault.path}: {fault.message}")
        place = next(i for i, e in enumerate(data.episodes) if e.index == index)
        rows = {k: np.asarray(v) for k, v in data.columns(place).items()}
        names = names_of(data.info.columns, read_modality(src))
        columns = _columns(data, rows, names)
        times = _times(columns.pop(STAMPS, None))
        words = {k: columns.pop(k)[1] for k in (SUBTASK, SKILL) if k in columns}
        cameras = {k: VideoPictures(src / path) for k, (path, _) in record.videos.items() if _wanted(k, config)}
        tasks = tuple(data.tasks[i] for i in rows["task_index"])
        remarks = tuple(f"pictures embedded in the parquet ({k}) were left out" for k in data.info.images)
        return Take(
            task=tasks[0],
            rate_hz=float(data.fps),
            columns=columns,
            cameras=cameras,
            times_s=times,
            segments=tuple(segments_of(words)) if SUBTASK in words else (),
            subtasks=SUBTASK in words,
            tasks=tasks,
            remarks=remarks,
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """Robot and modality as the source has them."""
        data = _open(src)
        modality = {k: v for k, v in read_modality(src).items() if k in ("state", "action", "video")}
        return {"robot": config.robot or data.robot, "modality": modality, "clock": "none: frame i is at i / fps"}


@lru_cache(maxsize=1)
def _open(src: Path) -> Dataset:
    if not (src / INFO).is_file():
        raise DataError(f"{src} has no {INFO}; name the folder of the dataset")
    version = load_info(src).version
    if version not in LEGACY_VERSIONS:
        raise DataError(f"{src} is version {version}; it can be used as it is, or by `wbvla data merge`")
    if not (src / MODALITY).is_file():
        raise DataError(f"{src} has no {MODALITY}: it is plain LeRobot; use `wbvla data migrate` on a copy of it")
    return Dataset(src)


def _wanted(camera: str, config: ImportConfig) -> bool:
    return config.takes(camera) or config.takes(camera.rpartition(".")[2])


def names_of(columns: Mapping[str, Feature], modality: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Channel names of columns that modality.json slices: the slice's name and the place in it.

    Columns whose channels have names keep them. Raises DataError on a slice that its column does not have.
    """
    found: dict[str, list[str]] = {}
    for part, usual in DEFAULTS.items():
        slices = modality.get(part) or {}
        if not isinstance(slices, Mapping):
            raise DataError(f"{MODALITY}: {part!r} is no object")
        for key, where in slices.items():
            column = str(where.get("original_key") or usual) if isinstance(where, Mapping) else ""
            feature = columns.get(column)
            start, end = (where.get("start"), where.get("end")) if isinstance(where, Mapping) else (None, None)
            if feature is None or not isinstance(start, int) or not isinstance(end, int):
                raise DataError(f"{MODALITY}: {part}.{key} names {column!r} {start}..{end}, which the data has not")
            if len(feature.shape) != 1 or not 0 <= start < end <= feature.shape[0]:
                raise DataError(f"{MODALITY}: {part}.{key} is {start}..{end} of {column!r}, which is {feature.shape}")
            names = found.setdefault(column, [f"channel_{i}" for i in range(feature.shape[0])])
            names[start:end] = [key if end - start == 1 else f"{key}_{i}" for i in range(end - start)]
    return {k: columns[k].names or tuple(names) for k, names in found.items()}


def _times(stamps: tuple[Feature, np.ndarray] | None) -> dict[str, np.ndarray]:
    """Capture times by sensor, where the dataset was exported from one that has them."""
    if stamps is None:
        return {}
    values = stamps[1].reshape(len(stamps[1]), -1).astype(np.float64)
    names = stamps[0].names or [f"sensor_{i}" for i in range(values.shape[1])]
    return {name.removesuffix(".time_s"): values[:, i] for i, name in enumerate(names)}


def _columns(data: Dataset, rows: Mapping[str, np.ndarray], names: Mapping[str, tuple[str, ...]]) -> Columns:
    """Columns with their names; annotations, which hold numbers of tasks, as the words themselves."""
    found: Columns = {}
    for name, feature in data.info.columns.items():
        if name in OWN_FEATURES:
            continue
        values = rows[name]
        if name.startswith(NOTE) and feature.dtype.startswith("int") and feature.is_scalar:
            numbers = values.reshape(-1).astype(int)
            if numbers.min() < 0 or numbers.max() >= len(data.tasks):
                raise DataError(f"{name} reaches {numbers.max()}, there are {len(data.tasks)} tasks")
            words = np.array([data.tasks[i] for i in numbers], dtype=object)
            found[name] = scalar("string"), words
            continue
        if feature.is_numeric and values.dtype.kind == "f":
            require_finite(name, values)
        own = Feature(dtype=feature.dtype, shape=feature.shape, names=names.get(name, feature.names))
        found[name] = own, values
    return found
