"""Latent action codes written back as columns of a committed dataset: all episodes at once, or none."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wbvla.core.contract import require_match
from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data import tables
from wbvla.data.arrow import frame_schema, to_arrow
from wbvla.data.format import (
    LABELS,
    MANIFEST_PATH,
    OWN_FEATURES,
    Feature,
    Info,
    check_names,
    read_info,
)
from wbvla.data.journal import REPLACE, Commit, Disk, as_json, lock, recover
from wbvla.data.manifest import read_manifest, signed, stage_info
from wbvla.data.parts import conform, rows_digest
from wbvla.data.reader import Dataset, Episode
from wbvla.data.sharing import first_row
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
        read_info(root)
        dataset = Dataset(root)
        _refuse(dataset, features)
        info = with_columns(dataset.info, features)
        commit = Commit(root, disk, REPLACE)
        with commit.whole():
            _stage(dataset, info, features, labels, commit)
            noted = {**dataset.labels, **{name: dict(source) for name in features}}
            commit.stage_bytes(LABELS, as_json(noted))
            stage_info(commit, info)


def require_labels(dataset: Dataset, names: Iterable[str], digest: str) -> None:
    """Raises ContractMismatch unless the columns exist and were written by the model of this digest."""
    ours = dict.fromkeys(names, digest)
    theirs = {name: dataset.labels.get(name, {}).get("digest") for name in ours}
    require_match(f"labels of {dataset.root}", ours, theirs)


def with_columns(info: Info, features: Mapping[str, Feature]) -> Info:
    """info.json with more columns, before those the writer adds itself."""
    recorded = {k: f for k, f in info.features.items() if k not in OWN_FEATURES}
    own = {k: f for k, f in info.features.items() if k in OWN_FEATURES}
    return replace(info, features={**recorded, **features, **own})


def _refuse(dataset: Dataset, features: Mapping[str, Feature]) -> None:
    for name, feature in features.items():
        if feature.is_video:
            raise DataError(f"{name!r} is a camera; labels are columns")
        if name in dataset.features and name not in dataset.labels:
            raise DataError(f"{name!r} was recorded, not labelled; choose another column name")


def _stage(
    dataset: Dataset,
    info: Info,
    features: Mapping[str, Feature],
    labels: Iterable[Mapping[str, np.ndarray]],
    commit: Commit,
) -> None:
    """Each parquet once, an episode a row group, however many episodes it holds; then the manifests."""
    iterator, schema = iter(labels), frame_schema(info)
    manifests: list[tuple[str, bytes]] = []
    for name, records in groupby(dataset.episodes, key=lambda record: record.data):
        aside, shares = commit.stage(name), list[tuple[Episode, str]]()
        with pq.ParquetWriter(aside, schema, write_page_checksum=True) as writer:
            for record in records:
                table = _labelled(dataset, record, features, next(iterator, None), info)
                writer.write_table(table, row_group_size=max(table.num_rows, 1))
                shares.append((record, rows_digest(table)))
        facts = {"sha256": sha256_of(aside), "bytes": aside.stat().st_size}
        for record, digest in shares:
            part = {"part": digest} if len(shares) > 1 else {}
            if (dataset.root / MANIFEST_PATH.format(episode_index=record.index)).is_file():
                old = read_manifest(dataset.root, record.index)
                manifest = signed({**old, "files": {**old["files"], name: {**facts, **part}}})
                manifests.append((MANIFEST_PATH.format(episode_index=record.index), as_json(manifest)))
    if next(iterator, None) is not None:
        raise DataError(f"labels go on after the {dataset.num_episodes} episodes of {dataset.root}")
    for name, content in manifests:
        commit.stage_bytes(name, content)


def _labelled(
    dataset: Dataset,
    record: Episode,
    features: Mapping[str, Feature],
    given: Mapping[str, np.ndarray] | None,
    info: Info,
) -> pa.Table:
    """The rows of an episode with its labels."""
    if given is None:
        raise DataError(f"labels end after {record.index} episodes, {dataset.root} has {dataset.num_episodes}")
    if set(given) != set(features):
        raise DataError(f"episode {record.index}: labels {sorted(given)} given, {sorted(features)} declared")
    columns: dict[str, pa.Array] = {}
    for name, feature in features.items():
        value = np.asarray(given[name])
        if len(value) != record.length:
            raise DataError(f"episode {record.index} has {record.length} frames, {name!r} has {len(value)} labels")
        columns[name] = to_arrow(name, feature, check_column(name, feature, value, record.length))
    sharers = [e for e in dataset.episodes if e.data == record.data]
    rows = tables.read_rows_at(dataset.root / record.data, None, first_row(record, sharers), record.length)
    return conform(rows, info, columns)
