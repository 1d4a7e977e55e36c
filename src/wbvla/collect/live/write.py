"""The process that writes: puts frames and control ticks together, orders the encoders, commits clips to the dataset.

It holds no pixel. When the main process is gone, by SIGKILL too, the clip in progress is discarded and every finished
one stays; when this process is killed, the dataset's journal keeps the finished ones.
"""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from wbvla.collect.live.clip import Clip, ClipPlan, numbers_of
from wbvla.collect.live.ring import LOST, FrameRing, Status, TickRing
from wbvla.collect.live.rows import WAIT_S, Pairing, Ticks
from wbvla.core.errors import DataError, WbvlaError
from wbvla.data.dataset_stats import write_stats
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot

POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Wires:
    """What connects the writing process with the others, by camera name."""

    rings: Mapping[str, FrameRing]
    statuses: Mapping[str, Status]
    notices: Mapping[str, Connection]
    """numbers of slots that were filled"""
    orders: Mapping[str, Connection]
    """to the encoders"""
    commands: Connection
    """from the main process, and answers to it"""
    ticks: TickRing | None
    """control ticks; None: no robot"""


@dataclass(frozen=True, kw_only=True)
class WriteJob:
    """What is written where."""

    folder: str
    """dataset"""
    dataset: DatasetConfig
    robot: str
    """robot by name; empty: none"""
    lead: str
    """camera that sets the pace"""
    live: bool
    """frames between clips are let go; else they wait for the next clip"""


