"""The main process's handle on a live recording: starts cameras, encoders and writer, begins and ends clips."""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.live.capture import capture
from wbvla.collect.live.clip import ClipPlan
from wbvla.collect.live.encode import encode
from wbvla.collect.live.ring import STREAMING, Feeder, FrameRing, Status, TickRing
from wbvla.collect.live.write import Wires, WriteJob, write
from wbvla.core.errors import CameraError, ConfigError, DataError
from wbvla.data.writer import DatasetConfig

FED = "body"
"""source of a camera whose frames the caller hands over himself"""
Facts = Mapping[str, Mapping[str, Any]]
"""by camera, what it says of itself (`CameraFacts`)"""


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """How a live recording is set up."""

    slots: int = 60
    """frames of each camera that may be under way between it and its encoder (0.9 MB each at 640x480, depth 0.6)"""
    live: bool = True
    """frames come by the clock: what there is no room for is dropped and counted; else the source waits"""
    start_s: float = 60.0
    """longest wait for a camera or the dataset to open [s]"""
    commit_s: float = 120.0
    """longest wait for a clip to be on disk [s]"""
    niceness: int = 10
    """of encoders and writer above our own, 0 to 19: they stand back behind a control loop on the same computer"""


@dataclass
class Outcome:
    """What came of the clips so far."""

    committed: int = 0
    refused: list[str] = field(default_factory=list)
    """why a clip is not in the dataset"""
    discarded: int = 0
    frames: int = 0
    """frames of committed clips"""
    dropped: dict[str, int] = field(default_factory=dict)
    """frames that were lost inside clips, by reason: `no_room`, `device`, `unpaired`"""


