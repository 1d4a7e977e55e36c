"""Pre-rendered footage played back by the clock as a camera would give it, with the troubles that cameras have.

A folder holds `frames.npy` (frame, height, width, 3) and, for depth, `depth.npy` in millimetres; they are repeated
without end unless `footage.json` says otherwise:

    {"repeat": true, "troubles": [{"kind": "drop", "at": 40, "frames": 3}, {"kind": "stall", "at": 90, "frames": 20},
                                  {"kind": "unplug", "at": 200, "frames": 60}]}

`drop`: the device loses frames and counts on. `stall`: the device stands still, then counts on with late stamps.
`unplug`: the device is gone for a while; opened again, it counts from 0. The troubles may be changed while it plays.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from wbvla.collect.cameras.device import ACCEL, GYRO, CameraConfig, CameraFacts, Motion, Shot, no_motion
from wbvla.core.errors import CameraError, ConfigError
from wbvla.core.files import replaced, write_json

DROP, STALL, UNPLUG = "drop", "stall", "unplug"
MOTION_HZ = 200.0
GRAVITY = (0.0, -9.81, 0.0)
"""what the accelerometer of a still camera shows, in its axes (y down) [m/s^2]"""
EPOCH = "epoch.json"
"""beside the footage while it plays: when the first device was opened, so that a reopened one finds its place"""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One thing that goes wrong while the footage plays."""

    kind: str
    """`drop`, `stall` or `unplug`"""
    at: int
    """number of the frame, counted from the first opening, at which it begins"""
    frames: int
    """frames' time that it takes"""

    def __post_init__(self) -> None:
        if self.kind not in (DROP, STALL, UNPLUG) or self.at < 0 or self.frames < 1:
            raise ConfigError(f"a trouble is {DROP}, {STALL} or {UNPLUG} at a frame for some frames, not {self}")


def write_footage(
    folder: Path,
    frames: UInt8[np.ndarray, "frame height width 3"],
    troubles: Sequence[Trouble] = (),
    depth_mm: UInt16[np.ndarray, "frame height width"] | None = None,
    repeat: bool = True,
) -> Path:
    """Write a folder that `RecordedCamera` plays; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("frames.npy", frames), ("depth.npy", depth_mm)):
        if array is not None:
            with replaced(folder / name) as aside, aside.open("wb") as handle:
                np.save(handle, array, allow_pickle=False)
    write_script(folder, troubles, repeat)
    return folder


def write_script(folder: Path, troubles: Sequence[Trouble], repeat: bool = True) -> None:
    """What goes wrong from now on; may be called while the footage plays."""
    write_json(folder / "footage.json", {"repeat": repeat, "troubles": [asdict(t) for t in troubles]})


class RecordedCamera:
    """Frame k is due at k / fps after the opening; what is read late is still stamped with the time it was due."""

    def __init__(self, config: CameraConfig) -> None:
        if config.path is None or not (config.path / "frames.npy").is_file():
            raise CameraError(f"{config.name}: no footage in {config.path}; name a folder with frames.npy as the path")
        self._config, self._folder = config, config.path
        self._frames = np.load(config.path / "frames.npy", mmap_mode="r", allow_pickle=False)
        self._depth = self._load_depth()
        size = (config.height, config.width, 3)
        if self._frames.shape[1:] != size or self._frames.dtype != np.uint8 or not len(self._frames):
            raise CameraError(f"{config.path} holds {self._frames.dtype} {self._frames.shape}, asked for {size}")
        self._script_ns = -1
        self._repeat, self._troubles = True, list[Trouble]()
        self._read_script()
        self._start_s, self._next = self._place()
        self._first, self._moved_s = self._next, self._start_s - 1.0 / config.fps

    @property
    def facts(self) -> CameraFacts:
        """What it says of itself."""
        size = {"model": "unknown", "width": self._config.width, "height": self._config.height}
        rates = {"accel": MOTION_HZ, "gyro": MOTION_HZ} if self._config.motion else {}
        return CameraFacts(device=f"recorded {self._folder.name}", intrinsics=size, clock="due time", motion_hz=rates)

    def read(self, timeout_s: float) -> Shot | None:
        """The next frame, when it is due."""
        self._read_script()
        number = self._after_troubles()
        if not self._repeat and number >= len(self._frames):
            raise EOFError(f"{self._folder} is over")
        ready_s = due_s = self._due(number)
        stalled = [t for t in self._troubles if t.kind == STALL and t.at <= number < t.at + t.frames]
        if stalled:
            ready_s = self._due(stalled[0].at + stalled[0].frames)
            number, due_s = stalled[0].at + stalled[0].frames, ready_s
        left = ready_s - time.monotonic()
        if left > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, left))
        self._next, row = number + 1, number % len(self._frames)
        return Shot(
            rgb=np.array(self._frames[row]),
            sequence=number - self._first,
            device_s=due_s - self._start_s,
            host_s=time.monotonic(),
            depth_mm=None if self._depth is None else np.array(self._depth[row]),
            motion=self._motion(due_s),
        )

    def close(self) -> None:
        """Nothing is held."""

    def _read_script(self) -> None:
        """Take in footage.json when it was changed."""
        path = self._folder / "footage.json"
        if (changed_ns := path.stat().st_mtime_ns) != self._script_ns:
            script, self._script_ns = json.loads(path.read_text()), changed_ns
            self._repeat, self._troubles = bool(script["repeat"]), [Trouble(**t) for t in script["troubles"]]

    def _load_depth(self) -> np.ndarray | None:
        if not self._config.depth:
            return None
        if not (self._folder / "depth.npy").is_file():
            raise CameraError(f"{self._folder} holds no depth.npy; record without depth, or give it")
        return np.load(self._folder / "depth.npy", mmap_mode="r", allow_pickle=False)

    def _place(self) -> tuple[float, int]:
        """Time of frame 0 and the next frame; a device that was unplugged goes on where the clock is."""
        epoch = self._folder / EPOCH
        if not any(t.kind == UNPLUG for t in self._troubles) or not epoch.is_file():
            start_s = time.monotonic()
            write_json(epoch, {"start_s": start_s})
            return start_s, 0
        start_s = float(json.loads(epoch.read_text())["start_s"])
        number = int(np.ceil((time.monotonic() - start_s) * self._config.fps))
        self._require_plugged(number)
        return start_s, number

    def _after_troubles(self) -> int:
        """The next frame that the device does not lose; raises CameraError while it is unplugged."""
        number = self._next
        for trouble in self._troubles:
            if trouble.kind == DROP and trouble.at <= number < trouble.at + trouble.frames:
                number = trouble.at + trouble.frames
        self._require_plugged(number)
        return number

    def _require_plugged(self, number: int) -> None:
        for trouble in self._troubles:
            if trouble.kind == UNPLUG and trouble.at <= number < trouble.at + trouble.frames:
                raise CameraError(f"{self._config.name} was unplugged")

    def _due(self, number: int) -> float:
        return self._start_s + number / self._config.fps

    def _motion(self, until_s: float) -> Motion:
        """Samples of a camera that is held still, since the frame before."""
        if not self._config.motion:
            return no_motion()
        first = int(np.floor((self._moved_s - self._start_s) * MOTION_HZ)) + 1
        last = int(np.floor((until_s - self._start_s) * MOTION_HZ))
        self._moved_s = until_s
        times = np.arange(first, last + 1) / MOTION_HZ
        rows = [[kind, t, *(GRAVITY if kind == ACCEL else (0.0, 0.0, 0.0))] for t in times for kind in (ACCEL, GYRO)]
        return np.array(rows) if rows else no_motion()
