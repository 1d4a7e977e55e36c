"""Joins trials, safety, efficiency, link evidence and provenance into one report: report.json and report.html."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wbvla.core.errors import ConfigError
from wbvla.core.files import write_bytes, write_json
from wbvla.core.run import plain
from wbvla.evaluate.efficiency import HeldRates, summarise_efficiency
from wbvla.evaluate.page import render
from wbvla.evaluate.safety import summarise_safety
from wbvla.evaluate.statistics import exact_rate, paired_difference, sign_test
from wbvla.evaluate.trials import TrialResult

MAX_FILM_BYTES = 8_000_000
"""all films of one report together"""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One driver of the loop and what it did in each trial."""

    name: str
    """`policy`, `expert`, `random` ..."""
    description: str
    results: Sequence[TrialResult]
    link: Mapping[str, Any] | None = None
    """evidence of the connection (process ids, handshake, messages); None for a driver in the loop's own process"""
    rates: HeldRates | None = None
    """of a real-time run; None when there was none"""
    traces: Mapping[str, Any] = field(default_factory=dict)
    """time lines of its first trial, for the plots"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was evaluated and where the figures come from."""

    title: str
    task: str
    robot: str
    bundle: str
    digests: Mapping[str, str]
    """SHA-256 of every artefact that took part"""
    contracts: Mapping[str, Any]
    configs: Mapping[str, Any]
    provenance: Mapping[str, Any]
    """commit, packages, processor"""
    stations: Sequence[Mapping[str, Any]] = ()
    """outcomes of the stations that made the bundle, each with a figure beside its trivial baseline"""
    interaction: Mapping[str, Any] | None = None
    """instruction sensitivity; None when not measured"""


def success_of(results: Sequence[TrialResult]) -> dict[str, Any]:
    """Full task with the exact 95 % interval, and each sub-goal; a sub-goal after a failed one counts as failed."""
    rate = exact_rate(sum(r.success for r in results), len(results))
    names = list(results[0].subgoals) if results else []
    subgoals = []
    for i, name in enumerate(names):
        reached = sum(all(r.subgoals[n] for n in names[: i + 1]) for r in results)
        subgoals.append({"name": name, **_rate(reached, len(results))})
    return {**_rate(rate.successes, rate.trials), "subgoals": subgoals}


def _rate(successes: int, trials: int) -> dict[str, Any]:
    rate = exact_rate(successes, trials)
    return {"successes": successes, "trials": trials, "value": rate.value, "low": rate.low, "high": rate.high}


def compare(first: Contender, second: Contender) -> dict[str, Any] | None:
    """Difference of success on the same seeds: Newcombe's paired interval and the exact test; None without trials."""
    ours = {r.trial.seed: r.success for r in first.results}
    theirs = {r.trial.seed: r.success for r in second.results}
    shared = sorted(set(ours) & set(theirs))
    if not shared:
        return None
    won = Counter((bool(ours[s]), bool(theirs[s])) for s in shared)
    both, first_only, second_only = won[True, True], won[True, False], won[False, True]
    return {
        "first": first.name,
        "second": second.name,
        "pairs": len(shared),
        **asdict(paired_difference(both, first_only, second_only, won[False, False])),
        "p_paired": sign_test(first_only, second_only),
    }


def assemble(subject: Subject, contenders: Sequence[Contender]) -> dict[str, Any]:
    """The whole report as JSON-ready values; what was not measured is None."""
    if not contenders:
        raise ConfigError("a report needs at least one contender, for example the policy")
    first = contenders[0]
    rows = [
        {
            "name": c.name,
            "description": c.description,
            "success": success_of(c.results),
            "safety": summarise_safety([r.safety for r in c.results]),
            "efficiency": summarise_efficiency([r.efficiency for r in c.results]),
            "link": plain(c.link) if c.link is not None else None,
            "rates": asdict(c.rates) if c.rates else None,
            "traces": plain(c.traces),
            "trials": [plain(r) for r in c.results],
        }
        for c in contenders
    ]
    return {
        "title": subject.title,
        "task": subject.task,
        "robot": subject.robot,
        "bundle": subject.bundle,
        "digests": dict(subject.digests),
        "provenance": plain(subject.provenance),
        "seeds": [r.trial.seed for r in first.results],
        "contenders": rows,
        "comparisons": [c for other in contenders[1:] if (c := compare(first, other))],
        "interaction": plain(subject.interaction) if subject.interaction is not None else None,
        "naturalness": None,
        "stations": [plain(s) for s in subject.stations],
        "contracts": plain(subject.contracts),
        "configs": plain(subject.configs),
    }


def choose_films(films: Mapping[str, bytes], limit: int = MAX_FILM_BYTES) -> dict[str, bytes]:
    """Films in the order given, as long as all together stay below `limit` bytes."""
    chosen: dict[str, bytes] = {}
    for name, content in films.items():
        if sum(map(len, chosen.values())) + len(content) <= limit:
            chosen[name] = content
    return chosen


def write_report(folder: Path, report: Mapping[str, Any], films: Mapping[str, bytes]) -> Path:
    """Write report.json, report.html and the films; the same inputs give the same bytes. Returns the page's path."""
    chosen = choose_films(films)
    for name, content in films.items():
        write_bytes(folder / "films" / f"{name}.mp4", content)
    write_json(folder / "report.json", dict(report))
    write_bytes(folder / "report.html", render(report, chosen).encode())
    return folder / "report.html"
