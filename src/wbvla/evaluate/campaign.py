"""A whole evaluation of a bundle: rates in real time, then every player through the same trials, then the report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wbvla.core.records import Action, Observation
from wbvla.core.run import plain, provenance
from wbvla.deploy.bundle import Bundle
from wbvla.deploy.link import Link
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.sources import LocalSource, LockstepSource
from wbvla.evaluate.interaction import sensitivity
from wbvla.evaluate.random_policy import RandomPolicy
from wbvla.evaluate.realtime import RealTime, measure_rates
from wbvla.evaluate.report import Contender, Subject, assemble, write_report
from wbvla.evaluate.rollout import Arena, Player, RolloutConfig, TrialRecorder, run_trials
from wbvla.evaluate.served import ServedPolicy
from wbvla.evaluate.trials import TEST_SEED, Trial, TrialResult, make_trials
from wbvla.robots.platforms import load_robot
from wbvla.sim.tasks.task import Task

CONTROL_HZ = 50.0
ANSWER_LIMIT_S = 60.0

Progress = Callable[[float, float, str], None]
"""done, total, a word on how it goes"""


@dataclass(frozen=True, kw_only=True)
class CampaignConfig:
    """How much is evaluated."""

    trials: int = 20
    """trials of each player, on the same seeds"""
    phrasing: str = "test"
    """`test`: words the policy never read in training; `train`: words it did"""
    first_seed: int = TEST_SEED
    """seed of the first trial; the others follow"""
    films: int = 2
    """trials of each player that are filmed"""
    realtime_s: float = 15.0
    """length of the real-time run that measures rates and latency [s]; 0 = not measured"""
    sensitivity_starts: int = 4
    """starts at which the same observation is asked with other words and without pictures; 0 = not measured"""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """pictures and limits of the trials"""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What is evaluated, and beside whom."""

    bundle: Bundle
    task: Task
    others: Sequence[Player] = ()
    """players beside the policy (the expert); a random one always takes part"""
    stations: Sequence[Mapping[str, Any]] = ()
    """outcomes of the stations that made the bundle, for the report"""
    recorder: TrialRecorder | None = None
    """keeps the policy's trials as episodes of a dataset"""


