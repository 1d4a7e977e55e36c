"""Video by integer frame number: a streaming encoder, and decoders that are kept open between requests."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import UInt8

from wbvla.core.errors import ConfigError, DataError

CODEC_NAMES = {"libx264": "h264", "libsvtav1": "av1", "libx265": "hevc"}

LOST = 1 << 62
"""position of a decoder that must seek before it reads again"""


@dataclass(frozen=True, kw_only=True)
class VideoCodec:
    """How frames are encoded. H.264 with two-frame groups decodes fast from any frame."""

    encoder: str = "libx264"
    """`libx264`, `libx265` or `libsvtav1`"""
    crf: int = 20
    """quality: smaller is better and larger on disk"""
    preset: str = "veryfast"
    """effort of the encoder, in its own words (libsvtav1: a number)"""
    gop: int = 2
    """frames per group; a random read decodes at most this many"""

    def __post_init__(self) -> None:
        if self.encoder not in CODEC_NAMES or self.encoder not in av.codecs_available:
            have = [e for e in CODEC_NAMES if e in av.codecs_available]
            raise ConfigError(f"no encoder {self.encoder!r} here; available: {', '.join(have)}")

    def info(self, height: int, width: int, fps: int) -> dict[str, Any]:
        """The `info` of a video feature as LeRobot v3 writes it."""
        return {
            "video.height": height,
            "video.width": width,
            "video.codec": CODEC_NAMES[self.encoder],
            "video.pix_fmt": "yuv420p",
            "video.fps": fps,
            "video.channels": 3,
            "video.g": self.gop,
            "video.crf": self.crf,
            "video.preset": self.preset,
            "has_audio": False,
            "is_depth_map": False,
        }


class VideoWriter:
    """Encodes frames as they come into one mp4; frame i has time stamp i / fps exactly."""

    def __init__(self, path: Path, height: int, width: int, fps: int, codec: VideoCodec) -> None:
        self._shape, self._rate, self._count = (height, width, 3), fps, 0
        self._container = av.open(str(path), "w", format="mp4")
        options = {"crf": str(codec.crf), "preset": codec.preset}
        if codec.encoder == "libx264":
            options["bf"] = "0"
        stream = self._container.add_stream(codec.encoder, rate=fps, options=options)
        if not isinstance(stream, VideoStream):
            raise ConfigError(f"{codec.encoder!r} is no video encoder")
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = codec.gop
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        self._stream = stream

    @property
    def num_frames(self) -> int:
        return self._count

    def add(self, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """Encode the next frame; raises DataError on a wrong shape or dtype."""
        if rgb.shape != self._shape or rgb.dtype != np.uint8:
            raise DataError(f"frame is {rgb.dtype} {rgb.shape}, the video was declared uint8 {self._shape}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, frame.time_base = self._count, Fraction(1, self._rate)
        try:
            self._container.mux(self._stream.encode(frame))
        except FFmpegError as error:
            raise DataError(f"frame {self._count} cannot be encoded ({error}); is the disk full?") from error
        self._count += 1

    def close(self) -> None:
        """Flush the encoder and write the index of the file."""
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        """Release the encoder; the file is left unusable."""
        self._container.close()


class VideoReader:
    """One open mp4. Frames ahead in the same neighbourhood are decoded on; others are sought by integer time stamp."""

    def __init__(self, path: Path, fps: int, read_on: int = 4) -> None:
        self.path, self._read_on = path, read_on
        if not path.is_file():
            raise DataError(f"video {path} is missing; run `wbvla data check`")
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (FFmpegError, IndexError) as error:
            raise DataError(f"video {path} cannot be opened ({error}); run `wbvla data check`") from error
        self._stream.thread_type = "NONE"
        time_base = self._stream.time_base
        if time_base is None:
            raise DataError(f"video {path} has no time base; run `wbvla data check`")
        self._ticks = 1 / (time_base * fps)
        self._start = self._stream.start_time or 0
        self._frames = self._decode()
        self._next = 0

    @property
    def num_frames(self) -> int:
        """Frames according to the container's index."""
        return int(self._stream.frames)

    @property
    def facts(self) -> tuple[int, int, float]:
        """Height [px], width [px] and mean rate [Hz] as the file says."""
        rate = self._stream.average_rate
        return self._stream.height, self._stream.width, float(rate) if rate else 0.0

    def read(self, indices: Sequence[int]) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames by number, in the order asked; raises DataError when the file does not hold one of them."""
        wanted = sorted({int(i) for i in indices})
        found = {index: self._read_one(index) for index in wanted}
        return np.stack([found[int(i)] for i in indices])

    def close(self) -> None:
        self._container.close()

    def _read_one(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        try:
            if not self._next <= index <= self._next + self._read_on:
                self._container.seek(self._start + round(index * self._ticks), stream=self._stream, backward=True)
                self._frames = self._decode()
            for number, frame in self._frames:
                self._next = number + 1
                if number == index:
                    return frame.to_ndarray(format="rgb24")
                if number > index:
                    break
        except FFmpegError as error:
            self._next = LOST
            raise DataError(f"video {self.path}: frame {index} cannot be decoded ({error})") from error
        self._next = LOST
        raise DataError(f"video {self.path} has no frame {index}; run `wbvla data check`")

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in self._container.decode(self._stream):
            if frame.pts is None:
                raise DataError(f"video {self.path} holds a frame without time stamp")
            yield round((frame.pts - self._start) / self._ticks), frame


class VideoCache:
    """A bounded set of open videos, least recently used closed first; each process has its own."""

    def __init__(self, fps: int, capacity: int = 16) -> None:
        self._fps, self._capacity = fps, capacity
        self._open: OrderedDict[Path, VideoReader] = OrderedDict()
        self._process = os.getpid()

    def get(self, path: Path) -> VideoReader:
        """The open reader of a file, opened if need be."""
        if self._process != os.getpid():  # decoders do not survive a fork
            self._open, self._process = OrderedDict(), os.getpid()
        if path not in self._open:
            self._open[path] = VideoReader(path, self._fps)
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
