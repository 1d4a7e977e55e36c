"""Cameras behind the interface: files with true stamps, GoPro telemetry, RealSense by its own SDK, refusals."""

import re
import struct
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from footage import HEIGHT, WIDTH, barcode, camera, footage, numbers_in

from wbvla.collect.cameras import realsense
from wbvla.collect.cameras.catalogue import fitted, open_camera
from wbvla.collect.cameras.device import ACCEL, GYRO, Camera, CameraConfig
from wbvla.collect.cameras.gopro import in_axes, motion_of, read_motion
from wbvla.collect.cameras.recorded import DROP, Trouble
from wbvla.collect.filming import FilmConfig, Filming, cut_file
from wbvla.collect.prompts import Consent
from wbvla.core.errors import CameraError, ConfigError, UnknownName
from wbvla.data.check import check
from wbvla.data.features import IMAGE
from wbvla.data.reader import Dataset

CONSENT = Consent(given_by="A. Name", at="2026-01-01T00:00:00+00:00")


def record_of(key: bytes, kind: bytes, size: int, payload: bytes) -> bytes:
    """One GPMF record."""
    return struct.pack(">4scBH", key, kind, size, len(payload) // size) + payload + b"\0" * (-len(payload) % 4)


def telemetry(level: int, count: int = 20) -> bytes:
    """A packet with `count` samples of accelerometer and gyroscope."""
    accel = np.tile(np.array([100, 200, level], ">i2"), (count, 1)).tobytes()
    gyro = np.tile(np.array([1, 2, 3], ">i4"), (count, 1)).tobytes()
    streams = [
        record_of(b"SCAL", b"s", 2, struct.pack(">h", 10)) + record_of(b"ORIN", b"c", 1, b"ZXy")
        + record_of(b"ACCL", b"s", 6, accel),
        record_of(b"SCAL", b"s", 2, struct.pack(">h", 2)) + record_of(b"GYRO", b"l", 12, gyro),
        record_of(b"TMPC", b"f", 4, struct.pack(">f", 30.0)),
    ]  # fmt: skip
    return record_of(b"DEVC", b"\0", 1, b"".join(record_of(b"STRM", b"\0", 1, s) for s in streams))


def film(path: Path, count: int, lacking: tuple[int, ...] = (), gopro: bool = False) -> Path:
    """An mp4 of numbered frames at 30 Hz, some of them not there; with telemetry once a second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"crf": "16"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, 30)
        data = container.add_data_stream("bin_data") if gopro else None
        for number in range(count):
            if data is not None and number % 30 == 0:
                data.time_base = Fraction(1, 1000)
                packet = av.Packet(telemetry(number))
                packet.stream, packet.time_base = data, data.time_base
                packet.pts = packet.dts = number // 30 * 1000
                packet.duration = 1000
                container.mux(packet)
            if number not in lacking:
                frame = av.VideoFrame.from_ndarray(barcode(number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def test_recorded_footage_comes_by_the_clock(tmp_path: Path) -> None:
    folder = footage(tmp_path / "f", 40, (Trouble(kind=DROP, at=5, frames=2),), depth=True)
    device = open_camera(camera(folder, depth=True, motion=True))
    assert isinstance(device, Camera)
    shots = [shot for _ in range(12) if (shot := device.read(5.0)) is not None]
    device.close()
    assert [s.sequence for s in shots] == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13]
    assert [numbers_in(s.rgb[None])[0] for s in shots] == [s.sequence for s in shots]
    times = np.array([[s.device_s, s.host_s] for s in shots])
    np.testing.assert_allclose(times[:, 0], [s.sequence / 30 for s in shots])
    assert (times[:, 1] - times[:, 0] >= (times[:, 1] - times[:, 0]).min()).all()
    samples = np.concatenate([s.motion for s in shots])
    np.testing.assert_allclose(np.diff(samples[samples[:, 0] == GYRO, 1]), 1 / 200, atol=1e-9)


def test_a_file_is_cut_without_loss(tmp_path: Path) -> None:
    """Back to back clips, every frame in one of them; what the file lacks is counted."""
    path = film(tmp_path / "a.mp4", 125, lacking=(50, 51))
    config = fitted(CameraConfig(source="video", path=path, live=False))
    assert (config.width, config.height, config.fps) == (WIDTH, HEIGHT, 30)
    with Filming(tmp_path / "d", FilmConfig(camera=config, seconds=1.0, language=False), CONSENT) as filming:
        assert cut_file(filming, "advance") == 4
        assert filming.tallies.clips["advance"] == 4
        assert filming.recorder.outcome.dropped["device"] == 2
        assert filming.recorder.outcome.dropped["no_room"] == 0
    data = Dataset(tmp_path / "d")
    shown = [numbers_in(data.frames(IMAGE + "head", e, range(data.episodes[e].length))) for e in range(4)]
    assert [len(s) for s in shown] == [30, 30, 30, 30]
    assert [n for s in shown for n in s] == [n for n in range(122) if n not in (50, 51)]
    assert check(tmp_path / "d", deep=True) == []


def test_telemetry_of_a_gopro(tmp_path: Path) -> None:
    path = film(tmp_path / "g.mp4", 90, gopro=True)
    samples = read_motion(path)
    accel = samples[samples[:, 0] == ACCEL]
    np.testing.assert_allclose(accel[0, 2:], [20.0, 0.0, 10.0])  # Z, X, -Y of 100, 200, 0 by 10
    np.testing.assert_allclose(accel[25, 2:], [20.0, -3.0, 10.0])
    np.testing.assert_allclose(np.diff(accel[:20, 1]), 0.05)
    np.testing.assert_allclose(samples[samples[:, 0] == GYRO][0, 2:], [1.0, 1.5, 0.5])  # Z, X, Y where it is not said
    device = open_camera(fitted(CameraConfig(source="gopro-file", path=path, motion=True, live=False)))
    shots = [device.read(1.0) for _ in range(90)]
    got = np.concatenate([s.motion for s in shots if s is not None])
    assert len(got) == (samples[:, 1] <= 89 / 30).sum()
    assert device.facts.motion_hz["accel"] == pytest.approx(20.0, rel=0.05)
    with pytest.raises(EOFError):
        device.read(1.0)
    device.close()
    with pytest.raises(CameraError, match="torn"):
        motion_of(telemetry(0)[:-10])
    with pytest.raises(CameraError, match="axes"):
        in_axes(np.zeros((1, 3)), "ZXX")
    with pytest.raises(CameraError, match="no GoPro telemetry"):
        read_motion(film(tmp_path / "v.mp4", 3))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    cases = {
        "no webcam at": CameraConfig(source="webcam", path=tmp_path / "video9"),
        "is no file": CameraConfig(source="video", path=tmp_path / "a.mp4"),
        "is it a video": CameraConfig(source="video", path=tmp_path / "no.mp4"),
        "gives no depth": CameraConfig(source="webcam", depth=True),
        "no accelerometer": CameraConfig(source="video", motion=True),
    }
    for words, config in cases.items():
        with pytest.raises(CameraError, match=words):
            open_camera(config)
    with pytest.raises(UnknownName, match="realsense"):
        open_camera(CameraConfig(source="kinect"))
    with pytest.raises(ConfigError, match="even"):
        CameraConfig(width=641)


def test_without_the_sdk_or_a_realsense_it_says_what_to_do() -> None:
    words = "no RealSense is"
    try:
        realsense.load_sdk()
    except CameraError as error:
        words = re.escape(str(error))
    with pytest.raises(CameraError, match=words):
        open_camera(CameraConfig(source="realsense"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ModuleNotFoundError(\"No module named 'pyrealsense2'\")", "pip install pyrealsense2"),
        ("ImportError('libusb-1.0.so.0: cannot open shared object file')", "apt-get install libusb-1.0-0.*libusb-1"),
    ],
)
def test_an_sdk_that_does_not_import_is_answered_with_the_cure(
    error: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyrealsense2.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyrealsense2", raising=False)
    with pytest.raises(CameraError, match=words):
        realsense.load_sdk()


def software_device(sdk: ModuleType) -> tuple[Any, list[tuple]]:
    """The SDK's own device without hardware: sensors, and the profiles to send frames with."""
    device = sdk.software_device()
    device.register_info(sdk.camera_info.name, "software")
    device.register_info(sdk.camera_info.serial_number, "123")
    lens = sdk.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy = WIDTH, HEIGHT, 50, 51, WIDTH / 2, HEIGHT / 2
    lens.model, lens.coeffs = sdk.distortion.brown_conrady, [0.0] * 5
    profiles = []
    for uid, (kind, form, size) in enumerate(
        [(sdk.stream.depth, sdk.format.z16, 2), (sdk.stream.color, sdk.format.rgb8, 3)]
    ):
        stream = sdk.video_stream()
        stream.type, stream.index, stream.uid, stream.fps, stream.bpp, stream.fmt = kind, 0, uid, 30, size, form
        stream.width, stream.height, stream.intrinsics = WIDTH, HEIGHT, lens
        sensor = device.add_sensor(str(kind))
        if kind == sdk.stream.depth:
            sensor.add_read_only_option(sdk.option.depth_units, 0.002)
        profiles.append((sensor, sensor.add_video_stream(stream), size))
    moving = device.add_sensor("Motion")
    for uid, kind in enumerate((sdk.stream.accel, sdk.stream.gyro), start=2):
        stream = sdk.motion_stream()
        stream.type, stream.index, stream.uid, stream.fps = kind, 0, uid, 200
        stream.fmt = sdk.format.motion_xyz32f
        profiles.append((moving, moving.add_motion_stream(stream), 0))
    place = sdk.extrinsics()
    place.rotation, place.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
    profiles[0][1].register_extrinsics_to(profiles[1][1], place)
    device.create_matcher(sdk.matchers.default)
    return device, profiles


def test_a_realsense_by_its_own_sdk() -> None:
    """Colour, depth in millimetres, motion, numbers and clock, through pyrealsense2 on its software device."""
    sdk = pytest.importorskip("pyrealsense2", exc_type=ImportError)
    device, profiles = software_device(sdk)
    config = CameraConfig(width=WIDTH, height=HEIGHT, depth=True, motion=True)
    found = realsense.RealsenseCamera(sdk, device, config)

    def send() -> None:
        for number in range(12):
            for sensor, profile, _ in profiles[2:]:
                frame = sdk.software_motion_frame()
                frame.timestamp, frame.frame_number = number * 1e3 / 30, number
                frame.domain, frame.profile = sdk.timestamp_domain.hardware_clock, profile.as_motion_stream_profile()
                value = sdk.vector()
                value.x, value.y, value.z = 0.0, -9.81, 0.5
                frame.data = value
                sensor.on_motion_frame(frame)
            for sensor, profile, size in profiles[:2] if number != 7 else ():
                frame = sdk.software_video_frame()
                depth = np.full((HEIGHT, WIDTH), 500 + number, np.uint16)
                frame.pixels, frame.stride, frame.bpp = (depth if size == 2 else barcode(number)), WIDTH * size, size
                frame.timestamp, frame.frame_number = number * 1e3 / 30, number
                frame.domain, frame.profile = sdk.timestamp_domain.hardware_clock, profile.as_video_stream_profile()
                sensor.on_video_frame(frame)
            time.sleep(0.03)

    sender = threading.Thread(target=send)
    sender.start()
    shots = []
    while (shot := found.read(2.0)) is not None:
        shots.append(shot)
    sender.join()
    assert len(shots) > 5
    assert 7 not in [s.sequence for s in shots]
    for shot in shots:
        assert numbers_in(shot.rgb[None]) == [shot.sequence]
        assert shot.device_s == pytest.approx(shot.sequence / 30, abs=1e-3)
        assert shot.depth_mm is not None
        assert shot.depth_mm[20, 30] == 2 * (500 + shot.sequence)
    samples = np.concatenate([s.motion for s in shots])
    np.testing.assert_allclose(samples[samples[:, 0] == ACCEL][:, 2:], [[0.0, -9.81, 0.5]] * (len(samples) // 2), 1e-5)
    assert found.facts.device == "software 123"
    assert found.facts.intrinsics["fy"] == 51
    assert found.facts.motion_hz == {"accel": 200.0, "gyro": 200.0}
    found.close()
    with pytest.raises(CameraError, match="has no color"):
        realsense.RealsenseCamera(sdk, software_device(sdk)[0], CameraConfig(width=1280, height=720))
