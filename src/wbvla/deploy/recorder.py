"""The flight recorder: the loop's last ten seconds in memory, written when the safety layer trips or on request."""

import io
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wbvla.core.files import unused, write_bytes, write_json
from wbvla.core.records import Observation, Tick
from wbvla.core.run import provenance
from wbvla.deploy.safety import TRIPS

SERIES = ("q", "dq", "torque", "gripper", "gyro_b", "gravity_b")
TARGETS = ("q", "kp", "kd", "gripper")


class FlightRecorder:
    """An Observer. `flight_NN.npz` holds arrays over ticks and the last pictures, `flight_NN.json` the story.

    NN is the first number that is free: a run never writes over what an earlier one left. As a context manager it also
    dumps when it is left by an error and has dumped nothing.

    Writing happens in its own thread, so that a dump never delays the tick that sits the robot down.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], control_hz: float = 50.0, seconds: float = 10.0) -> None:
        self._folder, self._facts = Path(folder), dict(facts)
        self._ticks: deque[Tick] = deque(maxlen=max(1, round(control_hz * seconds)))
        self._seen: Observation | None = None
        self._writers: list[threading.Thread] = []
        self.dumps: list[Path] = []
        """the JSON files written or being written"""

    def observe(self, tick: Tick) -> None:
        """Keep this tick without its pictures; dump when a trip rule acted."""
        if tick.observation is not None:
            self._seen = tick.observation
            tick = replace(tick, observation=replace(tick.observation, images={}))
        self._ticks.append(tick)
        tripped = [rule for rule in tick.events if rule in TRIPS]
        if tripped:
            self.dump(tripped[0])

    def dump(self, reason: str) -> Path:
        """Write what is remembered now; returns the JSON's path (`close` waits until it is on disk)."""
        path = unused(self._folder, "flight", self.dumps)
        self.dumps.append(path)
        content = (path, reason, list(self._ticks), self._seen)
        writer = threading.Thread(target=self._write, args=content, name="wbvla-recorder")
        self._writers.append(writer)
        writer.start()
        return path

    def __enter__(self) -> "FlightRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; what ended by an error is dumped, for the tick that it came from may never have been seen here."""
        if kind is not None and not self.dumps:
            self.dump(kind.__name__)
        self.close()

    def close(self) -> None:
        """Wait for all dumps."""
        for writer in self._writers:
            writer.join()

    def _write(self, path: Path, reason: str, ticks: Sequence[Tick], seen: Observation | None) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays_of(ticks, seen))
        write_bytes(path.with_suffix(".npz"), buffer.getvalue())
        acts = [{"tick": t.index, "rules": list(t.events)} for t in ticks if t.events]
        story = {
            "reason": reason,
            "ticks": [ticks[0].index, ticks[-1].index] if ticks else [],
            "instruction": seen.instruction if seen is not None else "",
            "acts": acts,
            **self._facts,
            **provenance(),
        }
        write_json(path, story)


def arrays_of(ticks: Sequence[Tick], seen: Observation | None) -> dict[str, np.ndarray]:
    """Everything of the ticks as arrays, first axis time; pictures of the last observation as `image_<camera>`."""
    rows: dict[str, list[Any]] = {
        "index": [t.index for t in ticks],
        "time_s": [t.state.time_s for t in ticks],
        "period_s": [t.period_s for t in ticks],
        "chunk_age_s": [t.chunk_age_s for t in ticks],
        "command": [t.command.vector() for t in ticks],
        "arm_target": [t.arm_target for t in ticks],
        "observed": [-1 if t.observation is None else t.observation.sequence for t in ticks],
    }
    rows |= {f"state_{n}": [getattr(t.state, n) for t in ticks] for n in SERIES}
    rows |= {f"target_{n}": [getattr(t.target, n) for t in ticks] for n in TARGETS}
    arrays = {name: np.array(values) for name, values in rows.items()}
    if seen is not None:
        arrays |= {f"image_{name}": image.rgb for name, image in seen.images.items()}
    return arrays
