"""The check tells a controller that walks from one that does not, by figures worked out from its own traces."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from wbvla.core.contract import open_artefact, write_artefact
from wbvla.core.errors import ConfigError
from wbvla.deploy.lmo import POLICY_FILE
from wbvla.lmo.check import PARTS, CheckConfig, run_check
from wbvla.lmo.check_page import render
from wbvla.lmo.check_plots import Curve, from_above, over_time, ticks_of
from wbvla.lmo.conditions import PAPER, _half, plain, worse_than_paper
from wbvla.lmo.gait_facts import gait_facts, steady, swing_tops
from wbvla.lmo.plant import Feet
from wbvla.lmo.stage_tests import (
    AT_LEAST,
    AT_MOST,
    Limits,
    Measure,
    StageResult,
    StageTestConfig,
    judge,
    reasons,
    run_stage_tests,
    scripts_of,
    way,
)
from wbvla.lmo.trace import Act, Trace, follow, lowest_corner
from wbvla.lmo.trial import Trial
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC = load_robot("agibot_x2")
SHIPPED = shipped_lmo("agibot_x2")
STAND = SPEC.nominal_height_m
TESTS = StageTestConfig(robots_each=2, num_threads=1)


@pytest.fixture(scope="module")
def walker() -> StageResult:
    """The shipped controller through all stage I tests, 16 robots."""
    return run_stage_tests(SHIPPED, SPEC, TESTS, Limits())


def still_life(folder: Path) -> Path:
    """The shipped controller with a last layer of zeros: it always asks for the reference pose."""
    shipped = open_artefact(SHIPPED, "lmo")
    model = onnx.load(str(shipped.file(POLICY_FILE)))
    last = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
    for tensor in model.graph.initializer:
        if tensor.name in last.input[1:]:
            zeros = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    files = {POLICY_FILE: model.SerializeToString()}
    return write_artefact(folder, shipped.contract, {}, "always the reference pose\n", files).folder


def trace_of(contact: np.ndarray, sole: np.ndarray) -> Trace:
    """One robot's feet, everything else at rest."""
    ticks = len(contact)
    zeros = np.zeros((ticks, 1, 3))
    return Trace(
        dt_s=0.02, position_w=zeros, yaw=np.zeros((ticks, 1)), velocity=zeros, reference=zeros,
        height_m=np.zeros((ticks, 1)), com_w=zeros, sole_m=sole[:, None], lowest_m=sole[:, None] - 0.01,
        sole_mps=np.where(contact, 0.1, 2.0)[:, None], contact=contact[:, None],
        fallen=np.zeros((ticks, 1), dtype=bool), qpos=np.zeros((ticks, 1, 7)),
    )  # fmt: skip


def test_the_walker_walks(walker: StageResult) -> None:
    assert [t.name for t in walker.tests] == [
        "forward", "backward", "left", "right", "turn_left", "turn_right", "squat", "stop",
    ]  # fmt: skip
    forward = {m.name: m for m in walker.tests[0].measures}
    assert forward["falls"].passed
    assert forward["speed"].passed
    assert forward["foot clearance"].passed
    gait = walker.gait["forward"]
    assert gait.single_support is not None
    assert gait.contacts_hz is not None
    assert 0.6 < gait.single_support < 0.95
    assert 1.2 < gait.contacts_hz < 1.7, "the clock of the shipped controller runs at 1.4 Hz"


def test_who_does_not_walk_fails(tmp_path: Path) -> None:
    """A controller that only ever asks for the standing pose topples, and passes nothing that needs a robot."""
    result = run_stage_tests(still_life(tmp_path / "lmo"), SPEC, replace(TESTS, robots_each=1), Limits())
    assert not result.passed
    assert all(not test.passed for test in result.tests)
    assert any("falls 1, asked <= 0 robots" in line for line in result.lines())


def test_limits_decide(walker: StageResult) -> None:
    """The same robots under limits that none can meet."""
    limits = Limits(speed_share=3.0, height_m=1e-6)
    strict = judge(walker.traces, limits, [0.4, 0.25, 0.5], SPEC.height_range_m)
    failed = {t.name: {m.name for m in t.measures if not m.passed} for t in strict.tests}
    assert "speed" in failed["forward"]
    assert "yaw rate" in failed["turn_left"]
    assert len([name for name in failed["squat"] if name.startswith("height error")]) == 3
    assert all(words for words in reasons().values())
    assert len(reasons()) == len(Limits.__dataclass_fields__)


