"""Records what a policy does into the same format as demonstrations, without ever holding up the control loop.

The loop's thread hands over two ticks per frame; a thread of its own computes, encodes and commits. In real time a
full queue loses the episode, and says so, rather than delay a tick or leave a gap in the middle.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wbvla.collect.frames import FrameCutter, frame_of
from wbvla.core.errors import ConfigError, DataError, WbvlaError
from wbvla.core.records import Tick
from wbvla.data.episode import EpisodeWriter
from wbvla.data.features import BODY_STAMP, IMAGE, Recording, contract_for, recorded_features
from wbvla.data.stamps import StampRules
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.description import RobotSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How rollouts are recorded."""

    fps: int = 10
    """observations per second [Hz]"""
    control_hz: float = 50.0
    """control ticks per second [Hz]"""
    realtime: bool = False
    """never wait for the disk: an episode for which the queue gets full is lost; else the loop waits"""
    max_waiting: int = 100
    """frames that may wait to be encoded"""
    stamps: StampRules = field(default_factory=lambda: StampRules(max_repeats=0.25, max_skew_s=0.2))
    """capture times: a camera that runs freely beside the loop may show a picture twice"""

    def __post_init__(self) -> None:
        if self.fps < 1 or self.control_hz < self.fps or self.max_waiting < 1:
            raise ConfigError(f"rollouts need fps >= 1, control_hz >= fps and a queue, not {self}")


@dataclass
class Recorded:
    """What came of the episodes so far."""

    committed: int = 0
    refused: list[str] = field(default_factory=list)
    """why an episode is not in the dataset"""


