"""Frames per second of our reader and of LeRobot's, on the same files in one run, cold and without a frame cache.

    WBVLA_INTEROP=FOLDER python benchmarks/data_throughput.py [--quick]

FOLDER/v3/bin/python must have lerobot[dataset] 0.6 (and the system FFmpeg's libraries for torchcodec, its fastest
decoder); without it only our own figures are given. A window is 2 frames of one 224x224 camera, 30 frames apart, with
every other column of the first and its instruction; both sides hand out the same contiguous tensor (2, 3, 224, 224),
float32 in [0, 1] (LeRobot's default, the headline) or uint8. The clips are egocentric ones of `wbvla record egovideo`,
as we write them by default, and again as LeRobot does. Each measurement is a fresh process after the files were dropped
from the page cache; sides alternate. Opening decoders counts; importing and opening the dataset do not. Torch has one
thread on both sides, as in a loader's worker; `one_core` has both pinned to one core. `ratio` is ours / LeRobot's,
median of the paired rounds, the smaller of random and sequential order on our files. `streamed` is our shuffled stream,
which decodes a group of clips once and keeps it: no part of the ratio. Last line: one JSON object. The long form writes
docs/results/data_throughput.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wbvla.collect.ego.video import EgoVideoConfig, record_egovideo
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.reader import Dataset
from wbvla.data.video import VideoCodec, decoding_threads
from wbvla.lam.model import lam_loss
from wbvla.lam.streamed import StreamedPairs, pair_stream
from wbvla.lam.train import build
from wbvla.recipes.lam import tiny_locomotion
from wbvla.train.loop import fit

HERE = Path(__file__).resolve().parent
RESULT = HERE.parent / "docs" / "results" / "data_throughput.json"
CAMERA, SIDE, FPS, GAP, SEED = "observation.images.head", 224, 25, 30, 0
TARGETS = {"ratio": 3.0, "growth_mib": 50.0}


def write_ours(root: Path, clips: int) -> Path:
    """Our dataset, our default codec."""
    config = EgoVideoConfig(num_clips=clips, fps=FPS, width=SIDE, height=SIDE, seed=SEED)
    record_egovideo(replace(config, seconds=10.0, goal_seconds=10.0), root)
    return root


def write_lerobot(python: str, ours: Path, root: Path, clips: int) -> Path:
    """The same pictures as LeRobot writes them, with its own defaults."""
    data = Dataset(ours)
    lengths = [data.episodes[e].length for e in range(clips)]
    np.save(root.parent / "frames.npy", data.load_video(CAMERA, (SIDE, SIDE), range(clips)))
    script, told = str(HERE / "throughput/write.py"), json.dumps(lengths)
    call([python, script, str(root), str(root.parent / "frames.npy"), told, str(FPS), CAMERA], root.parent)
    (root.parent / "frames.npy").unlink()
    return root


def call(command: list[str], scratch: Path) -> str:
    """What a process says on its standard output; its errors end this one."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "hf"), "SVT_LOG": "1"}
    environment |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=scratch)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def forget(root: Path) -> None:
    """Drop the files of a dataset from the page cache (clean pages only, so they are synced first)."""
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def windows_of(root: Path, order: str, count: int, seed: int) -> list[list[int]]:
    """(episode, frame, global index) of windows that lie whole in their episodes."""
    data = Dataset(root)
    every = data.whole_windows(0, GAP)
    rng = np.random.default_rng(seed)
    start = int(rng.integers(len(every) - count)) if order == "sequential" else 0
    chosen = every[start : start + count] if order == "sequential" else rng.choice(every, count)
    return [[*data.locate(int(i)), int(i)] for i in chosen]