def test_a_measure_without_a_value_never_passes() -> None:
    given = {"name": "x", "worst": None, "limit": 1.0, "unit": "m"}
    assert not Measure(value=None, sense=AT_MOST, **given).passed
    assert not Measure(value=float("nan"), sense=AT_MOST, **given).passed
    assert Measure(value=1.0, sense=AT_MOST, **given).passed
    assert not Measure(value=0.99, sense=AT_LEAST, **given).passed


def test_gait_figures_of_a_gait_written_by_hand() -> None:
    """50 ticks: both feet down for 10, left up for 10, both down for 10, right up for 15, both down for 5."""
    contact, sole = np.ones((50, 2), dtype=bool), np.zeros((50, 2))
    contact[10:20, 0] = False
    contact[30:45, 1] = False
    sole[15, 0], sole[40, 1] = 0.08, 0.06
    contact[5, 0] = False  # a rattle of one tick is no step
    facts = gait_facts(trace_of(contact, sole))
    assert facts.single_support == pytest.approx(25 / 50)
    assert facts.flight == 0.0
    assert facts.contacts_hz == pytest.approx((1 + 1) / 2 / 1.0)
    assert facts.clearance_m == pytest.approx(0.07)
    assert facts.clearance_low_m == pytest.approx(0.05 + 0.05 * 0.02)
    # 75 foot-ticks bear weight; the rattle counts as contact and moved at 2 m/s in its tick
    assert facts.slip_mps == pytest.approx((74 * 0.1 + 2.0) / 75)


def test_swings_that_are_cut_off_do_not_count() -> None:
    contact = np.ones((20, 1, 2), dtype=bool)
    contact[:5, 0, 0] = False
    contact[15:, 0, 1] = False
    assert swing_tops(contact, np.full((20, 1, 2), 0.1)) == []
    contact[8:12, 0, 0] = False
    assert swing_tops(contact, np.full((20, 1, 2), 0.1)) == [pytest.approx(0.1)]
    assert steady(contact).shape == contact.shape


def test_lowest_corner_of_a_pitched_sole() -> None:
    """Toe down by 0.1 rad: the toes are 0.085 sin 0.1 below the middle."""
    pitch = 0.1
    ahead = torch.tensor([[np.cos(pitch), 0.0, -np.sin(pitch)], [1.0, 0.0, 0.0]])
    normal = torch.tensor([[np.sin(pitch), 0.0, np.cos(pitch)], [0.0, 0.0, 1.0]])
    feet = Feet(
        position_w=torch.tensor([[[0.0, 0.1, 0.05], [0.0, -0.1, 0.0]]], dtype=torch.float64),
        velocity_w=torch.zeros(1, 2, 3),
        normal_w=normal[None],
        forward_w=ahead[None],
        force=torch.zeros(1, 2),
        force_w=None,
    )
    low = lowest_corner(feet, (0.085, 0.05))
    assert low[0, 0] == pytest.approx(0.05 - 0.085 * np.sin(0.1))
    assert low[0, 1] == pytest.approx(0.0)


def test_scripts_run_side_by_side_and_pushes_act() -> None:
    trial = Trial(SHIPPED, SPEC, replace(plain(0), num_robots=2, num_threads=1))
    calm = (Act(seconds=0.6, height_m=STAND),)
    hit = (Act(seconds=0.4, height_m=STAND), Act(seconds=0.2, height_m=STAND, force_n=(0.0, 120.0)))
    trace = follow(trial, [calm, hit])
    assert trace.yaw.shape == (30, 2)
    assert trace.position_w[-1, 1, 1] - trace.position_w[-1, 0, 1] > 0.02, "only the second was pushed to its left"
    assert trace.cut(0.4, 0.6, [1]).position_w.shape == (10, 1, 3)
    with pytest.raises(ConfigError, match="equally long"):
        follow(trial, [calm, (Act(seconds=1.0, height_m=STAND),)])
    with pytest.raises(ConfigError, match="1 scripts for 2 robots"):
        follow(trial, [calm])


def test_scripts_of_the_tests_are_equally_long() -> None:
    assert {sum(act.seconds for act in script) for script in scripts_of(SPEC).values()} == {12.0}