class RolloutRecorder:
    """An `Observer` between `begin` and `end` of each episode; a context manager that waits for the disk at its end.

    The dataset is created with the first frame, when the cameras and their size are known; one that exists is
    continued, and refused when its features differ.
    """

    def __init__(
        self, folder: Path, spec: RobotSpec, config: RolloutConfig | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """`facts` enter the notes of every episode."""
        self.config, self.recorded, self._facts = config or RolloutConfig(), Recorded(), dict(facts or {})
        self._folder, self._spec = Path(folder), spec
        self._room = threading.Semaphore(self.config.max_waiting)
        self._pool = ThreadPoolExecutor(1, "wbvla-rollouts")
        self._desk = _Desk(self._folder, spec, self.config, self.recorded)
        self._cutter: FrameCutter | None = None
        self._lost = 0
        self._bug: BaseException | None = None
        self._closed = False

    def begin(self, instruction: str, **notes: Any) -> None:
        """Start an episode; notes (which policy, which controller, who instructed) are kept with it as JSON."""
        if self._cutter is not None:
            raise DataError("an episode is being recorded; `end` it first")
        self._lost = 0
        self._put(lambda: self._desk.begin(instruction, self._facts | notes), wait=True)
        self._cutter = FrameCutter(self._deliver, round(self.config.control_hz / self.config.fps))

    def observe(self, tick: Tick) -> None:
        """Take in one tick; outside an episode it is ignored."""
        if self._cutter is not None:
            self._cutter.observe(tick)

    def end(self, success: bool | None, **truth: np.ndarray) -> None:
        """Commit the episode, in the other thread; `truth` is kept beside the dataset. Without a begin: nothing."""
        if self._cutter is None:
            return
        self._cutter.finish()
        self._cutter, lost = None, self._lost
        self._put(lambda: self._desk.end(success, truth, lost), wait=True)

    def close(self) -> None:
        """Wait until everything is on disk; an episode that was not ended is discarded. May be repeated."""
        self._cutter = None
        if not self._closed:
            self._closed = True
            self._pool.submit(self._desk.close).add_done_callback(self._note)
            self._pool.shutdown(wait=True)
        if self._bug is not None:
            bug, self._bug = self._bug, None
            raise bug

    def __enter__(self) -> "RolloutRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _deliver(self, opened: Tick, closed: Tick) -> None:
        if not self._lost:
            self._put(lambda: self._desk.add(opened, closed), wait=not self.config.realtime)
        else:
            self._lost += 1

    def _put(self, work: Callable[[], None], wait: bool) -> None:
        if self._room.acquire(blocking=wait):
            future = self._pool.submit(work)
            future.add_done_callback(self._note)
            future.add_done_callback(lambda _: self._room.release())
        else:
            self._lost += 1

    def _note(self, future: Future[None]) -> None:
        """Keep the first error that was not foreseen; `close` raises it."""
        self._bug = self._bug or future.exception()


class _Desk:
    """The recorder's half behind the queue: one dataset, one episode at a time; a fault loses that episode only."""

    def __init__(self, folder: Path, spec: RobotSpec, config: RolloutConfig, recorded: Recorded) -> None:
        self._folder, self._spec, self._config, self._recorded = folder, spec, config, recorded
        self._writer: DatasetWriter | None = None
        self._recording: Recording | None = None
        self._episode: EpisodeWriter | None = None
        self._context = ExitStack()
        self._start: tuple[str, Mapping[str, Any]] = ("", {})
        self._fault = ""

    def begin(self, instruction: str, notes: Mapping[str, Any]) -> None:
        self._context.close()
        self._episode, self._fault, self._start = None, "", (instruction, notes)

    def add(self, opened: Tick, closed: Tick) -> None:
        if self._fault:
            return
        self._fault = "a frame could not be added"  # stands when an error that is not foreseen leaves here
        try:
            if self._episode is None:
                writer, self._recording = self._open(opened)
                instruction, notes = self._start
                self._episode = self._context.enter_context(writer.episode(instruction or "no instruction"))
                self._episode.note(**notes)
            assert self._recording is not None
            self._episode.add(frame_of(self._spec, self._recording, opened, closed))
            self._fault = ""
        except (WbvlaError, OSError) as error:
            self._fault = str(error)

    def end(self, success: bool | None, truth: Mapping[str, np.ndarray], lost: int) -> None:
        try:
            if lost:
                self._fault = f"{lost} frames came faster than they could be encoded; nothing of it is kept"
            elif self._episode is None and not self._fault:
                self._fault = "it has no frame"
            if self._episode is not None and not self._fault:
                self._episode.mark(success)
                self._episode.add_truth(**truth)
                self._episode.commit()
                self._recorded.committed += 1
        except (WbvlaError, OSError) as error:
            self._fault = str(error)
        if self._fault:
            self._recorded.refused.append(self._fault)
            log.warning("%s: an episode was not recorded: %s", self._folder, self._fault)
        self._context.close()
        self._episode = None

    def close(self) -> None:
        self._context.close()
        if self._writer is not None:
            self._writer.close()

    def _open(self, tick: Tick) -> tuple[DatasetWriter, Recording]:
        """The dataset for what this observation holds."""
        seen = tick.observation
        assert seen is not None
        heights = {image.rgb.shape[:2] for image in seen.images.values()}
        if len(heights) != 1:
            raise DataError(f"the observation has pictures of sizes {sorted(heights)}; one size is recorded")
        height, width = heights.pop()
        recording = Recording(
            cameras=tuple(seen.images),
            depths=tuple(name for name, image in seen.images.items() if image.depth_mm is not None),
            height=height,
            width=width,
            acceleration=seen.state.accel_b is not None,
            subtasks=False,
            language=False,
        )
        if self._writer is not None:
            missing = {IMAGE + name for name in recording.cameras} ^ set(self._writer.info.cameras)
            if missing:
                raise DataError(f"cameras {sorted(missing)} are in the dataset or the observation, not in both")
            return self._writer, recording
        fps = self._config.fps
        rates = {BODY_STAMP: self._config.control_hz} | dict.fromkeys(recording.stamp_names[1:], float(fps))
        clock = "monotonic clock of the robot's computer" if self._config.realtime else "simulated time"
        contract = contract_for(self._spec, recording, rates, clock)
        self._writer = DatasetWriter.resume(
            self._folder,
            DatasetConfig(
                fps=fps,
                robot=self._spec.name,
                features=recorded_features(recording, self._spec),
                contract={**contract, "recording": {"kind": "rollouts"}},
                stamps=self._config.stamps,
            ),
        )
        return self._writer, recording


@contextmanager
def record_live(
    folder: Path, spec: RobotSpec, control_hz: float, instruction: str, notes: Mapping[str, Any]
) -> Iterator[RolloutRecorder]:
    """One real-time run as one episode of unknown success, also when it is tripped or stopped."""
    with RolloutRecorder(folder, spec, RolloutConfig(control_hz=control_hz, realtime=True)) as recorder:
        recorder.begin(instruction, **notes)
        try:
            yield recorder
        finally:
            recorder.end(None)


def summary_of(recorder: RolloutRecorder, folder: Path | None) -> str:
    """What was recorded and what was not, in words."""
    recorded = recorder.recorded
    refused = f"; not recorded: {'; '.join(recorded.refused)}" if recorded.refused else ""
    return f"{recorded.committed} episodes recorded in {folder}{refused}"
