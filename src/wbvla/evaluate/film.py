"""Films a run: what the head camera sees beside a third-person view, as one small mp4."""

import tempfile
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from wbvla.core.records import Tick
from wbvla.data.video import VideoCodec, VideoWriter

Frame = UInt8[np.ndarray, "height width 3"]
Scaled = UInt8[np.ndarray, "new_height new_width 3"]
CODEC = VideoCodec(crf=27, preset="veryfast", gop=20)


@runtime_checkable
class Camera(Protocol):
    """Someone who takes a third-person picture of the world as it is now."""

    def picture(self) -> Frame:
        """RGB, always of one size."""
        ...


def scaled(image: Frame, height: int) -> Scaled:
    """Nearest-neighbour copy of an image with the given height and the same shape (even width, as video needs)."""
    width = 2 * round(image.shape[1] * height / image.shape[0] / 2)
    rows = (np.arange(height) * image.shape[0] / height).astype(int)
    columns = (np.arange(width) * image.shape[1] / width).astype(int)
    return np.ascontiguousarray(image[rows][:, columns])


class Film:
    """An Observer that adds one frame per observation of the policy (10 per second).

    `view` takes the third-person picture; the head view is the very image that the policy was given.
    """

    def __init__(self, view: Camera, head_camera: str, fps: int = 10) -> None:
        self._view, self._head_camera, self._fps = view, head_camera, fps
        self._folder = tempfile.TemporaryDirectory(prefix="wbvla-film-")
        self._path = Path(self._folder.name) / "film.mp4"
        self._writer: VideoWriter | None = None

    def observe(self, tick: Tick) -> None:
        """Add a frame when the policy was shown one."""
        if tick.observation is None:
            return
        outside = self._view.picture()
        head = scaled(tick.observation.images[self._head_camera].rgb, outside.shape[0])
        frame = np.concatenate([head, outside], axis=1)
        if self._writer is None:
            self._writer = VideoWriter(self._path, frame.shape[0], frame.shape[1], self._fps, CODEC)
        self._writer.add(frame)

    def finish(self) -> bytes:
        """The mp4; empty when nothing was filmed."""
        if self._writer is None:
            return b""
        self._writer.close()
        self._writer = None
        return self._path.read_bytes()

    def close(self) -> None:
        """Remove what was written aside; may be repeated."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._folder.cleanup()
