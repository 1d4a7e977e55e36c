"""Where each frame of a video lies in its file: a packet index from an mp4's own tables, or from one demuxer pass."""

import os
import struct
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import Bool, Int64

from wbvla.core.errors import DataError

CONFIGURATION = {b"avc1": ("h264", b"avcC"), b"hvc1": ("hevc", b"hvcC"), b"hev1": ("hevc", b"hvcC")}
CONFIGURATION |= {b"av01": ("libdav1d", b"av1C")}
MAX_TABLES = 256 << 20
"""largest `moov` box that is read [bytes]"""
MAX_PACKETS = 1 << 24
"""most packets of one video: six days at 30 Hz"""
ENTRY_HEADER = 86
"""bytes of a sample entry of a video before its own boxes, its size and name included"""


class ByteRange:
    """A part of a file that is read by offset: a whole mp4, or a member of a tar archive where it lies."""

    def __init__(self, path: Path, start: int = 0, length: int | None = None) -> None:
        """Raises DataError when the file is missing or shorter than the range."""
        self.path, self.start = Path(path), start
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(f"video {path} is missing ({error}); run `wbvla data check`") from error
        self.close = weakref.finalize(self, os.close, self._file)
        whole = os.fstat(self._file).st_size
        self.length = whole - start if length is None else length
        if start < 0 or self.length < 0 or start + self.length > whole:
            self.close()
            raise DataError(f"{path} has {whole} bytes, not {self.length} from byte {start}; it was cut short")

    def read(self, position: int, size: int) -> bytes:
        """`size` bytes from `position` in the range; raises DataError outside it."""
        if not self.close.alive or position < 0 or size < 0 or position + size > self.length:
            raise DataError(f"video {self.path} ends before byte {position + size}; run `wbvla data check`")
        data = os.pread(self._file, size, self.start + position)
        if len(data) != size:
            raise DataError(f"video {self.path} was cut short while it was read")
        return data


class RangeFile:
    """A `ByteRange` as the file object that the demuxer asks for."""

    def __init__(self, source: ByteRange) -> None:
        self._source, self._at = source, 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the current place."""
        left = max(0, self._source.length - self._at)
        data = self._source.read(self._at, left if size < 0 else min(size, left)) if left else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new place, counted from the start of the range."""
        self._at = max(0, offset + {0: 0, 1: self._at, 2: self._source.length}[whence])
        return self._at

    def tell(self) -> int:
        return self._at


@dataclass(frozen=True)
class PacketIndex:
    """Packets of one video in decoding order. `position` is empty when they must come from a demuxer."""

    codec: str
    extradata: bytes
    height: int
    """[px]"""
    width: int
    """[px]"""
    time_base: Fraction
    """one tick of the stamps [s]"""
    position: Int64[np.ndarray, " located"]
    """first byte of each packet in the range"""
    size: Int64[np.ndarray, " packet"]
    """bytes of each packet"""
    stamp: Int64[np.ndarray, " packet"]
    """presentation stamp [ticks]"""
    decode_stamp: Int64[np.ndarray, " packet"]
    """decoding stamp [ticks]"""
    key: Bool[np.ndarray, " packet"]
    """decoding can start here"""
    shown: Bool[np.ndarray, " packet"]
    """false for packets that an edit list hides"""

    def __len__(self) -> int:
        return len(self.stamp)

    @property
    def num_bytes(self) -> int:
        """Memory of the tables [bytes]."""
        tables = (self.position, self.size, self.stamp, self.decode_stamp, self.key, self.shown)
        return sum(t.nbytes for t in tables)


def read_index(source: ByteRange) -> PacketIndex:
    """The packet index of a video file; raises DataError when it is none."""
    return index_of_mp4(source) or index_by_demuxer(source)