class LiveRecorder:
    """A context manager: `begin`, then `end` or `discard`, as often as wanted. One thread uses it.

    Raises CameraError when a camera cannot be opened, DataError or ContractMismatch when the dataset does not fit.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Sequence[CameraConfig],
        dataset: Callable[[Facts], DatasetConfig],
        config: LiveConfig | None = None,
        robot: tuple[str, int] | None = None,
    ) -> None:
        """`cameras`: the first sets the pace. `dataset` is asked once the cameras have said what they are.

        `robot`: its name, and the width of its rows of control ticks.
        """
        if not cameras or len({c.name for c in cameras}) < len(cameras):
            raise ConfigError("a live recording needs cameras, each with a name of its own")
        self.config, self.outcome, self._news = config or LiveConfig(), Outcome(), list[dict[str, Any]]()
        self._context = multiprocessing.get_context("spawn")
        self.rings = {c.name: FrameRing(self._context, c, self.config.slots) for c in cameras}
        self.statuses = {c.name: Status(self._context) for c in cameras}
        self.feeders: dict[str, Feeder] = {}
        """cameras that the caller feeds"""
        self.ticks = TickRing(self._context, robot[1]) if robot else None
        self._processes: dict[str, BaseProcess] = {}
        self._controls: dict[str, Connection] = {}
        self._recording, self._open = False, True
        with ExitStack() as on_error:
            on_error.callback(self.close)
            notices = {c.name: self._start_camera(c) for c in cameras}
            orders = {c.name: self._start_encoder(c) for c in cameras}
            self.facts = {c.name: self._facts(c) for c in cameras}
            job = WriteJob(
                folder=str(folder),
                dataset=dataset(self.facts),
                robot=robot[0] if robot else "",
                lead=cameras[0].name,
                live=self.config.live,
            )
            self._commands = self._start_writer(job, notices, orders)
            on_error.pop_all()

    @property
    def is_recording(self) -> bool:
        """Whether a clip is open."""
        return self._recording

    def begin(self, plan: ClipPlan) -> None:
        """Open a clip; raises DataError when one is open."""
        if self._recording:
            raise DataError("a clip is being recorded; end or discard it first")
        self._send(("begin", replace(plan, at_s=time.monotonic()) if self.config.live else plan))
        news = self._await("begun", "refused")
        if news["kind"] == "refused":
            raise DataError(f"no clip can be begun: {news['text']}")
        self._recording = True

    def end(
        self,
        success: bool | None = None,
        notes: Mapping[str, Any] | None = None,
        truth: Mapping[str, Any] | None = None,
        at_least: int = 0,
    ) -> dict[str, Any]:
        """Commit the open clip; returns the news: `kind` is `committed` or `refused` (with `text`), and `counts`.

        One with fewer than `at_least` frames is `discarded`. A clip that ended by itself just before is as good.
        """
        self._require_recording()
        at_s = time.monotonic() if self.config.live else float("inf")
        facts = {"success": success, "notes": notes or {}, "truth": truth or {}, "at_least": at_least}
        self._send(("end", {"at_s": at_s, **facts}))
        return self._await("committed", "refused", "discarded", wait_s=self.config.commit_s)

    def discard(self, reason: str = "discarded") -> dict[str, Any]:
        """Forget the open clip; one that ended by itself just before is kept, and the news say so."""
        self._require_recording()
        self._send(("discard", reason))
        return self._await("committed", "refused", "discarded", wait_s=self.config.commit_s)

    def poll(self, wait_s: float = 0.0) -> dict[str, Any] | None:
        """The end of a clip that ended by itself, if it has; raises when a process has died."""
        self._take(wait_s)
        for news in self._news:
            if news["kind"] in ("committed", "refused"):
                self._news.remove(news)
                return news
        self._require_alive()
        return None

    def close(self) -> None:
        """End every process; a clip that is open is discarded. May be repeated."""
        if not self._open:
            return
        self._open = False
        for pipe in (getattr(self, "_commands", None), *self._controls.values()):
            if pipe is not None:
                try:
                    pipe.send(("close", None))
                except OSError:
                    continue
        writer = self._processes.pop("writer", None)
        if writer is not None:
            writer.join(self.config.commit_s)
        for pipe in (getattr(self, "_commands", None), *self._controls.values()):
            if pipe is not None:
                pipe.close()
        for process in (*self._processes.values(), *((writer,) if writer else ())):
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()

    def __enter__(self) -> "LiveRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """Process numbers: `writer`, `camera NAME`, `encoder NAME`."""
        return {name: int(p.pid or 0) for name, p in self._processes.items()}

    @property
    def num_waiting(self) -> int:
        """Frames that are in slots: captured and not yet encoded."""
        return sum(ring.slots - ring.num_free for ring in self.rings.values())

    # Starting.

    def _spawn(self, name: str, body: Callable[..., None], given: tuple[Any, ...]) -> None:
        process = self._context.Process(target=body, args=given, name=f"wbvla {name}", daemon=True)
        process.start()
        self._processes[name] = process
        if not name.startswith("camera") and self.config.niceness and hasattr(os, "setpriority"):
            pid = int(process.pid or 0)
            ours = os.getpriority(os.PRIO_PROCESS, pid)
            os.setpriority(os.PRIO_PROCESS, pid, min(ours + self.config.niceness, 19))

    def _start_camera(self, config: CameraConfig) -> Connection:
        """The process of one camera, or a feeder for the caller; returns where its notices come out."""
        taken, given = self._context.Pipe(duplex=False)
        ring, status = self.rings[config.name], self.statuses[config.name]
        if config.source == FED:
            self.feeders[config.name] = feeder = Feeder(ring, status, given)
            feeder.opened()
            status.set("state", STREAMING)
            return taken
        ours, theirs = self._context.Pipe()
        self._spawn(f"camera {config.name}", capture, (ring, status, given, theirs))
        given.close()
        theirs.close()
        self._controls[config.name] = ours
        return taken

    def _start_encoder(self, config: CameraConfig) -> Connection:
        ours, theirs = self._context.Pipe()
        self._spawn(f"encoder {config.name}", encode, (self.rings[config.name], theirs))
        theirs.close()
        return ours

    def _facts(self, config: CameraConfig) -> dict[str, Any]:
        if config.source == FED:
            return {}
        pipe = self._controls[config.name]
        try:
            if not pipe.poll(self.config.start_s):
                raise CameraError(f"{config.name} ({config.source}) did not open within {self.config.start_s:.0f} s")
            said = pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise CameraError(f"the process of {config.name} ({config.source}) died while it opened") from error
        if "error" in said:
            raise CameraError(said["error"])
        return said

    def _start_writer(
        self, job: WriteJob, notices: Mapping[str, Connection], orders: Mapping[str, Connection]
    ) -> Connection:
        ours, theirs = self._context.Pipe()
        wires = Wires(
            rings=self.rings,
            statuses=self.statuses,
            notices=notices,
            orders=orders,
            commands=theirs,
            ticks=self.ticks,
        )
        self._spawn("writer", write, (job, wires))
        for pipe in (theirs, *notices.values(), *orders.values()):
            pipe.close()
        self._commands = ours
        self.num_episodes = int(self._await("ready", wait_s=self.config.start_s)["episodes"])
        return ours

    # Talking with the writer.

    def _send(self, command: tuple[str, Any]) -> None:
        try:
            self._commands.send(command)
        except OSError as error:
            raise DataError("the writing process died; finished clips are on disk, start the recorder again") from error

    def _await(self, *kinds: str, wait_s: float = 30.0) -> dict[str, Any]:
        deadline_s = time.monotonic() + wait_s
        while True:
            for news in self._news:
                if news["kind"] in kinds:
                    self._news.remove(news)
                    return news
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                raise DataError(f"the writing process gave no answer within {wait_s:.0f} s")
            self._take(min(left_s, 0.2))
            self._require_alive()

    def _take(self, wait_s: float) -> None:
        """Read what the writer says, and keep account."""
        try:
            while self._commands.poll(wait_s):
                news, wait_s = self._commands.recv(), 0.0
                if news["kind"] == "error":
                    raise DataError(news["text"])
                self._news.append(news)
                self._account(news)
        except (EOFError, ConnectionResetError) as error:
            raise DataError("the writing process died; finished clips are on disk, start the recorder again") from error

    def _account(self, news: Mapping[str, Any]) -> None:
        if news["kind"] in ("committed", "refused", "discarded"):
            self._recording = False
        if news["kind"] == "committed":
            self.outcome.committed += 1
            self.outcome.frames += int(news["frames"])
        elif news["kind"] == "refused":
            self.outcome.refused.append(str(news["text"]))
        self.outcome.discarded += news["kind"] == "discarded"
        for lost in news.get("counts", {}).get("dropped", {}).values():
            for reason, count in lost.items():
                self.outcome.dropped[reason] = self.outcome.dropped.get(reason, 0) + count

    def _require_recording(self) -> None:
        self._take(0.0)
        if not self._recording and not any(n["kind"] in ("committed", "refused") for n in self._news):
            raise DataError("no clip is being recorded; begin one first")

    def _require_alive(self) -> None:
        if self._news or self._commands.poll():
            return
        dead = [name for name, p in self._processes.items() if not p.is_alive()]
        if dead:
            raise DataError(f"the process of {dead[0]} died; finished clips are on disk, start the recorder again")
