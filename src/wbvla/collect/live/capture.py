"""The process that holds one camera: reads it, drops what nobody has room for, opens it again when it was lost."""

import os
import signal
import time
from dataclasses import asdict
from multiprocessing.connection import Connection

import numpy as np
from jaxtyping import UInt8

from wbvla.collect.cameras.catalogue import FILES, open_camera
from wbvla.collect.cameras.device import Camera, CameraConfig, Shot
from wbvla.collect.live.ring import ENDED, FAILED, LOST, STREAMING, Feeder, FrameRing, Status
from wbvla.core.errors import CameraError, WbvlaError

READ_S = 0.2
"""longest wait for a frame before stop and stall are looked at [s]"""
REOPEN_S = 0.5
"""pause between attempts to open a camera that was lost [s]"""


def capture(ring: FrameRing, status: Status, notices: Connection, control: Connection) -> None:
    """Body of the process: runs until the main process says something or is gone, or a file is over.

    The first thing sent on `control` are the camera's facts, or `{"error": ...}`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config, feeder, told = ring.config, Feeder(ring, status, notices), False
    try:
        while not control.poll():
            try:
                camera = open_camera(config)
            except CameraError as error:
                status.say(str(error))
                if not told:
                    status.set("state", FAILED)
                    control.send({"error": str(error)})
                    return
                control.poll(REOPEN_S)
                continue
            try:
                _stream(camera, feeder, status, control, config)
                told = True
            finally:
                camera.close()
            if status.get("state") == ENDED:
                control.poll(None)  # the slots are still being read: stay until we are let go
                return
    except WbvlaError as error:
        status.say(str(error))
        status.set("state", FAILED)
        control.send({"error": str(error)})
    except (BrokenPipeError, EOFError, ConnectionResetError):
        os._exit(0)  # the others are gone: nobody is left to tell


def _stream(camera: Camera, feeder: Feeder, status: Status, control: Connection, config: CameraConfig) -> None:
    """Read one opened camera until it is lost, over, or no longer wanted."""
    feeder.opened()
    if status.get("losses") == 0:
        control.send(asdict(camera.facts))
    status.set("state", STREAMING)
    wait = None if config.live or config.source not in FILES else lambda: not control.poll()
    while not control.poll():
        try:
            shot = camera.read(READ_S)
        except EOFError:
            status.set("state", ENDED)
            return
        except CameraError as error:
            status.say(str(error))
            status.add("losses", 1)
            status.set("state", LOST)
            control.poll(REOPEN_S)
            return
        if shot is not None:
            require_fitting(shot, config)
            feeder.put(shot, wait)


def require_fitting(shot: Shot, config: CameraConfig) -> None:
    """Raises CameraError when a camera delivers another size or type than was asked."""
    size = (config.height, config.width)
    if shot.rgb.shape != (*size, 3) or shot.rgb.dtype != np.uint8:
        raise CameraError(f"{config.name} delivers {shot.rgb.dtype} {shot.rgb.shape}, asked for uint8 {(*size, 3)}")
    if config.depth and (shot.depth_mm is None or shot.depth_mm.shape != size):
        raise CameraError(f"{config.name} delivers no depth map of {size}")


def newest_picture(ring: FrameRing) -> UInt8[np.ndarray, "height width 3"] | None:
    """A copy of the newest frame, for a preview: it may be torn where it is written over just then. None: none yet."""
    stamps = [ring.header(slot).host_s for slot in range(ring.slots)]
    newest = int(np.argmax(stamps))
    return ring.rgb(newest).copy() if stamps[newest] > 0.0 else None


def stalled_s(status: Status) -> float:
    """How long ago the newest frame came [s]; 0 before the first."""
    last = status.get("last_us") * 1e-6
    return max(0.0, time.monotonic() - last) if last else 0.0
