"""Depth maps: LeRobot v3's 12-bit video, and beside it the same maps in full, 16 bits of millimetres without loss.

A depth map is uint16 in millimetres; 0 says that nothing came back. The 12-bit codes are LeRobot's to the bit:
code = rint(4095 (log(d + s) - log(lo + s)) / (log(hi + s) - log(lo + s))), d clipped to lo..hi (formula of
BEHAVIOR-1K's `obs_utils`, as LeRobot 0.6.1 has it). The 16-bit file is FFV1 (RFC 9043), every frame a key frame. Its
decoder hides flipped bits rather than refuse them: the hash in the manifest tells, by `wbvla data check`.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Float32, Float64, Int64, Shaped, UInt16

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.format import Feature

MAX_CODE = 4095
MAX_MM = 65535
CODES, LOSSLESS = "gray12le", "gray16le"
X265 = "lossless=1:log-level=none:info=0:pools=none:frame-threads=1:bframes=0"
FFV1 = {"level": "3", "slicecrc": "1", "g": "1"}
MAX_PIXELS = 1 << 26
"""a file that declares larger maps is refused before memory is taken for them"""


@dataclass(frozen=True, kw_only=True)
class DepthCodec:
    """How depth becomes the 12-bit video that LeRobot reads; the lossless file beside it has no settings."""

    min_m: float = 0.01
    """depth of code 0 [m]"""
    max_m: float = 10.0
    """depth of code 4095; what is farther is clipped in this video, not in the lossless file [m]"""
    shift_m: float = 3.5
    """added before the logarithm: larger = more even steps [m]"""
    gop: int = 2
    """frames per group; a random read decodes at most this many"""
    preset: str = "ultrafast"
    """effort of libx265, which runs without loss"""

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_m < self.max_m or self.min_m + self.shift_m <= 0.0:
            raise ConfigError(f"depth needs 0 <= min < max and min + shift > 0, not {self}")
        if self.gop < 1:
            raise ConfigError(f"a group has at least one frame, not {self.gop}")

    def info(self, height: int, width: int, fps: int) -> dict[str, Any]:
        """The `info` of a depth feature as LeRobot v3 writes and reads it."""
        return {
            "video.height": height,
            "video.width": width,
            "video.codec": "hevc",
            "video.pix_fmt": CODES,
            "video.fps": fps,
            "video.channels": 1,
            "video.g": self.gop,
            "video.preset": self.preset,
            "video.extra_options": {"x265-params": "lossless=1"},
            "video.depth_min": self.min_m,
            "video.depth_max": self.max_m,
            "video.shift": self.shift_m,
            "video.use_log": True,
            "has_audio": False,
            "is_depth_map": True,
            "depth_unit": "mm",
        }

    @staticmethod
    def from_info(info: Mapping[str, Any]) -> "DepthCodec":
        """The codec that a feature's `info` describes; raises DataError when its codes are not logarithmic."""
        if not info.get("video.use_log", True):
            raise DataError("this depth video has linear codes; only LeRobot's logarithmic ones are read")
        names, usual = ("video.depth_min", "video.depth_max", "video.shift"), DepthCodec()
        found = [info.get(name) for name in names]
        values = [u if f is None else float(f) for f, u in zip(found, (usual.min_m, usual.max_m, usual.shift_m))]
        return DepthCodec(min_m=values[0], max_m=values[1], shift_m=values[2])

    @cached_property
    def _code_of_mm(self) -> UInt16[np.ndarray, " mm"]:
        """Code of every depth; in float32, in LeRobot's order of operations, so that the codes are its own."""
        depth = np.arange(MAX_MM + 1, dtype=np.uint16).astype(np.float32)
        shift = np.float32(self.shift_m * 1000.0)
        low = float(np.log(float(np.float32(self.min_m * 1000.0) + shift)))
        high = float(np.log(float(np.float32(self.max_m * 1000.0) + shift)))
        share = (np.log(depth + shift) - low) / (high - low)
        return np.rint(share * MAX_CODE).clip(0, MAX_CODE).astype(np.uint16)

    @cached_property
    def _mm_of_code(self) -> UInt16[np.ndarray, " code"]:
        """Depth of every code; code 0 is what a map without return gets, so it reads as 0."""
        low, high = float(np.log(self.min_m + self.shift_m)), float(np.log(self.max_m + self.shift_m))
        share = (np.arange(MAX_CODE + 1) * ((high - low) / MAX_CODE)).astype(np.float32)
        depth = np.exp(share + np.float32(low)) - np.float32(self.shift_m)
        mm = np.clip(depth, np.float32(self.min_m), np.float32(self.max_m)) * np.float32(1000.0)
        table = np.rint(mm).clip(0, MAX_MM).astype(np.uint16)
        table[0] = 0
        return table

    def quantize(self, depth_mm: UInt16[np.ndarray, "*map"]) -> UInt16[np.ndarray, "*map"]:
        """12-bit codes of depths [mm]."""
        return self._code_of_mm[depth_mm]

    def dequantize(self, codes: UInt16[np.ndarray, "*map"]) -> UInt16[np.ndarray, "*map"]:
        """Depths [mm] of 12-bit codes; raises DataError on a code beyond 4095."""
        if codes.size and codes.max() > MAX_CODE:
            raise DataError(f"a depth video holds code {codes.max()}, codes have 12 bits")
        return self._mm_of_code[codes]

    def error_mm(self, depth_mm: Shaped[np.ndarray, "*map"]) -> Float64[np.ndarray, "*map"]:
        """Largest error of the 12-bit video at depths between min and max: half a step, and half a millimetre [mm]."""
        span = np.log(self.max_m + self.shift_m) - np.log(self.min_m + self.shift_m)
        far = np.asarray(depth_mm, dtype=np.float64) + 1000.0 * self.shift_m
        return far * np.expm1(0.5 * span / MAX_CODE) + 0.5 + far * 1e-5  # the last: float32 of the logarithm


