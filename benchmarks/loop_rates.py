"""Rates of server and robot loop over 60 s: two processes, real time, three JPEG cameras, CURVE.

    python benchmarks/loop_rates.py [--quick] [--bundle workspace/bundle]

The loop is the one of `wbvla run`, with watchdog and flight recorder. A run that the safety layer ends is followed by
one from the next start until the time is full; trips are counted. Last line: one JSON object. The long form writes
docs/results/loop_rates.json.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.cli.live import Options, drive
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.deploy.bundle import open_bundle
from wbvla.deploy.keys import make_keys
from wbvla.deploy.link import LinkStatus
from wbvla.deploy.runtime import LoopReport

TARGETS = {"loop_hz": 49.5, "period_p99_ms": 25.0, "rtt_p99_ms": 100.0}
RESULT = Path(__file__).parents[1] / "docs" / "results" / "loop_rates.json"
ADDRESS = "tcp://127.0.0.1:5599"


@contextlib.contextmanager
def served(bundle: Path, folder: Path) -> Iterator[None]:
    """A server process with fresh keys in `folder/keys`, ready."""
    make_keys(folder / "keys")
    verb = [sys.executable, "-m", "wbvla.cli.main", "serve", str(bundle)]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*verb, "--address", ADDRESS, "--keys", str(folder / "keys")], stdout=out, stderr=out
        )
    try:
        while "READY" not in log.read_text():
            if process.poll() is not None:
                raise SystemExit(f"the server ended:\n{log.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(bundle: Path, seconds: float) -> dict[str, Any]:
    """Run until `seconds` of control are measured [s]."""
    runs: list[tuple[LoopReport, LinkStatus]] = []
    with tempfile.TemporaryDirectory() as scratch, served(bundle, Path(scratch)):
        left = seconds
        while left > 0.5:
            options = Options(
                bundle=bundle,
                seconds=left,
                address=ADDRESS,
                keys=Path(scratch) / "keys",
                seed=len(runs),
                flights=Path(scratch) / "flights",
            )
            report, status, _ = drive(options)
            runs.append((report, status))
            left -= sum(report.periods_s)
    return summary(runs)


def summary(runs: list[tuple[LoopReport, LinkStatus]]) -> dict[str, Any]:
    """The four keys of the benchmark, and what explains them."""
    periods = np.concatenate([r.periods_s for r, _ in runs])
    work = np.concatenate([r.work_s for r, _ in runs])
    trips = np.concatenate([s.rtt_ms for _, s in runs])
    server = np.concatenate([s.server_ms for _, s in runs])
    last = runs[-1][1]
    return {
        "loop_hz": round(float(1.0 / periods.mean()), 3),
        "period_p99_ms": round(float(np.percentile(periods, 99) * 1e3), 2),
        "period_max_ms": round(float(periods.max() * 1e3), 2),
        "work_p99_ms": round(float(np.percentile(work, 99) * 1e3), 2),
        "rtt_p50_ms": round(float(np.percentile(trips, 50)), 2),
        "rtt_p99_ms": round(float(np.percentile(trips, 99)), 2),
        "server_p50_ms": round(float(np.percentile(server, 50)), 2),
        "seconds": round(float(periods.sum()), 2),
        "overruns": sum(r.overruns for r, _ in runs),
        "chunks": sum(r.chunks for r, _ in runs),
        "trips": [r.trip for r, _ in runs if r.trip],
        "mechanism": last.mechanism,
        "handshakes": dict(last.handshakes),
        "pids": [last.client_pid, last.server_pid],
    }


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="15 s; writes no file")
    parser.add_argument("--bundle", type=Path, default=Path("workspace/bundle"))
    options = parser.parse_args()
    if not (options.bundle / "bundle.json").is_file():
        print(f"{options.bundle} is no bundle: run `make demo` (or `wbvla demo`) first, or name one with --bundle")
        return 2
    result = measure(options.bundle, 15.0 if options.quick else 60.0)
    missed = [n for n, limit in TARGETS.items() if not (result[n] >= limit if n == "loop_hz" else result[n] <= limit)]
    for name, limit in TARGETS.items():
        print(f"{name:14} {result[name]:8.2f}   target {'>=' if name == 'loop_hz' else '<='} {limit}")
    if not options.quick:
        digest = open_bundle(options.bundle).vla.digest
        write_json(RESULT, {**result, "vla": digest[:16], "targets": TARGETS, **provenance()})
    print(json.dumps({**result, "missed_targets": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
