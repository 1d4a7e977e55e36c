"""Records demonstrations: an observer that turns control ticks into frames, and episodes run until enough succeed."""

import itertools
import json
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from wbvla.collect.expert import ExpertConfig
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.contract import open_artefact, require_match
from wbvla.core.errors import DataError
from wbvla.core.files import write_json
from wbvla.core.records import Tick
from wbvla.core.run import plain
from wbvla.data.dataset_stats import write_stats
from wbvla.data.features import ACTION, IMAGE, STATE, SUCCESS, contract_for, features_for, state_vector
from wbvla.data.format import CONTRACT
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot, shipped_lmo

FPS = 10
SEEDS_PER_RUN = 10_000
"""attempt i of a recording with seed s starts from world seed s * SEEDS_PER_RUN + i"""
TALLY = "truth/attempts.json"


class EpisodeRecorder:
    """An `Observer`: one frame per observation, with the action that took effect until the next one.

    The action of a frame is what the robot was really told just before the next observation, behind the safety
    layer, so it is right for every source and every latency.
    """

    def __init__(self) -> None:
        self.images: dict[str, list[np.ndarray]] = {}
        self.states: list[np.ndarray] = []
        self.actions: list[np.ndarray] = []
        self._last: Tick | None = None

    def observe(self, tick: Tick) -> None:
        """Close the frame before when a new observation comes, then open the next."""
        if tick.observation is not None:
            self._close()
            self.states.append(state_vector(tick.observation.state))
            for name, image in tick.observation.images.items():
                self.images.setdefault(name, []).append(image.rgb)
        self._last = tick

    def finish(self) -> None:
        """Close the last frame."""
        self._close()

    def _close(self) -> None:
        if self._last is not None and len(self.actions) < len(self.states):
            self.actions.append(action_of(self._last))


