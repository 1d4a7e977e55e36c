"""Collects demonstrations on a robot body: cameras, depth, joints, IMU, hand poses at a rate, off the control loop.

An `Observer` of the control loop: each tick costs one row of numbers in shared memory. Pictures come from cameras with
processes of their own, or from the body at absolute deadlines; encoding and writing happen elsewhere.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wbvla.collect.cameras.device import CameraConfig, Shot
from wbvla.collect.live.body_rows import row_of, row_width
from wbvla.collect.live.clip import ClipPlan
from wbvla.collect.live.recorder import FED, Facts, LiveConfig, LiveRecorder
from wbvla.core.errors import CameraError, ConfigError, DataError
from wbvla.core.interfaces import Body
from wbvla.core.records import Image, Tick
from wbvla.data.features import BODY_STAMP, Recording, contract_for, recorded_features
from wbvla.data.stamps import StampRules
from wbvla.data.writer import DatasetConfig
from wbvla.robots.description import RobotSpec


@dataclass(frozen=True, kw_only=True)
class CollectorConfig:
    """How demonstrations are collected."""

    fps: int = 10
    """rows per second, 10 and above [Hz]"""
    control_hz: float = 50.0
    """control ticks per second [Hz]"""
    cameras: tuple[CameraConfig, ...] = ()
    """cameras with processes of their own, the first sets the pace; none: the body's pictures are taken"""
    live: LiveConfig = field(default_factory=LiveConfig)
    """queues; not live for a body in lock-step, which then waits"""
    clock: str = "monotonic clock of the robot's computer"
    """what the stamps count"""
    stamps: StampRules = field(default_factory=lambda: StampRules(max_repeats=0.25, max_skew_s=0.2))
    """what capture times must keep; a control tick that came late may stand for two rows"""
    language: bool = False
    """keep phrasings as LeRobot 0.6 reads them too; releases before 0.6 do not open such a dataset"""

    def __post_init__(self) -> None:
        if self.fps < 10 or self.control_hz < self.fps:
            raise ConfigError(f"collecting needs fps of 10 and above and a control rate of at least that, not {self}")


class Deadlines:
    """An absolute grid of times: what is late is counted, what was skipped too, and the grid does not move."""

    def __init__(self, hz: float, slack_s: float) -> None:
        self._period_s, self._slack_s = 1.0 / hz, slack_s
        self._due_s: float | None = None
        self.late = self.missed = 0
        """deadlines kept more than half a period late, and not kept at all"""

    def is_due(self, now_s: float) -> bool:
        """Whether a deadline has come [s]; one that is less than `slack_s` ahead has."""
        if self._due_s is None:
            self._due_s = now_s
        behind_s = now_s - self._due_s
        if behind_s < -self._slack_s:
            return False
        skipped = max(0, int(np.floor(behind_s / self._period_s + 1e-9)))
        self.missed += skipped
        self.late += behind_s - skipped * self._period_s > 0.5 * self._period_s
        self._due_s += (1 + skipped) * self._period_s
        return True


