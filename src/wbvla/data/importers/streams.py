"""Pictures of an episode as an importer finds them, one at a time: a video, a folder of pictures, or of depth maps."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Float64, UInt8, UInt16
from PIL import Image

from wbvla.core.errors import DataError
from wbvla.data.decoding import MAX_PIXELS
from wbvla.data.listing import read_picture
from wbvla.data.packets import ByteRange, RangeFile, read_index


@runtime_checkable
class Pictures(Protocol):
    """All pictures of one camera of one episode, in order."""

    @property
    def size(self) -> tuple[int, int]:
        """Height, width [px]."""
        ...

    @property
    def length(self) -> int: ...

    @property
    def is_depth(self) -> bool: ...

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width"]]:
        """Each picture once: RGB, or depth [mm]. Raises DataError where one cannot be read."""
        ...


class VideoPictures:
    """A video file, or one that lies in an archive; only its tables are read until its frames are asked for."""

    is_depth = False

    def __init__(self, path: Path, start: int = 0, size: int | None = None) -> None:
        """Raises DataError when it is no video, or is cut short."""
        self.path, self._start, self._size = Path(path), start, size
        if not self.path.is_file():
            raise DataError(f"video {self.path.name} is missing")
        if self.path.stat().st_size == 0 or size == 0:
            raise DataError(f"video {self.path.name} has no bytes")
        source = self._open()
        try:
            index = read_index(source)
        finally:
            source.close()
        order = np.sort(index.stamp[index.shown])
        self.size = (index.height, index.width)
        self._num_packets = len(index)
        self.length = len(order)
        self._base = index.time_base
        self.times_s: Float64[np.ndarray, " frame"] = order * float(index.time_base)
        keys = np.flatnonzero(index.key)
        self.largest_group = int(np.diff(np.append(keys, len(index))).max()) if len(keys) and keys[0] == 0 else 1 << 30
        """frames from one key frame to the next, at most"""
        if not self.length:
            raise DataError(f"video {self.path.name} shows no frame")
        self._quarters = 0
        """counter-clockwise quarter turns from the stored picture to the one that is meant, as telephones store them"""
        self._quarters = self._find_turn()
        if self._quarters % 2:
            self.size = (index.width, index.height)

    @property
    def rate_hz(self) -> float:
        """Mean rate of its own stamps; 0 for a single frame."""
        seconds = float(self.times_s[-1] - self.times_s[0])
        return (self.length - 1) / seconds if seconds > 0 else 0.0

    @property
    def is_plain(self) -> bool:
        """Whether its packets could be taken as they are: a whole file, every packet shown, not turned."""
        return self._start == 0 and self._size is None and self.length == self._num_packets and not self._quarters

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Each frame in the order it is shown; raises DataError when fewer come out than the file declares."""
        source, count = self._open(), 0
        try:
            with av.open(RangeFile(source), "r", metadata_errors="replace") as container:
                stream = container.streams.video[0]
                self._prepare(stream)
                for frame in container.decode(stream):
                    rgb = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), self._quarters))
                    if rgb.shape[:2] != self.size:
                        raise DataError(f"video {self.path.name} holds a frame of {rgb.shape[:2]}, not {self.size}")
                    count += 1
                    yield rgb
        except (FFmpegError, ValueError, OSError, IndexError) as error:
            raise DataError(f"video {self.path.name} cannot be decoded after frame {count} ({error})") from error
        finally:
            source.close()
        if count != self.length:
            raise DataError(f"video {self.path.name} breaks off: {count} of {self.length} frames decode")

    def _find_turn(self) -> int:
        """From the first frame; raises DataError when it does not decode, or is turned by less than a quarter."""
        source = self._open()
        try:
            with av.open(RangeFile(source), "r", metadata_errors="replace") as container:
                stream = container.streams.video[0]
                self._prepare(stream)
                frame = next(iter(container.decode(stream)), None)
        except (FFmpegError, ValueError, OSError, IndexError) as error:
            raise DataError(f"video {self.path.name} cannot be decoded ({error})") from error
        finally:
            source.close()
        if frame is None:
            raise DataError(f"video {self.path.name} has no frame that decodes")
        if frame.rotation % 90:
            raise DataError(f"video {self.path.name} is turned by {frame.rotation} degrees; only quarters are undone")
        return frame.rotation // 90 % 4

    def _prepare(self, stream: VideoStream) -> None:
        declared = stream.frames
        if declared and declared > self._num_packets:
            raise DataError(f"video {self.path.name} breaks off: {self._num_packets} of {declared} frames are there")
        context = stream.codec_context
        if context is None:
            raise DataError(f"video {self.path.name} has no known codec")
        context.thread_type, context.thread_count = "NONE", 1
        context.options = {"max_pixels": str(MAX_PIXELS)}

    def is_like(self, codec: str, fps: int) -> bool:
        """Whether its packets may stand in a dataset as they are: codec, yuv420p, frame i at i / fps."""
        source = self._open()
        try:
            with av.open(RangeFile(source), "r", metadata_errors="replace") as container:
                context = container.streams.video[0].codec_context
                alike = context is not None and (context.name, context.pix_fmt) == (codec, "yuv420p")
        except (FFmpegError, ValueError, IndexError):
            return False
        finally:
            source.close()
        ticks = Fraction(1, fps) / self._base
        return (
            alike
            and bool(np.abs(self.times_s * fps - self.times_s[0] * fps - np.arange(self.length)).max() < 0.25)
            and ticks > 0
        )

    def _open(self) -> ByteRange:
        return ByteRange(self.path, self._start, self._size)


class FilePictures:
    """Numbered picture files."""

    is_depth = False

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises DataError when there is none, or the first is no picture."""
        if not files:
            raise DataError("there are no pictures")
        self._files = tuple(files)
        self.length = len(files)
        self.size: tuple[int, int] = read_picture(self._files[0]).shape[:2]

    def frames(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Each picture; raises DataError on a missing or broken one, or one of another size."""
        for path in self._files:
            rgb = read_picture(path)
            if rgb.shape[:2] != self.size:
                raise DataError(f"{path.name} is {rgb.shape[:2]}, the first picture {self.size}")
            yield rgb


class FileDepths:
    """Numbered depth maps, 16-bit grey PNG in millimetres."""

    is_depth = True

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises DataError when there is none, or the first is no depth map."""
        if not files:
            raise DataError("there are no depth maps")
        self._files = tuple(files)
        self.length = len(files)
        self.size: tuple[int, int] = read_depth(self._files[0]).shape

    def frames(self) -> Iterator[UInt16[np.ndarray, "height width"]]:
        """Each map [mm]; raises DataError on a missing or broken one, or one of another size."""
        for path in self._files:
            depth = read_depth(path)
            if depth.shape != self.size:
                raise DataError(f"{path.name} is {depth.shape}, the first map {self.size}")
            yield depth


def read_depth(path: Path) -> UInt16[np.ndarray, "height width"]:
    """A depth map [mm]; raises DataError when it is none (a JPEG has lost what it measured)."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path.name} has {image.width}x{image.height} pixels, more than {MAX_PIXELS}")
            if image.mode not in ("I;16", "I;16B", "I"):
                raise DataError(f"{path.name} has mode {image.mode}; a depth map has 16 bits of millimetres")
            values = np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"depth map {path.name} cannot be decoded ({error})") from error
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise DataError(f"{path.name} holds {values.max()}, which 16 bits of millimetres cannot")
    return np.ascontiguousarray(values.astype(np.uint16))
