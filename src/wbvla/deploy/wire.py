"""Messages between robot and server: a msgpack header of fixed schema, then raw or JPEG tensors. Nothing is trusted.

A message is a list of frames: header, then one frame per tensor the header describes. Decoding allocates no more than
the frames it was given plus `MAX_PIXELS` of pictures, builds no objects, and raises only `WireError`.
"""

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image as Pillow

from wbvla.core.errors import LinkError

PROTOCOL = 1
MAX_FRAMES, MAX_HEADER_BYTES, MAX_FRAME_BYTES = 24, 32_768, 8 * 2**20
MAX_SIDE = 4096
MAX_PIXELS = 4096 * 4096
"""of all compressed pictures of a message: a JPEG of few bytes may be large"""
DTYPES = {"u1": np.uint8, "f2": np.float16, "f4": np.float32, "i4": np.int32, "i8": np.int64, "b1": np.bool_}
ENCODINGS = ("raw", "jpeg")
COMMON: dict[str, type] = {"protocol": int, "kind": str, "connection": int, "request": int, "tensors": list}
KINDS: dict[str, dict[str, type]] = {
    "hello": {"terms": dict},
    "welcome": {"terms": dict, "pid": int, "ready": bool},
    "observe": {
        "episode": int,
        "sequence": int,
        "time_ns": int,
        "budget_us": int,
        "instruction": str,
        "stamps": list,
    },
    "action": {
        "episode": int,
        "sequence": int,
        "time_ns": int,
        "rate_hz": float,
        "queue_us": int,
        "infer_us": int,
    },
    "error": {"episode": int, "sequence": int, "code": str, "detail": str},
    "ping": {"time_ns": int},
    "pong": {"time_ns": int, "served": int, "ready": bool},
    "goodbye": {},
}
SCHEMA = hashlib.sha256(repr((PROTOCOL, KINDS, sorted(DTYPES), ENCODINGS)).encode()).hexdigest()[:16]
JPEG_FAULTS = (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)


class WireError(LinkError):
    """A message that may not be used; `code` says why in one word and is all that a peer is told."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(f"{code}: {detail}")


@dataclass(frozen=True)
class Message:
    """One decoded message; every field and tensor named by its kind's schema is there and checked."""

    kind: str
    connection: int
    """drawn by the client for its lifetime"""
    request: int
    """grows by one with each message of a client; replies repeat it"""
    fields: Mapping[str, Any]
    tensors: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)


def encode(message: Message, jpeg_quality: int = 0) -> list[bytes]:
    """Frames of a message; with a JPEG quality (1-100) every colour picture is compressed, with 0 none."""
    frames, described = [], []
    for name, array in message.tensors.items():
        is_picture = jpeg_quality > 0 and array.ndim == 3 and array.dtype == np.uint8
        described.append(
            [name, _dtype_name(array), list(array.shape), "jpeg" if is_picture else "raw"],
        )
        frames.append(_to_jpeg(array, jpeg_quality) if is_picture else np.ascontiguousarray(array).tobytes())
    header = {
        "protocol": PROTOCOL,
        "kind": message.kind,
        "connection": message.connection,
        "request": message.request,
        "tensors": described,
        **message.fields,
    }
    return [bytes(msgpack.packb(header) or b""), *frames]


def decode(frames: Sequence[bytes]) -> Message:
    """The message in `frames`; raises WireError, and nothing else, on whatever is not exactly one."""
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError("malformed", f"{len(frames)} frames, 1 to {MAX_FRAMES} are allowed")
    if max(len(f) for f in frames) > MAX_FRAME_BYTES:
        raise WireError("oversize", f"a frame is larger than {MAX_FRAME_BYTES} bytes")
    header = _header(frames[0])
    if len(header["tensors"]) != len(frames) - 1:
        raise WireError("malformed", f"{len(header['tensors'])} tensors described, {len(frames) - 1} sent")
    tensors: dict[str, np.ndarray] = {}
    _require_few_pixels(header["tensors"])
    for described, frame in zip(header["tensors"], frames[1:]):
        name, array = _tensor(described, frame)
        if name in tensors:
            raise WireError("malformed", f"tensor {name!r} is sent twice")
        tensors[name] = array
    fields = {name: header[name] for name in KINDS[header["kind"]]}
    return Message(header["kind"], header["connection"], header["request"], fields, tensors)


