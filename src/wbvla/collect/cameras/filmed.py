"""A video file as a camera: its frames with the file's own stamps, by the clock or as fast as they are taken."""

import time
from collections.abc import Iterator

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from wbvla.collect.cameras.device import CameraConfig, CameraFacts, Shot
from wbvla.core.errors import CameraError


def read_facts(config: CameraConfig) -> tuple[int, int, float]:
    """Width [px], height [px] as shown, and mean rate [Hz] of a file; raises CameraError when it is no video."""
    camera = FilmedCamera(config)
    try:
        return camera.shown_size[0], camera.shown_size[1], camera.rate
    finally:
        camera.close()


class FilmedCamera:
    """Plays one file. Frame numbers are by the file's stamps at its mean rate, so a frame that it lacks is a gap."""

    def __init__(self, config: CameraConfig) -> None:
        if config.path is None or not config.path.is_file():
            raise CameraError(f"{config.path} is no file; name a video with --path")
        self._config = config
        try:
            self._container = av.open(str(config.path))
        except FFmpegError as error:
            raise CameraError(f"{config.path} cannot be opened ({error}); is it a video?") from error
        if not self._container.streams.video:
            self._container.close()
            raise CameraError(f"{config.path} holds no video stream")
        self._stream = self._container.streams.video[0]
        self.rate = float(self._stream.average_rate or config.fps)
        self._stream.thread_count = 1
        self._frames: Iterator[VideoFrame] = iter(self._container.decode(self._stream))
        self._held: VideoFrame | None = None
        self._first: float | None = None
        self._start_s = 0.0

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as it is looked at [px]."""
        return int(self._stream.width), int(self._stream.height)

    @property
    def facts(self) -> CameraFacts:
        """What the file says."""
        size = {"model": "unknown", "width": self._config.width, "height": self._config.height}
        return CameraFacts(device=f"file {self._config.path and self._config.path.name}", intrinsics=size, clock="file")

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame, played by the clock where the config is live; raises EOFError at the end."""
        frame = self._held or self._decode()
        self._held = frame
        if frame.time is None:
            raise CameraError(f"{self._config.path} has frames without stamps; remux it first")
        if self._first is None:
            self._first, self._start_s = frame.time, time.monotonic()
        shown_s = frame.time - self._first
        if self._config.live:
            left = self._start_s + shown_s - time.monotonic()
            if left > timeout_s:
                time.sleep(timeout_s)
                return None
            time.sleep(max(0.0, left))
        self._held = None
        rgb = frame.to_ndarray(format="rgb24", width=self._config.width, height=self._config.height)
        host_s = time.monotonic() if self._config.live else self._start_s + shown_s
        return Shot(rgb=np.ascontiguousarray(rgb), sequence=round(shown_s * self.rate), device_s=shown_s, host_s=host_s)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decode(self) -> VideoFrame:
        try:
            return next(self._frames)
        except StopIteration:
            raise EOFError(f"{self._config.path} is over") from None
        except FFmpegError as error:
            raise CameraError(f"{self._config.path} cannot be decoded further ({error}); it is damaged") from error
