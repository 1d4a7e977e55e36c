"""The page of a controller's check: one HTML file with tables, charts and films inside; no scripts, no network."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.lmo.check_plots import COLOURS, REFERENCE, Curve, from_above, legend, over_time
from wbvla.lmo.conditions import PAIRS, PAPER
from wbvla.lmo.gait_facts import GaitFacts
from wbvla.lmo.protocol import DIRECTIONS
from wbvla.lmo.stage_tests import AT_MOST, SETTLE_S, STAND_S, WALK_S, StageResult, reasons

STYLE = Path(__file__).with_name("check.css")
END_S = STAND_S + WALK_S + SETTLE_S
MARKS = (STAND_S, STAND_S + WALK_S)
AXES = (("x", "m/s"), ("y", "m/s"), ("yaw", "rad/s"))


def render(result: Mapping[str, Any], stage: StageResult, films: Mapping[str, bytes]) -> str:
    """The whole page; `result` is what the JSON beside it holds."""
    parts = [
        _header(result, stage), _tests(stage), _films(films, result["films"]), _gait(stage.gait),
        _ways(stage, result["goal_speed"]), _speeds(stage), _heights(stage), _headings(stage), _sway(stage),
        _feet(stage), _protocol(result), _pushes(result), _origin(result),
    ]  # fmt: skip
    title = f"Controller check: {result['robot']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def number(value: float | None, digits: int = 3) -> str:
    """`digits` decimals, or a dash where nothing was measured."""
    return '<span class="none">-</span>' if value is None else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> str:
    """Cells are HTML; columns from `numeric_from` on are numbers."""
    mark = lambda i: ' class="n"' if i >= numeric_from else ""  # noqa: E731
    top = "".join(f"<th{mark(i)}>{h}</th>" for i, h in enumerate(head))
    body = ""
    for row in rows:
        body += "<tr>" + "".join(f"<td{mark(i)}>{c}</td>" for i, c in enumerate(row)) + "</tr>"
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def verdict(passed: bool) -> str:
    """In words and colour."""
    return '<span class="yes">pass</span>' if passed else '<span class="no">fail</span>'


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _note(words: str) -> str:
    return f'<p class="note">{words}</p>'


def _figure(chart: str, words: str) -> str:
    return f"<figure>{chart}<figcaption>{words}</figcaption></figure>"


def _cell(name: str) -> str:
    """`turn_yaw_rad` in words."""
    for short, words in (("_pos_m", ": position [m]"), ("_yaw_rad", ": heading [rad]"), ("_mae_m", " error [m]")):
        name = name.replace(short, words)
    return _words(name.removesuffix("_m") + (" [m]" if name.endswith("_m") else ""))


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _header(result: Mapping[str, Any], stage: StageResult) -> str:
    passed = sum(test.passed for test in stage.tests)
    table_ = result["protocol"]
    kept = [sum(name not in table_[f"worse_{mark}"] for name in PAPER) for mark in ("plain", "disturbed")]
    falls = [f"{table_[mark]['falls']}" for mark in ("plain", "disturbed")]
    episodes = table_["plain"]["episodes"]
    cards = (
        (f"{passed} of {len(stage.tests)}", "stage I tests passed"),
        (f"{kept[0]} of {len(PAPER)}", "cells of the paper's table reached, plain"),
        (f"{kept[1]} of {len(PAPER)}", "the same, disturbed"),
        (f"{falls[0]} and {falls[1]}", f"falls in {episodes} episodes each, plain and disturbed"),
    )
    shown = "".join(f'<div class="card"><b>{value}</b><span>{words}</span></div>' for value, words in cards)
    lead = f"Policy <code>{escape(result['policy'])}</code> on {escape(result['robot'])}, preset {result['preset']}"
    return (
        f"<h1>Controller check: {verdict(stage.passed)}</h1>"
        f'<p class="lead">{lead}; {result["robots_each"]} robots per command, each with a plant, sensor noise, delay '
        f'and arms of its own, seed {result["seed"]}.</p><div class="cards">{shown}</div>'
    )


def _tests(stage: StageResult) -> str:
    tables = []
    for test in stage.tests:
        rows = []
        for m in test.measures:
            sign = ("&ge;", "&le;")[m.sense == AT_MOST]
            worst = "" if m.worst is None else number(m.worst)
            limit = f"{sign} {m.shown(m.limit)} {m.unit}"
            rows.append([escape(m.name), number(m.value, m.decimals), worst, limit, verdict(m.passed)])
        head = [f"{_words(test.name)}: {verdict(test.passed)}", "mean", "worst", "limit", ""]
        tables.append(f"<div>{table(head, rows)}</div>")
    words = (
        "2 s of standing, 5 s of the command, 5 s of settling; arms move at half of their range. Values are means over "
        "the robots that never fell, beside the worst robot; speeds count from 2 s after the onset. The limits ask "
        "whether the skill is there; how exact it is, the protocol below says."
    )
    why = [[_words(k), escape(reason)] for k, reason in reasons().items()]
    return _section(
        "Stage I tests",
        _note(words),
        f'<div class="wide">{"".join(tables)}</div><h3>Why these limits</h3>',
        table(["limit", "reason"], why, numeric_from=2),
    )


def _films(films: Mapping[str, bytes], facts: Mapping[str, Any]) -> str:
    shown = []
    for name, content in films.items():
        data = base64.b64encode(content).decode()
        fell = ' <span class="no">it fell</span>' if facts[name]["fell"] else ""
        shown.append(
            f'<figure><video controls muted loop playsinline preload="metadata" src="data:video/mp4;base64,{data}">'
            f"</video><figcaption><b>{escape(name)}</b>: {escape(facts[name]['note'])}{fell}</figcaption></figure>"
        )
    words = "One robot each, arms moving, with sensor noise and delay. The line at the bottom: time, command, velocity"
    return _section(
        "Films",
        _note(f"{words} over the last 0.7 s along and across the heading, yaw rate, height of the root."),
        f'<div class="grid">{"".join(shown)}</div>' if shown else _note("none were asked for"),
    )


def _gait(gait: Mapping[str, GaitFacts]) -> str:
    head = [
        "direction", "one foot down", "no foot down", "contacts per foot [1/s]", "clearance, mean [m]",
        "lowest corner, 5th percentile [m]", "stance slip [m/s]",
    ]  # fmt: skip
    rows = [
        [
            _words(name), number(g.single_support, 2), number(g.flight, 2), number(g.contacts_hz, 2),
            number(g.clearance_m), number(g.clearance_low_m), number(g.slip_mps),
        ]
        for name, g in gait.items()
    ]  # fmt: skip
    words = "Shares of time and steps from 1 s after the onset. Clearance: the highest point of the sole's middle in a"
    return _section(
        "Gait", _note(f"{words} swing; lowest corner: of the whole sole, for the weakest swings."), table(head, rows)
    )


def _ways(stage: StageResult, goal_speed: Sequence[float]) -> str:
    charts = []
    for name, flags in DIRECTIONS.items():
        trace = stage.traces[name].cut(STAND_S, END_S)
        ways = trace.position_w[:, :, :2] - trace.position_w[:1, :, :2]
        goal = (flags[0] * goal_speed[0] * WALK_S, flags[1] * goal_speed[1] * WALK_S)
        chart = from_above(ways, goal, headings=trace.yaw[-1] if flags[2] else None)
        charts.append(_figure(chart, f"<b>{_words(name)}</b>"))
    words = "From above [m], x ahead to the right, y to the left upwards. Ring: start; cross: goal speed x 5 s; dots: "
    words += "where the robots stand at the end; strokes: their headings after turns."
    return _section("Ways", _note(words), f'<div class="grid">{"".join(charts)}</div>')


def _speeds(stage: StageResult) -> str:
    charts = []
    for name, flags in DIRECTIONS.items():
        axis = int(np.flatnonzero(flags)[0])
        trace = stage.traces[name]
        values = _gait_mean(trace.velocity[:, trace.standing, axis], trace.dt_s)
        curves = _banded("robots", values)
        asked = Curve(name="reference", values=trace.reference[:, 0, axis], colour=REFERENCE, dashed=True)
        label, unit = AXES[axis]
        charts.append(_figure(over_time([asked, *curves], trace.dt_s, unit, MARKS), f"<b>{_words(name)}</b>: {label}"))
    words = (
        "Mean over one gait cycle (0.7 s); line: mean of the robots, band: 10th to 90th percentile, dashed: reference;"
    )
    words += " upright lines: command and release."
    return _section("Velocity", _note(words), f'<div class="wide">{"".join(charts)}</div>')


def _heights(stage: StageResult) -> str:
    charts = []
    for name in ("squat", "forward"):
        trace = stage.traces[name]
        curves = _banded("robots", trace.position_w[:, trace.standing, 2])
        asked = Curve(name="reference", values=trace.height_m[:, 0], colour=REFERENCE, dashed=True)
        marks = (2.0, 6.0, 9.0) if name == "squat" else MARKS
        chart = over_time([asked, *curves], trace.dt_s, "m", marks, least_span=0.06)
        charts.append(_figure(chart, f"<b>{_words(name)}</b>: height of the root"))
    return _section("Height", f'<div class="wide">{"".join(charts)}</div>')


def _headings(stage: StageResult) -> str:
    charts = []
    for name in DIRECTIONS:
        trace = stage.traces[name]
        wanted = np.cumsum(trace.reference[:, :, 2], axis=0) * trace.dt_s
        error = (trace.yaw - wanted)[:, trace.standing]
        charts.append(
            _figure(over_time(_banded("robots", error), trace.dt_s, "rad", MARKS, 0.2), f"<b>{_words(name)}</b>")
        )
    words = "Turned so far minus the integral of the commanded yaw rate."
    return _section("Heading error", _note(words), f'<div class="wide">{"".join(charts)}</div>')


def _sway(stage: StageResult) -> str:
    trace = stage.traces["stand"].cut(STAND_S, END_S)
    com = trace.com_w[:, :, :2] - trace.com_w[:, :, :2].mean(axis=0)
    spread = np.sqrt((com**2).sum(axis=2).mean(axis=0))[trace.standing]
    mean = f"{spread.mean():.3f} m" if spread.size else "-"
    chart = from_above(com[:, trace.standing], least_span=0.12)
    over = np.linalg.norm(com, axis=2)[:, trace.standing]
    charts = [
        _figure(chart, f"centre of mass of standing robots about its mean, from above [m]; CoM sway {mean}"),
        _figure(over_time(_banded("robots", over), trace.dt_s, "m", (), 0.02), "distance from its mean"),
    ]
    return _section("Sway", f'<div class="grid">{"".join(charts)}</div>')


def _feet(stage: StageResult) -> str:
    charts, names = [], ("left sole", "right sole")
    for name in ("forward", "left", "turn_left"):
        trace = stage.traces[name]
        first = int(np.flatnonzero(trace.standing)[0]) if trace.standing.any() else 0
        span = trace.cut(STAND_S + 1.0, STAND_S + 4.0, [first])
        curves = [
            Curve(name=words, values=span.lowest_m[:, 0, foot], colour=COLOURS[foot])
            for foot, words in enumerate(names)
        ]
        charts.append(_figure(over_time(curves, span.dt_s, "m", (), 0.08) + legend(curves), f"<b>{_words(name)}</b>"))
    words = "Height of the lowest corner of each sole above the floor, one robot, seconds 1 to 4 of the command."
    return _section("Feet", _note(words), f'<div class="wide">{"".join(charts)}</div>')


def _protocol(result: Mapping[str, Any]) -> str:
    cells = result["protocol"]
    rows = []
    for name, paper in PAPER.items():
        row = [_cell(name), number(paper)]
        for mark in ("plain", "disturbed"):
            half = cells[mark].get(f"{name}_half")
            about = f" &plusmn; {half:.3f}" if half is not None else ""
            row += [number(cells[mark][name]) + about, verdict(name not in cells[f"worse_{mark}"])]
        rows.append(row)
    for name in ("height_mae_m", "drift_stand_m", "drift_squat_m"):
        rows.append([_cell(name), "", number(cells["plain"][name]), "", number(cells["disturbed"][name]), ""])
    for name in PAIRS:
        settle = [number(cells[mark][f"{name}_settle_m"]) for mark in ("plain", "disturbed")]
        rows.append([f"{name}: settling phase alone [m]", "", settle[0], "", settle[1], ""])
    words = "5 s of one command, 10 s of settling; distance from goal speed x 5 s and heading error at the end, means "
    words += (
        "with half widths of 95 % intervals; sway of the centre of mass over 10 s. Disturbed: arm clips at 2.0x speed"
    )
    words += " and 1.5x amplitude, blows of 0.2 s to 150 N and 30 N.m about every 4 s. Falls are counted apart:"
    falls = ", ".join(f"{cells[m]['falls']} of {cells[m]['episodes']} {m}" for m in ("plain", "disturbed"))
    head = ["", "paper", "plain", "", "disturbed", ""]
    return _section("Protocol", _note(f"{words} {falls}."), table(head, rows))


def _pushes(result: Mapping[str, Any]) -> str:
    rows: dict[str, dict[str, float]] = {}
    for name, share in result["pushes"].items():
        kind, force = name.split("_")
        rows.setdefault(kind, {})[force.removesuffix("N") + " N"] = share
    head = ["survived", *next(iter(rows.values()))]
    body = [[_words(kind), *(f"{100 * share:.0f} %" for share in row.values())] for kind, row in rows.items()]
    return _section("Pushes", _note("0.2 s of horizontal force on the root, in any direction."), table(head, body))


def _origin(result: Mapping[str, Any]) -> str:
    shown = {
        name: ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
        for name, value in result["provenance"].items()
    }
    rows = [[_words(name), f"<code>{escape(value)}</code>"] for name, value in shown.items()]
    return _section("Where this comes from", table(["", ""], rows, numeric_from=2))


def _banded(name: str, values: np.ndarray) -> list[Curve]:
    """Mean over robots with the middle 80 % as band; nothing when no robot stands."""
    if not values.shape[1]:
        return []
    low, high = np.percentile(values, [10, 90], axis=1)
    return [Curve(name=name, values=values.mean(axis=1), low=low, high=high)]


def _gait_mean(values: np.ndarray, dt_s: float) -> np.ndarray:
    """Centred mean over 0.7 s."""
    window = round(0.7 / dt_s)
    padded = np.concatenate([np.repeat(values[:1], window // 2, 0), values, np.repeat(values[-1:], window // 2, 0)])
    total = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), padded]), axis=0)
    return (total[window:] - total[:-window])[: len(values)] / window
