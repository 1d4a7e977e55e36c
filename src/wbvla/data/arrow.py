"""Columns between numpy and Arrow, in the types LeRobot 0.6 writes: vectors, arrays of 2..5 axes, text, pictures."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from wbvla.core.errors import DataError
from wbvla.data.format import Feature, Info

ARROW = {
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TIMELESS = "language_events"
"""the language column whose rows carry no time stamp of their own"""


def _language_fields(name: str) -> list[tuple[str, pa.DataType]]:
    stamp = [] if name == TIMELESS else [("timestamp", pa.float32())]
    text = [(key, pa.string()) for key in ("role", "content", "style")]
    return [*text, *stamp, ("camera", pa.string()), ("tool_calls", pa.list_(pa.json_()))]


def arrow_type(name: str, feature: Feature) -> pa.DataType:
    """Type of a column as it is written; arrays of several axes by their storage, nested lists."""
    if feature.dtype == "image":
        return IMAGE
    if feature.dtype == "language":
        return pa.list_(pa.struct(_language_fields(name)))
    kind = ARROW[feature.dtype]
    if feature.shape == (1,):
        return kind
    if len(feature.shape) == 1:
        return pa.list_(kind, feature.shape[0])
    for _ in feature.shape:
        kind = pa.list_(kind)
    return kind


def is_type(found: pa.DataType, feature: Feature) -> bool:
    """Whether a column's type is the declared one; the lengths of lists are told by their values."""
    found = _storage(found)
    if feature.dtype == "image":
        return pa.types.is_struct(found) and found.get_field_index("bytes") >= 0
    if feature.dtype == "language":
        return _is_list(found) and pa.types.is_struct(_storage(found.value_type))
    for _ in range(0 if feature.shape == (1,) else len(feature.shape)):
        if not _is_list(found):
            return False
        found = _storage(found.value_type)
    return found == ARROW[feature.dtype] or (feature.dtype == "string" and pa.types.is_large_string(found))


def frame_schema(info: Info, list_name: str = "List") -> pa.Schema:
    """Schema of a data file, with the metadata that the `datasets` library reads its types from.

    Vectors are a `List` to its releases from 4.0 on; earlier ones know only `Sequence`.
    """
    kinds = {k: _datasets_type(k, f) for k, f in info.stored.items()}
    described = {"info": {"features": {k: v | _renamed(v, list_name) for k, v in kinds.items()}}}
    fields = [pa.field(k, arrow_type(k, f), metadata=_extension(f)) for k, f in info.stored.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps(described)})


def _extension(feature: Feature) -> dict[str, str] | None:
    """Marks an array of several axes as the type of the `datasets` library that LeRobot declares for it."""
    if feature.is_scalar or len(feature.shape) == 1:
        return None
    return {
        "ARROW:extension:name": f"datasets.features.features.Array{len(feature.shape)}DExtensionType",
        "ARROW:extension:metadata": json.dumps([list(feature.shape), feature.dtype]),
    }


