"""The parquet files of LeRobot v3.0, read and written by pyarrow alone: frames, tasks, episodes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wbvla.core.errors import DataError
from wbvla.data.format import Feature, Info

ARROW = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
TASK = "task"


def arrow_type(feature: Feature) -> pa.DataType:
    kind = ARROW[feature.dtype]
    return kind if feature.shape == (1,) else pa.list_(kind, feature.shape[0])


def is_type(found: pa.DataType, feature: Feature) -> bool:
    """Whether a column's type is the declared one; lists of variable length are told by their values."""
    if pa.types.is_list(found) and feature.shape != (1,):
        return found.value_type == ARROW[feature.dtype]
    return found == arrow_type(feature)


def _datasets_type(feature: Feature) -> dict[str, Any]:
    value = {"dtype": feature.dtype, "_type": "Value"}
    return value if feature.shape == (1,) else {"feature": value, "length": feature.shape[0], "_type": "List"}


def frame_schema(info: Info) -> pa.Schema:
    """Schema of a data file, with the `huggingface` metadata that the `datasets` library reads its types from."""
    columns = info.columns
    described = {"info": {"features": {k: _datasets_type(f) for k, f in columns.items()}}}
    fields = [pa.field(k, arrow_type(f)) for k, f in columns.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps(described)})


def to_arrow(feature: Feature, values: np.ndarray) -> pa.Array:
    """One column: (T,) or (T, n) to a plain or fixed-size-list array."""
    if feature.dtype == "string":
        flat = pa.array([str(v) for v in values.reshape(-1)], pa.string())
    else:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), ARROW[feature.dtype])
    if feature.shape == (1,):
        return flat
    return pa.FixedSizeListArray.from_arrays(flat, feature.shape[0])


def from_arrow(feature: Feature, column: pa.ChunkedArray) -> np.ndarray:
    """Inverse of `to_arrow`: (T,) for a scalar, (T, n) for a vector; raises DataError on nulls or a wrong width."""
    array = column.combine_chunks()
    if array.null_count:
        raise DataError("a column holds nulls; run `wbvla data check`")
    is_list = pa.types.is_fixed_size_list(array.type) or pa.types.is_list(array.type)
    flat = array.flatten() if is_list else array
    if feature.dtype == "string":
        values = np.array(flat.to_pylist(), dtype=object)
    else:
        values = flat.to_numpy(zero_copy_only=False).astype(feature.dtype, copy=False)
    if values.size != len(array) * feature.shape[0]:
        raise DataError(f"a column of width {values.size / max(len(array), 1)} was declared {feature.shape}")
    return values if feature.shape == (1,) else values.reshape(len(array), feature.shape[0])


def write_frames(path: Path, info: Info, columns: Mapping[str, np.ndarray]) -> None:
    """One episode, one row group."""
    schema = frame_schema(info)
    arrays = [to_arrow(feature, columns[name]) for name, feature in info.columns.items()]
    table = pa.Table.from_arrays(arrays, schema=schema)
    pq.write_table(table, path, row_group_size=max(table.num_rows, 1), write_page_checksum=True)


def read_frames(path: Path, features: Mapping[str, Feature], first: int, length: int) -> dict[str, np.ndarray]:
    """Columns of `length` rows from row `first`; raises DataError when file or rows are missing."""
    table = read_table(path, list(features))
    if first < 0 or first + length > table.num_rows:
        raise DataError(
            f"{path} has {table.num_rows} rows, asked for {first}..{first + length}; run `wbvla data check`"
        )
    table = table.slice(first, length)
    return {name: from_arrow(feature, table.column(name)) for name, feature in features.items()}


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A parquet file, or DataError saying what is wrong with it."""
    try:
        # one thread: workers that were forked must not wait for a thread pool they do not have
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}); run `wbvla data check`") from error


def first_index(path: Path) -> int:
    """Global index of a data file's first row."""
    column = read_table(path, ["index"]).column("index")
    if len(column) == 0:
        raise DataError(f"{path} has no rows; run `wbvla data check`")
    return int(column[0].as_py())


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
    arrays, names = [], []
    for name, value in row.items():
        names.append(name)
        arrays.append(pa.array([value], _row_type(name, value)))
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
    table = read_table(path)
    return table.select([n for n in table.column_names if not n.startswith("stats/")]).to_pylist()


def read_stats(path: Path) -> dict[str, dict[str, Any]]:
    """The statistics in the first meta row of a file, by feature and name."""
    table = read_table(path)
    row = table.select([n for n in table.column_names if n.startswith("stats/")]).to_pylist()[0]
    result: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        feature, _, name = key.removeprefix("stats/").rpartition("/")
        result.setdefault(feature, {})[name] = value
    return result
