"""Kills, full disks and damage done to real datasets: nothing committed may be lost, no fault may go unseen.

    python benchmarks/data_crash.py [--quick] [--seed 0] [--kills 96]

Kills are SIGKILL to a real child process, at hooks around each write, fsync and rename and at random instants, in every
operation that writes a dataset, recovery included. Afterwards the dataset is opened and repaired; every episode whose
commit had returned must be there, equal to the bit (columns, decoded frames, privileged arrays), and `check` must find
nothing. Damage (flipped bits, truncation, empty files, gaps) must be named by `check`; `repair` must keep every episode
that was not hit and serve none that was. Where WBVLA_INTEROP names a folder with v3/bin/python, the real LeRobotDataset
opens every result. Last line: one JSON object. The long form writes docs/results/data_crash.json.
"""

import argparse
import contextlib
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crash.damage import DAMAGE, Damaged, damage_one
from crash.work import SMALL, WORK, Full, Place, fingerprint, fingerprints, make, record_episode, run, run_killed
from wbvla.core.errors import DataError
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.check import check
from wbvla.data.format import INFO
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import compact
from wbvla.data.repair import repair
from wbvla.data.writer import DatasetWriter

RESULT = Path(__file__).parents[1] / "docs" / "results" / "data_crash.json"
LENGTHS = [5, 3, 6, 4, 5]
COPIES = ("merge", "split")
NEVER = 1 << 40
"""a step that no operation reaches"""


