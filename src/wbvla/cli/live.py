"""One live run of a body by a served policy: link, loop, watchdog, recorders, and the order in which they let go."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wbvla.cli.bodies import open_body
from wbvla.core.interfaces import Observer
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
    trip_command: tuple[str, ...] = ()
    """program and arguments by which the watchdog damps a robot whose loop is silent; `sim` needs none"""
    flights: Path = Path("flights")
    """where the flight recorder and the watchdog write"""
    record: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """dataset to which the run is added as an episode of unknown success; needs `pip install wbvla[collect]`"""


def drive(options: Options) -> tuple[LoopReport, LinkStatus, list[Path]]:
    """Join bundle, link, body, watchdog and recorder, and run: what happened, what the link saw, what was dumped."""
    spec = load_robot((bundle := open_bundle(options.bundle)).robot)
    lmo = LmoController.load(bundle.folder / "lmo", spec)
    keys = client_keys(options.keys) if options.keys else None
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.getsignal(number) or signal.SIG_DFL)
        link = stack.enter_context(Link(bundle.vla.contract, spec, LinkConfig(address=options.address), keys))
        body, words = open_body(options.body, spec, options.task, options.seed)
        stack.callback(body.close)
        safety = SafetyLayer(spec, control_hz=body.control_hz)
        facts = {"vla": bundle.vla.digest, "lmo": bundle.lmo.digest}
        recorder = stack.enter_context(FlightRecorder(options.flights, facts, body.control_hz))
        words = options.instruction or words
        observers: list[Observer] = [recorder]
        if options.record is not None:
            from wbvla.collect.rollouts import record_live  # needs an encoder, which a robot computer may lack

            observers.append(stack.enter_context(record_live(options.record, spec, body.control_hz, words, facts)))
        settings = WatchdogConfig(
            folder=str(options.flights), timeout_s=options.watchdog_s, trip_command=options.trip_command
        )
        watchdog = Watchdog(safety, settings)
        stack.callback(watchdog.close)
        stack.callback(body.close)  # before all others: once the robot is let go, they may take their time
        loop = RobotLoop(body, spec, lmo, link, safety, [watchdog, *observers])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.stop())
        watchdog.start()
        report = loop.run(round(options.seconds * body.control_hz), words, sit=True)
        return report, link.status(), recorder.dumps
