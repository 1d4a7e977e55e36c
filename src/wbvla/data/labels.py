"""Latent action codes written back as columns of a committed dataset: all episodes at once, or none."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.contract import require_match
from wbvla.core.errors import DataError
from wbvla.data import tables
from wbvla.data.format import (
    LABELS,
    MANIFEST_PATH,
    OWN_FEATURES,
    Feature,
    Info,
    check_names,
)
from wbvla.data.journal import REPLACE, Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import manifest_of, read_manifest, signed, stage_info
from wbvla.data.reader import Dataset, Episode
from wbvla.data.values import check_column


def write_labels(
    root: Path,
    features: Mapping[str, Feature],
    labels: Iterable[Mapping[str, np.ndarray]],
    source: Mapping[str, Any],
    disk: Disk | None = None,
) -> None:
    """Add (or replace) columns: `labels` yields one mapping per episode, in order, of (T,) or (T, n) arrays.

    `source` says what made them and must hold a `digest` (the model's); it is kept per column in meta/labels.json.
    A kill at any point leaves the old dataset or, after recovery, the new one. Raises DataError when the number of
    episodes or a length differs.
    """
    root, disk = Path(root), disk or Disk()
    if "digest" not in source:
        raise DataError("labels need a source with the `digest` of the model that made them")
    check_names(features)
    with lock(root):
        recover(root, disk)
        dataset = Dataset(root)
        _refuse(dataset, features)
        info = with_columns(dataset.info, features)
        commit, staged = Commit(root, disk, REPLACE), False
        try:
            _stage(dataset, info, features, labels, commit)
            noted = {**dataset.labels, **{name: dict(source) for name in features}}
            commit.stage_bytes(LABELS, as_json(noted))
            stage_info(commit, info)
            staged = True
        finally:
            if not staged:
                commit.abandon()
        commit.apply()


def require_labels(dataset: Dataset, names: Iterable[str], digest: str) -> None:
    """Raises ContractMismatch unless the columns exist and were written by the model of this digest."""
    ours = dict.fromkeys(names, digest)
    theirs = {name: dataset.labels.get(name, {}).get("digest") for name in ours}
    require_match(f"labels of {dataset.root}", ours, theirs)


def with_columns(info: Info, features: Mapping[str, Feature]) -> Info:
    """info.json with more columns, before those the writer adds itself."""
    recorded = {k: f for k, f in info.features.items() if k not in OWN_FEATURES}
    own = {k: f for k, f in info.features.items() if k in OWN_FEATURES}
    return Info(**{**vars(info), "features": {**recorded, **features, **own}})


def _refuse(dataset: Dataset, features: Mapping[str, Feature]) -> None:
    for name, feature in features.items():
        if feature.is_picture:
            raise DataError(f"{name!r} is a camera; labels are columns")
        if name in dataset.features and name not in dataset.labels:
            raise DataError(f"{name!r} was recorded, not labelled; choose another column name")
    files = [e.data for e in dataset.episodes]
    if len(set(files)) != len(files):
        raise DataError(
            f"{dataset.root} keeps several episodes in one file; labels are written to datasets of this writer"
        )


def _stage(
    dataset: Dataset,
    info: Info,
    features: Mapping[str, Feature],
    labels: Iterable[Mapping[str, np.ndarray]],
    commit: Commit,
) -> None:
    iterator = iter(labels)
    manifests: list[tuple[str, bytes]] = []
    for record in dataset.episodes:
        given = next(iterator, None)
        if given is None:
            raise DataError(f"labels end after {record.index} episodes, {dataset.root} has {dataset.num_episodes}")
        columns = _labelled(dataset, record, features, given)
        name = record.data
        aside = commit.stage(name)
        tables.write_frames(aside, info, columns)
        manifest = _manifest(dataset.root, record, name, aside)
        if manifest:
            manifests.append((MANIFEST_PATH.format(episode_index=record.index), as_json(manifest)))
    if next(iterator, None) is not None:
        raise DataError(f"labels go on after the {dataset.num_episodes} episodes of {dataset.root}")
    for name, content in manifests:
        commit.stage_bytes(name, content)


def _labelled(
    dataset: Dataset, record: Episode, features: Mapping[str, Feature], given: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if set(given) != set(features):
        raise DataError(f"episode {record.index}: labels {sorted(given)} given, {sorted(features)} declared")
    columns = dict(dataset.columns(record.index))
    columns |= {name: dataset.encoded(name, record.index) for name in dataset.info.images}
    for name, feature in features.items():
        value = np.asarray(given[name])
        if len(value) != record.length:
            raise DataError(f"episode {record.index} has {record.length} frames, {name!r} has {len(value)} labels")
        columns[name] = check_column(name, feature, value, record.length)
    return columns


def _manifest(root: Path, record: Episode, name: str, aside: Path) -> dict[str, Any] | None:
    """The episode's manifest with the new data file; None for datasets made elsewhere, which have none."""
    if not (root / MANIFEST_PATH.format(episode_index=record.index)).is_file():
        return None
    old = read_manifest(root, record.index)
    new = manifest_of(record.index, record.length, [(name, aside)])
    return signed({**old, "files": {**old["files"], **new["files"]}})
