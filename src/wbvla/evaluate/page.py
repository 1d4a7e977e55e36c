"""Renders a report as one self-contained HTML page: no scripts, nothing loaded from elsewhere."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from wbvla.evaluate import charts
from wbvla.evaluate.charts import COLOURS, Interval
from wbvla.evaluate.markup import NOT_MEASURED, STYLE, figure, percent, section, short, table, value_of, with_interval


def render(report: Mapping[str, Any], films: Mapping[str, bytes]) -> str:
    """The whole page; pure: the same report and films give the same text."""
    parts = [
        header(report),
        success(report),
        films_section(films),
        stations(report["stations"]),
        link(report["contenders"]),
        safety(report["contenders"]),
        efficiency(report["contenders"]),
        interaction(report),
        traces(report["contenders"]),
        trial_list(report["contenders"]),
        provenance(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(report['title'])}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(p for p in parts if p)}</main></body></html>\n"
    )


def header(report: Mapping[str, Any]) -> str:
    """Title and the four numbers one looks for first."""
    first = report["contenders"][0]
    safe, rates = first["safety"], first["rates"]
    falls = f"{safe['falls']} of {safe['trials']}" if safe else NOT_MEASURED
    bound = f"true rate below {percent(safe['fall_rate_upper_95'])} (95 %)" if safe else ""
    cards = (
        (with_short(first["success"]), f"success of the {first['name']}, {interval_words(first['success'])}"),
        (falls, f"falls; {bound}"),
        (figure(rates and rates["loop_hz"], 4, "Hz"), "control rate really held in real time"),
        (
            figure(rates and rates["round_trip_ms"] and rates["round_trip_ms"]["p99"], 3, "ms"),
            "policy round trip, p99, over the network link",
        ),
    )
    shown = "".join(f'<div class="card"><b>{value}</b><span>{words}</span></div>' for value, words in cards)
    task, robot, bundle = (escape(str(report[k])) for k in ("task", "robot", "bundle"))
    commit = escape(str(report["provenance"].get("commit", "unknown")))
    lead = f"Task <b>{task}</b> on <b>{robot}</b>, {len(report['seeds'])} seeded trials"
    source = f"bundle <code>{bundle}</code>, commit <code>{commit}</code>"
    return f'<h1>{escape(report["title"])}</h1><p class="lead">{lead}; {source}.</p><div class="cards">{shown}</div>'


def with_short(rate: Mapping[str, Any]) -> str:
    """`3 of 20` for a card."""
    return NOT_MEASURED if rate["value"] is None else f"{rate['successes']} of {rate['trials']}"


def interval_words(rate: Mapping[str, Any]) -> str:
    """The exact interval in words."""
    return f"exact 95 % interval {100 * rate['low']:.0f} to {100 * rate['high']:.0f} %"


def success(report: Mapping[str, Any]) -> str:
    """Full tasks and sub-goals of every contender, and paired differences."""
    contenders = report["contenders"]
    rows = [
        Interval(
            label=c["name"],
            value=c["success"]["value"],
            low=c["success"]["low"],
            high=c["success"]["high"],
            note=f"{c['success']['successes']} of {c['success']['trials']}",
            colour=COLOURS[i % len(COLOURS)],
        )
        for i, c in enumerate(contenders)
    ]
    names = [s["name"] for s in contenders[0]["success"]["subgoals"]]
    bars: dict[str, Sequence[float]] = {
        c["name"]: [s["value"] or 0.0 for s in c["success"]["subgoals"]] for c in contenders
    }
    who = table(["driver", "what it is", "full task"], [
        [escape(c["name"]), escape(c["description"]), with_interval(c["success"])] for c in contenders
    ])  # fmt: skip
    differences = table(
        ["difference on the same seeds", "percentage points [95 %]", "p (exact, paired)"],
        [
            [
                f"{escape(d['first'])} minus {escape(d['second'])}",
                f"{100 * d['value']:+.0f} [{100 * d['low']:+.0f}, {100 * d['high']:+.0f}]",
                f"{d['p_paired']:.3g}",
            ]
            for d in report["comparisons"]
        ],
    )
    return section(
        "Success",
        '<p class="note">Full task, observed share and exact (Clopper-Pearson) 95 % interval. Every driver moves the '
        "robot through the same loop, low-level controller and safety layer, from the same starts.</p>",
        charts.interval_chart(rows, "success per driver"),
        who,
        differences if report["comparisons"] else "",
        "<h3>Sub-goals, in order; one counts only when all before it were reached</h3>" if names else "",
        charts.bar_groups(names, bars, "sub-goals reached") if names else "",
    )


def films_section(films: Mapping[str, bytes]) -> str:
    """Films inside the page: left what the head camera sees, right the third-person view."""
    if not films:
        return section("Films", f"<p>{NOT_MEASURED}: no trial was filmed.</p>")
    shown = []
    for name, content in films.items():
        data = base64.b64encode(content).decode()
        words = escape(name.replace("_", " "))
        shown.append(
            f'<figure><video controls muted playsinline preload="metadata" '
            f'src="data:video/mp4;base64,{data}"></video><figcaption>{words}: head camera (left), third-person view '
            "(right), 10 frames per second of simulated time</figcaption></figure>"
        )
    return section("Films", *shown)


def stations(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was made on the way, each with a figure beside its trivial baseline."""
    if not rows:
        return ""
    cells = []
    for row in rows:
        fig = row.get("figure")
        shown = [NOT_MEASURED, "", ""]
        if fig:
            baseline = figure(fig["baseline"])
            shown = [
                f"{escape(fig['name'])}: <b>{figure(fig['value'])}</b>",
                f"{escape(fig['baseline_name'])}: {baseline}",
                str(fig["samples"]),
            ]
        wall = f"{row['wall_s']:.0f}" if row.get("wall_s") is not None else NOT_MEASURED
        cells.append([escape(row["title"]), escape(row["made"]), *shown, wall])
    head = ["station", "what it made", "figure", "trivial baseline", "n", "wall time [s]"]
    return section("How it was made", table(head, cells, numeric=(4, 5)))


