"""Small pieces of HTML that the report is made of: tables, sections, numbers with their units, the style sheet."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

NOT_MEASURED = '<span class="none">not measured</span>'
STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;margin:0}
body{color:#1d2530;background:#f4f6f8}
main{max-width:980px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:27px;margin:0 0 4px}h2{font-size:19px;margin:0 0 10px}h3{font-size:15px;margin:16px 0 6px}
section{background:#fff;border:1px solid #e3e7ec;border-radius:10px;padding:20px 24px;margin:18px 0}
.lead{color:#5c6673;margin:0 0 6px}.none{color:#8a8f98;font-style:italic}.note{color:#5c6673;font-size:13px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:16px 0}
.card{background:#fff;border:1px solid #e3e7ec;border-radius:10px;padding:14px 16px}
.card b{display:block;font-size:24px;line-height:1.2}.card span{color:#5c6673;font-size:13px}
table{border-collapse:collapse;width:100%;font-size:13.5px;margin:6px 0}
th{text-align:left;color:#5c6673;font-weight:600;border-bottom:2px solid #e3e7ec;padding:5px 10px 5px 0}
td{border-bottom:1px solid #eef1f4;padding:5px 10px 5px 0;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code,pre{font:12.5px/1.45 ui-monospace,"DejaVu Sans Mono",monospace}code{overflow-wrap:anywhere}
pre{background:#f4f6f8;border-radius:6px;padding:12px;overflow:auto;max-height:340px}
svg{width:100%;height:auto;display:block;margin:4px 0 10px}
svg text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
video{width:100%;border-radius:8px;background:#000}figure{margin:10px 0 18px}figcaption{color:#5c6673;font-size:13px}
.yes{color:#1a9850;font-weight:600}.no{color:#c0392b;font-weight:600}details{margin:10px 0}summary{cursor:pointer}
@media print{body{background:#fff}section{break-inside:avoid}}
"""


def percent(value: float | None) -> str:
    """A share in percent, or `not measured`."""
    return NOT_MEASURED if value is None else f"{100 * value:.0f} %"


def short(value: float, digits: int = 3) -> str:
    """A number with `digits` significant ones, never in powers of ten between 0.001 and a million."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:.{decimals}f}"
    return f"{value:.{digits}g}"


def figure(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number with its unit, or `not measured`."""
    return NOT_MEASURED if value is None else f"{short(value, digits)}{' ' + unit if unit else ''}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """Cells are HTML; columns in `numeric` are right-aligned."""
    mark = lambda i: ' class="n"' if i in numeric else ""  # noqa: E731
    top = "".join(f"<th{mark(i)}>{escape(h)}</th>" for i, h in enumerate(head))
    body = "".join("<tr>" + "".join(f"<td{mark(i)}>{c}</td>" for i, c in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def section(title: str, *parts: str) -> str:
    """One card of the page."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def with_interval(rate: Mapping[str, Any]) -> str:
    """`3 of 20, 15 % [3, 38]`, or `not measured`."""
    if rate["value"] is None:
        return NOT_MEASURED
    ends = f"[{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]"
    return f"{rate['successes']} of {rate['trials']}, {percent(rate['value'])} {ends}"


def value_of(value: Any) -> str:
    """A JSON value as a cell."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {value_of(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(value_of(v) for v in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return short(value, 4)
    return f"<code>{escape(str(value))}</code>" if isinstance(value, str) else escape(str(value))
