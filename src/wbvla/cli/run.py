"""`wbvla run BUNDLE`: the 50 Hz robot loop on a body, with actions from a served policy."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.cli.bodies import open_body
from wbvla.deploy.bundle import open_bundle
from wbvla.deploy.keys import client_keys
from wbvla.deploy.link import Link, LinkConfig, LinkStatus
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.recorder import FlightRecorder
from wbvla.deploy.runtime import LoopReport, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.watchdog import Watchdog, WatchdogConfig
from wbvla.robots.platforms import load_robot


@dataclass(frozen=True, kw_only=True)
class Options:
    """Run the robot loop in real time; start `wbvla serve BUNDLE` first. At the end or by Ctrl-C: stand, sit down."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """folder made by `wbvla export`"""
    body: str = "sim"
    """body to drive: `sim`"""
    seconds: float = 60.0
    """[s]"""
    instruction: str = ""
    """what to do; empty = the task's first phrasing"""
    address: str = "tcp://127.0.0.1:5555"
    """the server"""
    keys: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """folder made by `wbvla keys`"""
    task: str = "box-lift"
    """world of the simulated body"""
    seed: int = 0
    """start of the simulated body"""
    watchdog_s: float = 0.3
    """silence of the loop after which the watchdog process trips [s]"""
    flights: Path = Path("flights")
    """where the flight recorder and the watchdog write"""
    record: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """dataset to which the run is added as an episode of unknown success; needs `pip install wbvla[collect]`"""


def drive(options: Options) -> tuple[LoopReport, LinkStatus, list[Path]]:
    """Join bundle, link, body, watchdog and recorder, and run: what happened, what the link saw, what was dumped."""
    spec = load_robot((bundle := open_bundle(options.bundle)).robot)
    lmo, safety = LmoController.load(bundle.folder / "lmo", spec), SafetyLayer(spec)
    keys = client_keys(options.keys) if options.keys else None
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(Link(bundle.vla.contract, spec, LinkConfig(address=options.address), keys))
        body, words = open_body(options.body, spec, options.task, options.seed)
        stack.callback(body.close)
        recorder = FlightRecorder(options.flights, {"vla": bundle.vla.digest, "lmo": bundle.lmo.digest})
        stack.callback(recorder.close)
        watchdog = Watchdog(safety, WatchdogConfig(folder=str(options.flights), timeout_s=options.watchdog_s))
        stack.callback(watchdog.close)
        words, observers = options.instruction or words, [recorder, watchdog]
        if options.record is not None:
            from wbvla.collect.rollouts import record_live  # needs an encoder, which a robot computer may lack

            facts = {"vla": bundle.vla.digest, "lmo": bundle.lmo.digest}
            observers.append(stack.enter_context(record_live(options.record, spec, body.control_hz, words, facts)))
        loop = RobotLoop(body, spec, lmo, link, safety, observers)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.stop())
        watchdog.start()
        report = loop.run(round(options.seconds * body.control_hz), words, sit=True)
        return report, link.status(), recorder.dumps


def main(argv: list[str]) -> int:
    """Exit code 0 after a whole run or an operator's stop, 1 after a safety trip."""
    report, status, dumps = drive(tyro.cli(Options, args=argv, prog="wbvla run"))
    console = Console(soft_wrap=True)
    console.print(f"{report.ticks} ticks, ended by {report.trip or report.reason}; {report.chunks} chunks in effect")
    console.print(", ".join(f"{k} {v:.2f}" for k, v in report.summary().items()) + f", overruns {report.overruns}")
    console.print(f"safety {report.counts}; flight recordings {[str(p) for p in dumps]}")
    console.print(
        f"server pid {status.server_pid}, our pid {status.client_pid}, {status.mechanism}, monitor "
        f"{dict(status.handshakes)}, sent {status.sent}, received {status.received}, errors {dict(status.errors)}"
    )
    return 1 if report.reason == "tripped" else 0
