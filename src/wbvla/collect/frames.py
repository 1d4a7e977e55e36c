"""Turns control ticks into the frames of a dataset: what was seen, measured and commanded, with true capture times."""

from collections.abc import Callable, Mapping
from typing import Any

from wbvla.core.errors import DataError
from wbvla.core.records import Tick
from wbvla.data.features import (
    ACTION,
    DEPTH_OF,
    EE_POSE,
    IMAGE,
    IMU,
    STAMPS,
    STATE,
    TARGET,
    Recording,
    action_of,
    ee_pose_of,
    imu_vector,
    stamps_of,
    state_vector,
)
from wbvla.robots.description import RobotSpec

Frame = Mapping[str, Any]


def frame_of(spec: RobotSpec, recording: Recording, opened: Tick, closed: Tick) -> Frame:
    """One frame, from the tick that took the observation and the last tick before the next observation.

    State, target and stamps are of the first. The action is what the robot was really told just before the next
    observation, behind the safety layer, so it is right for every source and every latency. Raises DataError when the
    observation lacks a camera, its depth or an acceleration that the recording has.
    """
    seen = opened.observation
    if seen is None:
        raise DataError("a frame begins with a tick that took an observation")
    lacking = [name for name in recording.cameras if name not in seen.images]
    lacking += [f"depth of {n}" for n in recording.depths if n in seen.images and seen.images[n].depth_mm is None]
    if recording.acceleration and seen.state.accel_b is None:
        lacking.append("linear acceleration")
    if lacking:
        raise DataError(f"the observation lacks {lacking}; it has {sorted(seen.images)}: record what the body has")
    frame: dict[str, Any] = {IMAGE + name: seen.images[name].rgb for name in recording.cameras}
    frame |= {IMAGE + name + DEPTH_OF: seen.images[name].depth_mm for name in recording.depths}
    frame |= {
        STATE: state_vector(seen.state),
        IMU: imu_vector(seen.state)[: 6 if recording.acceleration else 3],
        EE_POSE: ee_pose_of(spec, seen.state.q),
        TARGET: opened.target.q.astype("float32"),
        ACTION: action_of(closed),
    }
    return frame | ({STAMPS: stamps_of(seen, recording)} if recording.stamps else {})


class FrameCutter:
    """An `Observer`: hands over each frame's first and last tick, when the next observation comes or at `finish`."""

    def __init__(self, deliver: Callable[[Tick, Tick], None], stride: int = 0) -> None:
        """With `stride`, control ticks from one observation to the next, none later than that is a frame's last: where
        observations end, because the robot is stopped and sits down, its last frame does not reach into that."""
        self._deliver, self._stride = deliver, stride
        self._opened: Tick | None = None
        self._last: Tick | None = None

    def observe(self, tick: Tick) -> None:
        """Close the frame before when a new observation comes, then open the next."""
        if tick.observation is not None:
            self.finish()
            self._opened = tick
        if self._opened is None or not self._stride or tick.index - self._opened.index < self._stride:
            self._last = tick

    def finish(self) -> None:
        """Close the last frame."""
        if self._opened is not None and self._last is not None:
            self._deliver(self._opened, self._last)
        self._opened = None


class EpisodeRecorder:
    """An `Observer` that keeps an attempt's frames in memory until it is known whether they are wanted.

    `doing` is asked at each observation what the driver is doing, for the sub-task segments.
    """

    def __init__(self, spec: RobotSpec, recording: Recording, doing: Callable[[], str] = lambda: "") -> None:
        self.frames: list[Frame] = []
        self.doing: list[str] = []
        """per frame"""
        self._cutter = FrameCutter(lambda opened, closed: self.frames.append(frame_of(spec, recording, opened, closed)))
        self._ask = doing

    def observe(self, tick: Tick) -> None:
        """Take in one tick."""
        self._cutter.observe(tick)
        if tick.observation is not None:
            self.doing.append(self._ask())

    def finish(self) -> None:
        """Close the last frame."""
        self._cutter.finish()


def runs_of(doing: list[str]) -> list[tuple[int, int, str]]:
    """Where each thing is done without pause: first frame, frame after the last, what; nothing for empty words."""
    edges = [i for i in range(len(doing)) if i == 0 or doing[i] != doing[i - 1]]
    return [(a, b, doing[a]) for a, b in zip(edges, [*edges[1:], len(doing)]) if doing[a]]
