"""Keys of the operator: start, stop, discard and choose primitives at a terminal, with a status line."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from wbvla.collect.ego.walker import PRIMITIVES
from wbvla.collect.filming import Filming
from wbvla.collect.preview import Preview
from wbvla.core.errors import ConfigError

HELP = "space start/stop   d discard   n/p next/previous primitive   a automatic choice   c counts   q quit"
STALL_S = 1.0
"""silence of the camera after which the status says so [s]"""
Say = Callable[[str], None]
ReadKey = Callable[[float], str]
"""a key that was pressed within so many seconds, or an empty string; `q` when no more will come"""


@contextmanager
def terminal_keys() -> Iterator[ReadKey]:
    """Single keys of this terminal; raises ConfigError where standard input is none."""
    if not sys.stdin.isatty():
        raise ConfigError("keys are read from a terminal and there is none; for files give --primitive")
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    tty.setcbreak(handle)

    def read(timeout_s: float) -> str:
        ready, _, _ = select.select([handle], [], [], timeout_s)
        if not ready:
            return ""
        return os.read(handle, 1).decode(errors="ignore") or "q"

    try:
        yield read
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


class Operator:
    """Turns keys into clips. `step` handles one key and what came of clips meanwhile."""

    def __init__(self, filming: Filming, say: Say) -> None:
        self._filming, self._say = filming, say
        self._chosen = ""
        self.is_over = False

    @property
    def primitive(self) -> str:
        """What is shown next: chosen by key, else what lacks most."""
        return self._chosen or self._filming.tallies.next()

    def step(self, key: str) -> None:
        """Act on a key (or none); a clip that ended by itself is reported."""
        filming = self._filming
        news = filming.poll()
        if news is not None:
            self._report(news)
        if key == " " and filming.recorder.is_recording:
            self._report(filming.end())
        elif key == " ":
            filming.begin(self.primitive)
            self._say(f"recording {filming.primitive}")
        elif key == "d" and filming.recorder.is_recording:
            self._report(filming.discard())
        elif key in ("n", "p"):
            place = PRIMITIVES.index(self.primitive) + (1 if key == "n" else -1)
            self._chosen = PRIMITIVES[place % len(PRIMITIVES)]
            self._say(f"next: {self._chosen}")
        elif key == "a":
            self._chosen = ""
            self._say(f"next: {self.primitive}, which lacks most")
        elif key == "c":
            self._say("\n".join(filming.tallies.lines()))
        elif key == "q":
            if filming.recorder.is_recording:
                self._report(filming.discard())
            self.is_over = True
        elif key not in ("", "\n", "\r"):
            self._say(HELP)
        if filming.is_over and not filming.recorder.is_recording:
            self.is_over = True

    def line(self) -> str:
        """The status in one line."""
        status = self._filming.status()
        camera, lost = status["camera"], status["dropped"]
        state = camera["state"] if camera["state"] != "streaming" else ""
        stalled = f"NO FRAME FOR {status['stalled_s']} s" if status["stalled_s"] > STALL_S else ""
        dropped = ", ".join(f"{reason} {count}" for reason, count in lost.items() if count) or "none"
        doing = f"● {status['recording']}" if status["recording"] else f"ready: {self.primitive}"
        left = self._filming.tallies.left(self.primitive)
        parts = [doing, f"{left} left", f"{status['hours']:.3f} h", f"dropped: {dropped}", state, stalled]
        return "   ".join(p for p in parts if p) + (f"   {camera['text']}" if state else "")

    def _report(self, news: dict) -> None:
        if news["kind"] == "committed":
            self._say(f"clip {news['index']} kept: {news['frames']} frames, dropped {_dropped(news)}")
        else:
            self._say(f"clip {news['kind']}: {news['text']}")


def _dropped(news: dict) -> str:
    lost = {name: {k: n for k, n in by.items() if n} for name, by in news["counts"]["dropped"].items()}
    return str({k: v for k, v in lost.items() if v}) if any(lost.values()) else "none"


def operate(filming: Filming, say: Say, show_line: Say, port: int | None) -> None:
    """At this terminal until the operator quits or the file is over; with a preview on a port, None: without."""
    operator = Operator(filming, say)
    with ExitStack() as stack:
        read_key = stack.enter_context(terminal_keys())
        if port is not None:
            say(f"preview: {stack.enter_context(Preview(filming.picture, filming.status, port)).url}")
        say(HELP)
        while not operator.is_over:
            operator.step(read_key(0.1))
            show_line(operator.line())