def index_of_mp4(source: ByteRange) -> PacketIndex | None:
    """From the tables of an mp4 whose frames are decoded in the order they are shown; None for any other file."""
    try:
        moov = _find_moov(source)
        if moov is None or _child(moov, b"mvex") is not None:
            return None
        for track in _children(moov, b"trak"):
            media = _need(track, b"mdia")
            if _need(media, b"hdlr")[8:12] == b"vide":
                return _index_of_track(source, moov, track, media)
    except (struct.error, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError, DataError):
        return None
    return None


def index_by_demuxer(source: ByteRange) -> PacketIndex:
    """From every packet of the file, read once; raises DataError when libavformat cannot open it."""
    try:
        container = av.open(RangeFile(source), "r", metadata_errors="replace")
    except (FFmpegError, ValueError, OSError) as error:
        raise DataError(f"video {source.path} cannot be opened ({error}); run `wbvla data check`") from error
    with container:
        if not container.streams.video:
            raise DataError(f"video {source.path} holds no video stream; run `wbvla data check`")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None or stream.time_base is None:
            raise DataError(f"video {source.path} has an unknown codec or no time base; run `wbvla data check`")
        rows: list[tuple[int, int, int, bool, bool]] = []
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None or len(rows) >= MAX_PACKETS:
                    raise DataError(f"video {source.path} holds a packet without time stamp, or too many")
                decode = packet.dts if packet.dts is not None else stamp
                rows.append((packet.size, stamp, decode, packet.is_keyframe, not packet.is_discard))
        except FFmpegError as error:
            raise DataError(f"video {source.path} breaks off after {len(rows)} packets ({error})") from error
        if not rows:
            raise DataError(f"video {source.path} holds no frame; run `wbvla data check`")
        size, stamp, decode, key, shown = (np.array(c) for c in zip(*rows))
        return PacketIndex(
            codec="",
            extradata=b"",
            height=context.height,
            width=context.width,
            time_base=stream.time_base,
            position=np.zeros(0, dtype=np.int64),
            size=size.astype(np.int64),
            stamp=stamp.astype(np.int64),
            decode_stamp=decode.astype(np.int64),
            key=key.astype(bool),
            shown=shown.astype(bool),
        )