def evaluate_bundle(
    assignment: Assignment, config: CampaignConfig, folder: Path, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Serve the bundle's policy in another process, run everything, write report.html and report.json to `folder`.

    Returns the report.
    """
    bundle, task, others = assignment.bundle, assignment.task, assignment.others
    folder.mkdir(parents=True, exist_ok=True)
    spec = load_robot(bundle.robot)
    lmo = LmoController.load(bundle.folder / "lmo", spec)
    trials = make_trials(
        task.train_instructions, task.test_instructions, config.trials, config.phrasing, config.first_seed
    )
    meter = _Meter(on_progress, config.trials * (2 + len(others)))
    contenders, films = [], {}
    with Arena(task, spec, lmo, config.rollout) as arena:
        with ServedPolicy(bundle, spec, folder) as served:
            timing = _real_time(arena, served.link, trials[0], config.realtime_s, meter)
            player = policy_player(served.link, timing)
            words = _interaction(arena, served.link, trials[: config.sensitivity_starts])
            shown = meter.of(player.name)
            season = run_trials(arena, trials, player, config.films, shown, assignment.recorder)
            evidence = served.evidence()
        evidence["load average of the machine in the real-time run"] = timing.load_average if timing else None
        traces = {**season.traces, **_histograms(timing)}
        rates = timing.rates if timing else None
        contenders.append(_contender(player, season.results, link=evidence, rates=rates, traces=traces))
        films |= {f"{player.name}, {name}": film for name, film in season.films.items()}
        for player in (*others, random_player()):
            season = run_trials(arena, trials, player, min(config.films, 1), meter.of(player.name))
            contenders.append(_contender(player, season.results, traces=season.traces))
            films |= {f"{player.name}, {name}": film for name, film in season.films.items()}
    report = assemble(_subject(assignment, config, words), contenders)
    write_report(folder, report, films)
    return report


def policy_player(link: Link, timing: RealTime | None) -> Player:
    """The served policy in lock-step: each chunk takes effect after the median latency that was measured in real time.

    Without a real-time run each answer's own round trip counts.
    """
    if timing is None or timing.rates is None or timing.rates.round_trip_ms is None:
        words = "latency: each answer's own round trip"
        return Player(
            name="policy",
            description=f"the trained VLA in its own process, {words}",
            make_source=lambda arena, trial: LockstepSource(link, measured=True, timeout_s=ANSWER_LIMIT_S),
        )
    median = timing.rates.round_trip_ms["p50"]
    ticks = math.ceil(median * 1e-3 * CONTROL_HZ)
    return Player(
        name="policy",
        description=f"the trained VLA in its own process; every chunk {ticks} control ticks late, as the median "
        f"answer in real time ({median:.0f} ms)",
        make_source=lambda arena, trial: LockstepSource(link, latency_ticks=ticks, timeout_s=ANSWER_LIMIT_S),
    )


def random_player() -> Player:
    """The trivial baseline."""
    return Player(
        name="random",
        description="wanders within the robot's limits, looks at nothing",
        make_source=lambda arena, trial: LocalSource(RandomPolicy(arena.spec, trial.seed)),
        sees=False,
    )


class _Meter:
    """Counts finished trials of all players and tells."""

    def __init__(self, tell: Progress | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def say(self, words: str) -> None:
        if self._tell is not None:
            self._tell(float(self._done), float(self._total), words)

    def of(self, name: str) -> Callable[[int, TrialResult], None]:
        """To be called after each trial of one player."""
        won = [0]

        def count(number: int, result: TrialResult) -> None:
            self._done += 1
            won[0] += result.success
            self.say(f"{name}: {won[0]} of {number} done")

        return count


def _real_time(arena: Arena, link: Link, trial: Trial, seconds: float, meter: _Meter) -> RealTime | None:
    if seconds <= 0:
        return None
    meter.say(f"real time, {seconds:.0f} s")
    return measure_rates(arena, link, trial, seconds)


def _interaction(arena: Arena, link: Link, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Instruction and picture sensitivity at the first observation of some trials."""
    if not trials:
        return None

    def ask(observation: Observation) -> Action:
        link.reset()
        return link.ask(observation, ANSWER_LIMIT_S)[0]

    starts = [arena.first_observation(trial) for trial in trials]
    return sensitivity(ask, starts, "stand still")


def _histograms(timing: RealTime | None) -> dict[str, Any]:
    """Distributions of the real-time run, for the report."""
    if timing is None or timing.rates is None:
        return {}
    named = {"control period, real time [ms]": (timing.periods_ms, timing.rates.period_ms)}
    if timing.rates.round_trip_ms is not None:
        named["policy round trip, real time [ms]"] = (timing.round_trips_ms, timing.rates.round_trip_ms)
    return {
        "histogram": {
            name: {
                "values": [round(v, 3) for v in values],
                "unit": "ms",
                "marks": {k: marks[k] for k in ("p50", "p99")},
            }
            for name, (values, marks) in named.items()
        }
    }


def _contender(player: Player, results: Sequence[TrialResult], **more: Any) -> Contender:
    return Contender(name=player.name, description=player.description, results=results, **more)


def _subject(assignment: Assignment, config: CampaignConfig, words: Mapping[str, Any] | None) -> Subject:
    bundle, task = assignment.bundle, assignment.task
    parts = {"vla": bundle.vla, "lmo": bundle.lmo}
    return Subject(
        title=f"Evaluation of {task.name}",
        task=task.name,
        robot=bundle.robot,
        bundle=str(bundle.folder),
        digests={name: part.digest for name, part in parts.items()},
        contracts={name: part.contract.to_json() for name, part in parts.items()},
        configs={"evaluation": plain(config)} | {name: dict(part.config) for name, part in parts.items()},
        provenance=provenance(),
        stations=assignment.stations,
        interaction=words,
    )