def depth_map(height: int, width: int) -> Feature:
    """Depth of one camera [px, px], a feature as LeRobot declares it; the writer adds the codec's facts."""
    names, info = ("height", "width", "channels"), {"is_depth_map": True}
    return Feature(dtype="video", shape=(height, width, 1), names=names, info=info)


def as_millimetres(name: str, value: Any, shape: tuple[int, ...]) -> UInt16[np.ndarray, "height width"]:
    """A depth map as it is stored, from uint16 [mm] or a floating type [m], (height, width) or (height, width, 1).

    NaN, infinity, zero and negative metres mean that nothing came back and become 0; so does what lies beyond
    65.535 m, which 16 bits of millimetres cannot say. Nothing that came back becomes 0: the nearest is 1 mm.
    Raises DataError on another dtype or shape.
    """
    array = np.asarray(value)
    if array.shape not in (shape, shape[:2]):
        raise DataError(f"{name!r} is {array.dtype} {array.shape}; a depth map is {shape[:2]} or {shape}")
    array = array.reshape(shape[:2])
    if array.dtype == np.uint16:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise DataError(f"{name!r} is {array.dtype}; depth is uint16 in millimetres or a floating type in metres")
    with np.errstate(over="ignore", invalid="ignore"):
        mm = array.astype(np.float64) * 1000.0
        seen = np.isfinite(mm) & (mm > 0.0) & (mm < MAX_MM + 0.5)
    rounded = np.rint(np.where(seen, mm, 0.0)).clip(0, MAX_MM)
    return np.where(seen, np.maximum(rounded, 1.0), 0.0).astype(np.uint16)


class DepthWriter:
    """Encodes depth maps as they come into two files: LeRobot's 12-bit mp4 and the lossless mkv."""

    def __init__(self, coded: Path, lossless: Path, size: tuple[int, int], fps: int, codec: DepthCodec) -> None:
        self._shape, self._codec = size, codec
        options = {"preset": codec.preset, "x265-params": X265}
        self._coded = _Track(coded, ("mp4", "libx265", CODES), size, fps, options)
        self._coded.stream.codec_context.gop_size = codec.gop
        self._lossless = _Track(lossless, ("matroska", "ffv1", LOSSLESS), size, fps, FFV1)

    @property
    def num_frames(self) -> int:
        return self._coded.count

    def add(self, depth_mm: UInt16[np.ndarray, "height width"]) -> None:
        """Encode the next map; raises DataError on a wrong shape or when the disk is full."""
        if depth_mm.shape != self._shape:
            raise DataError(f"depth map is {depth_mm.shape}, the video was declared {self._shape}")
        self._coded.add(self._codec.quantize(depth_mm))
        self._lossless.add(depth_mm)

    def close(self) -> None:
        """Flush both encoders and write the indices of the files."""
        for track in (self._coded, self._lossless):
            track.container.mux(track.stream.encode())
            track.container.close()

    def abandon(self) -> None:
        """Release the encoders; the files are left unusable."""
        for track in (self._coded, self._lossless):
            track.container.close()


