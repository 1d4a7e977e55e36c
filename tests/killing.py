"""Runs a training in child processes that are killed at random instants until one gets through."""

import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ATTEMPTS = 25


def killed_until_done(
    target: Callable[..., Any], args: tuple, folder: Path, preload: str, seed: int = 0
) -> tuple[int, int]:
    """SIGKILL `target(*args)` at random instants after it has begun to write to `folder`, then let it finish.

    Returns the numbers of kills and of kills that hit a file being written (its temporary name was left behind).
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "pytest", preload])
    rng, kills, torn = random.Random(seed), 0, 0
    for attempt in range(ATTEMPTS):
        process = context.Process(target=target, args=args)
        process.start()
        if attempt < 4:
            deadline, seen = time.monotonic() + 120.0, newest(folder)
            while process.is_alive() and newest(folder) == seen and time.monotonic() < deadline:
                time.sleep(0.002)
            process.join(timeout=rng.uniform(0.0, 0.25))
            if process.is_alive():
                process.kill()
                kills += 1
                process.join()
                torn += any(p.name.endswith(".tmp") for p in folder.rglob(".*"))
        process.join()
        if process.exitcode == 0:
            return kills, torn
    raise AssertionError(f"no run got through in {ATTEMPTS} attempts; the last ended with {process.exitcode}")


def newest(folder: Path) -> float:
    """When anything below a folder was last written."""
    stamps = [p.stat().st_mtime_ns for p in folder.rglob("*") if p.exists()] if folder.is_dir() else []
    return float(max(stamps, default=0))