class Lerobot:
    """The real LeRobotDataset in a process of its own; absent where no environment is at hand."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        python = Path(os.environ.get("WBVLA_INTEROP", "")) / "v3/bin/python"
        self.version, self.opened, self.refused = "", 0, list[str]()
        self._process = None
        if python.is_file():
            server = [str(python), str(Path(__file__).resolve().parent / "crash/lerobot_server.py")]
            quiet = {**os.environ, "HF_HUB_OFFLINE": "1"}
            self._process = subprocess.Popen(
                server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet, cwd=tempfile.gettempdir()
            )
            self.version = self._answer()["version"]

    def open(self, root: Path, episodes: int, what: str) -> None:
        """Note a refusal, or another number of episodes than there are."""
        if self._process is None or self._process.stdin is None:
            return
        # a folder of its own: the `datasets` library caches by path
        again = self._scratch / f"lerobot-{self.opened + len(self.refused)}"
        shutil.copytree(root, again)
        print(again, file=self._process.stdin, flush=True)
        answer = self._answer()
        shutil.rmtree(again)
        if answer.get("episodes") == episodes:
            self.opened += 1
        else:
            self.refused.append(f"{what}: {answer}")

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": f"the process ended with {self._process.wait()}"}


@dataclass
class Score:
    """What was done and what came of it."""

    kills: int = 0
    lost: int = 0
    faults: int = 0
    undetected: int = 0
    served: int = 0
    """damaged episodes that a repaired dataset still held"""
    unsound: int = 0
    """recovered datasets with a fault, or in a state that is neither old nor new"""
    by_kind: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def require(self, holds: bool, counter: str, what: str, number: int = 1) -> None:
        """Count and remember what does not hold."""
        if not holds:
            setattr(self, counter, getattr(self, counter) + number)
            self.complaints.append(f"{counter}: {what}")


class Bench:
    """Fixtures made once, copied for every case."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.score, self.lerobot = folder, random.Random(seed), Score(), Lerobot(folder)
        self.plain = make(folder / "plain", 100, LENGTHS)
        self.other = make(folder / "other", 200, [3, 4])
        self.rolling = Path(shutil.copytree(self.plain, folder / "rolling"))
        compact(self.rolling, SMALL)
        self.known = fingerprints(self.plain)
        self.more = fingerprints(self.other)
        fresh = Path(shutil.copytree(self.plain, folder / "fresh"))
        run("record", self.place(folder, fresh), lambda step: None)
        self.recorded = fingerprints(fresh, known=len(LENGTHS))[len(LENGTHS) :]
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["crash.work"])
        self._number = 0
        self._steps: dict[tuple[str, bool], list[str]] = {}

    def place(self, folder: Path, root: Path) -> Place:
        return Place(root=root, other=self.other, out=folder / "out", log=folder / "log")

    def prepare(self, operation: str, rolling: bool) -> tuple[Place, list[list[str]]]:
        """A fresh copy to work on, and the states an operation may leave: lists of fingerprints."""
        self._number += 1
        folder = self.folder / f"case-{self._number:04d}"
        root = Path(shutil.copytree(self.rolling if rolling else self.plain, folder / "d"))
        place, old = self.place(folder, root), list(self.known)
        if operation == "record":
            return place, [old + self.recorded[:n] for n in range(3)]
        if operation == "repair":
            truths = sorted(root.glob("truth/*.npz"))
            shutil.copy(root / "data/chunk-000/file-000.parquet", root / "data/chunk-000/file-900.parquet")
            truths[1].unlink()
            return place, [[*old[:1], fingerprints(root)[1], *old[2:]]]
        if operation == "delete":
            return place, [old, [old[i] for i in (0, 2, 4)]]
        if operation == "recovery":
            steps = self.steps("record", rolling)
            journal = next(i for i, step in enumerate(steps) if step == "after rename journal.json")
            self.kill("record", place, journal + self.rng.randrange(1, 6))
            return place, [old + self.recorded[:1]]
        return place, [old]

    def steps(self, operation: str, rolling: bool) -> list[str]:
        """Every hook an operation passes when nobody disturbs it."""
        if (operation, rolling) not in self._steps:
            seen = self._steps[operation, rolling] = []
            place, _ = self.prepare(operation, rolling)
            run(operation, place, seen.append)
            shutil.rmtree(place.root.parent)
        return self._steps[operation, rolling]

    def duration_s(self, operation: str, rolling: bool) -> float:
        """How long an operation takes in a child that nobody kills [s]."""
        place, _ = self.prepare(operation, rolling)
        began = time.perf_counter()
        self.kill(operation, place, NEVER)
        taken = time.perf_counter() - began
        shutil.rmtree(place.root.parent)
        return taken

    def kill(self, operation: str, place: Place, steps: int, after_s: float = 0.0, power_cut: bool = False) -> bool:
        """Run an operation in a child that dies at a hook or, given `after_s` [s], when the signal comes."""
        process = self._context.Process(target=run_killed, args=(operation, place, steps, power_cut))
        process.start()
        if after_s:
            process.join(after_s)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid or 0, signal.SIGKILL)
        process.join(300)
        if process.exitcode not in (0, -signal.SIGKILL):
            raise SystemExit(f"{operation} ended with {process.exitcode}")
        return process.exitcode != 0

    def verify(self, place: Place, states: list[list[str]], what: str) -> None:
        """Open (which recovers), compare, repair, compare again, check, and let lerobot open it."""
        committed = len(place.log.read_text().splitlines()) if place.log.exists() else 0
        wanted = [s for s in states if len(s) >= len(self.known) + committed] if committed else states
        DatasetWriter.open(place.root).close()
        for when in ("opened", "repaired"):
            grows = max(map(len, states)) > len(self.known)
            found = fingerprints(place.root, known=len(self.known) if grows and place.root != place.out else NEVER)
            missing = min(len(set(state) - set(found)) for state in wanted)
            self.score.require(missing == 0, "lost", f"{what}, {when}: {missing} episodes", missing)
            self.score.require(found in wanted, "unsound", f"{what}, {when}: neither the old dataset nor the new one")
            repair(place.root)
        faults = check(place.root)
        self.score.require(not faults, "unsound", f"{what}: {[str(f) for f in faults[:3]]}")
        self.lerobot.open(place.root, len(fingerprints(place.root)), what)

    def verify_copy(self, operation: str, place: Place, what: str) -> None:
        """A killed copy is no dataset or the whole one; the same command again makes it whole."""
        self.verify(place, [list(self.known)], what)
        expected = [*self.known, *self.more] if operation == "merge" else [self.known[i] for i in (0, 2, 4)]
        if (place.out / INFO).is_file():
            self.score.require(fingerprints(place.out) == expected, "unsound", f"{what}: the copy is not whole")
        else:
            run(operation, place, lambda step: None)
        self.verify(Place(root=place.out, other=place.other, out=place.out, log=place.log), [expected], what)


