"""Intel RealSense D400 cameras by pyrealsense2: colour, depth seen from the colour camera, accelerometer, gyroscope.

The sensors are opened one by one: colour and depth go through the SDK's syncer, motion samples through a queue of
their own, so that each keeps its own stamps. Needs `pip install pyrealsense2`; imported when a camera is opened.
"""

import importlib
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from wbvla.collect.cameras.device import ACCEL, GYRO, MAX_MOTION, CameraConfig, CameraFacts, Motion, Shot, no_motion
from wbvla.core.errors import CameraError

INSTALL = "pyrealsense2 is not installed; run `pip install pyrealsense2` (wheels for Linux x86 and ARM, Windows)"
PLUG = "plug it into a USB 3 port and check that `rs-enumerate-devices` lists it (udev rules, cable)"
LOAD = "pyrealsense2 is installed and does not load; on Debian and Ubuntu run `sudo apt-get install libusb-1.0-0`"
NUM_WAITING = 16
"""frames that the SDK may hold for us"""


def load_sdk() -> ModuleType:
    """The module pyrealsense2; raises CameraError that says how to get it."""
    try:
        return importlib.import_module("pyrealsense2")
    except ModuleNotFoundError as error:
        raise CameraError(f"{INSTALL} ({error})") from error
    except ImportError as error:  # the wheel is there, a library of the system is not
        raise CameraError(f"{LOAD} ({error})") from error


def open_realsense(config: CameraConfig) -> "RealsenseCamera":
    """The camera with the config's serial number, or the only one; raises CameraError when there is none."""
    sdk = load_sdk()
    found = {d.get_info(sdk.camera_info.serial_number): d for d in sdk.context().query_devices()}
    if not found:
        raise CameraError(f"no RealSense is connected; {PLUG}")
    if config.serial and config.serial not in found:
        raise CameraError(f"no RealSense {config.serial} is connected, there is {', '.join(sorted(found))}")
    if not config.serial and len(found) > 1:
        raise CameraError(
            f"{len(found)} RealSense are connected; choose one with --serial {' or '.join(sorted(found))}"
        )
    return RealsenseCamera(sdk, found[config.serial or next(iter(found))], config)