def write(job: WriteJob, wires: Wires) -> None:
    """Body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _mend(Path(job.folder), job.dataset)
        with DatasetWriter.resume(Path(job.folder), job.dataset) as writer:
            wires.commands.send({"kind": "ready", "episodes": writer.num_episodes})
            _Writer(job, wires, writer).run()
    except WbvlaError as error:
        _tell(wires.commands, {"kind": "error", "text": str(error)})
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _mend(folder: Path, config: DatasetConfig) -> None:
    """Finish what a kill interrupted; it also leaves the statistics behind the clips."""
    with DatasetWriter.resume(folder, config) as writer:
        num_frames = writer.num_frames
    if num_frames != int(Dataset(folder).stats.get("index", {}).get("count", [0])[0]):
        write_stats(folder)


def _tell(commands: Connection, news: dict[str, Any]) -> None:
    try:
        commands.send(news)
    except OSError:
        return  # the main process is gone: what matters is on disk


class _Writer:
    """The loop of the writing process."""

    def __init__(self, job: WriteJob, wires: Wires, writer: DatasetWriter) -> None:
        self._job, self._wires, self._writer = job, wires, writer
        self._spec = load_robot(job.robot) if job.robot else None
        self._pairing = Pairing(wires.rings, job.lead, job.dataset.fps)
        self._ticks = Ticks(wires.ticks) if wires.ticks is not None else None
        self._clip: Clip | None = None
        self._before: dict[str, dict[str, int]] = {}
        self._seen = {name: {"full": 0, "gaps": 0} for name in wires.rings}
        """of cameras that wait for us, as the newest row of each says: they run ahead of the clips"""
        self._fault = ""

    def run(self) -> None:
        """Until the main process says `close` or is gone."""
        commands = self._wires.commands
        sources = [commands, *self._wires.notices.values()]
        try:
            while True:
                taking = self._job.live or self._clip is not None
                wait(sources if taking else [commands], POLL_S)
                self._gather()
                if self._clip is not None:
                    self._add_rows()
                if commands.poll():
                    verb, what = commands.recv()
                    if verb == "close":
                        return
                    getattr(self, f"_{verb}")(what)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._drop_clip()

    def _gather(self) -> None:
        """Take in what has come; between live clips nothing is kept.

        Ticks last: a body in lock-step publishes a tick before its pictures, so that each picture's tick is here.
        """
        if self._job.live or self._clip is not None:
            for name, notice in self._wires.notices.items():
                try:
                    while notice.poll():
                        self._pairing.put(name, notice.recv())
                except (EOFError, ConnectionResetError):
                    continue  # the camera's process died: the main process sees that and says so
            if self._clip is None:
                self._pairing.let_go()
        if self._ticks is not None:
            self._ticks.drain()

    def _begin(self, plan: ClipPlan) -> None:
        if self._job.live:
            self._pairing.let_go()
        elif self._ticks is not None:
            self._ticks.forget()  # simulated time starts again with each clip: the same times were there before
        self._pairing.restart()
        self._before, self._fault = self._numbers(), ""
        try:
            self._clip = Clip(self._writer, self._wires.orders, plan, self._spec)
            self._wires.commands.send({"kind": "begun", "task": plan.task})
        except (WbvlaError, OSError) as error:
            self._wires.commands.send({"kind": "refused", "text": str(error), "counts": {}})

    def _add_rows(self, until_s: float = float("inf"), last: bool = False) -> None:
        """Rows whose frames and ticks have come."""
        clip = self._clip
        assert clip is not None
        if self._job.live:
            self._pairing.let_go(clip.plan.at_s)
        while not (clip.plan.num_frames and clip.num_frames >= clip.plan.num_frames):
            now_s = time.monotonic() if self._job.live else float("-inf")  # what waits for us is never given up
            row = self._pairing.next(now_s, until_s, last)
            if row is None:
                break
            for name, held in row.frames.items():
                self._seen[name] |= {"full": held.header.full, "gaps": held.header.gaps}
            try:
                if not self._fault:
                    self._await_tick(row.time_s, last)
                    clip.add(row, self._wires.rings, self._ticks)
            except (WbvlaError, OSError) as error:
                self._fault = str(error)
            if self._fault:
                for name, held in row.frames.items():
                    self._wires.rings[name].let_go(held.slot)
        self._look_after_cameras()
        if clip.plan.num_frames and clip.num_frames >= clip.plan.num_frames and not last:
            self._end({})

    def _await_tick(self, time_s: float, last: bool) -> None:
        """Let the control tick of a frame's time come, for a little while."""
        deadline_s = time.monotonic() + WAIT_S
        while self._ticks is not None and self._job.live and not last and self._ticks.newest_s < time_s:
            if time.monotonic() > deadline_s:
                return
            time.sleep(0.002)
            self._ticks.drain()

    def _look_after_cameras(self) -> None:
        """A camera that goes away in a clip ends the clip's hope."""
        for name, status in self._wires.statuses.items():
            if status.get("losses") > self._before[name]["losses"] or status.get("state") == LOST:
                self._fault = self._fault or f"{name} was lost: {status.text}"

    def _end(self, ending: Mapping[str, Any]) -> None:
        """Commit the clip, or say why not."""
        if self._clip is None:
            return
        clip = self._clip
        enough = clip.plan.num_frames and clip.num_frames >= clip.plan.num_frames
        if not enough:
            self._gather()  # what was handed over before the end was said may have come since we last looked
            self._add_rows(float(ending.get("at_s", float("inf"))), last=True)
        counts = self._counts()
        if clip.num_frames < ending.get("at_least", 0) and not self._fault:
            self._discard(f"{clip.num_frames} frames, at least {ending['at_least']} are kept")
            return
        try:
            if self._fault:
                raise DataError(self._fault)
            index = clip.commit(self._ticks, ending, counts)
            news = {"kind": "committed", "index": index, "frames": clip.num_frames, "counts": counts}
        except (WbvlaError, OSError) as error:
            news = {"kind": "refused", "text": str(error), "counts": counts}
        self._drop_clip()
        self._wires.commands.send(news)

    def _discard(self, reason: str) -> None:
        if self._clip is None:
            return
        counts = self._counts()
        self._drop_clip()
        self._wires.commands.send({"kind": "discarded", "text": reason, "counts": counts})

    def _drop_clip(self) -> None:
        """Leave the clip; what is committed stays."""
        if self._clip is not None:
            self._gather()
            clip, self._clip = self._clip, None
            try:
                clip.discard()
            except (WbvlaError, OSError) as error:
                _tell(self._wires.commands, {"kind": "error", "text": str(error)})
            if self._job.live or self._ticks is not None:  # a body in lock-step hands frames over in clips only
                self._pairing.let_go()

    def _numbers(self) -> dict[str, dict[str, int]]:
        """Losses so far, by camera."""
        now = numbers_of(self._wires.statuses)
        return now if self._job.live else {n: {**self._seen[n], "losses": now[n]["losses"]} for n in now}

    def _counts(self) -> dict[str, Any]:
        """Rows, and what was dropped in this clip by reason and camera."""
        assert self._clip is not None
        now, before = self._numbers(), self._before
        dropped = {
            name: {
                "no_room": now[name]["full"] - before[name]["full"],
                "device": now[name]["gaps"] - before[name]["gaps"],
                "unpaired": self._pairing.unpaired[name],
            }
            for name in now
        }
        rows = {"rows": self._clip.num_frames, "late": self._pairing.late, "missed": self._pairing.missed}
        return {**rows, "dropped": dropped}
