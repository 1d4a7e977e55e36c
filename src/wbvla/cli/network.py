"""Round trip and loss between robot loop and policy server, while the 50 Hz loop runs."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from wbvla.cli.live import Options, drive
from wbvla.core.machine import Finding
from wbvla.deploy.bundle import open_bundle
from wbvla.evaluate.served import ServedPolicy
from wbvla.robots.platforms import load_robot

HERE = "loopback, a server started here: name the real one with --address"
REMEDY = (
    "use a cable or a free 5 GHz channel; look at the server's share in `wbvla run`; the robot balances without "
    "answers, but acts on old ones"
)


def network_line(bundle: Path, address: str, keys: Path | None, seconds: float, limits: tuple[float, float]) -> Finding:
    """Drives the simulated body with the served policy for `seconds` [s]; without an address a server is started.

    Args:
        limits: 99th percentile of the round trip [ms], largest share of observations without an answer [-].
    """
    if not (bundle / "bundle.json").is_file():
        remedy = "make one: `wbvla export`, then start `wbvla serve` on the GPU machine and name its --address"
        return Finding(subject="network", found=f"no bundle {bundle} to ask for", ok=False, remedy=remedy)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where = address
        if not address:
            opened = open_bundle(bundle)
            served = stack.enter_context(ServedPolicy(opened, load_robot(opened.robot), scratch))
            where, keys = served.link.status().address, scratch / "keys"
        report, status, _ = drive(
            Options(bundle=bundle, seconds=seconds, address=where, keys=keys, flights=scratch / "flights")
        )
    p99 = float(np.percentile(status.rtt_ms, 99)) if status.rtt_ms else float("inf")
    # the one on its way when the run ended is not lost
    lost = max(0.0, 1.0 - (len(status.rtt_ms) + 1) / report.observations) if status.rtt_ms else 1.0
    period_ms = float(np.percentile(report.periods_s, 99) * 1e3) if report.periods_s else float("inf")
    return Finding(
        subject="network",
        found=f"round trip p99 {p99:.1f} ms, {100 * lost:.1f} % of {report.observations} observations without an "
        f"answer, control period p99 {period_ms:.1f} ms, {seconds:g} s ({address or HERE})",
        ok=p99 < limits[0] and lost <= limits[1],
        remedy=REMEDY,
    )