class RealsenseCamera:
    """One device of the SDK, real or its software device."""

    def __init__(self, sdk: ModuleType, device: Any, config: CameraConfig) -> None:
        self._sdk, self._device, self._config = sdk, device, config
        self._syncer = sdk.syncer(NUM_WAITING)
        self._motion = sdk.frame_queue(4 * MAX_MOTION)
        self._align = sdk.align(sdk.stream.color) if config.depth else None
        self._open: list[Any] = []
        self._intrinsics: dict[str, Any] = {}
        self._motion_hz: dict[str, float] = {}
        self._scale_mm = 1.0
        self._domain = "unknown"
        try:
            self._start()
        except RuntimeError as error:  # what the SDK raises
            self.close()
            raise CameraError(f"{self._label()} does not start ({error}); {PLUG}") from error

    @property
    def facts(self) -> CameraFacts:
        """Model and serial number, intrinsics of the colour camera, clock."""
        return CameraFacts(
            device=self._label(), intrinsics=self._intrinsics, clock=self._domain, motion_hz=self._motion_hz
        )

    def read(self, timeout_s: float) -> Shot | None:
        """The next colour frame, with depth and the motion samples since the one before."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            try:
                came, frames = self._syncer.try_wait_for_frames(max(1, round(left_s * 1e3)))
                if came and (shot := self._shot(frames)) is not None:
                    return shot
            except RuntimeError as error:
                raise CameraError(f"{self._label()} fails ({error}); {PLUG}") from error
        self._require_connected()
        return None

    def close(self) -> None:
        """Stop and close every sensor; a device that was unplugged has none left to stop."""
        for sensor in self._open:
            for act in (sensor.stop, sensor.close):
                try:
                    act()
                except RuntimeError:
                    continue
        self._open.clear()

    def _label(self) -> str:
        info = self._sdk.camera_info
        known = [self._device.get_info(i) for i in (info.name, info.serial_number) if self._device.supports(i)]
        return " ".join(known) or "RealSense"

    def _start(self) -> None:
        kinds, config = self._sdk.stream, self._config
        wanted: list[tuple[Any, Any]] = [(kinds.color, self._sdk.format.rgb8)]
        wanted += [(kinds.depth, self._sdk.format.z16)] if config.depth else []
        motion = [(k, self._sdk.format.motion_xyz32f) for k in (kinds.accel, kinds.gyro)] if config.motion else []
        chosen: list[tuple[Any, list[Any]]] = []
        lacking = {kind for kind, _ in (*wanted, *motion)}
        for sensor in self._device.query_sensors():
            profiles = [p for kind, form in (*wanted, *motion) if (p := self._choose(sensor, kind, form)) is not None]
            profiles = [p for p in profiles if p.stream_type() in lacking]
            lacking -= {p.stream_type() for p in profiles}
            chosen += [(sensor, profiles)] if profiles else []
        if lacking:
            size = f"{config.width}x{config.height} at {config.fps} Hz"
            raise CameraError(
                f"{self._label()} has no {', '.join(sorted(k.name for k in lacking))} ({size}); ask for what it has"
            )
        for sensor, profiles in chosen:
            self._open_sensor(sensor, profiles)

    def _choose(self, sensor: Any, kind: Any, form: Any) -> Any:
        """The profile of a stream at the asked size and rate, of motion at its highest rate; None where it is not."""
        found = [p for p in sensor.get_stream_profiles() if p.stream_type() == kind and p.format() == form]
        if kind in (self._sdk.stream.accel, self._sdk.stream.gyro):
            return max(found, key=lambda p: p.fps(), default=None)
        size = (self._config.width, self._config.height)
        found = [p.as_video_stream_profile() for p in found if p.fps() == self._config.fps]
        return next((p for p in found if (p.width(), p.height()) == size), None)

    def _open_sensor(self, sensor: Any, profiles: Sequence[Any]) -> None:
        kinds = self._sdk.stream
        sensor.open(list(profiles))
        self._open.append(sensor)
        for profile in profiles:
            kind = profile.stream_type()
            if kind == kinds.color:
                self._intrinsics = intrinsics_of(profile.as_video_stream_profile().get_intrinsics())
            elif kind == kinds.depth:
                self._scale_mm = 1000.0 * float(sensor.get_option(self._sdk.option.depth_units))
            else:
                self._motion_hz[kind.name] = float(profile.fps())
        moves = profiles[0].stream_type() in (kinds.accel, kinds.gyro)
        sensor.start(self._motion if moves else self._syncer)

    def _shot(self, frames: Any) -> Shot | None:
        """A frameset as a shot; None where the syncer gave colour or depth alone: the gap in the numbers tells."""
        host_s = time.monotonic()
        if self._align is not None:
            if not (frames.get_color_frame() and frames.get_depth_frame()):
                return None
            frames = self._align.process(frames)
        colour = frames.get_color_frame()
        if not colour:
            return None
        self._domain = colour.get_frame_timestamp_domain().name
        return Shot(
            rgb=np.array(colour.get_data()),
            sequence=int(colour.get_frame_number()),
            device_s=colour.get_timestamp() * 1e-3,
            host_s=host_s,
            depth_mm=None if self._align is None else self._millimetres(frames.get_depth_frame()),
            motion=self._samples(),
        )

    def _millimetres(self, frame: Any) -> np.ndarray:
        raw = np.array(frame.get_data())
        if abs(self._scale_mm - 1.0) < 1e-6:
            return raw
        return np.clip(np.rint(raw * self._scale_mm), 0, np.iinfo(np.uint16).max).astype(np.uint16)

    def _samples(self) -> Motion:
        rows: list[list[float]] = []
        while self._config.motion and len(rows) < MAX_MOTION:
            frame = self._motion.poll_for_frame()
            if not frame:
                break
            kind = GYRO if frame.get_profile().stream_type() == self._sdk.stream.gyro else ACCEL
            data = frame.as_motion_frame().get_motion_data()
            rows.append([kind, frame.get_timestamp() * 1e-3, data.x, data.y, data.z])
        return np.array(rows) if rows else no_motion()

    def _require_connected(self) -> None:
        """Raises CameraError when the device has left the bus."""
        check = getattr(self._device, "is_connected", None)
        if check is not None and not check():
            raise CameraError(f"{self._label()} was unplugged; {PLUG}")


def intrinsics_of(found: Any) -> dict[str, Any]:
    """The SDK's intrinsics in our words; its distortion model goes by the SDK's name."""
    pixels = {"fx": found.fx, "fy": found.fy, "cx": found.ppx, "cy": found.ppy}
    model = {"model": "pinhole", "distortion_model": found.model.name, "distortion": list(found.coeffs)}
    return {**model, "width": found.width, "height": found.height, **pixels}
