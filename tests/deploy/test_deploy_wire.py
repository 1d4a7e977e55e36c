"""The wire's decoder: what was encoded comes back, and no bytes do harm."""

import io

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from wbvla.deploy.wire import COMMON, KINDS, PROTOCOL, Message, WireError, decode, encode

PING = {"protocol": PROTOCOL, "kind": "ping", "connection": 1, "request": 1, "tensors": [], "time_ns": 5}


def frames(tensors=(), *payload, **changes):
    return [msgpack.packb({**PING, "tensors": list(tensors), **changes}), *payload]


@given(
    st.sampled_from(["uint8", "float16", "float32", "int32", "int64", "bool"]),
    st.lists(st.integers(0, 6), max_size=4),
    st.integers(0, 2**31),
)
def test_tensors_come_back_equal(dtype, shape, seed):
    array = np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)
    message = decode(encode(Message("ping", 3, 4, {"time_ns": -7}, {"x": array})))
    assert (message.kind, message.connection, message.request, message.fields) == ("ping", 3, 4, {"time_ns": -7})
    assert message.tensors["x"].dtype == array.dtype
    np.testing.assert_array_equal(message.tensors["x"], array)


def test_jpeg_only_when_asked_and_close_to_the_picture():
    rows, columns = np.mgrid[0:48, 0:64]
    rgb = np.stack([rows * 5, columns * 4, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    message = Message("ping", 1, 1, {"time_ns": 0}, {"image/head": rgb})
    np.testing.assert_array_equal(decode(encode(message)).tensors["image/head"], rgb)
    small = encode(message, jpeg_quality=90)
    assert len(small[1]) < rgb.nbytes / 4
    assert np.abs(decode(small).tensors["image/head"].astype(int) - rgb).mean() < 3


def jpeg(width, height, mode="RGB"):
    buffer = io.BytesIO()
    Pillow.new(mode, (width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("malformed", []),
        ("malformed", [b""] * 30),
        ("malformed", [b"\xff\x00"]),
        ("malformed", [msgpack.packb([1, 2])]),
        ("malformed", [b"\x91" * 5000]),
        ("malformed", [msgpack.packb({1: 2})]),
        ("malformed", [msgpack.packb({"protocol": msgpack.ExtType(5, b"x")})]),
        ("oversize", [b"\x80" + b" " * 40_000]),
        ("version", frames(protocol=2)),
        ("malformed", frames(kind="kill")),
        ("malformed", frames(kind=["ping"])),
        ("fields", frames(extra=1)),
        ("fields", frames(time_ns="soon")),
        ("fields", frames(time_ns=True)),
        ("malformed", frames([["x", "f4", [1], "raw"]])),
        ("malformed", frames([["x", "f4"]], b"")),
        ("dtype", frames([["x", "|O", [1], "raw"]], b"\0" * 8)),
        ("dtype", frames([["x", ["f4"], [1], "raw"]], b"\0" * 4)),
        ("dtype", frames([["x", "f8", [1], "raw"]], b"\0" * 8)),
        ("shape", frames([["x", "f4", [2], "raw"]], b"\0" * 4)),
        ("shape", frames([["x", "f4", [-1], "raw"]], b"")),
        ("shape", frames([["x", "f4", [True], "raw"]], b"\0" * 4)),
        ("shape", frames([["x", "u1", [4096] * 9, "raw"]], b"")),
        ("shape", frames([["x", "f4", "aa", "raw"]], b"")),
        ("malformed", frames([["x", "f4", [1], "zip"]], b"\0" * 4)),
        ("not_finite", frames([["x", "f4", [1], "raw"]], np.float32(np.inf).tobytes())),
        ("not_finite", frames([["x", "f2", [1], "raw"]], np.float16(np.nan).tobytes())),
        ("malformed", frames([["x", "u1", [1], "raw"]] * 2, b"\0", b"\0")),
        ("malformed", frames([["x", "u1", [4, 4, 3], "jpeg"]], b"no picture")),
        ("malformed", frames([["x", "u1", [64, 64, 3], "jpeg"]], jpeg(64, 64)[:-200])),
        ("shape", frames([["x", "u1", [4, 5, 3], "jpeg"]], jpeg(4, 5))),
        ("shape", frames([["x", "u1", [4, 4, 3], "jpeg"]], jpeg(4, 4, "L"))),
        ("malformed", frames([["x", "f4", [4, 4, 3], "jpeg"]], jpeg(4, 4))),
        ("fields", [msgpack.packb({"protocol": PROTOCOL, "kind": "ping", b"": 1})]),
        ("oversize", frames([[name, "u1", [4096, 4096, 3], "jpeg"] for name in "xy"], b"", b"")),
        ("shape", frames([[name, "u1", [-4096, 4096, 3], "jpeg"] for name in "xy"], jpeg(4, 4), jpeg(4, 4))),
    ],
)
def test_every_fault_has_its_code(code, sent):
    with pytest.raises(WireError) as caught:
        decode(sent)
    assert caught.value.code == code


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=300), max_size=5))
def test_random_bytes_only_ever_raise_wire_error(sent):
    with pytest.raises(WireError):
        decode(sent)


@settings(max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.data(), st.lists(st.binary(max_size=40), max_size=3))
def test_headers_with_right_keys_and_wild_values_only_ever_raise_wire_error(kind, data, payload):
    header = {name: data.draw(VALUES) for name in COMMON | KINDS[kind]}
    described = st.lists(st.sampled_from(["x", "f4", "u1", "raw", "jpeg", [1], [2, 2, 3], -1]), max_size=5)
    header |= {"protocol": PROTOCOL, "kind": kind, "tensors": [data.draw(described) for _ in payload]}
    try:
        message = decode([msgpack.packb(header), *payload])
    except WireError:
        return
    assert message.kind == kind


@settings(max_examples=100)
@given(st.data())
def test_flipped_bits_of_a_good_message_only_ever_raise_wire_error(data):
    arrays = {"q": np.ones(31, np.float32), "image/head": np.zeros((8, 8, 3), np.uint8)}
    sent = encode(Message("pong", 1, 2, {"time_ns": 3, "served": 4, "ready": True}, arrays), jpeg_quality=80)
    frame = data.draw(st.integers(0, len(sent) - 1))
    place = data.draw(st.integers(0, len(sent[frame]) - 1))
    broken = bytearray(sent[frame])
    broken[place] ^= data.draw(st.integers(1, 255))
    sent[frame] = bytes(broken)
    try:
        decode(sent)
    except WireError:
        return
