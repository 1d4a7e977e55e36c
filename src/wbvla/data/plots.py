"""Signals of an episode as SVG: curves over time, spans of sub-tasks, bars of a distribution; no library, no script."""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from wbvla.data.words import Segment

COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#65a30d")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 132, 44, 16, 6
MAX_POINTS = 400


def curves(
    values: Float[np.ndarray, "frame channel"], names: Sequence[str], seconds: float, marks: Sequence[float] = ()
) -> str:
    """One chart of some channels over an episode of `seconds`; `marks` are instants worth a line [s].

    Curves of more frames than fit are thinned to the lowest and highest value of each stretch, so no spike is lost.
    """
    rows = values.astype(np.float64)
    finite = rows[np.isfinite(rows)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    flat = high - low <= 1e-6 * max(abs(high), 1.0)  # rounding is no signal
    pad = 0.1 * max(abs(high), 1.0) if flat else 0.06 * (high - low)
    low, high = low - pad, high + pad
    parts = [_frame(low, high, seconds), *(_mark(m / max(seconds, 1e-9)) for m in marks)]
    for channel, name in enumerate(names):
        at, heights = thin(rows[:, channel])
        x = LEFT + (WIDTH - LEFT) * at / max(len(rows) - 1, 1)
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (heights - low) / (high - low))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y) if np.isfinite(b))
        colour = COLOURS[channel % len(COLOURS)]
        parts.append(f'<polyline points="{points}" stroke="{colour}"><title>{escape(name)}</title></polyline>')
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def legend(names: Sequence[str]) -> str:
    """The names in the colours of their curves."""
    items = (
        f'<span><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(n)}</span>' for i, n in enumerate(names)
    )
    return f'<div class="legend">{"".join(items)}</div>'


def thin(values: Float[np.ndarray, " frame"]) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Frame numbers and values of at most `MAX_POINTS` points, extremes kept in their order."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values), dtype=np.float64), values
    chosen: set[int] = {0, len(values) - 1}
    for part in np.array_split(np.arange(len(values)), MAX_POINTS // 2 - 1):
        if np.isfinite(values[part]).any():
            chosen |= {int(part[np.nanargmin(values[part])]), int(part[np.nanargmax(values[part])])}
    numbers = np.array(sorted(chosen))
    return numbers.astype(np.float64), values[numbers]


def spans(segments: Sequence[Segment], length: int) -> str:
    """Sub-tasks as coloured spans over the episode, words beside their colour."""
    parts = []
    for i, segment in enumerate(segments):
        left, width = 100 * segment.start / length, 100 * (segment.end - segment.start) / length
        colour = COLOURS[i % len(COLOURS)]
        words = f"{segment.text} (frames {segment.start} to {segment.end - 1})"
        place = f"left:{left:.2f}%;width:{width:.2f}%;background:{colour}"
        parts.append(f'<span style="{place}" title="{escape(words, quote=True)}">{escape(segment.text)}</span>')
    return f'<div class="spans">{"".join(parts)}</div>'


def spread(low: float, q01: float, q99: float, high: float, mean: float) -> str:
    """Where the middle 98 % of a channel lie between its ends, and its mean."""
    if not high > low:
        return '<svg class="spread" viewBox="0 0 100 10"><circle cx="50" cy="5" r="2.5"/></svg>'
    a, b, m = (100 * (v - low) / (high - low) for v in (q01, q99, mean))
    return (
        '<svg class="spread" viewBox="0 0 100 10"><line x1="0" y1="5" x2="100" y2="5"/>'
        f'<rect x="{a:.1f}" y="2" width="{max(b - a, 1):.1f}" height="6" rx="2"/>'
        f'<circle cx="{m:.1f}" cy="5" r="2"/></svg>'
    )


def _frame(low: float, high: float, seconds: float) -> str:
    """Box, the ends of both axes, the line of zero."""
    bottom = HEIGHT - BOTTOM
    parts = [f'<rect class="box" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT}" height="{bottom - TOP}"/>']
    if low < 0 < high:
        y = TOP + (bottom - TOP) * (1 - (0 - low) / (high - low))
        parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for text, x, y, anchor in (
        (f"{high:.3g}", LEFT - 4, TOP + 8, "end"),
        (f"{low:.3g}", LEFT - 4, bottom, "end"),
        ("0 s", LEFT, HEIGHT - 3, "start"),
        (f"{seconds:.1f} s", WIDTH, HEIGHT - 3, "end"),
    ):
        parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _mark(share: float) -> str:
    x = LEFT + (WIDTH - LEFT) * share
    return f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
