"""The part of a shared file that is one episode's: its rows, its packets. Read, hashed, cut out and joined."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from av.error import FFmpegError
from av.video.stream import VideoStream

from wbvla.core.errors import DataError
from wbvla.data.arrow import frame_schema, from_arrow, to_arrow
from wbvla.data.format import Info

TICKS = 512
"""time units of a joined video per frame; mp4 keeps them exactly"""


def conform(table: pa.Table, info: Info, new: Mapping[str, pa.Array]) -> pa.Table:
    """A table in the columns and types of `info`; columns in `new` are replaced or added."""
    schema, arrays = frame_schema(info), []
    for name, feature in info.stored.items():
        if name in new:
            arrays.append(new[name])
            continue
        column = table.column(name)
        same = column.type == schema.field(name).type
        arrays.append(column if same else to_arrow(name, feature, from_arrow(feature, column)))
    return pa.Table.from_arrays(arrays, schema=schema)


def rows_digest(table: pa.Table) -> str:
    """SHA-256 over the values of every column, whatever their pages and encodings are."""
    total = hashlib.sha256(str(table.num_rows).encode())
    for name in sorted(table.column_names):
        total.update(name.encode())
        column = table.column(name).combine_chunks()
        _feed(total.update, column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks))
    return total.hexdigest()


def _feed(feed: Callable[[bytes], object], array: pa.Array) -> object:
    """Feed the values of an array, without the padding around them."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _feed(feed, array.storage)
    if pa.types.is_null(kind):
        return feed(b"null")
    feed(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_struct(kind):
        for i, part in enumerate(array.flatten()):
            feed(kind.field(i).name.encode())
            _feed(feed, part)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        feed(_numbers(array.value_lengths()))
        _feed(feed, array.flatten())
    elif pa.types.is_dictionary(kind):
        _feed(feed, array.dictionary_decode())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        feed(_numbers(array))
    else:
        for value in array.to_pylist():
            content = value if isinstance(value, bytes) else str(value).encode()
            feed(len(content).to_bytes(8, "little") + content)
    return None


def _numbers(array: pa.Array) -> bytes:
    zero = False if pa.types.is_boolean(array.type) else 0
    filled = array.fill_null(zero) if array.null_count else array
    return np.ascontiguousarray(filled.to_numpy(zero_copy_only=False)).tobytes()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The frames of one episode in a video file."""

    path: Path
    first: int
    """number of the first frame in the file"""
    length: int
    """frames"""


class Footage:
    """One open video whose packets are taken out undecoded; raises DataError when they are not as they should be."""

    def __init__(self, path: Path, fps: int) -> None:
        self.path, self._fps = path, fps
        if not path.is_file():
            raise DataError(f"video {path} is missing; run `wbvla data check`")
        try:
            self._container = av.open(str(path))
            self.stream: VideoStream = self._container.streams.video[0]
        except (FFmpegError, IndexError) as error:
            raise DataError(f"video {path} cannot be opened ({error}); run `wbvla data check`") from error
        if self.stream.time_base is None or getattr(self.stream, "codec_context", None) is None:
            raise DataError(f"video {path} has no time base or no known codec; run `wbvla data check`")
        self._frame = 1 / (self.stream.time_base * fps)
        self._start = self.stream.start_time or 0

    @property
    def header(self) -> bytes:
        """What a decoder must know beforehand; only clips of one header can share a file."""
        codec = self.stream.codec_context
        facts = (codec.name, codec.width, codec.height, codec.pix_fmt, codec.color_range, codec.colorspace)
        return repr(facts).encode() + (codec.extradata or b"")

    def numbers(self) -> list[float]:
        """Frame number, with its fraction, of every packet in the order of the file."""
        self._container.seek(self._start, stream=self.stream, backward=True)
        return [self._number(packet) for packet in self._demux()]

    def packets(self, first: int, length: int) -> list[av.Packet]:
        """The packets of an episode in decoding order, from its keyframe on."""
        try:
            at = self._start + round(first * self._frame)
            self._container.seek(at, stream=self.stream, backward=True)
        except FFmpegError as error:
            raise DataError(f"video {self.path}: frame {first} cannot be sought ({error})") from error
        found: list[av.Packet] = []
        for packet in self._demux():
            if found or (packet.is_keyframe and round(self._number(packet)) == first):
                found.append(packet)
            if len(found) == length or (not found and self._number(packet) > first + 64):
                break
        numbers = sorted(round(self._number(p)) for p in found)
        if numbers != list(range(first, first + length)):
            raise DataError(
                f"video {self.path} has no clip {first}..{first + length} that starts at a keyframe and is whole: it "
                "cannot be cut undecoded; `wbvla data check` tells whether it is damaged, else leave it in its file"
            )
        return found

    def digest(self, first: int, length: int) -> str:
        """SHA-256 over the header and an episode's packets with their places in time."""
        total = hashlib.sha256(self.header)
        for packet in self.packets(first, length):
            total.update(f"{round(self._number(packet)) - first} {packet.is_keyframe} {packet.size} ".encode())
            total.update(bytes(packet))
        return total.hexdigest()

    def number(self, packet: av.Packet) -> int:
        """Frame number of a packet in this file."""
        return round(self._number(packet))

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> "Footage":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _number(self, packet: av.Packet) -> float:
        return float(((packet.pts or 0) - self._start) / self._frame)

    def _demux(self) -> Iterator[av.Packet]:
        try:
            for packet in self._container.demux(self.stream):
                if packet.size and packet.pts is None:
                    raise DataError(f"video {self.path} holds a packet without time stamp")
                if packet.size:
                    yield packet
        except FFmpegError as error:
            raise DataError(f"video {self.path} cannot be read ({error}); run `wbvla data check`") from error


def join_clips(target: Path, clips: Sequence[Clip], fps: int) -> list[str]:
    """Write clips one behind the other into one mp4 without decoding them; returns the digest of each.

    Frame n of the result is at n / fps exactly. All clips must have the same `Footage.header`.
    """
    digests: list[str] = []
    opened: Footage | None = None
    try:
        opened = Footage(clips[0].path, fps)
        with av.open(str(target), "w", format="mp4") as out:
            stream = out.add_stream_from_template(opened.stream, opaque=True)
            stream.time_base = Fraction(1, fps * TICKS)
            delay = opened.stream.codec_context.has_b_frames and 4
            offset = 0
            for clip in clips:
                if opened.path != clip.path:
                    opened.close()
                    opened = Footage(clip.path, fps)
                total = hashlib.sha256(opened.header)
                for order, packet in enumerate(opened.packets(clip.first, clip.length)):
                    number = opened.number(packet) - clip.first
                    total.update(f"{number} {packet.is_keyframe} {packet.size} ".encode() + bytes(packet))
                    packet.stream = stream
                    packet.time_base = Fraction(1, fps * TICKS)
                    packet.pts = (offset + number) * TICKS
                    packet.dts = (offset + order - delay) * TICKS
                    packet.duration = TICKS
                    out.mux(packet)
                digests.append(total.hexdigest())
                offset += clip.length
    except FFmpegError as error:
        raise DataError(f"{target}: clips cannot be joined ({error}); is the disk full?") from error
    finally:
        if opened is not None:
            opened.close()
    return digests
