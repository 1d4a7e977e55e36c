"""Charts as SVG text, the same bytes for the same numbers: intervals, bars, histograms, time lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

COLOURS = ("#2458d3", "#1a9850", "#8a8f98", "#d9722e", "#8e44ad", "#c0392b")
Number = int | float
INK, FAINT, GRID = "#1d2530", "#5c6673", "#e3e7ec"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One row of an interval chart, a share in [0, 1]; `value` None is drawn as not measured."""

    label: str
    value: float | None
    low: float = 0.0
    high: float = 1.0
    note: str = ""
    colour: str = COLOURS[0]


def number(value: Number) -> str:
    """Coordinates with two decimals at most: short and the same on every machine."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value == value else "0"


def text(x: Number, y: Number, words: str, anchor: str = "start", size: int = 13, colour: str = INK) -> str:
    """One line of text."""
    return (
        f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(words)}</text>"
    )


def line(x1: Number, y1: Number, x2: Number, y2: Number, colour: str = GRID, width: Number = 1) -> str:
    """A straight line."""
    ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{number(width)}"/>'


def rect(x: Number, y: Number, width: Number, height: Number, colour: str, opacity: Number = 1.0) -> str:
    """A filled rectangle."""
    box = f'x="{number(x)}" y="{number(y)}" width="{number(max(width, 0))}" height="{number(max(height, 0))}"'
    return f'<rect {box} fill="{colour}" fill-opacity="{number(opacity)}" rx="2"/>'


def canvas(width: int, height: int, parts: Sequence[str], title: str) -> str:
    """The SVG element around its parts; the title is read out by screen readers."""
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}"'
    return f'{head} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


def interval_chart(rows: Sequence[Interval], title: str) -> str:
    """Shares in percent with their intervals, one row each."""
    left, right, top, step, width = 150, 160, 26, 34, 760
    span, bottom = width - left - right, top + step * len(rows)
    parts = []
    for percent in (0, 25, 50, 75, 100):
        x = left + span * percent / 100
        parts += [line(x, top - 6, x, bottom), text(x, top - 11, f"{percent} %", "middle", 11, FAINT)]
    for i, row in enumerate(rows):
        y = top + step * (i + 0.5)
        parts.append(text(left - 12, y + 4, row.label, "end"))
        if row.value is None:
            parts.append(text(left + 8, y + 4, "not measured", colour=FAINT))
            continue
        x, low, high = (left + span * v for v in (row.value, row.low, row.high))
        parts.append(line(low, y, high, y, row.colour, 3))
        parts += [line(e, y - 6, e, y + 6, row.colour, 2) for e in (low, high)]
        parts.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="6" fill="{row.colour}"/>')
        parts.append(text(left + span + 12, y + 4, row.note, size=12, colour=FAINT))
    return canvas(width, bottom + 8, parts, title)


def bar_groups(groups: Sequence[str], series: dict[str, Sequence[float]], title: str) -> str:
    """Shares in percent, one group of bars per name, one colour per series."""
    left, top, high, width = 44, 34, 150, 760
    slot = (width - left - 10) / max(len(groups), 1)
    bar = min(34.0, slot * 0.8 / max(len(series), 1))
    parts = []
    for percent in (0, 50, 100):
        y = top + high * (1 - percent / 100)
        parts += [line(left, y, width, y), text(left - 6, y + 4, f"{percent} %", "end", 11, FAINT)]
    for s, (name, values) in enumerate(series.items()):
        colour = COLOURS[s % len(COLOURS)]
        parts += [rect(left + 130 * s, 4, 11, 11, colour), text(left + 16 + 130 * s, 14, name, size=12)]
        for g, value in enumerate(values):
            x = left + slot * (g + 0.5) + bar * (s - len(series) / 2)
            parts.append(rect(x + 1, top + high * (1 - value), bar - 2, high * value, colour, 0.9))
            parts.append(text(x + bar / 2, top + high * (1 - value) - 4, f"{100 * value:.0f}", "middle", 10, FAINT))
    for g, group in enumerate(groups):
        parts.append(text(left + slot * (g + 0.5), top + high + 17, group, "middle", 12))
    return canvas(width, top + high + 28, parts, title)


def histogram(values: Sequence[float], unit: str, marks: dict[str, float], title: str, bins: int = 48) -> str:
    """Counts of a measured quantity, with named marks (percentiles, limits)."""
    left, top, high, width = 16, 40, 120, 760
    array = np.asarray(values, dtype=np.float64)
    upper = float(max(array.max(), *marks.values())) * 1.04 if array.size else 1.0
    counts, _ = np.histogram(array, bins=bins, range=(0.0, upper or 1.0))
    step, tallest = (width - 2 * left) / bins, max(int(counts.max()), 1)
    parts = [
        rect(left + step * i + 0.5, top + high * (1 - c / tallest), step - 1, high * c / tallest, COLOURS[0], 0.75)
        for i, c in enumerate(counts)
        if c
    ]
    parts.append(line(left, top + high, width - left, top + high, FAINT))
    for i, (name, value) in enumerate(sorted(marks.items(), key=lambda m: m[1])):
        x = left + (width - 2 * left) * value / (upper or 1.0)
        words = f"{name} {value:.3g}"
        anchor = "end" if x > width * 0.8 else "start"
        parts += [line(x, top - 8, x, top + high, COLOURS[5], 1.5)]
        parts.append(text(x + (4 if anchor == "start" else -4), top - 12 - 13 * (i % 2), words, anchor, 11))
    parts += [text(left, top + high + 15, "0", size=11, colour=FAINT)]
    parts += [text(width - left, top + high + 15, f"{upper:.3g} {unit}", "end", 11, FAINT)]
    return canvas(width, top + high + 22, parts, title)


def time_lines(
    times_s: Float[np.ndarray, " sample"], series: dict[str, Float[np.ndarray, " sample"]], unit: str, title: str
) -> str:
    """A few quantities over time [s] on one axis."""
    left, top, high, width = 52, 24, 92, 760
    every = np.concatenate([np.asarray(v, dtype=np.float64) for v in series.values()])
    low, peak = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if peak - low < 1e-9:
        low, peak = low - 0.5, peak + 0.5
    end = float(times_s[-1]) if len(times_s) else 1.0
    keep = np.unique(np.linspace(0, max(len(times_s) - 1, 0), 400).astype(int))
    parts = []
    for value in (low, (low + peak) / 2, peak):
        y = top + high * (1 - (value - low) / (peak - low))
        parts += [line(left, y, width, y), text(left - 6, y + 4, f"{value:.2g}", "end", 10, FAINT)]
    for s, (name, values) in enumerate(series.items()):
        colour = COLOURS[s % len(COLOURS)]
        xs = left + (width - left) * np.asarray(times_s)[keep] / max(end, 1e-9)
        ys = top + high * (1 - (np.asarray(values)[keep] - low) / (peak - low))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts += [rect(left + 150 * s, 4, 11, 11, colour), text(left + 16 + 150 * s, 14, name, size=12)]
    parts.append(text(width, 14, unit, "end", 11, FAINT))
    parts += [text(left, top + high + 14, "0 s", size=10, colour=FAINT)]
    parts.append(text(width, top + high + 14, f"{end:.1f} s", "end", 10, FAINT))
    return canvas(width, top + high + 20, parts, title)
