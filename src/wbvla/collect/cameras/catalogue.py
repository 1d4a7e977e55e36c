"""Cameras by name of their source, and what is asked of a file before it is opened for recording."""

from collections.abc import Callable
from dataclasses import replace

from wbvla.collect.cameras.device import Camera, CameraConfig
from wbvla.core.errors import CameraError, UnknownName

FILES = ("video", "gopro-file")
"""sources that wait for whoever reads them, unless asked to play by the clock"""
MAX_WIDTH = 640
"""files wider than this are drawn smaller, in their own shape [px]"""


def _realsense(config: CameraConfig) -> Camera:
    from wbvla.collect.cameras.realsense import open_realsense

    return open_realsense(config)


def _webcam(config: CameraConfig) -> Camera:
    from wbvla.collect.cameras.webcam import Webcam

    return Webcam(config)


def _video(config: CameraConfig) -> Camera:
    from wbvla.collect.cameras.filmed import FilmedCamera

    return FilmedCamera(config)


def _gopro(config: CameraConfig) -> Camera:
    from wbvla.collect.cameras.gopro import GoproCamera

    return GoproCamera(config)


def _recorded(config: CameraConfig) -> Camera:
    from wbvla.collect.cameras.recorded import RecordedCamera

    return RecordedCamera(config)


SOURCES: dict[str, Callable[[CameraConfig], Camera]] = {
    "realsense": _realsense,
    "webcam": _webcam,
    "video": _video,
    "gopro-file": _gopro,
    "recorded": _recorded,
}


def open_camera(config: CameraConfig) -> Camera:
    """The camera that a config asks for, streaming; raises UnknownName or CameraError that says what to do."""
    if config.source not in SOURCES:
        raise UnknownName(f"unknown camera source {config.source!r}; known: {', '.join(SOURCES)}")
    if config.depth and config.source not in ("realsense", "recorded"):
        raise CameraError(f"a {config.source} gives no depth; record without it, or with a RealSense")
    if config.motion and config.source not in ("realsense", "gopro-file", "recorded"):
        raise CameraError(f"a {config.source} has no accelerometer or gyroscope; record without motion")
    return SOURCES[config.source](config)


def fitted(config: CameraConfig) -> CameraConfig:
    """The config with size and rate of the file, where the source is one; others as they are."""
    if config.source not in FILES:
        return config
    from wbvla.collect.cameras.filmed import read_facts

    width, height, rate = read_facts(config)
    share = min(1.0, MAX_WIDTH / width)
    even = [max(2, 2 * round(0.5 * share * n)) for n in (width, height)]
    return replace(config, width=even[0], height=even[1], fps=max(1, round(rate)))
