"""`wbvla serve BUNDLE`: answer a robot's observations with action chunks, until Ctrl-C."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console

from wbvla.deploy.bundle import open_bundle
from wbvla.deploy.keys import server_keys
from wbvla.deploy.server import PolicyServer, ServerConfig
from wbvla.vla.policy import PolicyConfig, load_policy


@dataclass(frozen=True, kw_only=True)
class Options:
    """Serve the VLA of a bundle; prints READY when it is warm."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """folder made by `wbvla export`"""
    address: str = "tcp://127.0.0.1:5555"
    """where to listen; anything but loopback needs keys"""
    keys: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """folder made by `wbvla keys`: encrypts, and lets in only robots in DIR/allowed"""
    device: str = "cpu"
    """torch device"""
    threads: int = 1
    """CPU threads of torch"""


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C or SIGTERM; then say what was served."""
    options = tyro.cli(Options, args=argv, prog="wbvla serve")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    bundle = open_bundle(options.bundle)
    keys = server_keys(options.keys) if options.keys is not None else None
    policy, contract = load_policy(bundle.folder / "vla", PolicyConfig(device=options.device, threads=options.threads))
    console = Console(soft_wrap=True)
    with PolicyServer(policy, contract, ServerConfig(address=options.address), keys) as server:
        stats = server.stats
        console.print(f"READY pid {stats.pid} {server.address} {stats.mechanism} {contract.robot}", highlight=False)
        while not ended.wait(1.0):
            continue
    times = np.percentile(list(stats.infer_ms) or [0.0], [50, 99])
    took = f"inference p50 {times[0]:.1f} p99 {times[1]:.1f} ms"
    console.print(f"served {stats.served} chunks for {stats.messages} messages, {took}, {stats.superseded} superseded")
    console.print(
        f"handshakes {dict(stats.handshakes)}, refused keys {stats.refused_keys}, errors {dict(stats.errors)}"
    )
    return 0