class _Track:
    """One grey video while it is written; frame i has time stamp i / fps."""

    def __init__(
        self, path: Path, kind: tuple[str, str, str], size: tuple[int, int], fps: int, options: dict[str, str]
    ) -> None:
        container, encoder, self._pixels = kind
        self._size, self._fps, self.count = size, fps, 0
        # bitexact: no date and no random number in the file, the same maps give the same bytes
        self.container = av.open(str(path), "w", format=container, container_options={"fflags": "+bitexact"})
        stream = self.container.add_stream(encoder, rate=fps, options=options)
        if not isinstance(stream, VideoStream):
            raise ConfigError(f"{encoder!r} is no video encoder")
        stream.height, stream.width = size
        stream.pix_fmt = self._pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        self.stream = stream

    def add(self, grey: UInt16[np.ndarray, "height width"]) -> None:
        height, width = self._size
        frame = av.VideoFrame(width, height, self._pixels)
        _rows_of(frame)[:, :width] = grey
        frame.pts, frame.time_base = self.count, Fraction(1, self._fps)
        try:
            self.container.mux(self.stream.encode(frame))
        except FFmpegError as error:
            raise DataError(f"depth map {self.count} cannot be encoded ({error}); is the disk full?") from error
        self.count += 1


class DepthReader:
    """One open depth video, 12-bit or lossless; gives its 16-bit numbers as they were encoded."""

    def __init__(self, path: Path, fps: int) -> None:
        self.path = path
        if not path.is_file():
            raise DataError(f"depth video {path} is missing; run `wbvla data check`")
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (FFmpegError, IndexError) as error:
            raise DataError(f"depth video {path} cannot be opened ({error}); run `wbvla data check`") from error
        base, self.pixels = self._stream.time_base, str(self._stream.pix_fmt)
        if base is None or self.pixels not in (CODES, LOSSLESS):
            self._container.close()
            raise DataError(f"depth video {path} holds {self.pixels}, not {CODES} or {LOSSLESS}")
        self.size = (int(self._stream.height), int(self._stream.width))
        if not 0 < self.size[0] * self.size[1] <= MAX_PIXELS:
            self._container.close()
            raise DataError(f"depth video {path} declares maps of {self.size}")
        self._stream.thread_type = "NONE"
        self._base, self._fps = base, fps
        self._frames, self._next = self._decode(), 0

    def read(self, indices: Sequence[int]) -> UInt16[np.ndarray, "frame height width"]:
        """Maps by number, in the order asked; raises DataError when the file does not hold one of them."""
        found = {index: self._read_one(index) for index in sorted({int(i) for i in indices})}
        return np.stack([found[int(i)] for i in indices])

    def count(self) -> int:
        """Maps in the file, by decoding all of them; raises DataError at the first that is damaged."""
        try:
            self._container.seek(0, stream=self._stream)
            numbers = [number for number, _ in self._decode()]
        except FFmpegError as error:
            raise DataError(f"depth video {self.path} cannot be decoded ({error})") from error
        finally:
            self._next = -1
        if numbers != list(range(len(numbers))):
            raise DataError(f"depth video {self.path} has a gap in its frame numbers")
        return len(numbers)

    def close(self) -> None:
        self._container.close()

    def _read_one(self, index: int) -> UInt16[np.ndarray, "height width"]:
        try:
            if self._next < 0 or not self._next <= index <= self._next + 4:
                at = int(Fraction(index, self._fps) / self._base)
                self._container.seek(at, stream=self._stream, backward=True)
                self._frames = self._decode()
            for number, grey in self._frames:
                self._next = number + 1
                if number == index:
                    return grey
                if number > index:
                    break
        except FFmpegError as error:
            self._next = -1
            raise DataError(f"depth video {self.path}: map {index} cannot be decoded ({error})") from error
        self._next = -1
        raise DataError(f"depth video {self.path} has no map {index}; run `wbvla data check`")

    def _decode(self) -> Iterator[tuple[int, UInt16[np.ndarray, "height width"]]]:
        for frame in self._container.decode(self._stream):
            if frame.pts is None or frame.format.name != self.pixels or (frame.height, frame.width) != self.size:
                raise DataError(f"depth video {self.path} holds a frame of another kind or without time stamp")
            yield round(frame.pts * self._base * self._fps), _rows_of(frame)[:, : frame.width].astype(np.uint16)