def _find_moov(source: ByteRange) -> bytes | None:
    at = 0
    for _ in range(1000):
        if at + 8 > source.length:
            return None
        size, name = struct.unpack(">I4s", source.read(at, 8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", source.read(at + 8, 8))[0], 16
        elif size == 0:
            size = source.length - at
        if size < head:
            return None
        if name == b"moov":
            return source.read(at + head, size - head) if size <= MAX_TABLES else None
        at += size
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes in `data`; raises ValueError when one reaches over the end."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError("a box reaches over the end of its parent")
        yield name, data[at + 8 : at + size]
        at += size


def _children(data: bytes, name: bytes) -> Iterator[bytes]:
    return (content for n, content in _boxes(data) if n == name)


def _child(data: bytes, name: bytes) -> bytes | None:
    return next(_children(data, name), None)


def _need(data: bytes, name: bytes) -> bytes:
    found = _child(data, name)
    if found is None:
        raise KeyError(name)
    return found


def _table(data: bytes, columns: int, kind: str = ">u4", head: int = 4) -> Int64[np.ndarray, "row column"]:
    """Rows of a table box: `head` bytes, a count, then `columns` big-endian numbers a row."""
    (count,) = struct.unpack_from(">I", data, head)
    if count > MAX_PACKETS:
        raise ValueError("too many rows")
    return np.frombuffer(data, kind, count * columns, head + 4).astype(np.int64).reshape(count, columns)


def _index_of_track(source: ByteRange, moov: bytes, track: bytes, media: bytes) -> PacketIndex | None:
    table = _need(_need(media, b"minf"), b"stbl")
    entries = list(_boxes(_need(table, b"stsd")[8:]))
    if len(entries) != 1 or entries[0][0] not in CONFIGURATION:
        return None
    (name, entry), header = entries[0], ENTRY_HEADER - 8
    codec, box = CONFIGURATION[name]
    width, height = struct.unpack_from(">HH", entry, 24)
    extradata = _need(entry[header:], box)
    sizes = _sizes(_need(table, b"stsz"), source.length)
    times = _table(_need(table, b"stts"), 2)
    if int(times[:, 0].sum()) != len(sizes) or not len(sizes):
        return None
    durations = np.repeat(times[:, 1], times[:, 0])
    stamp = np.cumsum(durations) - durations
    shifts = _child(table, b"ctts")
    if shifts is not None:
        rows = _table(shifts, 2, ">i4")
        if int(rows[:, 0].sum()) != len(sizes) or len(np.unique(rows[:, 1])) > 1:
            return None  # frames are shown in another order than they are decoded
        stamp = stamp + rows[0, 1]
    mvhd = _need(moov, b"mvhd")
    movie_scale = struct.unpack_from(">I", mvhd, 20 if mvhd[0] else 12)[0]
    mdhd = _need(media, b"mdhd")
    scale = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0]
    if not _whole(track, int(stamp[0]), int(durations.sum()), Fraction(scale, movie_scale)):
        return None
    key = np.ones(len(sizes), dtype=bool)
    keys = _child(table, b"stss")
    if keys is not None:
        key = np.isin(np.arange(len(sizes)), _table(keys, 1)[:, 0] - 1)
    position = _positions(table, sizes)
    if not key[0] or int(position.min()) < 0 or int((position + sizes).max()) > source.length:
        return None
    shown = np.ones(len(sizes), dtype=bool)
    base = Fraction(1, scale)
    return PacketIndex(codec, extradata, height, width, base, position, sizes, stamp, stamp, key, shown)


def _sizes(data: bytes, length: int) -> Int64[np.ndarray, " packet"]:
    one, count = struct.unpack_from(">II", data, 4)
    if count > MAX_PACKETS:
        raise ValueError("too many packets")
    if one:
        if one * count > length:
            raise ValueError("packets are larger than the file")
        return np.full(count, one, dtype=np.int64)
    return np.frombuffer(data, ">u4", count, 12).astype(np.int64)


def _positions(table: bytes, sizes: Int64[np.ndarray, " packet"]) -> Int64[np.ndarray, " packet"]:
    """First byte of each packet, from the chunks they lie in."""
    long = _child(table, b"co64")
    offsets = _table(long, 1, ">u8") if long is not None else _table(_need(table, b"stco"), 1)
    runs = _table(_need(table, b"stsc"), 3)
    first = runs[:, 0] - 1
    lengths = np.diff(np.append(first, len(offsets)))
    if first[0] != 0 or (lengths < 0).any() or (runs[:, 1] > len(sizes)).any() or (runs[:, 2] != 1).any():
        raise ValueError("chunks do not cover the packets")
    per_chunk = np.repeat(runs[:, 1], lengths)
    chunk = np.repeat(np.arange(len(offsets)), per_chunk)
    if len(chunk) != len(sizes):
        raise ValueError("chunks do not cover the packets")
    before = np.cumsum(sizes) - sizes
    start = np.cumsum(per_chunk) - per_chunk
    return offsets[chunk, 0] + before - before[start[chunk]]


def _whole(track: bytes, first: int, duration: int, ticks: Fraction) -> bool:
    """Whether the edit list shows the whole track from its first frame; `ticks` per unit of the movie's clock."""
    edits = _child(track, b"edts")
    if edits is None:
        return True
    rows = _child(edits, b"elst")
    if rows is None:
        return True
    (count,) = struct.unpack_from(">I", rows, 4)
    layout = ">Qq4x" if rows[0] else ">Ii4x"
    step = struct.calcsize(layout)
    edit = [struct.unpack_from(layout, rows, 8 + i * step) for i in range(min(count, 8))]
    real = [e for e in edit if e[1] != -1]
    if len(real) != 1 or edit[-1][1] == -1 or count > 8:
        return False
    return real[0][1] == first and (real[0][0] == 0 or real[0][0] * ticks >= duration - ticks)
