"""What a camera is to the recorder: frames with stamps and numbers of their own, motion samples, intrinsics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, UInt8, UInt16

from wbvla.core.errors import ConfigError

MAX_MOTION = 64
"""motion samples that may come with one frame; a D435i gives some 20 between two frames"""
ACCEL, GYRO = 0, 1
"""kinds of motion samples, first column of `Shot.motion`"""
Motion = Float64[np.ndarray, "sample 5"]
"""rows of kind, time on the device's clock [s], x, y, z: `ACCEL` in [m/s^2], `GYRO` in [rad/s], camera's own axes"""


def no_motion() -> Motion:
    """No samples."""
    return np.zeros((0, 5))


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One frame as a camera delivered it; the arrays are the receiver's own."""

    rgb: UInt8[np.ndarray, "height width 3"]
    sequence: int
    """the device's frame number: a step of more than one says that frames were lost before they reached us"""
    device_s: float
    """capture time on the device's own clock [s]"""
    host_s: float
    """monotonic clock of this computer when the frame arrived [s]"""
    depth_mm: UInt16[np.ndarray, "height width"] | None = None
    """distance along the optical axis of the same pixels, 0 = nothing came back [mm]"""
    motion: Motion = field(default_factory=no_motion)
    """samples since the frame before"""


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """What an opened camera says of itself."""

    device: str
    """model and serial number, or the file"""
    intrinsics: Mapping[str, Any]
    """`model` (pinhole, or the device's own word), `width`, `height`, `fx`, `fy`, `cx`, `cy`, `distortion`; only the
    size where they are not known"""
    clock: str
    """what `Shot.device_s` counts"""
    motion_hz: Mapping[str, float] = field(default_factory=dict)
    """rates of `accel` and `gyro`, where the camera has them [Hz]"""


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """Which camera, and what is asked of it."""

    name: str = "head"
    """camera by name, as in the dataset"""
    source: str = "realsense"
    """`realsense`, `webcam`, `video`, `gopro-file` or `recorded`"""
    path: Path | None = None
    """video file, device node of a webcam (default /dev/video0), or folder of recorded footage"""
    serial: str = ""
    """serial number of a RealSense; empty: the only one there is"""
    width: int = 640
    """[px]"""
    height: int = 480
    """[px]"""
    fps: int = 30
    """frames per second that are asked of the device [Hz]"""
    depth: bool = False
    """depth maps too, seen from the colour camera"""
    motion: bool = False
    """accelerometer and gyroscope too"""
    live: bool = True
    """the source gives frames by the clock and loses what is not taken; else it waits (files only)"""
    blur_faces: bool = False
    """cover the faces that are found before a frame is stored"""

    def __post_init__(self) -> None:
        if self.blur_faces:
            from wbvla.collect.cameras.faces import detector_file

            detector_file()
        if not self.name or min(self.width, self.height, self.fps) < 1:
            raise ConfigError(f"a camera needs a name, a size and a rate, not {self}")
        if self.width % 2 or self.height % 2:
            raise ConfigError(f"{self.width}x{self.height}: video needs an even width and height")


@runtime_checkable
class Camera(Protocol):
    """An open camera. Only one thread reads it."""

    @property
    def facts(self) -> CameraFacts:
        """What it says of itself."""
        ...

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame; None when none came in time [s].

        Raises CameraError when the device is gone, EOFError when a file is over.
        """
        ...

    def close(self) -> None:
        """Stop streaming and free the device; may be repeated."""
        ...
