"""How fast demonstrations are made: simulated time and pictures per second of the wall clock, and whether they repeat.

    python benchmarks/generation.py [--task box-loading] [--quick]

Attempts of the scripted teleoperator with three cameras of 224x224, in as many processes as given. `sim_speed` and
`images_per_s` are of simulating and drawing, start-up left out; `images_per_cpu_s` is per second of one core, whatever
else the machine does; `recorded_images_per_s` is of `wbvla record expert` as a whole, start-up, encoding and writing
included. `identical`: actions and pictures of the same seeds, made again by another process after other seeds, are the
same to the byte. Last line: one JSON object; the long form writes docs/results/generation_<task>.json.
"""

import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from wbvla.collect.record import FPS, RecordConfig, open_stage, perform, record_expert, recording_of
from wbvla.collect.stage import Stage
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.features import ACTION, IMAGE, Recording
from wbvla.data.reader import Dataset

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the generation of demonstrations."""

    task: str = "box-loading"
    """task by name"""
    attempts: int = 12
    """attempts to time"""
    episodes: int = 6
    """episodes to record"""
    size: int = 224
    """edge of each picture [px]"""
    processes: int = 2
    """attempts at the same time"""
    quick: bool = False
    """2 attempts and 1 episode; nothing is written"""


@dataclass(frozen=True)
class Made:
    """One attempt: how much it was, and what it looked like."""

    seed: int
    simulated_s: float
    images: int
    cpu_s: float
    digest: str


_here: list[tuple[Stage, Recording]] = []


def enter(task: str, config: RecordConfig) -> None:
    """Build the stage of this process and draw once, so that start-up is over."""
    stage = open_stage(task, config)
    stage.body.images()
    _here.append((stage, recording_of(stage.spec, config, task)))


def ready(_: int) -> None:
    """Occupy a process until the others have started."""
    time.sleep(0.5)


def make(seed: int) -> Made:
    """One attempt in this process."""
    began, (stage, recording) = time.process_time(), _here[0]
    take, digest = perform(stage, recording, seed), hashlib.sha256()
    for frame in take.frames:
        for name in (ACTION, *(IMAGE + camera for camera in recording.cameras)):
            digest.update(frame[name].tobytes())
    return Made(
        seed=seed,
        simulated_s=stage.world.time_s,
        images=len(take.frames) * len(recording.cameras),
        cpu_s=time.process_time() - began,
        digest=digest.hexdigest(),
    )


def attempts(options: Options, config: RecordConfig, seeds: Sequence[int], processes: int) -> tuple[list[Made], float]:
    """Attempts of these seeds, and the time they took once all processes had started [s]."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, enter, (options.task, config)) as pool:
        list(pool.map(ready, range(processes)))
        began = time.perf_counter()
        made = list(pool.map(make, seeds))
        return made, time.perf_counter() - began


def record(options: Options, config: RecordConfig, episodes: int) -> dict[str, float]:
    """Record into a dataset that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="wbvla-generation-") as scratch:
        folder, began = Path(scratch) / "dataset", time.perf_counter()
        tally = record_expert(folder, options.task, episodes, config=config)
        took_s, data = time.perf_counter() - began, Dataset(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        images = data.num_frames * len(data.contract["cameras"])
    return {
        "recorded_episodes": tally.kept,
        "recorded_attempts": tally.attempts,
        "recorded_images_per_s": round(images / took_s, 1),
        "recorded_sim_speed": round(images / 3 / FPS / took_s, 2),
        "seconds_per_episode": round(took_s / tally.kept, 1),
        "megabytes_per_episode": round(size / tally.kept / 1e6, 2),
    }


def measure(options: Options) -> dict[str, Any]:
    """The keys of the benchmark."""
    config = RecordConfig(width=options.size, height=options.size, processes=options.processes)
    seeds = list(range(2 if options.quick else options.attempts))
    made, took_s = attempts(options, config, seeds, options.processes)
    again, _ = attempts(options, config, seeds[::-1][: 1 if options.quick else 4], 1)
    digests = {one.seed: one.digest for one in made}
    return {
        "task": options.task,
        "sim_speed": round(sum(one.simulated_s for one in made) / took_s, 2),
        "images_per_s": round(sum(one.images for one in made) / took_s, 1),
        "images_per_cpu_s": round(sum(one.images for one in made) / sum(one.cpu_s for one in made), 1),
        "identical": all(digests[one.seed] == one.digest for one in again),
        "compared": len(again),
        "attempts": len(made),
        "size": options.size,
        "processes": options.processes,
        **record(options, config, 1 if options.quick else options.episodes),
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    figures = measure(options)
    if not options.quick:
        name = f"generation_{options.task.replace('-', '_')}.json"
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(RESULTS / name, {**figures, **provenance()})
        print(f"written to docs/results/{name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
