"""Records demonstrations of the scripted teleoperator: attempts are run until enough of them succeed."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.collect.expert import ExpertConfig
from wbvla.collect.frames import EpisodeRecorder, Frame, runs_of
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.contract import open_artefact, require_match
from wbvla.core.errors import ConfigError, DataError, RobotError
from wbvla.core.files import write_json
from wbvla.core.run import plain
from wbvla.core.workers import in_order
from wbvla.data.dataset_stats import write_stats
from wbvla.data.features import BODY_STAMP, Recording, contract_for, recorded_features
from wbvla.data.format import CONTRACT
from wbvla.data.reader import Dataset
from wbvla.data.words import LANGUAGE
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import CONTROL_HZ
from wbvla.sim.tasks import tasks

FPS = 10
SEEDS_PER_RUN = 10_000
"""attempt i of a recording with seed s starts from world seed s * SEEDS_PER_RUN + i"""
NUM_SEEDS = 100
"""recordings have seeds below this: world seeds from NUM_SEEDS * SEEDS_PER_RUN on belong to evaluation"""
TALLY = "truth/attempts.json"


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
    depth: bool = False
    """keep the head camera's depth map too"""
    language: bool = True
    """keep phrasings and sub-tasks as LeRobot 0.6 reads them too; releases before 0.6 do not open such a dataset"""
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
    phrasings: tuple[str, ...]
    """every way to say it that training may use"""
    frames: list[Frame]
    doing: list[str]
    """per frame, the expert's phase"""
    words: Mapping[str, tuple[str, str]]
    """phase -> words and skill of that sub-task"""


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
    if not 0 <= seed < NUM_SEEDS:
        raise ConfigError(f"a recording needs a seed of 0 to {NUM_SEEDS - 1}, not {seed}: others belong to evaluation")
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


def recording_of(spec: RobotSpec, config: RecordConfig, task: str) -> Recording:
    """What one recording of the expert holds: the policy's cameras, and those that the task needs."""
    return Recording(
        cameras=(*spec.camera_names, *tasks.build(task).cameras),
        depths=spec.camera_names[:1] if config.depth else (),
        height=config.height,
        width=config.width,
        acceleration=True,
        language=config.language,
    )


def dataset_config(task: str, seed: int, config: RecordConfig) -> DatasetConfig:
    """Columns and promises of a recording of the expert."""
    spec = load_robot(config.robot)
    recording = recording_of(spec, config, task)
    rates = {BODY_STAMP: CONTROL_HZ} | dict.fromkeys(recording.stamp_names[1:], float(FPS))
    lmo = open_artefact(shipped_lmo(config.robot), "lmo").digest
    made = {"task": task, "seed": seed, "expert": plain(config.expert), "lmo": lmo}
    return DatasetConfig(
        fps=FPS,
        robot=config.robot,
        features=recorded_features(recording, spec),
        contract={**contract_for(spec, recording, rates), "recording": made},
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
        for frame in take.frames:
            episode.add(frame)
        for start, end, phase in runs_of(take.doing):
            episode.segment(start, end, *take.words[phase])
        if LANGUAGE in writer.info.features:
            episode.add_phrasings(take.phrasings)
        episode.mark(take.success)
        episode.note(instructed_by="drawn from the task's train phrasings by seed", consent="none needed: simulated")
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
        recording = recording_of(stage.spec, config, task)
        try:
            for seed in seeds:
                yield perform(stage, recording, seed)
        finally:
            stage.close()
    yield from in_order(_perform_here, seeds, config.processes, (_enter, task, config), lacking)


def open_stage(task: str, config: RecordConfig) -> Stage:
    """World, body, controller and expert for a recording."""
    recording = recording_of(load_robot(config.robot), config, task)
    return Stage(
        StageConfig(
            robot=config.robot,
            task=task,
            cameras=recording.cameras,
            depths=recording.depths,
            width=config.width,
            height=config.height,
            samples=config.samples,
            expert=config.expert,
        )
    )


def perform(stage: Stage, recording: Recording, seed: int) -> Take:
    """One attempt, recorded; one whose physics diverges is a failed one, so that a recording goes on behind it."""
    recorder = EpisodeRecorder(stage.spec, recording, lambda: stage.expert.phase)
    try:
        outcome = stage.run(seed, [recorder])
        success, reason = outcome.success, outcome.reason
    except RobotError as error:
        success, reason = False, f"physics: {error}"
    recorder.finish()
    return Take(
        seed=seed,
        success=success,
        reason=reason,
        instruction=stage.expert.instruction,
        phrasings=stage.task.phrasings(seed),
        frames=recorder.frames,
        doing=recorder.doing,
        words=dict(stage.expert.phases),
    )


_here: list[tuple[Stage, Recording]] = []
"""the stage of a worker process, and what it records"""


def _enter(task: str, config: RecordConfig) -> None:
    stage = open_stage(task, config)
    _here.append((stage, recording_of(stage.spec, config, task)))


def _perform_here(seed: int) -> Take:
    return perform(*_here[0], seed)