def _datasets_type(name: str, feature: Feature) -> dict[str, Any]:
    if feature.dtype == "image":
        return {"_type": "Image"}
    if feature.dtype == "language":
        text = {"dtype": "string", "_type": "Value"}
        kinds = {"timestamp": {"dtype": "float32", "_type": "Value"}, "tool_calls": _list_of({"_type": "Json"})}
        return _list_of({key: kinds.get(key, text) for key, _ in _language_fields(name)})
    if len(feature.shape) > 1:
        return {"shape": list(feature.shape), "dtype": feature.dtype, "_type": f"Array{len(feature.shape)}D"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    return value if feature.shape == (1,) else {"feature": value, "length": math.prod(feature.shape), "_type": "List"}


def _renamed(value: dict[str, Any], list_name: str) -> dict[str, Any]:
    return {"_type": list_name} if value.get("_type") == "List" else {}


def _list_of(value: dict[str, Any]) -> dict[str, Any]:
    return {"feature": value, "_type": "List"}


def to_arrow(name: str, feature: Feature, values: np.ndarray) -> pa.Array:
    """One column: (T, ...) numbers or text; (T,) bytes of pictures; (T,) lists of language rows."""
    kind = arrow_type(name, feature)
    if feature.dtype == "image":
        return pa.array([{"bytes": bytes(v), "path": None} for v in values], kind)
    if feature.dtype == "language":
        return _language_to_arrow(name, values).cast(kind)
    if feature.dtype == "string":
        array: pa.Array = pa.array([str(v) for v in values.reshape(-1)], pa.string())
    else:
        array = pa.array(np.ascontiguousarray(values).reshape(-1), ARROW[feature.dtype])
    if feature.shape == (1,):
        return array
    if len(feature.shape) == 1:
        return pa.FixedSizeListArray.from_arrays(array, feature.shape[0])
    for size in reversed(feature.shape):
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def from_arrow(feature: Feature, column: pa.ChunkedArray) -> np.ndarray:
    """Inverse of `to_arrow`: (T,) for a scalar, (T, *shape) else; raises DataError on nulls, a wrong type or width."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if not _is_readable(array.type, feature):
        raise DataError(f"a column of type {array.type} was declared {feature.dtype} {feature.shape}")
    if feature.dtype == "language":
        return _objects([[_row_from_arrow(row) for row in rows or ()] for rows in array.to_pylist()])
    if array.null_count:
        raise DataError("a column holds nulls; run `wbvla data check`")
    if feature.dtype == "image":
        return _objects(_bytes_of(array))
    flat = _flatten(array, feature)
    if flat.null_count:
        raise DataError("a column holds nulls; run `wbvla data check`")
    if feature.dtype == "string":
        values = _objects(flat.to_pylist())
    else:
        values = flat.to_numpy(zero_copy_only=False).astype(feature.dtype, copy=False)
    return values if feature.shape == (1,) else values.reshape(len(array), *feature.shape)


def _flatten(array: pa.Array, feature: Feature) -> pa.Array:
    """The values of a column in one row; raises DataError where one of its lists has another length than declared."""
    sizes = feature.shape if _is_list(_storage(array.type)) else ()
    flat = array.storage if isinstance(array, pa.ExtensionArray) else array
    for size in sizes:
        if not _is_list(flat.type):
            raise DataError(f"a column of type {array.type} was declared {feature.shape}")
        if flat.null_count:
            raise DataError("a column holds nulls; run `wbvla data check`")
        lengths = flat.value_lengths().to_numpy(zero_copy_only=False)
        if (lengths != size).any():
            raise DataError(f"a column of width {lengths.min()}..{lengths.max()} was declared {feature.shape}")
        flat = flat.flatten()
        flat = flat.storage if isinstance(flat, pa.ExtensionArray) else flat
    if not sizes and feature.shape != (1,):
        raise DataError(f"a column of width 1 was declared {feature.shape}")
    return flat


def _is_readable(found: pa.DataType, feature: Feature) -> bool:
    """Whether values can be taken over; number types may differ from the declared one, as other writers leave them."""
    if feature.dtype in ("image", "language"):
        return is_type(found, feature)
    kind = _storage(found)
    while _is_list(kind):
        kind = _storage(kind.value_type)
    if feature.dtype == "string":
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _bytes_of(array: pa.StructArray) -> list[bytes]:
    content = array.field("bytes")
    if content.null_count:
        at = content.is_null().to_pylist().index(True)
        path = array.field("path")[at].as_py() if array.type.get_field_index("path") >= 0 else None
        raise DataError(f"row {at} refers to a picture outside the file ({path!r}); only embedded pictures are read")
    return content.to_pylist()


def _row_from_arrow(row: Mapping[str, Any]) -> dict[str, Any]:
    """A language row; tool calls are JSON text in the file."""
    calls = row.get("tool_calls")
    if not calls:
        return dict(row)
    try:
        return {**row, "tool_calls": [json.loads(c) if isinstance(c, str) else c for c in calls]}
    except (ValueError, RecursionError) as error:
        raise DataError(f"a tool call of a language column is not JSON ({error})") from error


def _language_to_arrow(name: str, values: np.ndarray) -> pa.Array:
    """Rows with tool calls as text. A list that many frames share, as persistent rows are, is converted once."""
    lists = {id(rows): rows for rows in values}
    place = {key: i for i, key in enumerate(lists)}
    fields = [(key, pa.list_(pa.string()) if key == "tool_calls" else kind) for key, kind in _language_fields(name)]
    once = pa.array([[_row_to_arrow(row) for row in rows] for rows in lists.values()], pa.list_(pa.struct(fields)))
    return once.take(pa.array([place[id(rows)] for rows in values], pa.int64()))


def _row_to_arrow(row: Mapping[str, Any]) -> dict[str, Any]:
    calls = row.get("tool_calls")
    return {**row, "tool_calls": None if calls is None else [json.dumps(c) for c in calls]}


def _objects(values: list[Any]) -> np.ndarray:
    """A one-axis object array, also of lists of equal length."""
    result = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        result[i] = value
    return result


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
