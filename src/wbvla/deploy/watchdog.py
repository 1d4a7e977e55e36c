"""A second process that asks the control loop, again and again, whether it is alive; silence trips and stays tripped.

The watchdog sends a random number every third of its timeout, the loop must answer with a function of it: a loop that
hangs, crashes or repeats itself does not. A wrong answer does not count. Silence counts from the question, so that a
watchdog which was itself held up blames nobody for it. On silence it runs the trip command (on a robot: the vendor's
damping, in a process the loop cannot block), writes an incident file and stays tripped; a loop that wakes up again
finds the trip and sits the robot down. The hardware stop is not replaced by this.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from wbvla.core.errors import RobotError
from wbvla.core.files import unused, write_json
from wbvla.core.records import Tick
from wbvla.deploy.safety import SafetyLayer

FRAME = struct.Struct("<cQ")
CHALLENGE, ANSWER, TRIPPED, GOODBYE = b"C", b"A", b"T", b"G"


@dataclass(frozen=True, kw_only=True)
class WatchdogConfig:
    """How long a loop may be silent, and what happens then."""

    folder: str
    """where `watchdog_incident_NN.json` is written"""
    timeout_s: float = 0.3
    """silence after the last answer that trips: a humanoid's time to fall is about 0.3 s [s]"""
    trip_command: tuple[str, ...] = ()
    """program and arguments to start on a trip; empty = none"""


def answer_to(challenge: int) -> int:
    """What a living loop answers (one step of Knuth's MMIX generator, modulo 2^64)."""
    return (challenge * 6364136223846793005 + 1442695040888963407) % 2**64


class Watchdog:
    """The loop's side, an Observer: starts the process, answers at every tick, and trips the safety layer."""

    def __init__(self, safety: SafetyLayer, config: WatchdogConfig) -> None:
        self._safety, self._config = safety, config
        self._process: subprocess.Popen[bytes] | None = None
        self._read = self._write = -1
        self.answered = 0

    def start(self) -> None:
        """Start the process and wait for its first question.

        Raises RobotError when it does not come, or when there is no such trip command.
        """
        trip = self._config.trip_command
        if trip and shutil.which(trip[0]) is None:
            raise RobotError(
                f"the watchdog's trip command {trip[0]!r} is no program here; the robot may not run without"
            )
        command = [sys.executable, "-m", "wbvla.deploy.watchdog", json.dumps(asdict(self._config))]
        pipe = subprocess.PIPE
        # a session of its own: Ctrl-C is for the loop alone
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._read, self._write = self._process.stdout.fileno(), self._process.stdin.fileno()
        os.set_blocking(self._write, False)
        if not select.select([self._read], [], [], 20.0)[0]:
            self.close()
            raise RobotError("the watchdog process did not start; the robot may not run without it")
        self._check_in()

    @property
    def pid(self) -> int:
        """Process id of the watchdog; 0 when it is not running."""
        return 0 if self._process is None else self._process.pid

    def observe(self, tick: Tick) -> None:
        """Answer what was asked since the last tick; never blocks."""
        if self._process is not None and select.select([self._read], [], [], 0)[0]:
            self._check_in()

    def close(self) -> None:
        """Say goodbye and wait for the process to end."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        self._send(GOODBYE, 0)
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _check_in(self) -> None:
        data = os.read(self._read, 64 * FRAME.size)
        if not data or len(data) % FRAME.size:
            self._safety.stop("watchdog")  # it died: without it nobody would notice our own death
            return
        if any(kind == TRIPPED for kind, _ in FRAME.iter_unpack(data)):
            self._safety.stop("watchdog")
        kind, number = FRAME.unpack(data[-FRAME.size :])
        if kind == CHALLENGE:
            self._send(ANSWER, answer_to(number))
            self.answered += 1

    def _send(self, kind: bytes, number: int) -> None:
        try:
            os.write(self._write, FRAME.pack(kind, number))
        except (BlockingIOError, BrokenPipeError):
            self._safety.stop("watchdog")


def watch(config: WatchdogConfig, inbox: BinaryIO, outbox: BinaryIO) -> str:
    """The watchdog's own loop until goodbye; returns why it tripped, or ""."""
    loop_pid = os.getppid()  # asked for now: after its death it is another's
    pause_s, patience_s = config.timeout_s / 3, config.timeout_s * 2 / 3
    challenge, asked_s, cause = _ask(outbox), time.monotonic(), ""
    waiting, due_s = True, asked_s + config.timeout_s
    while True:
        wait_s = None if cause else max(0.0, due_s - time.monotonic())
        if select.select([inbox], [], [], wait_s)[0]:
            data = inbox.read(FRAME.size)
            kind, number = FRAME.unpack(data) if data and len(data) == FRAME.size else (b"", 0)
            if kind == GOODBYE:
                return cause
            if not kind:
                return cause or _trip(config, "the loop's process ended without a goodbye", outbox, loop_pid)
            if waiting and kind == ANSWER and number == answer_to(challenge):
                waiting, due_s = False, time.monotonic() + pause_s
            continue
        now_s = time.monotonic()
        if cause or now_s < due_s:
            continue
        if waiting:
            cause = _trip(config, f"no right answer {now_s - asked_s:.3f} s after a question", outbox, loop_pid)
        else:
            challenge, asked_s, waiting, due_s = _ask(outbox), now_s, True, now_s + patience_s


def _ask(outbox: BinaryIO) -> int:
    """Send a question; returns it. A pipe without a reader is noticed as the end of the inbox."""
    challenge = secrets.randbits(64)
    with contextlib.suppress(BrokenPipeError):
        outbox.write(FRAME.pack(CHALLENGE, challenge))
    return challenge


def _trip(config: WatchdogConfig, cause: str, outbox: BinaryIO, loop_pid: int) -> str:
    """Start the trip command first, then tell the loop and write the incident."""
    if config.trip_command:
        null = subprocess.DEVNULL
        try:
            subprocess.Popen(config.trip_command, stdin=null, stdout=null, start_new_session=True)
        except OSError as error:
            cause = f"{cause}; the trip command failed: {error}"
    try:
        outbox.write(FRAME.pack(TRIPPED, 0))
    except BrokenPipeError:
        cause = f"{cause}; it cannot be told"
    incident = {"cause": cause, "timeout_s": config.timeout_s, "loop_pid": loop_pid, "watchdog_pid": os.getpid()}
    write_json(unused(Path(config.folder), "watchdog_incident"), incident)
    return cause


if __name__ == "__main__":
    values = json.loads(sys.argv[1])
    settings = WatchdogConfig(**{**values, "trip_command": tuple(values["trip_command"])})
    with open(0, "rb", buffering=0) as standard_in, open(1, "wb", buffering=0) as standard_out:
        sys.exit(1 if watch(settings, standard_in, standard_out) else 0)
