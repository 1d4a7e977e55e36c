"""A policy served by another process over an encrypted socket, as on a robot, and the evidence that it was."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from wbvla.core.errors import LinkError
from wbvla.deploy.bundle import Bundle
from wbvla.deploy.keys import client_keys, make_keys
from wbvla.deploy.link import Link, LinkConfig
from wbvla.evaluate.statistics import spread
from wbvla.robots.description import RobotSpec

START_LIMIT_S = 180.0
"""a server that is not ready by then has failed [s]"""


def free_port() -> int:
    """A TCP port that nobody uses on this machine now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServedPolicy:
    """Starts `wbvla serve BUNDLE` with fresh CURVE keys, connects to it, and ends it again. A context manager."""

    def __init__(self, bundle: Bundle, spec: RobotSpec, folder: Path) -> None:
        self._bundle, self._spec, self._folder = bundle, spec, folder
        self.link: Link
        """the connection, while the policy is served"""

    def __enter__(self) -> "ServedPolicy":
        keys = self._folder / "keys"
        make_keys(keys)
        address = f"tcp://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "wbvla.cli.main", "serve", str(self._bundle.folder)]
        self.log = self._folder / "server.log"
        options = ["--address", address, "--keys", str(keys)]
        with contextlib.ExitStack() as stack:
            with self.log.open("wb") as log:
                process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
            stack.callback(_end, process)
            self._await_ready(process)
            config = LinkConfig(address=address, budget_s=20.0)
            self.link = Link(self._bundle.vla.contract, self._spec, config, client_keys(keys))
            stack.callback(self.link.close)
            self.link.connect()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def evidence(self) -> dict[str, Any]:
        """Both process ids, address, mechanism, the handshake as the socket monitor counted it, messages, latency."""
        status = self.link.status()
        times = {"round trip [ms]": spread(status.rtt_ms), "of which server [ms]": spread(status.server_ms)}
        return {
            "robot loop process": os.getpid(),
            "policy server process": status.server_pid,
            "address": status.address,
            "security mechanism": status.mechanism,
            "handshakes seen by the socket monitor": dict(status.handshakes),
            "messages sent": status.sent,
            "messages received": status.received,
            "observations dropped": status.dropped,
            "replies refused": status.invalid,
            "errors answered": dict(status.errors),
            **{
                name: {"p50": s.p50, "p95": s.p95, "p99": s.p99, "max": s.max, "n": s.count} if s else None
                for name, s in times.items()
            },
        }

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the word READY in the server's output; raises LinkError with its last lines otherwise."""
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit:
            text = self.log.read_text(errors="replace")
            if "READY" in text:
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        raise LinkError(f"`wbvla serve {self._bundle.folder}` did not become ready; its last words:\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, then make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
