"""One decoder that moves through a video: on from where it stands, or back to a key frame, whichever costs less."""

from collections.abc import Callable, Iterator

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext
from av.container.input import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import Int64, UInt8

from wbvla.core.errors import DataError
from wbvla.data.packets import ByteRange, PacketIndex, RangeFile

MAX_PIXELS = 1 << 26
"""a stream that declares larger frames is refused before memory is taken for them"""
FRAMES_HELD = 6
"""frames a decoder keeps for reference and reordering; an estimate for memory bounds"""

Deliver = Callable[[int, UInt8[np.ndarray, "height width 3"]], None]
"""called with the stamp of a frame and its picture"""


def key_of_packets(index: PacketIndex) -> Int64[np.ndarray, " packet"]:
    """For each packet, the one to start decoding at so that its frame comes out, open groups included."""
    numbers = np.arange(len(index))
    key = np.maximum.accumulate(np.where(index.key, numbers, 0))
    late = np.flatnonzero(index.stamp[key] > index.stamp)
    while len(late):  # a frame shown before its key frame needs the group before
        key[late] = np.where(key[late] > 0, key[np.maximum(key[late] - 1, 0)], 0)
        late = late[(index.stamp[key[late]] > index.stamp[late]) & (key[late] > 0)]
    return key


class Cursor:
    """A decoder and its place in the packets of one video; frames come out as RGB."""

    def __init__(self, source: ByteRange, index: PacketIndex, keys: Int64[np.ndarray, " packet"]) -> None:
        self._source, self._index, self._keys = source, index, keys
        self._reformatter = VideoReformatter()
        self._next, self._last = -1, 0
        self._packets: Iterator[Packet] | None = None
        try:
            self._container, self._context = self._open()
        except (FFmpegError, UnknownCodecError, ValueError, OSError) as error:
            raise DataError(f"video {source.path} has no decoder here ({error})") from error

    def cost(self, packet: int) -> int:
        """Packets to decode until the frame of `packet` is out."""
        return packet - self._next + 1 if self._goes_on(packet) else packet - int(self._keys[packet]) + 1

    def read(self, packets: list[int], deliver: Deliver) -> None:
        """Decode the frames of some packets, given in the order they are shown; raises DataError when one is lost."""
        stamps = self._index.stamp
        wanted = {int(stamps[p]) for p in packets}
        final = int(stamps[packets[-1]])
        try:
            self._go_to(packets[0])
            while wanted:
                for frame in self._step():
                    if frame.pts is None:
                        raise DataError(f"video {self._source.path} holds a frame without time stamp")
                    self._last = frame.pts
                    if frame.pts in wanted:
                        wanted.remove(frame.pts)
                        deliver(frame.pts, self._picture(frame))
                if wanted and (self._last > final or self._next < 0):
                    raise DataError(f"video {self._source.path}: {len(wanted)} frames do not decode")
        except (FFmpegError, ValueError, OSError, MemoryError) as error:
            raise DataError(f"video {self._source.path} cannot be decoded ({error}); run `wbvla data check`") from error
        finally:
            if wanted:
                self._next = -1

    def close(self) -> None:
        """Release the decoder."""
        self._next, self._packets = -1, None
        if self._container is not None:
            self._container.close()

    def _goes_on(self, packet: int) -> bool:
        """Whether the frame lies ahead with no key frame in between that would save work."""
        if self._next < 0 or self._index.stamp[packet] <= self._last:
            return False
        return int(self._keys[packet]) <= self._next

    def _go_to(self, packet: int) -> None:
        if not self._goes_on(packet):
            self._next = -1
            self._context.flush_buffers()
            self._next = int(self._keys[packet])
            self._last = int(self._index.stamp[self._next]) - 1
            self._packets = None if self._container is None else self._demuxed(self._next)

    def _step(self) -> list[VideoFrame]:
        """Send the next packet, or the end of the video; returns the frames that came out."""
        if self._next >= len(self._index):
            self._next = -1
            return self._context.decode(None)
        frames = self._context.decode(self._packet(self._next))
        self._next += 1
        return frames

    def _packet(self, number: int) -> Packet:
        if self._packets is not None:
            packet = next(self._packets, None)
            if packet is None:
                raise DataError(f"video {self._source.path} breaks off at packet {number}")
            if packet.pts is None:
                packet.pts = packet.dts
            return packet
        index = self._index
        packet = Packet(self._source.read(int(index.position[number]), int(index.size[number])))
        packet.pts, packet.dts = int(index.stamp[number]), int(index.decode_stamp[number])
        return packet

    def _demuxed(self, first: int) -> Iterator[Packet]:
        """Packets from `first` on, out of the demuxer."""
        assert self._container is not None
        stream = self._container.streams.video[0]
        stamp, target = int(self._index.decode_stamp[first]), int(self._index.decode_stamp[first])
        while True:
            self._container.seek(target, stream=stream, backward=True)
            found = False
            for packet in self._container.demux(stream):
                dts = packet.dts if packet.dts is not None else packet.pts
                if not packet.size or dts is None:
                    continue
                if not found and dts > stamp:
                    break
                found = found or dts == stamp
                if found:
                    yield packet
            if found:
                return
            if target <= int(self._index.decode_stamp[0]):
                raise DataError(f"video {self._source.path} does not give packet {first} again")
            target = max(int(self._index.decode_stamp[0]), target - max(1, stamp - target) * 2 - 1)

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        if rgb.shape != (self._index.height, self._index.width, 3):
            raise DataError(
                f"video {self._source.path} declares {self._index.height}x{self._index.width} frames "
                f"and holds one of {rgb.shape[0]}x{rgb.shape[1]}"
            )
        return rgb

    def _open(self) -> tuple[InputContainer | None, VideoCodecContext]:
        if len(self._index.position):
            context = CodecContext.create(self._index.codec, "r")
            assert isinstance(context, VideoCodecContext)
            context.extradata = self._index.extradata
            container = None
        else:
            container = av.open(RangeFile(self._source), "r", metadata_errors="replace")
            context = container.streams.video[0].codec_context
        context.thread_type, context.thread_count = "NONE", 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return container, context
