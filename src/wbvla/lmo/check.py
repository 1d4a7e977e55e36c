"""The whole check of a controller: stage I tests, the paper's protocol, pushes, films, and a folder to look at."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wbvla.core.contract import open_artefact
from wbvla.core.files import write_bytes, write_json
from wbvla.core.run import provenance
from wbvla.deploy.lmo import load_lmo
from wbvla.lmo.check_page import render
from wbvla.lmo.conditions import cells, disturbed, plain, worse_than_paper
from wbvla.lmo.film import FilmConfig, film, scenes
from wbvla.lmo.protocol import pushes
from wbvla.lmo.stage_tests import Limits, StageResult, StageTestConfig, run_stage_tests
from wbvla.robots.description import RobotSpec

PAGE, FIGURES = "index.html", "check.json"
PARTS = ("stage I tests", "protocol, plain", "protocol, disturbed", "pushes")
OnPart = Callable[[str, int, int], None]
"""name of a part, how much of it is done, of how much"""


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """How thorough a check is."""

    robots_each: int = 16
    """robots per command"""
    num_threads: int = 2
    """CPU threads of the physics"""
    seed: int = 0
    """of plants, noise, delays, arms and pushes"""
    fps: int = 25
    """of the films, a divisor of 50; 0: none are made [Hz]"""


def run_check(
    policy: Path, spec: RobotSpec, config: CheckConfig, folder: Path, on_part: OnPart = lambda name, done, of: None
) -> StageResult:
    """Measure `policy` and write index.html, check.json and the films into `folder`."""
    each, calm = config.robots_each, replace(plain(config.seed), num_threads=config.num_threads)
    tests = StageTestConfig(robots_each=each, num_threads=config.num_threads, seed=config.seed)
    stage = run_stage_tests(policy, spec, tests, Limits(), lambda done, of: on_part(PARTS[0], done, of))
    rows = {}
    for part, name, condition in zip(PARTS[1:], ("plain", "disturbed"), (calm, disturbed(calm))):
        on_part(part, 0, 1)
        rows[name] = cells(policy, spec, condition, each)
        on_part(part, 1, 1)
    on_part(PARTS[3], 0, 1)
    survived = pushes(policy, spec, replace(calm, num_robots=2 * each, arm_amplitude=1.0))
    on_part(PARTS[3], 1, 1)
    films, facts = _films(policy, spec, config.fps, folder, on_part) if config.fps else ({}, {})
    settings = load_lmo(policy, spec)[1]
    result: dict[str, Any] = {
        "robot": spec.name,
        "policy": open_artefact(policy, "lmo").digest[:16],
        "preset": settings.preset,
        "goal_speed": list(settings.shaping.goal_speed),
        "robots_each": each,
        "seed": config.seed,
        "stage_1": stage.summary(),
        "protocol": {**rows, **{f"worse_{name}": worse_than_paper(row) for name, row in rows.items()}},
        "pushes": survived,
        "films": facts,
        "provenance": provenance(),
    }
    write_json(folder / FIGURES, result)
    write_bytes(folder / PAGE, render(result, stage, films).encode())
    return stage


def _films(
    policy: Path, spec: RobotSpec, fps: int, folder: Path, on_part: OnPart
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """The skills as mp4, by name, and what to say about each."""
    films, facts = {}, {}
    every = scenes(spec)
    for done, (name, scene) in enumerate(every.items()):
        on_part("films", done, len(every))
        path = folder / f"{name.replace(' ', '_').replace('-', '_')}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        look = FilmConfig(fps=fps, shot=scene.shot, glide_s=scene.glide_s)
        trace = film(policy, spec, scene.script, path, look)
        films[name] = path.read_bytes()
        facts[name] = {"file": path.name, "note": scene.note, "fell": bool(trace.fallen[-1, 0])}
    on_part("films", len(every), len(every))
    return films, facts
