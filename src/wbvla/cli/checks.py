"""The parts of the preflight checklist: which room measures each of them, and what it asks for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wbvla.cli import doctor
from wbvla.cli.network import network_line
from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.readiness import camera_line, simulator_lines
from wbvla.core import machine
from wbvla.core.machine import Finding
from wbvla.data.readiness import demonstration_lines, find_sets, manipulation_lines, video_lines
from wbvla.lmo.readiness import controller_line
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.train.readiness import model_lines


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the lines ask for: the WholeBodyVLA tutorial's figures unless said otherwise."""

    video_hours: float = 50.0
    """action-free egocentric video in all [h]"""
    demonstrations: int = 50
    """valid successful demonstrations of each task"""
    round_trip_ms: float = 50.0
    """99th percentile from an observation to its actions [ms]"""
    lost: float = 0.01
    """largest share of observations without an answer (ours) [-]"""
    code_use: float = 0.5
    """least share of a codebook's codes in use, mean over its tokens [-]"""
    dropped: float = 0.01
    """largest share of a camera's frames that may be missing (ours) [-]"""
    watch_s: float = 10.0
    """how long camera and network are watched, each; minutes say more [s]"""
    robots_each: int = 16
    """robots per command of the stage I tests"""


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What is at the other ends of the cables."""

    camera: str = ""
    """source of frames: realsense, webcam, video, gopro-file or recorded; empty = none"""
    camera_path: Path | None = None
    """video file, device node of a webcam, or folder of recorded footage"""
    fps: int = 30
    """frames per second that are asked of the camera [Hz]"""

    address: str = ""
    """the policy server, e.g. tcp://192.168.1.100:5555; empty = one is started here, on loopback"""
    keys: Path | None = None
    """folder made by `wbvla keys`, for a server elsewhere"""


def parts(root: Path, robot: str, needs: Needs, devices: Devices) -> dict[str, Callable[[], Iterable[Finding]]]:
    """Each part's name and how it is measured."""
    bundle = root / "bundle"
    sets, look = cache(lambda: find_sets(root)), (doctor.DRAW, doctor.DRAW_REMEDY)
    checks = (machine.check_cpu, machine.check_memory, lambda: machine.check_disk(root.resolve()), machine.check_gpu)
    eye = CameraConfig(source=devices.camera, path=devices.camera_path, fps=devices.fps) if devices.camera else None
    lmo, spec = bundle / "lmo", load_robot(robot)
    policy, limits = lmo if lmo.is_dir() else shipped_lmo(spec.name), (needs.round_trip_ms, needs.lost)
    return {
        "compute": lambda: [check() for check in checks],
        "camera": lambda: [camera_line(eye, needs.watch_s, needs.dropped)],
        "video": lambda: video_lines(sets(), needs.video_hours),
        "manipulation": lambda: manipulation_lines(sets()),
        "demonstrations": lambda: demonstration_lines(sets(), needs.demonstrations),
        "simulator": lambda: (machine.check_renderer(*look), *simulator_lines(spec.name)),
        "network": lambda: [network_line(bundle, devices.address, devices.keys, needs.watch_s, limits)],
        "models": lambda: model_lines(root, needs.code_use),
        "controller": lambda: [controller_line(policy, spec, needs.robots_each)],
    }