class DepthCache:
    """A bounded set of open depth videos, least recently used closed first; each process has its own."""

    def __init__(self, fps: int, capacity: int = 8) -> None:
        self._fps, self._capacity, self._process = fps, capacity, os.getpid()
        self._open: OrderedDict[Path, DepthReader] = OrderedDict()

    def get(self, path: Path) -> DepthReader:
        """The open reader of a file, opened if need be."""
        if self._process != os.getpid():  # decoders do not survive a fork
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            self._open[path] = DepthReader(path, self._fps)
            if len(self._open) > self._capacity:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]

    def close(self) -> None:
        """Close every open file."""
        for reader in self._open.values():
            reader.close()
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {"fps": self._fps, "capacity": self._capacity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["fps"], state["capacity"])


def _rows_of(frame: av.VideoFrame) -> UInt16[np.ndarray, "height padded"]:
    """The memory of a grey frame; its rows are padded."""
    plane = frame.planes[0]
    return np.asarray(memoryview(plane)).view("<u2").reshape(frame.height, plane.line_size // 2)  # pyright: ignore


def depth_at(depth_mm: UInt16[np.ndarray, "*map"]) -> Float32[np.ndarray, "*map"]:
    """Stored depth in metres; where nothing came back, NaN."""
    return np.where(depth_mm == 0, np.float32(np.nan), depth_mm.astype(np.float32) / np.float32(1000.0))


class DepthTally:
    """Histogram by millimetre of a grid of the pixels that came back, in some maps; exact and mergeable."""

    def __init__(self, every: int = 5, stride: int = 4) -> None:
        self.counts: Int64[np.ndarray, " mm"] = np.zeros(MAX_MM + 1, dtype=np.int64)
        self._every, self._stride, self._seen, self._taken = every, stride, 0, 0

    def add(self, depth_mm: UInt16[np.ndarray, "height width"]) -> None:
        """Count every `every`-th map, every `stride`-th pixel in each direction."""
        if self._seen % self._every == 0:
            pixels = depth_mm[:: self._stride, :: self._stride].reshape(-1)
            self.counts += np.bincount(pixels, minlength=MAX_MM + 1)
            self._taken += 1
        self._seen += 1

    def merge(self, other: "DepthTally") -> None:
        """Take in what another tally counted."""
        self.counts += other.counts
        self._taken += other._taken

    def summary(self, quantiles: dict[str, float]) -> dict[str, list[Any]]:
        """Statistics in LeRobot's shape (1, 1, 1) [mm]; without any return they are 0. Count = maps looked at."""
        counts, levels = self.counts.copy(), np.arange(MAX_MM + 1, dtype=np.float64)
        if counts[1:].any():
            counts[0] = 0
        total = max(int(counts.sum()), 1)
        present = np.flatnonzero(counts)
        low, high = (int(present[0]), int(present[-1])) if present.size else (0, 0)
        mean = float(counts @ levels / total)
        std = float(np.sqrt(max(float(counts @ (levels - mean) ** 2) / total, 0.0)))
        ranks = counts.cumsum()
        values = {"min": float(low), "max": float(high), "mean": mean, "std": std}
        values |= {k: float(np.searchsorted(ranks, q * (total - 1), side="right")) for k, q in quantiles.items()}
        return {**{k: [[[v]]] for k, v in values.items()}, "count": [self._taken]}
