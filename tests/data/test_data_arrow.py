"""Columns in Arrow: every type and shape comes back equal; what is not as declared is refused."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.errors import DataError
from wbvla.data.arrow import arrow_type, frame_schema, from_arrow, is_type, to_arrow
from wbvla.data.format import NUMBERS, Feature, Info, scalar

WORDS = {"role": "user", "content": "hé", "style": None, "camera": None}


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(NUMBERS),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    length=st.integers(0, 5),
    seed=st.integers(0, 2**31),
)
def test_numbers_of_any_shape_come_back_equal(kind, shape, length, seed):
    feature = Feature(dtype=kind, shape=tuple(shape))
    rng = np.random.default_rng(seed)
    whole = (length,) if feature.shape == (1,) else (length, *shape)
    values = (rng.standard_normal(whole) * 50).clip(0, 120).astype(kind)
    column = pa.chunked_array([to_arrow("x", feature, values)])
    assert is_type(column.type, feature)
    back = from_arrow(feature, column)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=8), max_size=4), calls=st.lists(st.dictionaries(st.text(), st.integers())))
def test_words_and_language_come_back_equal(texts, calls):
    text = scalar("string")
    array = np.array(texts, dtype=object)
    assert from_arrow(text, pa.chunked_array([to_arrow("t", text, array)])).tolist() == texts
    speech = scalar("language")
    for name, stamp in (("language_persistent", {"timestamp": 0.5}), ("language_events", {})):
        rows = np.empty(2, dtype=object)
        rows[0], rows[1] = [], [{**WORDS, **stamp, "tool_calls": calls or None}]
        back = from_arrow(speech, pa.chunked_array([to_arrow(name, speech, rows)]))
        assert back.tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("array", "feature", "message"),
    [
        (pa.array([1.0, None]), scalar("float32"), "nulls"),
        (pa.array([[[1.0]], [None]]), Feature(dtype="float32", shape=(1, 1)), "nulls"),
        (pa.array([[1.0, 2.0], [3.0]]), Feature(dtype="float32", shape=(2,)), "width 1..2"),
        (pa.array([[1.0, 2.0, 3.0], [4.0]]), Feature(dtype="float32", shape=(2,)), "width 1..3"),
        (pa.array([[[1.0]], [[2.0, 3.0, 4.0]]]), Feature(dtype="float32", shape=(1, 2)), "width 1..3"),
        (pa.array([1.0, 2.0]), Feature(dtype="float32", shape=(2,)), "width 1 was"),
        (pa.array([[1.0, 2.0]]), Feature(dtype="float32", shape=(2, 1)), "declared"),
        (pa.array(["a"]), scalar("float32"), "declared float32"),
        (pa.array([1]), scalar("string"), "declared string"),
        (pa.array([1]), scalar("language"), "declared language"),
        (pa.array([{"path": "x.png"}]), Feature(dtype="image", shape=(2, 2, 3)), "declared image"),
        (
            pa.array([{"bytes": None, "path": "x.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            Feature(dtype="image", shape=(2, 2, 3)),
            "outside the file",
        ),
        (
            pa.array([[{"tool_calls": ["{"]}]]),
            scalar("language"),
            "not JSON",
        ),
    ],
)
def test_what_is_not_as_declared_is_refused(array, feature, message):
    """Above all ragged rows whose lengths add up: they would shift every value after them."""
    with pytest.raises(DataError, match=message):
        from_arrow(feature, pa.chunked_array([array]))


def test_number_types_of_other_writers_are_taken_over():
    assert from_arrow(scalar("float32"), pa.chunked_array([pa.array([1, 2], pa.int64())])).dtype == np.float32
    listed = pa.chunked_array([pa.array([[1.5, 2.5]], pa.list_(pa.float64()))])
    np.testing.assert_array_equal(from_arrow(Feature(dtype="float32", shape=(2,)), listed), [[1.5, 2.5]])
    assert not is_type(listed.type, Feature(dtype="float32", shape=(2,)))


def test_an_extension_type_that_another_library_registered_is_read():
    class Square(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.list_(pa.list_(pa.float32())), "test.square")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            return cls()

    storage = pa.array([[[1, 2], [3, 4]]], pa.list_(pa.list_(pa.float32())))
    column = pa.chunked_array([pa.ExtensionArray.from_storage(Square(), storage)])
    feature = Feature(dtype="float32", shape=(2, 2))
    assert is_type(column.type, feature)
    np.testing.assert_array_equal(from_arrow(feature, column), [[[1, 2], [3, 4]]])


def test_schema_says_what_the_datasets_library_needs():
    features = {
        "cube": Feature(dtype="int64", shape=(2, 3, 4)),
        "state": Feature(dtype="float32", shape=(3,)),
        "picture": Feature(dtype="image", shape=(4, 4, 3)),
        "language_events": scalar("language"),
    }
    info = Info(fps=10, robot="r", features=features)
    schema = frame_schema(info)
    assert schema.field("cube").metadata[b"ARROW:extension:name"] == b"datasets.features.features.Array3DExtensionType"
    assert json.loads(schema.field("cube").metadata[b"ARROW:extension:metadata"]) == [[2, 3, 4], "int64"]
    kinds = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert kinds["cube"] == {"shape": [2, 3, 4], "dtype": "int64", "_type": "Array3D"}
    assert kinds["picture"] == {"_type": "Image"}
    assert "timestamp" not in kinds["language_events"]["feature"]
    assert kinds["state"]["_type"] == "List"
    older = json.loads(frame_schema(info, "Sequence").metadata[b"huggingface"])["info"]["features"]
    assert older["state"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": 3, "_type": "Sequence"}
    assert math.prod(features["cube"].shape) == 24
    assert arrow_type("cube", features["cube"]) == pa.list_(pa.list_(pa.list_(pa.int64())))
