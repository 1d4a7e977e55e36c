"""The parquet files of LeRobot v3.0, read and written by pyarrow alone: frames, tasks, episodes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wbvla.core.errors import DataError
from wbvla.data.arrow import frame_schema, from_arrow, to_arrow
from wbvla.data.format import Feature, Info

TASK = "task"
UNREADABLE = (OSError, pa.ArrowException, KeyError, UnicodeDecodeError, OverflowError)
"""what pyarrow raises on a parquet that is damaged, its names and sizes included"""
MAX_ROWS = 1 << 27
"""a parquet that declares more rows is refused before memory is taken for them"""


def write_frames(path: Path, info: Info, columns: Mapping[str, np.ndarray], list_name: str = "List") -> None:
    """One episode, one row group; `list_name` as in `frame_schema`."""
    schema = frame_schema(info, list_name)
    arrays = [to_arrow(name, feature, columns[name]) for name, feature in info.stored.items()]
    table = pa.Table.from_arrays(arrays, schema=schema)
    pq.write_table(table, path, row_group_size=max(table.num_rows, 1), write_page_checksum=True)


def read_frames(path: Path, features: Mapping[str, Feature], first: int, length: int) -> dict[str, np.ndarray]:
    """Columns of `length` rows from row `first`, of their row groups only; raises DataError when some are missing."""
    table = read_rows_at(path, list(features), first, length)
    try:
        return {name: from_arrow(feature, table.column(name)) for name, feature in features.items()}
    except (DataError, *UNREADABLE) as error:
        raise DataError(f"{path}: {error}") from error


def read_rows_at(path: Path, columns: Sequence[str] | None, first: int, length: int) -> pa.Table:
    """Rows `first .. first + length` of some columns, or of all; other row groups are not touched."""
    try:
        file = _open(path)
        facts = file.metadata
        ends = np.cumsum([0, *(facts.row_group(i).num_rows for i in range(facts.num_row_groups))], dtype=np.int64)
        if first < 0 or length < 0 or first + length > ends[-1]:
            raise DataError(f"{path} has {ends[-1]} rows, asked for {first}..{first + length}; run `wbvla data check`")
        wanted = [i for i in range(facts.num_row_groups) if ends[i] < first + length and ends[i + 1] > first]
        _require_columns(path, file, columns)
        table = file.read_row_groups(wanted, columns=list(columns) if columns is not None else None, use_threads=False)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); run `wbvla data check`") from error
    return table.slice(first - int(ends[wanted[0]]) if wanted else 0, length)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A parquet file, or DataError saying what is wrong with it."""
    try:
        file = _open(path)
        _require_columns(path, file, columns)
        # one thread: workers that were forked must not wait for a thread pool they do not have
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); run `wbvla data check`") from error


def _open(path: Path) -> pq.ParquetFile:
    file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
    if file.metadata.num_rows > MAX_ROWS:
        raise DataError(f"{path} declares {file.metadata.num_rows} rows, more than {MAX_ROWS} are not read")
    return file


def _require_columns(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None) -> None:
    missing = [c for c in columns or () if c not in file.schema_arrow.names]
    if missing:
        raise DataError(f"{path} lacks columns {', '.join(missing)}; run `wbvla data check`")


def num_rows(path: Path) -> int:
    """Rows of a parquet by its footer."""
    try:
        return int(_open(path).metadata.num_rows)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); run `wbvla data check`") from error


def first_index(path: Path) -> int:
    """Global index of a data file's first row."""
    if num_rows(path) == 0:
        raise DataError(f"{path} has no rows; run `wbvla data check`")
    return int(read_rows_at(path, ["index"], 0, 1).column("index")[0].as_py())


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """tasks.parquet: the string is the pandas INDEX; without the metadata `tasks.iloc[i].name` is a number."""

    def column(name: str, kind: str, numpy_type: str) -> dict[str, Any]:
        return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}

    pandas = {
        "index_columns": [TASK],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [column("task_index", "int64", "int64"), column(TASK, "unicode", "object")],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    schema = pa.schema([("task_index", pa.int64()), (TASK, pa.string())], metadata={"pandas": json.dumps(pandas)})
    table = pa.table([list(range(len(tasks))), list(tasks)], schema=schema)
    pq.write_table(table, path, write_page_checksum=True)


def read_tasks(path: Path) -> list[str]:
    """Task strings by task_index; accepts both spellings of the index column."""
    if not path.is_file():
        return []
    table = read_table(path)
    name = next((n for n in (TASK, "__index_level_0__") if n in table.column_names), None)
    if name is None:
        raise DataError(f"{path} has no task column, only {table.column_names}")
    rows = sorted(zip(table.column("task_index").to_pylist(), table.column(name).to_pylist()))
    if [i for i, _ in rows] != list(range(len(rows))):
        raise DataError(f"{path}: task indices are not 0..{len(rows) - 1}; run `wbvla data check`")
    return [str(task) for _, task in rows]


def write_episode(path: Path, row: Mapping[str, Any]) -> None:
    """The meta row of one episode: integers, one list of strings, seconds, and nested lists of statistics."""
    write_episodes(path, [row])


def write_episodes(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The meta rows of several episodes; a statistic that one of them lacks is null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {name: _row_type(name, next(row[name] for row in rows if name in row)) for name in names}
    arrays = [pa.array([row.get(name) for row in rows], kinds[name]) for name in names]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), path, write_page_checksum=True)


def _row_type(name: str, value: Any) -> pa.DataType:
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, float):
        return pa.float64()
    if name.endswith("/count"):
        return pa.list_(pa.int64())
    return pa.list_(_row_type(name, value[0]))


def episode_files(root: Path) -> list[Path]:
    """Every meta file of episodes."""
    return sorted((Path(root) / "meta/episodes").glob("chunk-*/file-*.parquet"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The meta rows of a file, statistics left out."""
    try:
        names = [n for n in _open(path).schema_arrow.names if not n.startswith("stats/")]
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({error}); run `wbvla data check`") from error
    return read_table(path, names).to_pylist()


def read_stats(path: Path) -> dict[str, dict[str, Any]]:
    """The statistics in the first meta row of a file, by feature and name."""
    table = read_table(path)
    row = table.select([n for n in table.column_names if n.startswith("stats/")]).to_pylist()[0]
    result: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        feature, _, name = key.removeprefix("stats/").rpartition("/")
        result.setdefault(feature, {})[name] = value
    return result
