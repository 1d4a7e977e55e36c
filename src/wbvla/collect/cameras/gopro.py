"""A GoPro's mp4 as a camera: its frames, and the accelerometer and gyroscope from its telemetry track.

The track holds GPMF (GoPro Metadata Format, github.com/gopro/gpmf-parser): nested records of a four letter key, a type,
a size, a count, and big-endian numbers padded to four bytes. Samples of a packet are spread evenly over its duration.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from wbvla.collect.cameras.device import ACCEL, GYRO, CameraConfig, CameraFacts, Motion, Shot, no_motion
from wbvla.collect.cameras.filmed import FilmedCamera
from wbvla.core.errors import CameraError

NESTED = 0
TYPES = {b"b": "b", b"B": "B", b"s": "h", b"S": "H", b"l": "i", b"L": "I", b"f": "f", b"d": "d", b"j": "q", b"J": "Q"}
STREAMS = {"ACCL": ACCEL, "GYRO": GYRO}
ORDER = "ZXY"
"""axes of the numbers where the file does not say (`ORIN`); lower case letters point the other way"""


def records(content: bytes) -> Iterator[tuple[str, bytes, int, bytes]]:
    """Key, type, bytes of one element and payload of each record; raises CameraError on a torn one."""
    at = 0
    while at + 8 <= len(content):
        key, kind, size, count = struct.unpack_from(">4scBH", content, at)
        if key == b"\0\0\0\0":
            return
        length = size * count
        if at + 8 + length > len(content):
            raise CameraError(f"the telemetry is torn: {key!r} has {length} bytes, {len(content) - at - 8} are there")
        yield key.decode("latin-1"), kind, size, content[at + 8 : at + 8 + length]
        at += 8 + (length + 3) // 4 * 4


def numbers(kind: bytes, size: int, payload: bytes) -> np.ndarray:
    """The rows of numbers in a payload."""
    if kind not in TYPES:
        raise CameraError(f"telemetry numbers of type {kind!r} are not known")
    dtype = np.dtype(TYPES[kind]).newbyteorder(">")
    return np.frombuffer(payload, dtype).astype(np.float64).reshape(-1, size // dtype.itemsize)


def motion_of(content: bytes) -> dict[int, np.ndarray]:
    """Samples (n, 3) by kind in one packet, scaled, axes x, y, z."""
    found: dict[int, np.ndarray] = {}
    for key, kind, _, payload in records(content):
        if key == "DEVC" and kind[0] == NESTED:
            for name, inner_kind, _, stream in records(payload):
                if name == "STRM" and inner_kind[0] == NESTED:
                    found |= _stream_of(stream)
    return found


def _stream_of(content: bytes) -> dict[int, np.ndarray]:
    scale, order = np.ones(1), ORDER
    for key, kind, size, payload in records(content):
        if key == "SCAL":
            scale = numbers(kind, size, payload).reshape(-1)
        elif key == "ORIN":
            order = payload.decode("latin-1")[:3]
        elif key in STREAMS:
            return {STREAMS[key]: in_axes(numbers(kind, size, payload) / scale, order)}
    return {}


def in_axes(rows: np.ndarray, order: str) -> np.ndarray:
    """Columns in the order x, y, z; raises CameraError where `order` is no permutation of them."""
    if sorted(order.upper()) != ["X", "Y", "Z"] or rows.shape[1] != 3:
        raise CameraError(f"telemetry axes {order!r} of {rows.shape[1]} numbers are not understood")
    places = [order.upper().index(axis) for axis in "XYZ"]
    signs = np.array([-1.0 if order[place].islower() else 1.0 for place in places])
    return rows[:, places] * signs


def read_motion(path: Path) -> Motion:
    """All samples of a file by time [s]; raises CameraError when it has no telemetry."""
    rows: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            streams = list(container.streams.data)
            for packet in container.demux(streams) if streams else ():
                content = bytes(packet)
                if not content.startswith(b"DEVC") or packet.pts is None or packet.time_base is None:
                    continue
                start_s = float(packet.pts * packet.time_base)
                length_s = float((packet.duration or 0) * packet.time_base) or 1.0
                for kind, samples in motion_of(content).items():
                    times = start_s + length_s * np.arange(len(samples)) / max(1, len(samples))
                    rows.append(np.column_stack([np.full(len(samples), float(kind)), times, samples]))
    except FFmpegError as error:
        raise CameraError(f"{path} cannot be read ({error})") from error
    if not rows:
        raise CameraError(f"{path} holds no GoPro telemetry; record it with --source video, or with --no-motion")
    found = np.concatenate(rows)
    return found[np.argsort(found[:, 1], kind="stable")]


class GoproCamera(FilmedCamera):
    """A filmed camera with motion samples."""

    def __init__(self, config: CameraConfig) -> None:
        super().__init__(config)
        assert config.path is not None
        self._motion = read_motion(config.path) if config.motion else no_motion()
        self._given = 0

    @property
    def facts(self) -> CameraFacts:
        """What the file says."""
        filmed = super().facts
        span_s = float(np.ptp(self._motion[:, 1])) if len(self._motion) else 0.0
        counts = {"accel": (self._motion[:, 0] == ACCEL).sum(), "gyro": (self._motion[:, 0] == GYRO).sum()}
        rates = {name: float(n / span_s) for name, n in counts.items() if n and span_s > 0.0}
        return CameraFacts(device=f"GoPro {filmed.device}", intrinsics=filmed.intrinsics, clock="file", motion_hz=rates)

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame with the samples up to it."""
        shot = super().read(timeout_s)
        if shot is None or not len(self._motion):
            return shot
        until = int(np.searchsorted(self._motion[:, 1], shot.device_s, side="right"))
        samples, self._given = self._motion[self._given : until], until
        return Shot(**{**vars(shot), "motion": samples})