CASES = [(operation, rolling) for operation in WORK for rolling in (False, True)]


def kills(bench: Bench, cases: list[tuple[str, bool]], per_case: int) -> None:
    """By turns at a hook, at a random instant, at a hook with the power cut too."""
    for operation, rolling in cases:
        steps = bench.steps(operation, rolling)
        whole_s = bench.duration_s(operation, rolling) if per_case > 1 else 0.0
        for turn in range(per_case):
            at_hook = turn % 2 == 0
            place, states = bench.prepare(operation, rolling)
            at = bench.rng.randrange(len(steps))
            if at_hook:
                died = bench.kill(operation, place, at, power_cut=turn % 4 == 2)
                what = f"{operation} killed {steps[at]}"
            else:
                after_s = bench.rng.uniform(0.02, whole_s)
                died = bench.kill(operation, place, NEVER, after_s)
                what = f"{operation} killed after {after_s:.3f} s"
            bench.score.kills += died
            bench.score.by_kind[f"kill {operation}" if died else "ended before the kill"] += 1
            if operation in COPIES:
                bench.verify_copy(operation, place, what)
            else:
                bench.verify(place, states, what)
            shutil.rmtree(place.root.parent)


def full_disk(bench: Bench, number: int) -> None:
    """ENOSPC at hooks of each operation: it ends with an error, and the dataset opens again as after a kill."""
    for turn in range(number):
        operation = list(WORK)[turn % len(WORK)]
        steps = bench.steps(operation, turn % 2 == 0)
        place, states = bench.prepare(operation, turn % 2 == 0)
        at = bench.rng.randrange(len(steps))
        what = f"{operation} on a disk full {steps[at]}"
        with contextlib.suppress(DataError, OSError):
            run(operation, place, Full(at))
            bench.score.require(False, "unsound", f"{what}: no error was raised")
        bench.score.by_kind["ENOSPC at a hook"] += 1
        if operation in COPIES:
            bench.verify_copy(operation, place, what)
        else:
            bench.verify(place, states, what)
        shutil.rmtree(place.root.parent)


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """A file system in memory of that size; False where mounting is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "wbvla", str(folder)]
    try:
        allowed = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    try:
        yield allowed
    finally:
        if allowed:
            subprocess.run(["umount", str(folder)], check=True)


def small_disk(bench: Bench) -> None:
    """Record onto a really full file system until it refuses, then free space and open again."""
    with mounted(bench.folder / "small", "700k") as allowed:
        if not allowed:
            print("a small file system cannot be mounted here: the really full disk is skipped")
            bench.score.by_kind["full file system skipped"] += 1
            return
        root, ballast = bench.folder / "small/d", bench.folder / "small/ballast"
        ballast.write_bytes(bytes(40_000))
        make(root, 100, LENGTHS[:2])
        writer, expected = DatasetWriter.open(root), fingerprints(root)
        try:
            while True:
                record_episode(writer, 100 + len(expected), LENGTHS[len(expected) % len(LENGTHS)])
                data = Dataset(root)
                expected.append(fingerprint(data, len(expected)))
                data.close()
        except (DataError, OSError) as error:
            full = any(word in str(error) for word in ("No space", os.strerror(errno.ENOSPC)))
            bench.score.require(full, "unsound", f"the full disk was reported as {error}")
        with contextlib.suppress(DataError, OSError):
            writer.close()
        ballast.unlink()
        DatasetWriter.open(root).close()
        found = fingerprints(root)
        missing = len(set(expected) - set(found))
        bench.score.require(missing == 0, "lost", f"full file system: {missing} of {len(expected)}", missing)
        repair(root)
        bench.score.require(not check(root), "unsound", f"full file system: {[str(f) for f in check(root)[:3]]}")
        bench.lerobot.open(root, len(found), "full file system")
        bench.score.by_kind["full file system"] += 1


def damage(bench: Bench, kind: str, number: int) -> None:
    """Damage copies in every kind of file, in both layouts; check must tell, repair must keep what was not hit."""
    for turn in range(number):
        rolling = turn % 2 == 1
        place, _ = bench.prepare("open", rolling)
        done: Damaged = damage_one(place.root, kind, turn // 2, bench.rng)
        what = f"{done.what} ({'rolling' if rolling else 'one file per episode'})"
        faults = check(place.root)
        bench.score.faults += 1
        bench.score.by_kind[f"{kind}"] += 1
        bench.score.require(bool(faults), "undetected", what)
        repair(place.root)
        found, whole = fingerprints(place.root, truth=False), fingerprints(bench.plain, truth=False)
        kept = [f for i, f in enumerate(whole) if i not in done.hit]
        missing = len(set(kept) - set(found))
        bench.score.require(missing == 0, "lost", f"{what}: {missing} episodes that were not hit", missing)
        alien = len(set(found) - set(whole))
        bench.score.require(alien == 0, "served", f"{what}: {alien} damaged episodes", alien)
        again = check(place.root)
        bench.score.require(not again, "unsound", f"{what}: after repair {[str(f) for f in again[:3]]}")
        bench.lerobot.open(place.root, len(found), what) if found else None
        shutil.rmtree(place.root.parent)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All parts in turn; the summary."""
    bench = Bench(folder, options.seed)
    flips, cuts, others, full = (4, 3, 3, 3) if options.quick else (40, 20, 20, 10)
    cases = CASES[::4] + CASES[3::4] if options.quick else CASES
    per_case = 2 if options.quick else -(-options.kills // len(CASES))
    parts: list[tuple[str, Callable[[], None]]] = [
        ("kills", lambda: kills(bench, cases, per_case)),
        ("full disk at hooks", lambda: full_disk(bench, full)),
        ("full file system", lambda: small_disk(bench)),
        *((kind, lambda k=kind, n=n: damage(bench, k, n)) for kind, n in zip(DAMAGE, (flips, cuts, others, others))),
    ]
    for name, part in parts:
        began = time.perf_counter()
        part()
        print(f"{name:24} {time.perf_counter() - began:6.1f} s")
    score = bench.score
    for line in [*score.complaints, *bench.lerobot.refused]:
        print(line)
    return {
        "kills": score.kills,
        "lost": score.lost,
        "faults": score.faults,
        "undetected": score.undetected,
        "served": score.served,
        "unsound": score.unsound,
        "lerobot": bench.lerobot.version or "not at hand (set WBVLA_INTEROP)",
        "lerobot_opened": bench.lerobot.opened,
        "lerobot_refused": len(bench.lerobot.refused),
        "by_kind": dict(sorted(score.by_kind.items())),
        "seed": options.seed,
    }


def main() -> int:
    """0 when nothing was lost, missed or refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; writes no file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=80, help="about so many, spread over operations and layouts")
    options = parser.parse_args()
    np.seterr(all="raise")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options)
    bad = sum(result[k] for k in ("lost", "undetected", "served", "unsound", "lerobot_refused"))
    if not options.quick:
        write_json(RESULT, {**result, "command": " ".join(["python", *sys.argv]), **provenance()})
    print(json.dumps(result))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