class Collector:
    """`start`, `stop`, `mark`, `discard` from any thread; `observe` from the control thread. A context manager.

    A fault in the control thread's part is kept, raised by the next `stop` or `close`, and loses the recording.
    """

    def __init__(self, folder: Path, body: Body, spec: RobotSpec, config: CollectorConfig | None = None) -> None:
        self.config, self._body, self._spec = config or CollectorConfig(), body, spec
        self._lock = threading.RLock()
        self._fault: BaseException | None = None
        self._collecting, self._sequence = False, 0
        self._mark: bool | None = None
        self._deadlines = Deadlines(float(self.config.fps), 0.5 / self.config.control_hz)
        cameras = self.config.cameras or self._body_cameras(body.images())
        self._recording = self._contents(cameras)
        robot = (spec.name, row_width(spec))
        self.recorder = LiveRecorder(folder, cameras, self._dataset, self.config.live, robot)

    @property
    def is_collecting(self) -> bool:
        """Whether a recording is open."""
        return self._collecting

    def start(self, instruction: str, skill: str = "", notes: Mapping[str, Any] | None = None) -> None:
        """Begin a recording; raises DataError when one is open."""
        with self._lock:
            self._mark, self._fault = None, None
            plan = ClipPlan(task=instruction, skill=skill, notes=dict(notes or {}))
            self.recorder.begin(plan)
            self._deadlines = Deadlines(float(self.config.fps), 0.5 / self.config.control_hz)
            self._collecting = True

    def mark(self, success: bool | None) -> None:
        """Say whether the task was done; the last word before `stop` counts."""
        if not self._collecting:
            raise DataError("nothing is being collected; start first")
        self._mark = success

    def stop(self, truth: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """End the recording and wait until it is on disk; the news say whether it is, and what was dropped."""
        with self._lock:
            self._collecting = False
            self._raise_fault()
            grid = {"late": self._deadlines.late, "missed": self._deadlines.missed}
            return self.recorder.end(self._mark, notes={"deadlines": grid}, truth=truth)

    def discard(self) -> dict[str, Any]:
        """End the recording and forget it."""
        with self._lock:
            self._collecting = False
            return self.recorder.discard()

    def observe(self, tick: Tick) -> None:
        """Take in one control tick; never waits where the recording is live."""
        assert self.recorder.ticks is not None
        self.recorder.ticks.put(row_of(tick))
        if not (self._collecting and self.recorder.feeders) or self._fault is not None:
            return
        if self._deadlines.is_due(tick.state.time_s):
            try:
                self._feed(self._body.images())
            except (CameraError, ConfigError, OSError) as error:
                self._fault = error

    def close(self) -> None:
        """End every process; what is open is discarded. Raises a fault that nobody has heard of yet."""
        self._collecting = False
        self.recorder.close()
        self._raise_fault()

    def __enter__(self) -> "Collector":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collecting = False
        self.recorder.close()
        if kind is None:
            self._raise_fault()

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            if self.recorder.is_recording:
                self.recorder.discard()
            raise fault

    def _feed(self, images: Mapping[str, Image]) -> None:
        """The body's newest pictures, one of each camera."""
        lacking = [name for name in self.recorder.feeders if name not in images]
        if lacking:
            raise CameraError(f"the body gives no picture of {lacking}; it has {sorted(images)}")
        wait = None if self.config.live.live else (lambda: self._collecting)
        for name, feeder in self.recorder.feeders.items():
            image, camera = images[name], self.recorder.rings[name].config
            if image.rgb.shape[:2] != (camera.height, camera.width) or (camera.depth and image.depth_mm is None):
                raise CameraError(f"the body's {name} changed: {image.rgb.shape}, depth {image.depth_mm is not None}")
            shot = Shot(
                rgb=image.rgb,
                depth_mm=image.depth_mm,
                sequence=self._sequence,
                device_s=image.time_s,
                host_s=image.time_s,
            )
            feeder.put(shot, wait)
        self._sequence += 1

    def _body_cameras(self, images: Mapping[str, Image]) -> tuple[CameraConfig, ...]:
        if not images:
            raise CameraError("the body gives no pictures; name cameras in the collector's config")
        return tuple(
            CameraConfig(
                name=name,
                source=FED,
                width=image.rgb.shape[1],
                height=image.rgb.shape[0],
                fps=self.config.fps,
                depth=image.depth_mm is not None,
            )
            for name, image in images.items()
        )

    def _contents(self, cameras: Sequence[CameraConfig]) -> Recording:
        sizes = {(c.height, c.width) for c in cameras}
        if len(sizes) != 1:
            raise ConfigError(f"the cameras have sizes {sorted(sizes)}; one size is recorded")
        height, width = sizes.pop()
        return Recording(
            cameras=tuple(c.name for c in cameras),
            depths=tuple(c.name for c in cameras if c.depth),
            height=height,
            width=width,
            acceleration=self._body.read().accel_b is not None,
            language=self.config.language,
        )

    def _dataset(self, facts: Facts) -> DatasetConfig:
        """Columns and promises; real cameras bring their own intrinsics."""
        config, recording = self.config, self._recording
        rates = {BODY_STAMP: config.control_hz} | dict.fromkeys(recording.stamp_names[1:], float(config.fps))
        contract = contract_for(self._spec, recording, rates, config.clock)
        for name, said in facts.items():
            if said:
                contract["cameras"].setdefault(name, {}).update(said["intrinsics"])
        return DatasetConfig(
            fps=config.fps,
            robot=self._spec.name,
            features=recorded_features(recording, self._spec),
            contract={**contract, "recording": {"kind": "collected"}},
            stamps=config.stamps,
        )


def lockstep(config: CollectorConfig) -> CollectorConfig:
    """The same for a body whose time is simulated: nothing is dropped, the loop waits."""
    return replace(config, live=replace(config.live, live=False), clock="simulated time")