def link(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Evidence that the policy was asked over the network: two processes, an encrypted handshake, counted messages."""
    blocks = []
    for c in contenders:
        evidence = c["link"]
        if evidence is None:
            continue
        rows = [[escape(str(k).replace("_", " ")), value_of(v)] for k, v in evidence.items()]
        blocks.append(f"<h3>{escape(c['name'])}</h3>" + table(["what", "seen"], rows))
    return section("Two processes and the link between them", *(blocks or [f"<p>{NOT_MEASURED}</p>"]))


def safety(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Falls, limits and the filter; a gate beside success, never averaged into it."""
    rows = []
    for c in contenders:
        s = c["safety"]
        if s is None:
            rows.append([escape(c["name"]), *[NOT_MEASURED] * 7])
            continue
        excess = [f"{s[k]['exposure_s']:.2f} s" for k in ("position", "velocity", "torque")]
        acts = ", ".join(f"{escape(r)} {v:.3g}" for r, v in s["interventions_per_minute"].items()) or "none"
        rows.append(
            [
                escape(c["name"]),
                f"{s['falls']} of {s['trials']} (rate &lt; {100 * s['fall_rate_upper_95']:.0f} %)",
                f"{s['max_tilt_deg']:.0f}&deg;",
                *excess,
                value_of(s["trips"]),
                acts,
            ]
        )
    head = ["driver", "falls, one-sided 95 %", "largest tilt", "beyond position limit", "beyond speed limit",
            "beyond torque limit", "trips", "safety layer, acts per minute"]  # fmt: skip
    missing = "Self-collision, contact impulses and capture-point margin: " + NOT_MEASURED + "."
    return section("Safety", table(head, rows), touching(contenders), f'<p class="note">{missing}</p>')


def touching(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Contact force on the person in the scene; empty where there is none."""
    rows = []
    for c in contenders:
        p = (c["safety"] or {}).get("person")
        if p:
            forces = [f"{p['max_n']:.1f} N", f"{p['filtered_n']:.1f} N"]
            share = f"{100 * p['worst_share_of_limit']:.0f} %" + (
                f" ({escape(p['worst_region'])})" if p["touched"] else ""
            )
            beyond = f"{p['beyond_limit']} of {p['trials']}"
            rows.append(
                [escape(c["name"]), f"{p['touched']} of {p['trials']}", *forces, share, beyond, escape(p["limit"])]
            )
    head = ["driver", "trials with touch", "largest force on the person", "largest filtered force", "of its limit",
            "trials beyond a limit", "limit"]  # fmt: skip
    return table(head, rows) if rows else ""


def efficiency(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Rates really held, latency, time and energy."""
    rows = []
    for c in contenders:
        e = c["efficiency"] or {}
        shown = []
        for key, unit in (("time_to_goal_s", "s"), ("energy_j", "J"), ("arm_jerk_radps3", "")):
            m = e.get(key)
            shown.append(_mean(m, unit) if m else NOT_MEASURED)
        rows.append([escape(c["name"]), *shown])
    head = ["driver", "time to goal, successes only [95 %]", "positive joint work [95 %]", "arm jerk, rms [rad/s³]"]
    parts = [table(head, rows)]
    for c in contenders:
        rates = c["rates"]
        if not rates:
            continue
        period = ", ".join(f"{k} {v:.2f}" for k, v in rates["period_ms"].items())
        trip = rates["round_trip_ms"]
        parts.append(f"<h3>{escape(c['name'])}: real-time run of {rates['seconds']:.1f} s</h3>")
        parts.append(
            table(
                ["what", "measured"],
                [
                    ["control rate, mean", f"{rates['loop_hz']:.2f} Hz"],
                    ["control rate, worst second", f"{rates['worst_second_hz']:.0f} Hz"],
                    ["control period [ms]", period],
                    ["policy answers per second", figure(rates["policy_hz"], 3, "Hz")],
                    [
                        "round trip: observation sent to chunk received [ms]",
                        ", ".join(f"{k} {v:.1f}" for k, v in trip.items()) if trip else NOT_MEASURED,
                    ],
                ],
            )
        )
    return section("Efficiency and rates", *parts)


def _mean(mean: Mapping[str, Any], unit: str) -> str:
    """A mean with its interval, or with how few values it has."""
    if mean["low"] is None:
        return f"{short(mean['value'])} {unit} (of {mean['count']}, too few for an interval)"
    return f"{short(mean['value'])} [{short(mean['low'])}, {short(mean['high'])}] {unit}"


def interaction(report: Mapping[str, Any]) -> str:
    """Whether words matter; naturalness is only ever judged by people."""
    found = report["interaction"]
    rows = [[escape(k.replace("_", " ")), value_of(v)] for k, v in (found or {}).items()]
    body = table(["what", "measured"], rows) if found else f"<p>Instruction sensitivity: {NOT_MEASURED}.</p>"
    return section("Interaction", body, f'<p class="note">Naturalness, judged by people: {NOT_MEASURED}.</p>')


def traces(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Time lines of each contender's first trial."""
    blocks = []
    for c in contenders:
        drawn = []
        for name, trace in c["traces"].items():
            if name == "histogram":
                continue
            series = {k: np.asarray(v) for k, v in trace["series"].items()}
            drawn.append(f'<p class="note">{escape(name)} [{escape(trace["unit"])}]</p>')
            drawn.append(charts.time_lines(np.asarray(trace["time_s"]), series, trace["unit"], name))
        if drawn:
            blocks.append(f"<h3>{escape(c['name'])}, first trial</h3>" + "".join(drawn))
        for name, spec in c["traces"].get("histogram", {}).items():
            blocks.append(f"<h3>{escape(name)}</h3>")
            blocks.append(charts.histogram(spec["values"], spec["unit"], spec["marks"], name))
    return section("Time lines", *blocks) if blocks else ""


def trial_list(contenders: Sequence[Mapping[str, Any]]) -> str:
    """Every trial, failed ones too."""
    blocks = []
    for c in contenders:
        rows = [
            [
                str(t["trial"]["seed"]),
                escape(t["trial"]["instruction"]),
                '<span class="yes">done</span>' if t["success"] else '<span class="no">failed</span>',
                ", ".join(escape(k) for k, v in t["subgoals"].items() if v) or "none",
                f"{t['duration_s']:.1f}",
                escape(t["reason"]),
                "fell" if t["safety"]["fell"] else "",
            ]
            for t in c["trials"]
        ]
        head = ["seed", "instruction", "task", "sub-goals reached", "time [s]", "ended by", ""]
        blocks.append(f"<details><summary>{escape(c['name'])}: {len(rows)} trials</summary>")
        blocks.append(table(head, rows, numeric=(4,)) + "</details>")
    return section("Every trial", *blocks)


def provenance(report: Mapping[str, Any]) -> str:
    """Where every figure comes from."""
    rows = [[escape(k), value_of(v)] for k, v in report["provenance"].items()]
    rows += [[f"SHA-256 of {escape(k)}", f"<code>{escape(v)}</code>"] for k, v in report["digests"].items()]
    rows += [["seeds", escape(", ".join(map(str, report["seeds"])))]]
    blocks = [table(["what", "value"], rows)]
    for name in ("contracts", "configs"):
        content = escape(json.dumps(report[name], indent=1, ensure_ascii=False))
        blocks.append(f"<details><summary>{name}</summary><pre>{content}</pre></details>")
    return section("Provenance", *blocks)