class Sides:
    """Runs single measurements of either side in fresh processes."""

    def __init__(self, lerobot: str, scratch: Path) -> None:
        self.pythons = {"ours": sys.executable} | ({"lerobot": lerobot} if lerobot else {})
        self._scratch = scratch
        self.facts: dict[str, Any] = {}

    def run(self, side: str, root: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
        """One cold pass over the plan's windows."""
        whole = {"camera": CAMERA, "gap": GAP, "fps": FPS, "size": [SIDE, SIDE], **plan}
        path = self._scratch / "plan.json"
        path.write_text(json.dumps({"cores": 0, "deliver": "float32", **whole}))
        forget(root)
        script = str(HERE / "throughput/side.py")
        out = call([self.pythons[side], script, side, str(root), str(path)], self._scratch)
        result = json.loads(out.splitlines()[-1])
        self.facts[side] = {k: v for k, v in result.items() if isinstance(v, str)}
        return result

    def compare(self, root: Path, plan: Mapping[str, Any], rounds: int, count: int) -> dict[str, Any]:
        """Alternating rounds of both sides on the same windows; frames per second and the ratio, medians."""
        rows: list[dict[str, float]] = []
        for number in range(rounds):
            windows = windows_of(root, plan["order"], count, SEED + number)
            sides = list(self.pythons) if number % 2 == 0 else list(self.pythons)[::-1]
            seconds = {s: self.run(s, root, {**plan, "windows": windows}) for s in sides}
            rows.append({s: 2 * count / r["seconds"] for s, r in seconds.items()})
            rows[-1] |= {f"{s}_cpu": 2 * count / r["cpu_s"] for s, r in seconds.items()}
        found = {f"{name}_fps": float(np.median([r[name] for r in rows])) for name in rows[0]}
        if "lerobot" in self.pythons:
            found["ratio"] = float(np.median([r["ours"] / r["lerobot"] for r in rows]))
            found["ratio_of_cpu_time"] = float(np.median([r["ours_cpu"] / r["lerobot_cpu"] for r in rows]))
        return {k: round(v, 3) for k, v in found.items()}

    def difference(self, root: Path) -> float:
        """Mean absolute difference of a few frames between the sides, in grey levels."""
        windows, stacks = windows_of(root, "random", 6, 99), []
        for side in self.pythons:
            path = str(self._scratch / f"{side}.npy")
            self.run(side, root, {"windows": windows, "deliver": "uint8", "keep": 6, "samples": path})
            stacks.append(np.load(path).astype(int))
        return round(float(np.abs(stacks[0] - stacks[-1]).mean()), 3)


class Timed:
    """A source of batches that notes how long the loop waits for each."""

    def __init__(self, source: StreamedPairs) -> None:
        self._source = source
        self.waits: list[tuple[float, float]] = []

    def batch(self, step: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        start = time.perf_counter()
        found = self._source.batch(step, rng)
        self.waits.append((start, time.perf_counter()))
        return found


def data_wait(root: Path, scratch: Path, steps: int) -> dict[str, float]:
    """Share of a training step of tiny-lam-locomotion that is spent waiting for one worker process that decodes."""
    recipe = tiny_locomotion()
    config = replace(recipe, loop=replace(recipe.loop, steps=steps, checkpoint_every=steps))
    plan = pair_stream(config.model, config.loop.batch_size, SEED, num_sources=1, group_mib=64, workers=1)
    source = Timed(StreamedPairs([Dataset(root)], plan))
    fit(build(config), lam_loss, source, config.loop, scratch / "run")
    settled = source.waits[len(source.waits) // 4 :]  # without the start of the worker
    whole = settled[-1][0] - settled[0][0]
    waited = sum(end - start for start, end in settled[:-1])
    return {"data_wait": round(waited / whole, 4), "step_ms": round(1e3 * whole / (len(settled) - 1), 1)}


def measure(sides: Sides, scratch: Path, quick: bool) -> dict[str, Any]:
    """Every figure."""
    clips, rounds, count = (6, 1, 250) if quick else (40, 3, 2000)
    roots = {"ours": write_ours(scratch / "ours", clips)}
    if "lerobot" in sides.pythons:
        python = sides.pythons["lerobot"]
        roots["lerobot"] = write_lerobot(python, roots["ours"], scratch / "lerobot", 2 if quick else 12)
    detail: dict[str, Any] = {}
    for name, root in roots.items():
        for variant in ({}, {"cores": 1}, {"deliver": "uint8"}):
            if quick and (variant or name == "lerobot"):
                continue
            label = "one_core" if "cores" in variant else variant.get("deliver", "float32")
            for order in ("random", "sequential"):
                found = sides.compare(root, {"order": order, **variant}, rounds, count)
                detail.setdefault(f"{name}_files", {}).setdefault(label, {})[order] = found
                print(f"{name} files, {label}, {order}: {found}", flush=True)
    whole = len(Dataset(roots["ours"]).whole_windows(0, GAP))
    streamed = sides.run("ours", roots["ours"], {"windows": [[0, 0, 0]] * whole, "streamed": True, "cores": 1})
    growth, after = (1200, 300) if quick else (21_000, 1000)
    windows = windows_of(roots["ours"], "random", growth, 7)
    grown = sides.run("ours", roots["ours"], {"windows": windows, "growth_after": after})
    head = detail["ours_files"]["float32"]
    slower = min(head, key=lambda k: head[k].get("ratio", head[k]["ours_fps"]))
    result: dict[str, Any] = {
        "ours_fps": head[slower]["ours_fps"],
        "lerobot_fps": head[slower].get("lerobot_fps"),
        "ratio": head[slower].get("ratio"),
        "growth_mib": round(grown["growth_mib"], 2),
        "growth_samples": growth - after,
        "streamed_one_core_fps": round(2 * whole / streamed["seconds"], 1),
        **data_wait(roots["ours"], scratch, 16 if quick else 120),
        "detail": detail,
    }
    if "lerobot" in sides.pythons:
        result["frames_differ_by"] = {name: sides.difference(root) for name, root in roots.items()}
    return result


def main() -> int:
    """0 when every target that could be measured is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small datasets and one round; writes no file")
    options = parser.parse_args()
    python = Path(os.environ.get("WBVLA_INTEROP", "")) / "v3" / "bin" / "python"
    lerobot = str(python) if os.environ.get("WBVLA_INTEROP") and python.is_file() else ""
    if not lerobot:
        print("lerobot is missing: set WBVLA_INTEROP to the folder that benchmarks/interop/setup.sh made")
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(lerobot, Path(folder))
        result = measure(sides, Path(folder), options.quick)
    codec = VideoCodec()
    result["files"] = {
        "ours": f"{codec.encoder} crf {codec.crf}, {codec.gop} frames a group, fast_decode {codec.fast_decode}",
        "lerobot": "its defaults: libsvtav1 crf 30, 2 frames a group",
        "page_cache": "dropped by posix_fadvise before each run; LeRobot's Arrow copy of the table stays warm",
    }
    result |= {"command": "WBVLA_INTEROP=FOLDER python benchmarks/data_throughput.py", "seed": SEED}
    result |= {
        "sides": sides.facts,
        "load_average": os.getloadavg()[0],
        "threads_ours": decoding_threads(),
        "targets": TARGETS,
    }
    missed = [] if result["ratio"] is None or result["ratio"] >= TARGETS["ratio"] else ["ratio"]
    missed += ["growth_mib"] if result["growth_mib"] > TARGETS["growth_mib"] else []
    if not options.quick:
        write_json(RESULT, {**result, "missed_targets": missed, **provenance()})
    print(json.dumps({**result, "missed_targets": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
