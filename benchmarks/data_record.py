"""Recording while a robot is controlled: 3 cameras 640x480 at 30 Hz and 31 joints for 60 s, beside the 50 Hz loop.

    python benchmarks/data_record.py [--quick]

The cameras play pre-rendered footage by the clock, each in its own process; every frame carries its number as a bar
code. The loop is the robot loop with the shipped controller on the simulated body in real time. Afterwards the dataset
is read back: `frames` are those whose bar code is in it, `dropped` those that the cameras gave while the clip was open
and that are not, as the recorder counted them; gaps between bar codes can be no more (`gaps`; frames before the first
row and after the last leave none). Last line: one JSON object. The long form writes docs/results/data_record.json.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.cameras.recorded import write_footage
from wbvla.collect.collector import Collector, CollectorConfig
from wbvla.core.command import Command
from wbvla.core.files import write_json
from wbvla.core.records import Action, Observation
from wbvla.core.run import provenance
from wbvla.data.check import check
from wbvla.data.features import IMAGE
from wbvla.data.reader import Dataset
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import LoopReport, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.tasks import tasks

HEIGHT, WIDTH, FPS, BITS = 480, 640, 30, 8
RENDERED = 60
"""different pictures in the footage; the bar code goes over each of them"""
TARGETS = {"dropped_share": 0.01, "period_p99_ms": 25.0}
RESULT = Path(__file__).parents[1] / "docs" / "results" / "data_record.json"


class Standing:
    """A driver that keeps the robot on its feet, arms where they are."""

    instruction = "stand"

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._arms = spec.column("default")[spec.indices(spec.arm_joints)]

    def reset(self) -> None:
        """It has no past."""

    def act(self, observation: Observation) -> Action:
        """Half a second of the same."""
        command = Command(height_m=self._spec.nominal_height_m)
        return Action(
            rate_hz=10.0,
            arm_targets=np.tile(self._arms, (5, 1)),
            grippers=np.ones((5, 2)),
            flags=np.tile(command.flags, (5, 1)),
            height_m=np.full(5, command.height_m),
        )


def coded(pictures: np.ndarray, count: int) -> np.ndarray:
    """`count` frames: the pictures in turn, each with its number in black and white stripes above."""
    frames = pictures[np.arange(count) % len(pictures)].copy()
    cell = WIDTH // BITS
    for bit in range(BITS):
        on = (np.arange(count) >> bit & 1).astype(bool)
        frames[:, :32, bit * cell : (bit + 1) * cell] = np.where(on, 235, 20)[:, None, None, None]
    return frames


def numbers_in(frames: np.ndarray) -> list[int]:
    """Inverse of `coded`."""
    cell = WIDTH // BITS
    bits = [frames[:, 16, bit * cell + cell // 2].mean(-1) > 128 for bit in range(BITS)]
    return [int(n) for n in sum(np.asarray(b, int) << i for i, b in enumerate(bits))]


def render(spec: RobotSpec, folder: Path) -> tuple[CameraConfig, ...]:
    """Footage of the robot's cameras in a task's world while it stands, as recorded cameras."""
    task = tasks.build("box-lift")
    world = task.build(spec)
    task.reset(world, 0)
    body = SimBody(world, SimBodyConfig(image_width=WIDTH, image_height=HEIGHT, image_hz=50.0))
    seen: dict[str, list[np.ndarray]] = {name: [] for name in spec.camera_names}
    for step in range(RENDERED):
        world.data.qpos[world.qpos] += 0.01 * np.sin(0.2 * step)
        body.tick()
        for name, image in body.images().items():
            seen[name].append(image.rgb)
    body.close()
    for name, pictures in seen.items():
        write_footage(folder / name, coded(np.stack(pictures), 1 << BITS))
    return tuple(
        CameraConfig(name=name, source="recorded", path=folder / name, width=WIDTH, height=HEIGHT, fps=FPS)
        for name in spec.camera_names
    )


def control(spec: RobotSpec, collector: Collector, body: SimBody, seconds: float) -> tuple[LoopReport, dict[str, Any]]:
    """Run the loop; the clip is open from its first to its last second, begun and ended by another thread."""
    lmo = LmoController.load(shipped_lmo(spec.name), spec)
    source = LocalSource(Standing(spec))
    loop = RobotLoop(body, spec, lmo, source, SafetyLayer(spec, control_hz=body.control_hz), [collector])
    news: dict[str, Any] = {}

    def operate() -> None:
        time.sleep(1.0)
        collector.start("stand")
        time.sleep(seconds)
        news.update(collector.stop())
        loop.finish()

    operator = threading.Thread(target=operate)
    operator.start()
    body.reset()
    report = loop.run(round((seconds + 60.0) * body.control_hz), "stand")
    operator.join()
    return report, news


def measure(seconds: float) -> dict[str, Any]:
    """One recording beside the loop, read back."""
    spec = load_robot("agibot_x2")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cameras = render(spec, folder / "footage")
        task = tasks.build("box-lift")
        world = task.build(spec)
        task.reset(world, 0)
        body = SimBody(world, SimBodyConfig(realtime=True, cameras=()))
        try:
            with Collector(folder / "d", body, spec, CollectorConfig(fps=FPS, cameras=cameras)) as collector:
                report, news = control(spec, collector, body, seconds)
        finally:
            body.close()
        return {**counted(folder / "d", news), **periods(report), "seconds": seconds}


def counted(folder: Path, news: dict[str, Any]) -> dict[str, Any]:
    """Frames by their bar codes, and what the recorder said it dropped: the two must agree."""
    if news["kind"] != "committed":
        return {"dropped": -1, "frames": 0, "dropped_share": 1.0, "refused": news["text"], "counts": news["counts"]}
    data, frames, dropped = Dataset(folder), 0, 0
    length = data.episodes[0].length
    for name in (n.removeprefix(IMAGE) for n in data.info.cameras):
        sequence = data.truth(0)[f"{name}_sequence"]
        parts = [range(i, min(i + 30, length)) for i in range(0, length, 30)]
        shown = [n for part in parts for n in numbers_in(data.frames(IMAGE + name, 0, part))]
        if shown != (sequence % (1 << BITS)).tolist():
            raise SystemExit(f"{name}: the dataset shows other frames than it says")
        frames += len(sequence)
        dropped += int(np.diff(sequence).sum()) + 1 - len(sequence)
    said = sum(n for lost in news["counts"]["dropped"].values() for n in lost.values())
    faults = [str(f) for f in check(folder)]
    if dropped > said:
        raise SystemExit(f"{dropped} frames are missing between others, the recorder counted {said}")
    share = said / (said + frames)
    return {
        "dropped": said, "frames": frames, "dropped_share": round(share, 5), "gaps": dropped,
        "rows": length, "joints": len(data.contract["joint_names"]), "faults": faults, "counts": news["counts"],
    }  # fmt: skip


def periods(report: LoopReport) -> dict[str, Any]:
    """How the loop ran meanwhile."""
    found = np.array(report.periods_s) * 1e3
    return {
        "period_p50_ms": round(float(np.percentile(found, 50)), 2),
        "period_p99_ms": round(float(np.percentile(found, 99)), 2),
        "period_max_ms": round(float(found.max()), 2),
        "work_p99_ms": round(float(np.percentile(report.work_s, 99)) * 1e3, 2),
        "ticks": report.ticks,
        "trip": report.trip,
        "load_average": round(os.getloadavg()[0], 2),
    }


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="6 s; writes no file")
    options = parser.parse_args()
    result = measure(6.0 if options.quick else 60.0)
    missed = [name for name, limit in TARGETS.items() if result[name] > limit]
    for name, limit in TARGETS.items():
        print(f"{name:14} {result[name]:8.4f}   target <= {limit}")
    if not options.quick:
        write_json(RESULT, {**result, "targets": TARGETS, **provenance()})
    print(json.dumps({**result, "missed_targets": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
