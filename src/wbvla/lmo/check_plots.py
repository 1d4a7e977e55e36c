"""Charts of a controller's check as SVG text: ways seen from above, quantities over time with bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

COLOURS = ("#2458d3", "#d9722e", "#1a9850", "#8e44ad", "#0891b2", "#c0392b")
REFERENCE = "#1d2530"
MAX_POINTS = 240


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over time."""

    name: str
    values: Float[np.ndarray, " tick"]
    colour: str = COLOURS[0]
    dashed: bool = False
    low: Float[np.ndarray, " tick"] | None = None
    """lower edge of a band around it"""
    high: Float[np.ndarray, " tick"] | None = None


def ticks_of(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range, steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-9)
    raw = span / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * 0.999)
    first = np.ceil(low / step - 1e-9)
    return [float(round(k * step, 9)) + 0.0 for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]


def over_time(
    curves: Sequence[Curve], dt_s: float, unit: str, marks_s: Sequence[float] = (), least_span: float = 0.0
) -> str:
    """Curves on one axis, `marks_s` as upright lines; the axis spans at least `least_span`."""
    width, height, left, right, top, bottom = 480, 190, 46, 8, 18, 22
    parts = [v for c in curves for v in (c.values, c.low, c.high) if v is not None]
    every = np.concatenate(parts) if parts else np.zeros(1)
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    short = max(least_span - (high - low), 0.0) / 2
    pad = 0.06 * max(high - low, least_span, 1e-6)
    low, high = low - short - pad, high + short + pad
    seconds = max((len(curves[0].values) - 1) * dt_s, 1e-9)

    def x(time_s: float | np.ndarray) -> float | np.ndarray:
        return left + (width - left - right) * time_s / seconds

    def y(value: float | np.ndarray) -> float | np.ndarray:
        return top + (height - top - bottom) * (high - value) / (high - low)

    lines = [f'<text x="{left}" y="12">{escape(unit)}</text>']
    for value in ticks_of(low, high):
        kind = "axis zero" if value == 0 else "axis"
        lines.append(f'<line class="{kind}" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        lines.append(f'<text x="{left - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks_of(0.0, seconds, 6):
        lines.append(f'<text x="{x(value):.1f}" y="{height - 6}" text-anchor="middle">{value:g} s</text>')
    for mark in marks_s:
        ends = f'x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{top}" y2="{height - bottom}"'
        lines.append(f'<line class="axis" {ends} stroke-dasharray="3 3" style="stroke:#9aa5b1"/>')
    for curve in curves:
        lines += _drawn(curve, dt_s, x, y)
    return _svg(width, height, lines)


def _drawn(curve: Curve, dt_s: float, x, y) -> list[str]:
    """Band first, line on top."""
    keep = np.unique(np.linspace(0, len(curve.values) - 1, MAX_POINTS).astype(int))
    at, parts = x(keep * dt_s), []
    if curve.low is not None and curve.high is not None:
        edge = [*zip(at, y(curve.high[keep])), *zip(at[::-1], y(curve.low[keep])[::-1])]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in edge if np.isfinite(b))
        parts.append(f'<polygon points="{points}" fill="{curve.colour}" fill-opacity="0.16"/>')
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(at, y(curve.values[keep])) if np.isfinite(b))
    dash = ' stroke-dasharray="5 3"' if curve.dashed else ""
    parts.append(f'<polyline points="{points}" stroke="{curve.colour}" stroke-width="1.5"{dash}/>')
    return parts


def from_above(
    ways: Float[np.ndarray, "tick robot 2"],
    goal: tuple[float, float] | None = None,
    least_span: float = 0.6,
    headings: Float[np.ndarray, " robot"] | None = None,
) -> str:
    """Ways in the plane on equal axes, x to the right and y up [m]; a ring at the start, a cross at the goal.

    `headings`: of the robots at the end [rad], drawn as short strokes.
    """
    width, height, edge = 320, 270, 30
    points = ways.reshape(-1, 2)
    extra = np.array([[0.0, 0.0], goal or (0.0, 0.0)])
    points = np.concatenate([points[np.isfinite(points).all(axis=1)], extra])
    low, high = points.min(axis=0), points.max(axis=0)
    span = max(float((high - low).max()) * 1.12, least_span)
    middle, scale = (low + high) / 2, min(width - 2 * edge, height - 2 * edge) / span

    def place(xy: np.ndarray) -> np.ndarray:
        offset = (xy - middle) * scale * np.array([1.0, -1.0])
        return offset + np.array([width / 2 + edge / 3, height / 2 - edge / 4])

    lines = _grid(place, middle, (width, height), scale, edge)
    keep = np.unique(np.linspace(0, len(ways) - 1, MAX_POINTS // 2).astype(int))
    for robot in range(ways.shape[1]):
        at = place(ways[keep, robot])
        drawn = " ".join(f"{a:.1f},{b:.1f}" for a, b in at if np.isfinite(a))
        lines.append(f'<polyline points="{drawn}" stroke="{COLOURS[0]}" stroke-width="1" opacity="0.55"/>')
        x, y = at[-1]
        if not np.isfinite(at[-1]).all():
            continue
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{COLOURS[0]}"/>')
        if headings is not None:
            tip = at[-1] + 11 * np.array([np.cos(headings[robot]), -np.sin(headings[robot])])
            ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{tip[0]:.1f}" y2="{tip[1]:.1f}"'
            lines.append(f'<line {ends} stroke="{COLOURS[1]}" stroke-width="1.4"/>')
    x, y = place(np.zeros(2))
    lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="none" stroke="{REFERENCE}" stroke-width="1.3"/>')
    if goal is not None:
        x, y = place(np.array(goal))
        cross = f"M{x - 6:.1f},{y - 6:.1f}l12,12m0,-12l-12,12"
        lines.append(f'<path d="{cross}" stroke="{COLOURS[5]}" stroke-width="2"/>')
    return _svg(width, height, lines)


def _grid(place, middle: np.ndarray, size: tuple[int, int], scale: float, edge: int) -> list[str]:
    """Lines at round metres, with their numbers at the edges."""
    (width, height), lines = size, []
    reach = np.array([width - 1.4 * edge, height - 1.4 * edge]) / 2 / scale
    for axis in (0, 1):
        for value in ticks_of(float(middle[axis] - reach[axis]), float(middle[axis] + reach[axis])):
            point = middle.copy()
            point[axis] = value
            x, y = place(point)
            if axis == 0:
                lines.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 18}"/>')
                lines.append(f'<text x="{x:.1f}" y="{height - 5}" text-anchor="middle">{value:g}</text>')
            else:
                lines.append(f'<line class="axis" x1="{edge}" x2="{width - 4}" y1="{y:.1f}" y2="{y:.1f}"/>')
                lines.append(f'<text x="{edge - 4}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    return lines


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


def legend(curves: Sequence[Curve]) -> str:
    """Names in the colours of the curves."""
    items = (f'<i style="background:{c.colour}"></i>{escape(c.name)}' for c in curves)
    return f'<div class="legend">{"".join(items)}</div>'
