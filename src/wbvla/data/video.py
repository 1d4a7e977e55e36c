"""Video by integer frame number: a streaming encoder, and decoders that are kept open between requests."""

import multiprocessing
import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import Int64, UInt8

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.decoding import FRAMES_HELD, Cursor, Deliver, key_of_packets
from wbvla.data.packets import ByteRange, read_index

CODEC_NAMES = {"libx264": "h264", "libsvtav1": "av1", "libx265": "hevc"}

MIN_PARALLEL = 400_000
"""pixels asked for at once below which a second thread costs more than it saves (2 x 224x224: .50 ms -> .43 ms of
wall time for .67 ms of processor time; measured on two cores)"""
TUNING = {
    "libx264": {"tune": "fastdecode"},
    "libx265": {"tune": "fastdecode"},
    "libsvtav1": {"svtav1-params": "fast-decode=1"},
}
"""what makes an encoder write streams that decode fast (x264: CAVLC, no loop filter: 2.4 times as fast, 11 % larger)"""


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
    fast_decode: bool = True
    """prefer fast decoding to the smallest file"""

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
            "video.fast_decode": int(self.fast_decode),
            "has_audio": False,
            "is_depth_map": False,
        }


class VideoWriter:
    """Encodes frames as they come into one mp4; frame i has time stamp i / fps exactly."""

    def __init__(self, path: Path, height: int, width: int, fps: int, codec: VideoCodec) -> None:
        if codec.encoder == "libx265" and min(height, width) < 64:  # its look-ahead writes beyond smaller frames
            raise ConfigError(f"libx265 takes frames of 64 px and more, not {height}x{width}; use libx264")
        self._shape, self._rate, self._count = (height, width, 3), fps, 0
        self._container = av.open(str(path), "w", format="mp4")
        options = {"crf": str(codec.crf), "preset": codec.preset}
        if codec.encoder == "libx264":  # with its macroblock tree, one tiny clip in a hundred came out in other bytes
            options |= {"bf": "0", "x264-params": "mbtree=0"}
        if codec.fast_decode:
            options |= TUNING[codec.encoder]
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
    """One open video; frames by integer number, several decoders deep so that a window of two places moves on in both.

    Frame i is the one shown i / fps after the first; a file that runs at another rate is refused when it is read.
    """

    def __init__(self, source: Path | ByteRange, fps: int | None = None, max_cursors: int = 2) -> None:
        """`fps` None: the file's own mean rate [Hz]; frames of an uneven file are then the nearest in time."""
        self._source = source if isinstance(source, ByteRange) else ByteRange(source)
        self.path = self._source.path
        try:
            self._index = read_index(self._source)
            self._keys = key_of_packets(self._index)
            order = np.flatnonzero(self._index.shown)
            order = order[np.argsort(self._index.stamp[order], kind="stable")]
            if not len(order):
                raise DataError(f"video {self.path} shows no frame; run `wbvla data check`")
            self._place(order, fps)
        except DataError:
            self._source.close()
            raise
        self._cursors: list[Cursor] = []
        self._max_cursors = max_cursors

    @property
    def num_frames(self) -> int:
        """Frames that can be asked for."""
        return len(self._packets)

    @property
    def facts(self) -> tuple[int, int, float]:
        """Height [px], width [px] and mean rate [Hz] as the file says."""
        return self._index.height, self._index.width, self.rate

    @property
    def num_bytes(self) -> int:
        """Memory that the open file takes at most, estimated: tables, and decoders with their frames [bytes]."""
        frame = self._index.height * self._index.width * 3 // 2
        return self._index.num_bytes + 3 * self._packets.nbytes + self._max_cursors * FRAMES_HELD * frame

    def read(
        self, indices: Sequence[int], pool: ThreadPoolExecutor | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames by number, in the order asked; raises DataError when the file does not hold one of them.

        Each frame is decoded once. With `pool`, places far apart are decoded at the same time when they are large.
        """
        if self._mismatch:
            raise DataError(self._mismatch)
        out = np.empty((len(indices), self._index.height, self._index.width, 3), dtype=np.uint8)
        places: dict[int, list[int]] = {}
        for place, i in enumerate(indices):
            packet = int(self._packets[i]) if 0 <= i < len(self._packets) else -1
            if packet < 0:
                raise DataError(f"video {self.path} has no frame {i} ({self.num_frames}); run `wbvla data check`")
            places.setdefault(packet, []).append(place)
        by_stamp = {int(self._index.stamp[p]): where for p, where in places.items()}

        def deliver(stamp: int, rgb: np.ndarray) -> None:
            for place in by_stamp[stamp]:
                out[place] = rgb

        if len(places) * self._index.height * self._index.width < MIN_PARALLEL:
            pool = None
        jobs = self._share(self._runs(sorted(places, key=lambda p: int(self._index.stamp[p]))))
        others = [pool.submit(_work, c, runs, deliver) for c, runs in jobs[1:]] if pool else []
        for cursor, runs in jobs if not pool else jobs[:1]:
            _work(cursor, runs, deliver)
        for other in others:
            other.result()
        return out

    def close(self) -> None:
        """Release decoders and file."""
        for cursor in self._cursors:
            cursor.close()
        self._cursors.clear()
        self._source.close()

    def _place(self, order: Int64[np.ndarray, " frame"], fps: int | None) -> None:
        """Which packet shows each frame number; -1 where the file lacks it."""
        stamps = self._index.stamp[order]
        seconds = float((stamps[-1] - stamps[0]) * self._index.time_base)
        self.rate = (len(order) - 1) / seconds if seconds > 0 else float(fps or 0)
        self._mismatch = ""
        if fps is None:
            ticks = (stamps[-1] - stamps[0]) / max(1, len(order) - 1)
            grid = stamps[0] + np.arange(len(order)) * ticks
            after = np.clip(np.searchsorted(stamps, grid), 1, len(order) - 1) if len(order) > 1 else np.zeros(1, int)
            nearer = np.abs(stamps[after] - grid) < np.abs(stamps[np.maximum(after - 1, 0)] - grid)
            self._packets = order[np.where(nearer, after, np.maximum(after - 1, 0))]
            return
        frames = (stamps - stamps[0]) * float(self._index.time_base * fps)
        numbers = np.rint(frames).astype(np.int64)
        steps, true_steps = np.diff(numbers), np.diff(frames)
        uneven = np.abs(true_steps - np.rint(true_steps)) > 0.25
        wrong = len(steps) and (np.median(steps) != 1 or (steps < 1).any() or uneven.mean() > 0.1)
        if wrong or numbers[-1] > 2 * len(order) + 1000:
            self._mismatch = f"video {self.path} runs at {self.rate:g} Hz, not at the declared {fps} Hz"
            numbers = np.arange(len(order))
        self._packets = np.full(int(numbers[-1]) + 1, -1, dtype=np.int64)
        self._packets[numbers] = order

    def _runs(self, packets: list[int]) -> list[list[int]]:
        """Split packets, in the order they are shown, where a seek is cheaper than decoding on."""
        runs: list[list[int]] = []
        for packet in packets:
            if (runs and self._keys[packet] <= runs[-1][-1]) or (runs and self._keys[packet] == runs[-1][-1] + 1):
                runs[-1].append(packet)
            else:
                runs.append([packet])
        return runs

    def _share(self, runs: list[list[int]]) -> list[tuple[Cursor, list[list[int]]]]:
        """Give each run to the decoder that reaches it first; new decoders are opened up to the bound."""
        while len(self._cursors) < min(len(runs), self._max_cursors):
            self._cursors.append(Cursor(self._source, self._index, self._keys))
        jobs: list[tuple[Cursor, list[list[int]]]] = [(c, []) for c in self._cursors]
        free = list(range(len(jobs)))
        for run in runs:
            chosen = min(free, key=lambda i: jobs[i][0].cost(run[0]))
            jobs[chosen][1].append(run)
            free.remove(chosen)
            free = free or list(range(len(jobs)))
        used = [job for job in jobs if job[1]]
        for cursor, _ in used:  # least recently used first
            self._cursors.remove(cursor)
            self._cursors.append(cursor)
        return used


def _work(cursor: Cursor, runs: list[list[int]], deliver: Deliver) -> None:
    for run in runs:
        cursor.read(run, deliver)


class VideoCache:
    """A bounded set of open videos, least recently used closed first; each process has its own."""

    def __init__(self, fps: int | None, capacity: int = 16, max_bytes: int = 256 << 20, threads: int = 0) -> None:
        """`fps` as for `VideoReader`; `capacity` in files, `max_bytes` of tables and decoders; `threads` 0: automatic,
        see `decoding_threads`.
        """
        self._settings = (fps, capacity, max_bytes, threads)
        self._open: OrderedDict[tuple[Path, int, int | None], VideoReader] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._process, self._threads = os.getpid(), threads
        """threads 0: not yet decided"""

    def get(self, path: Path, start: int = 0, size: int | None = None) -> VideoReader:
        """The open reader of a file, or of `size` bytes of it from `start`; opened if need be."""
        fps, capacity, max_bytes, _ = self._settings
        self._after_fork()
        key = (path, start, size)
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        reader = self._open[key] = VideoReader(ByteRange(path, start, size), fps)
        taken = sum(r.num_bytes for r in self._open.values())
        while len(self._open) > 1 and (len(self._open) > capacity or taken > max_bytes):
            _, oldest = self._open.popitem(last=False)
            taken -= oldest.num_bytes
            oldest.close()
        return reader

    def read(
        self, path: Path, indices: Sequence[int], start: int = 0, size: int | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames of a file by number; see `VideoReader.read` and `get`."""
        reader = self.get(path, start, size)
        self._threads = self._threads or decoding_threads()
        if self._pool is None and len(indices) > 1 and self._threads > 1:
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="decode")
        return reader.read(indices, self._pool)

    def close(self) -> None:
        """Close every open file."""
        self._after_fork()
        for reader in self._open.values():
            reader.close()
        self._open.clear()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _after_fork(self) -> None:
        if self._process != os.getpid():  # decoders and threads do not survive a fork
            self._open, self._pool, self._process = OrderedDict(), None, os.getpid()
            self._threads = self._settings[3]

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["settings"])


def decoding_threads() -> int:
    """Two where a second core is free, one in a worker process: there the other workers use the cores."""
    return 1 if multiprocessing.parent_process() is not None else min(2, len(os.sched_getaffinity(0)))