def test_way_is_seen_from_the_heading_at_the_start() -> None:
    trace = trace_of(np.ones((2, 2), dtype=bool), np.zeros((2, 2)))
    position, yaw = np.zeros((2, 1, 3)), np.full((2, 1), np.pi / 2)
    position[1, 0, :2] = (-0.2, 1.0)
    yaw[1] += 0.3
    moved, turned = way(replace(trace, position_w=position, yaw=yaw))
    assert moved[0] == pytest.approx([1.0, 0.2])
    assert turned[0] == pytest.approx(0.3)


def test_a_cell_is_worse_only_beyond_the_paper() -> None:
    row: dict[str, float | None] = dict(PAPER)
    assert worse_than_paper(row) == []
    row |= {"turn_pos_m": 0.051, "sway_stand_m": None}
    assert worse_than_paper(row) == ["turn_pos_m", "sway_stand_m"]


def test_a_cell_without_an_interval_has_none() -> None:
    assert _half([0.3, 0.4]) == pytest.approx(0.25)
    assert _half([0.3, None]) is None


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0503, "m", "0.0503"),
        (0.0500004, "m", "0.0500004"),
        (0.06, "m", "0.060"),
        (0.05, "m", "0.050"),
        (0.0, "robots", "0"),
    ],
)
def test_a_value_that_failed_never_reads_as_its_limit(value: float, unit: str, shown: str) -> None:
    """0.0503 m against 0.050 m: `0.050, asked <= 0.050` would be no reason."""
    measure = Measure(name="way", value=value, worst=None, limit=0.05, sense="<=", unit=unit)
    assert measure.shown(value) == shown
    assert measure.passed or measure.shown(value) != measure.shown(measure.limit)


def test_page_shows_verdicts_and_needs_no_network(walker: StageResult) -> None:
    cells = {**PAPER, "turn_pos_m": 0.5, "falls": 1, "episodes": 72, "height_mae_m": 0.01}
    cells |= {"drift_stand_m": 0.01, "drift_squat_m": None}
    cells |= {f"{name}_settle_m": 0.1 for name in ("forward", "lateral", "turn")}
    protocol = {"plain": cells, "disturbed": cells, "worse_plain": ["turn_pos_m"], "worse_disturbed": list(PAPER)}
    page = render(
        {
            "robot": "agibot_x2", "policy": "0123<b>", "preset": "clock", "goal_speed": [0.4, 0.25, 0.5],
            "robots_each": 2, "seed": 0, "protocol": protocol, "pushes": {"stand_100N": 0.5, "walk_100N": 1.0},
            "films": {"forward": {"note": "s_x = 1", "fell": True}}, "provenance": {"commit": "abc"},
        },
        walker,
        {"forward": b"film"},
    )  # fmt: skip
    passed = sum(test.passed for test in walker.tests)
    assert f"{passed} of 8" in page
    assert "7 of 8" in page
    assert "0 of 8" in page
    assert "data:video/mp4;base64,ZmlsbQ==" in page
    assert "it fell" in page
    assert "0123&lt;b&gt;" in page
    assert "nan" not in page
    for loads in ("http://", "https://", "<script", "<link", "url("):
        assert loads not in page.replace("http://www.w3.org/2000/svg", ""), loads


@pytest.mark.slow
def test_a_whole_check_leaves_a_page_its_figures_and_films(tmp_path: Path) -> None:
    parts: list[tuple[str, int, int]] = []
    config = CheckConfig(robots_each=1, num_threads=1)
    stage = run_check(SHIPPED, SPEC, config, tmp_path, lambda name, done, of: parts.append((name, done, of)))
    figures = json.loads((tmp_path / "check.json").read_text())
    assert figures["stage_1"]["passed"] == stage.passed
    assert set(figures["protocol"]) == {"plain", "disturbed", "worse_plain", "worse_disturbed"}
    assert figures["protocol"]["plain"]["episodes"] == 9
    assert (tmp_path / "index.html").read_text().count("<video") == 5
    assert {p.name for p in tmp_path.glob("*.mp4")} == {row["file"] for row in figures["films"].values()}
    assert {name for name, done, of in parts if done == of} == {*PARTS, "films"}


def test_charts_bear_nothing_and_little() -> None:
    assert ticks_of(-0.1, 1.05) == [0.0, 0.5, 1.0]
    assert "nan" not in over_time([Curve(name="x", values=np.array([1.0, np.nan, 3.0]))], 0.1, "m")
    assert "nan" not in from_above(np.full((3, 2, 2), np.nan))
