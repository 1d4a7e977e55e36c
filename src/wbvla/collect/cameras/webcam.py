"""A webcam by Video4Linux: frames with the kernel's capture times."""

import errno
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from wbvla.collect.cameras.device import CameraConfig, CameraFacts, Shot
from wbvla.core.errors import CameraError

DRIVER = "video4linux2,v4l2"


class Webcam:
    """One device node. It has no frame numbers: they are counted by its capture times, so a lost frame is a gap."""

    def __init__(self, config: CameraConfig) -> None:
        self._config, self._node = config, config.path or Path("/dev/video0")
        if DRIVER not in av.formats_available:
            raise CameraError("this PyAV was built without Video4Linux; webcams need Linux and its wheels")
        if not self._node.exists():
            there = ", ".join(str(p) for p in sorted(Path("/dev").glob("video*"))) or "none"
            raise CameraError(f"no webcam at {self._node} (there: {there}); plug it in, or name its node with --path")
        options = {"video_size": f"{config.width}x{config.height}", "framerate": str(config.fps), "timestamps": "abs"}
        try:
            self._container = av.open(str(self._node), format=DRIVER, options=options, timeout=(10.0, 2.0))
        except (FFmpegError, OSError) as error:
            raise CameraError(
                f"{self._node} cannot be opened at {config.width}x{config.height}, {config.fps} Hz ({error}); does it "
                "have that mode (`v4l2-ctl --list-formats-ext`), may you read it (group video), does another use it?"
            ) from error
        self._stream = self._container.streams.video[0]
        size = (self._stream.width, self._stream.height)
        if size != (config.width, config.height):
            self._container.close()
            raise CameraError(f"{self._node} gives {size[0]}x{size[1]}, not {config.width}x{config.height}")
        self._frames: Iterator[VideoFrame] = iter(self._container.decode(self._stream))
        self._before_s, self._sequence = 0.0, -1

    @property
    def facts(self) -> CameraFacts:
        """What it says of itself; a webcam knows no intrinsics."""
        size = {"model": "unknown", "width": self._config.width, "height": self._config.height}
        return CameraFacts(device=f"webcam {self._node}", intrinsics=size, clock="kernel's capture time")

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame; the driver's own limit of 2 s stands for `timeout_s`."""
        try:
            frame = next(self._frames)
        except StopIteration:
            raise CameraError(f"{self._node} ended; it was unplugged") from None
        except (FFmpegError, OSError) as error:
            if error.errno in (errno.EAGAIN, errno.ETIMEDOUT):
                return None
            raise CameraError(f"{self._node} is gone ({error}); plug it in again") from error
        host_s = time.monotonic()
        device_s = host_s if frame.time is None else float(frame.time)
        steps = 1 if self._sequence < 0 else max(1, round((device_s - self._before_s) * self._config.fps))
        self._sequence, self._before_s = self._sequence + steps, device_s
        rgb = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
        return Shot(rgb=rgb, sequence=self._sequence, device_s=device_s, host_s=host_s)

    def close(self) -> None:
        """Free the device."""
        self._container.close()
