"""The parts of the preflight checklist: which room measures each of them, and what it asks for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wbvla.cli import doctor
from wbvla.cli.network import network_line
from wbvla.collect.readiness import simulator_lines
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
    watch_s: float = 10.0
    """how long the network is watched; minutes say more [s]"""
    robots_each: int = 4
    """robots per command of the stage I tests"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the policy is served."""

    address: str = ""
    """the policy server, e.g. tcp://192.168.1.100:5555; empty = one is started here, on loopback"""
    keys: Path | None = None
    """folder made by `wbvla keys`, for a server elsewhere"""


def parts(root: Path, robot: str, needs: Needs, server: Server) -> dict[str, Callable[[], Iterable[Finding]]]:
    """Each part's name and how it is measured."""
    bundle = root / "bundle"
    sets, look = cache(lambda: find_sets(root)), (doctor.DRAW, doctor.DRAW_REMEDY)
    checks = (machine.check_cpu, machine.check_memory, lambda: machine.check_disk(root.resolve()), machine.check_gpu)
    lmo, spec = bundle / "lmo", load_robot(robot)
    policy, limits = lmo if lmo.is_dir() else shipped_lmo(spec.name), (needs.round_trip_ms, needs.lost)
    return {
        "compute": lambda: [check() for check in checks],
        "video": lambda: video_lines(sets(), needs.video_hours),
        "manipulation": lambda: manipulation_lines(sets()),
        "demonstrations": lambda: demonstration_lines(sets(), needs.demonstrations),
        "simulator": lambda: (machine.check_renderer(*look), *simulator_lines(spec.name)),
        "network": lambda: [network_line(bundle, server.address, server.keys, needs.watch_s, limits)],
        "models": lambda: model_lines(root, needs.code_use),
        "controller": lambda: [controller_line(policy, spec, needs.robots_each)],
    }
