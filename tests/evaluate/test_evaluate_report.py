"""The report shows what was measured, says what was not, and is the same for the same inputs."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.evaluate import charts
from wbvla.evaluate.efficiency import TrialEfficiency, held_rates
from wbvla.evaluate.report import Contender, Subject, assemble, choose_films, compare, success_of, write_report
from wbvla.evaluate.safety import Excess, TrialSafety
from wbvla.evaluate.trials import Trial, TrialResult, make_trials

NONE = Excess(joint_ticks=0, exposure_s=0.0, worst=0.0, worst_joint="")
GOALS = ("reach", "grasp", "lift")


def result(index: int, reached: int, fell: bool = False) -> TrialResult:
    return TrialResult(
        trial=Trial(index=index, seed=100 + index, instruction="lift the <box>", phrasing="test"),
        success=reached == len(GOALS),
        subgoals={g: i < reached for i, g in enumerate(GOALS)},
        subgoal_times_s={g: float(i) if i < reached else None for i, g in enumerate(GOALS)},
        duration_s=12.0,
        reason="success" if reached == len(GOALS) else "time",
        safety=TrialSafety(
            fell=fell, trip="tilt" if fell else "", max_tilt_rad=0.2, position=NONE, velocity=NONE, torque=NONE,
            events={"arm_limited": 3, "waiting": 10}, duration_s=12.0,
        ),
        efficiency=TrialEfficiency(time_to_goal_s=9.0 if reached == 3 else None, energy_j=150.0, arm_jerk_radps3=3.0),
        chunks=100,
    )  # fmt: skip


def contender(name: str, reached: list[int], **more: Any) -> Contender:
    return Contender(
        name=name, description=f"the {name}", results=[result(i, n) for i, n in enumerate(reached)], **more
    )


def subject(**more: Any) -> Subject:
    return Subject(
        title="box-lift", task="box-lift", robot="agibot_x2", bundle="b", digests={"vla": "ab" * 32},
        contracts={"vla": {"rate_hz": 10}}, configs={}, provenance={"commit": "0123", "cores": 2}, **more,
    )  # fmt: skip


def test_a_good_a_bad_and_a_random_policy_differ() -> None:
    good, bad, none = (contender(n, r) for n, r in (("good", [3] * 8), ("bad", [1] * 8), ("random", [0] * 8)))
    report = assemble(subject(), [good, bad, none])
    shares = [c["success"]["value"] for c in report["contenders"]]
    reach = [c["success"]["subgoals"][0]["value"] for c in report["contenders"]]
    assert shares == [1.0, 0.0, 0.0]
    assert reach == [1.0, 1.0, 0.0]
    assert report["comparisons"][0]["low"] > 0
    assert report["comparisons"][0]["p_paired"] == pytest.approx(2 / 2**8)


def test_a_subgoal_after_a_failed_one_counts_as_failed() -> None:
    odd = result(0, 0)
    odd = TrialResult(**{**odd.__dict__, "subgoals": {"reach": False, "grasp": True, "lift": True}})
    assert [s["successes"] for s in success_of([odd])["subgoals"]] == [0, 0, 0]


def test_only_shared_seeds_are_compared() -> None:
    assert compare(contender("a", [3, 3]), Contender(name="b", description="", results=[])) is None
    found = compare(contender("a", [3, 3, 0]), contender("b", [0, 0]))
    assert found is not None
    assert found["pairs"] == 2


def test_page_is_whole_escaped_and_reproducible(tmp_path: Path) -> None:
    rates = held_rates([0.02] * 500, [0.03] * 50)
    evidence = {"loop_process": 11, "server_process": 12, "handshake": ["HANDSHAKE_SUCCEEDED"], "messages": 321}
    times = {"time_s": [0.0, 1.0, 2.0], "unit": "m", "series": {"height": [0.6, 0.62, 0.6]}}
    policy = contender("policy", [3, 1, 0], link=evidence, rates=rates, traces={"height": times})
    report = assemble(subject(), [policy, contender("random", [0, 0, 0])])
    films = {"policy_seed_100": b"\x00\x01film"}
    pages = [write_report(tmp_path / name, report, films).read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]
    text = pages[0].decode()
    for words in ("HANDSHAKE_SUCCEEDED", "321", "lift the &lt;box&gt;", "1 of 3", "data:video/mp4;base64,", "ab" * 32):
        assert words in text
    assert "<box>" not in text
    for outside in ("http://", "https://", "<script", 'src="/'):
        assert outside not in text.replace("http://www.w3.org/2000/svg", "")
    assert json.loads((tmp_path / "a" / "report.json").read_text()) == json.loads(json.dumps(report))


def test_what_was_not_measured_is_said_and_never_scored() -> None:
    report = assemble(subject(), [contender("policy", [])])
    first = report["contenders"][0]
    assert (first["success"]["value"], first["safety"], first["efficiency"], first["rates"]) == (None,) * 4
    assert (report["interaction"], report["naturalness"]) == (None, None)
    from wbvla.evaluate.page import render

    assert render(report, {}).count("not measured") >= 6


def test_films_stay_below_the_limit() -> None:
    chosen = choose_films({"a": b"x" * 60, "b": b"x" * 60, "c": b"x" * 30}, limit=100)
    assert list(chosen) == ["a", "c"]


def test_report_needs_a_contender() -> None:
    with pytest.raises(ConfigError, match="at least one contender"):
        assemble(subject(), [])


def test_trials_are_a_fixed_list() -> None:
    trials = make_trials(["a"], ["b", "c"], 3)
    assert [(t.seed, t.instruction) for t in trials] == [(1000000, "b"), (1000001, "c"), (1000002, "b")]
    with pytest.raises(ConfigError, match="phrasing"):
        make_trials(["a"], [], 3)


@pytest.mark.parametrize(
    "svg",
    [
        charts.interval_chart([charts.Interval(label="a & b", value=None)], "t"),
        charts.bar_groups(["g<"], {"s": [0.5]}, "t"),
        charts.histogram([], "ms", {"p99": 3.0}, "t"),
        charts.histogram([1.0, 2.0], "ms", {"p99": 3.0}, "t"),
        charts.time_lines(np.arange(3.0), {"flat": np.ones(3)}, "m", 't "q"'),
    ],
)
def test_charts_are_well_formed(svg: str) -> None:
    assert ElementTree.fromstring(svg).tag.endswith("svg")
