"""`wbvla run BUNDLE`: the 50 Hz robot loop on a body, with actions from a served policy."""

import tyro
from rich.console import Console

from wbvla.cli.live import Options, drive


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