def _header(frame: bytes) -> dict[str, Any]:
    """Unpack and check the header against the schema of its kind."""
    if len(frame) > MAX_HEADER_BYTES:
        raise WireError("oversize", f"the header is larger than {MAX_HEADER_BYTES} bytes")
    try:
        header = msgpack.unpackb(frame, strict_map_key=True, max_ext_len=0, max_bin_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise WireError("malformed", f"the header is no msgpack map: {type(error).__name__}") from error
    if not isinstance(header, dict):
        raise WireError("malformed", "the header is no map")
    if header.get("protocol") != PROTOCOL:
        raise WireError("version", f"protocol {header.get('protocol')!r:.20}, this side speaks {PROTOCOL}")
    kind = header.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise WireError("malformed", f"unknown kind {kind!r:.20}")
    schema = COMMON | KINDS[kind]
    if set(header) != set(schema):
        raise WireError(
            "fields", f"{kind}: fields {sorted(map(str, set(header) ^ set(schema)))} are missing or unknown"
        )
    for name, wanted in schema.items():
        if type(header[name]) is not wanted or (wanted is float and not math.isfinite(header[name])):
            raise WireError("fields", f"{kind}.{name} must be a finite {wanted.__name__}")
    return header


def _require_few_pixels(described: list[Any]) -> None:
    """Before anything is decoded; a picture whose header says another size is refused when its turn comes."""
    pictures = [d[2] for d in described if isinstance(d, list) and len(d) == 4 and d[3] == "jpeg"]
    sizes = [
        math.prod(s[:2]) for s in pictures if isinstance(s, list) and all(type(side) is int and side >= 0 for side in s)
    ]
    if sum(sizes) > MAX_PIXELS:
        raise WireError("oversize", f"pictures of {sum(sizes)} pixels, {MAX_PIXELS} are allowed in a message")


def _tensor(described: Any, frame: bytes) -> tuple[str, Shaped[np.ndarray, "..."]]:
    """One tensor: listed dtype, bounded shape that fits the bytes, finite."""
    if not (isinstance(described, list) and len(described) == 4):
        raise WireError("malformed", "a tensor is described by name, dtype, shape and encoding")
    name, dtype, shape, encoding = described
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
        raise WireError("dtype", f"dtype {dtype!r:.20} is not one of {', '.join(DTYPES)}")
    sides = shape if isinstance(shape, list) else [-1]
    if len(sides) > 4 or any(type(s) is not int or not 0 <= s <= MAX_SIDE for s in sides):
        raise WireError("shape", f"shape {shape!r:.60} is not up to 4 sides of 0 to {MAX_SIDE}")
    if encoding == "jpeg" and dtype == "u1":
        return name, _from_jpeg(frame, tuple(sides))
    if encoding != "raw":
        raise WireError("malformed", f"encoding {encoding!r:.20} is not one of {', '.join(ENCODINGS)}")
    kind = np.dtype(DTYPES[dtype]).newbyteorder("<")
    if math.prod(sides) * kind.itemsize != len(frame):
        raise WireError("shape", f"{name:.40}: {dtype} {sides} does not fit {len(frame)} bytes")
    array = np.frombuffer(frame, dtype=kind).reshape(sides).astype(DTYPES[dtype])
    if kind.kind == "f" and not np.isfinite(array).all():
        raise WireError("not_finite", f"{name:.40} holds NaN or infinity")
    return name, array


def _dtype_name(array: Shaped[np.ndarray, "..."]) -> str:
    for name, kind in DTYPES.items():
        if array.dtype == kind:
            return name
    raise WireError("dtype", f"{array.dtype} is not sent; convert to one of {', '.join(DTYPES)}")


def _to_jpeg(rgb: UInt8[np.ndarray, "height width 3"], quality: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _from_jpeg(frame: bytes, shape: tuple[int, ...]) -> UInt8[np.ndarray, "height width 3"]:
    """Decode only after the picture's own header agrees with the described shape."""
    try:
        picture = Pillow.open(io.BytesIO(frame), formats=["JPEG"])
        if (picture.height, picture.width, len(picture.getbands())) != shape:
            raise WireError("shape", f"a picture of {picture.size} does not match shape {shape}")
        return np.asarray(picture)
    except JPEG_FAULTS as error:
        raise WireError("malformed", f"a picture is damaged: {type(error).__name__}") from error