def action_of(tick: Tick) -> Float32[np.ndarray, " action"]:
    """The command in effect at a tick as one row of the `action` column."""
    command = tick.command
    tail = [*command.flags, command.height_m]
    return np.concatenate([tick.arm_target, tick.target.gripper, tail]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """How demonstrations are recorded."""

    robot: str = "agibot_x2"
    """robot by name"""
    width: int = 160
    """of each camera [px]"""
    height: int = 120
    """[px]"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""
    expert: ExpertConfig = field(default_factory=lambda: ExpertConfig(perturbation=0.5))
    """how the scripted teleoperator moves; perturbed, so that recoveries are shown"""
    processes: int = 2
    """episodes simulated at the same time; the dataset does not depend on it"""
    attempts_per_episode: float = 4.0
    """stop with an error when more attempts than this are needed per kept episode [-]"""


@dataclass(frozen=True, kw_only=True)
class Take:
    """One attempt, as it comes from the process that simulated it."""

    seed: int
    success: bool
    reason: str
    instruction: str
    images: Mapping[str, np.ndarray]
    states: np.ndarray
    actions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a recording holds and what it cost."""

    kept: int
    attempts: int
    failures: Mapping[str, int]
    """failed attempts by reason; they are not in the dataset"""


Progress = Callable[[float, float, str], None]


def record_expert(
    folder: Path,
    task: str,
    episodes: int,
    seed: int = 0,
    on_progress: Progress = lambda done, total, text: None,
    config: RecordConfig | None = None,
) -> Tally:
    """Record successful demonstrations until the dataset holds `episodes`; failed attempts are only counted.

    Called again after a kill it goes on behind the last whole episode and ends with the same dataset. Raises
    DataError when the expert fails too often, ContractMismatch when the folder holds another recording.
    """
    config = config or RecordConfig()
    wanted = dataset_config(task, seed, config)
    if (folder / CONTRACT).is_file():
        there = json.loads((folder / CONTRACT).read_text())
        require_match(f"recording {folder}", wanted.contract["recording"], there.get("recording", {}))
    run = _Run(folder, task, episodes, seed, on_progress, config)
    interrupted = False
    with DatasetWriter.resume(folder, wanted) as writer:
        try:
            tally = run.record(writer)
        except KeyboardInterrupt:  # close the dataset as after a whole run, statistics included
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if Dataset(folder).num_frames != counted_frames(folder):
        write_stats(folder)
    return tally


class _Run:
    """One call of `record_expert`."""

    def __init__(
        self, folder: Path, task: str, episodes: int, seed: int, on_progress: Progress, config: RecordConfig
    ) -> None:
        self._folder, self._task, self._episodes, self._seed = folder, task, episodes, seed
        self._show, self._config = on_progress, config
        self._lmo = open_artefact(shipped_lmo(config.robot), "lmo").digest

    def record(self, writer: DatasetWriter) -> Tally:
        """Attempts until the writer holds enough episodes."""
        failures, attempt = read_attempts(self._folder, writer.num_episodes)
        self._show(writer.num_episodes, self._episodes, f"{attempt} attempts")
        if writer.num_episodes < self._episodes:
            first = self._seed * SEEDS_PER_RUN + attempt
            for take in takes(self._task, first, lambda: self._episodes - writer.num_episodes, self._config):
                attempt += 1
                if take.success:
                    write_take(writer, take, attempt, self._lmo)
                else:
                    failures.append({"seed": take.seed, "reason": take.reason})
                self._account(writer.num_episodes, attempt, failures)
                if writer.num_episodes >= self._episodes:
                    break
        return Tally(kept=writer.num_episodes, attempts=attempt, failures=count(failures))

    def _account(self, kept: int, attempts: int, failures: list[dict[str, Any]]) -> None:
        """Write down and show where we are; raises DataError when too few attempts succeed."""
        write_json(self._folder / TALLY, {"attempts": attempts, "failures": failures})
        self._show(kept, self._episodes, f"{kept} of {attempts} attempts succeeded")
        if len(failures) > 10 and attempts > self._config.attempts_per_episode * max(kept, 1):
            raise DataError(
                f"the expert succeeded in only {kept} of {attempts} attempts at {self._task!r} "
                f"({count(failures)}); measure it with benchmarks/expert_success.py"
            )


def counted_frames(folder: Path) -> int:
    """Frames that the dataset's statistics were made over; a kill before the end leaves them behind."""
    return int(Dataset(folder).stats.get("index", {}).get("count", [0])[0])


def dataset_config(task: str, seed: int, config: RecordConfig) -> DatasetConfig:
    """Columns and promises of a recording of the expert."""
    spec = load_robot(config.robot)
    recording = {"task": task, "seed": seed, "expert": plain(config.expert)}
    return DatasetConfig(
        fps=FPS,
        robot=config.robot,
        features=features_for(spec, spec.camera_names, config.height, config.width),
        contract={**contract_for(spec), "recording": recording},
    )


def read_attempts(folder: Path, kept: int) -> tuple[list[dict[str, Any]], int]:
    """Failures so far and the next attempt; a kill between an episode and its tally is noticed by the episode."""
    file, last = folder / TALLY, folder / "truth" / f"episode_{kept - 1:06d}.npz"
    tally = json.loads(file.read_text()) if file.is_file() else {"attempts": 0, "failures": []}
    if kept and last.is_file():
        with np.load(last, allow_pickle=False) as truth:
            tally["attempts"] = max(int(tally["attempts"]), int(truth["attempt"]))
    return tally["failures"], int(tally["attempts"])


def write_take(writer: DatasetWriter, take: Take, attempt: int, lmo: str) -> None:
    """One successful attempt as one episode; world seed and controller go to the truth beside the dataset."""
    with writer.episode(task=take.instruction) as episode:
        for row in range(len(take.states)):
            frame = {IMAGE + name: frames[row] for name, frames in take.images.items()}
            episode.add({**frame, STATE: take.states[row], ACTION: take.actions[row]})
        episode.fill(SUCCESS, take.success)
        episode.add_truth(seed=np.array(take.seed), attempt=np.array(attempt), lmo=np.array(lmo))
        episode.commit()


def count(failures: list[dict[str, Any]]) -> dict[str, int]:
    """Failures by reason."""
    reasons = [f["reason"] for f in failures]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


# Attempts, one after the other or in several processes, always in the order of their seeds.


def takes(task: str, first_seed: int, lacking: Callable[[], int], config: RecordConfig) -> Iterator[Take]:
    """Attempts from `first_seed` on, without end; no more are under way than episodes are lacking."""
    seeds = itertools.count(first_seed)
    if config.processes <= 1:
        stage = open_stage(task, config)
        try:
            for seed in seeds:
                yield perform(stage, seed)
        finally:
            stage.close()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config.processes, spawn, _enter, (task, config)) as pool:
        waiting: deque[Future[Take]] = deque()
        try:
            while True:
                while len(waiting) < max(1, min(config.processes + 1, lacking())):
                    waiting.append(pool.submit(_perform_here, next(seeds)))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def open_stage(task: str, config: RecordConfig) -> Stage:
    """World, body, controller and expert for a recording."""
    return Stage(
        StageConfig(
            robot=config.robot,
            task=task,
            cameras=("policy",),
            width=config.width,
            height=config.height,
            samples=config.samples,
            expert=config.expert,
        )
    )


def perform(stage: Stage, seed: int) -> Take:
    """One attempt, recorded."""
    recorder = EpisodeRecorder()
    outcome = stage.run(seed, [recorder])
    recorder.finish()
    return Take(
        seed=seed,
        success=outcome.success,
        reason=outcome.reason,
        instruction=outcome.instruction,
        images={name: np.stack(frames) for name, frames in recorder.images.items()},
        states=np.stack(recorder.states),
        actions=np.stack(recorder.actions),
    )


_here: list[Stage] = []
"""the stage of a worker process"""


def _enter(task: str, config: RecordConfig) -> None:
    _here.append(open_stage(task, config))


def _perform_here(seed: int) -> Take:
    return perform(_here[0], seed)
