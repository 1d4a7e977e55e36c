"""A dataset as one self-contained HTML page: frames of every camera, words, signals, statistics, faults; no scripts."""

import base64
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from wbvla.core.errors import ConfigError
from wbvla.data import plots
from wbvla.data.faults import Fault
from wbvla.data.features import ACTION, STAMPS, STATE, SUCCESS
from wbvla.data.format import OWN_FEATURES, Feature
from wbvla.data.reader import Dataset, Episode
from wbvla.data.stats import QUANTILES
from wbvla.data.summary import Summary, hours, outcome, summarize_dataset
from wbvla.data.transforms import resize

STYLE = Path(__file__).with_name("view.css")
DEPTH_COLOURS = np.array(
    [
        [48, 18, 59],
        [70, 107, 227],
        [40, 187, 236],
        [50, 242, 152],
        [163, 253, 60],
        [237, 208, 58],
        [250, 118, 24],
        [122, 4, 3],
    ]
)
"""near to far, evenly spaced stops of a rainbow of rising and falling lightness; black where nothing came back"""
UNITS = {"rad": "rad", "radps": "rad/s", "m": "m", "mps2": "m/s2", "s": "s", "ms": "ms"}
"""last part of a channel's name -> how its unit is written"""
MAX_CHANNELS = 8
"""curves in one chart"""


@dataclass(frozen=True, kw_only=True)
class SheetConfig:
    """What a page shows."""

    episode: int = 0
    """the episode shown in full"""
    frames: int = 8
    """frames of it per camera"""
    others: int = 12
    """further episodes shown as a strip of frames"""
    height: int = 96
    """height of a picture on the page [px]"""

    def __post_init__(self) -> None:
        if min(self.frames, self.height) < 1 or self.others < 0 or self.episode < 0:
            raise ConfigError("a page needs at least one frame of at least one pixel, and an episode from 0 on")


def render(data: Dataset, config: SheetConfig, faults: Sequence[Fault] | None = None) -> str:
    """The whole page. `faults` are those of `check`; None says that nobody looked.

    Raises DataError when the dataset lacks the episode.
    """
    title = escape(data.root.name)
    parts: list[str] = [f"<h1>{title}</h1>"]
    summary = summarize_dataset(data)
    parts += [_cards(summary, faults), _faults(faults or ())]
    if data.num_episodes:
        parts += [_episode(data, config), _strips(data, config)]
    parts += [_tasks(summary), _statistics(data), _contract(data.contract)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _cards(summary: Summary, faults: Sequence[Fault] | None) -> str:
    known = {"yes": "reached", "no": "missed", "unknown": "unknown"}
    outcomes = ", ".join(f"{n} {known[k]}" for k, n in summary.outcomes.items() if n) or "not recorded"
    state = (
        "not checked" if faults is None else (f"{len(faults)} fault{'s' * (len(faults) > 1)}" if faults else "sound")
    )
    cards = (
        (f"{summary.episodes}", "episodes"),
        (hours(summary.seconds), f"{summary.frames} frames at {summary.fps} Hz"),
        (escape(summary.robot), f"{len(summary.cameras)} cameras, {len(summary.depths)} depth maps"),
        (escape(outcomes), "goal of the episode"),
        (f"{summary.size_bytes / 2**20:.1f} MiB", f"{summary.version}, {escape(summary.layout)}"),
        (f'<span class="{"bad" if faults else "good"}">{state}</span>', "by `wbvla data check`"),
    )
    return f'<div class="cards">{"".join(f"<div><b>{v}</b><small>{w}</small></div>" for v, w in cards)}</div>'


def _faults(faults: Sequence[Fault]) -> str:
    rows = "".join(f"<li><b>{escape(f.kind)}</b> {escape(str(f).partition(': ')[2])}</li>" for f in faults[:50])
    more = f"<li>and {len(faults) - 50} more</li>" if len(faults) > 50 else ""
    return f'<section class="faults"><h2>Faults</h2><ul>{rows}{more}</ul></section>' if faults else ""


def _episode(data: Dataset, config: SheetConfig) -> str:
    columns = data.columns(config.episode)
    record = data.episodes[config.episode]
    segments = data.segments(config.episode)
    phrasings = "".join(f"<li>{escape(p)}</li>" for p in data.phrasings(config.episode))
    said_in_turn = "&rdquo; then &ldquo;".join(escape(t) for t in record.tasks)
    facts = f"{record.length} frames, {record.length / data.fps:.1f} s, goal {outcome(columns.get(SUCCESS))}"
    words = f'<p class="words">&ldquo;{said_in_turn}&rdquo; <small>{facts}</small></p>'
    said = f"<details><summary>in other words</summary><ul>{phrasings}</ul></details>" if phrasings else ""
    notes = "".join(
        f"<li>{escape(str(k))}: {escape(str(v)[:400])}</li>" for k, v in sorted(data.notes(config.episode).items())
    )
    said += f"<details><summary>notes</summary><ul>{notes}</ul></details>" if notes else ""
    bar = plots.spans(segments, record.length) if segments else ""
    marks = [s.start / data.fps for s in segments if s.start]
    sheet = _sheet(data, record, config)
    return (
        f"<section><h2>Episode {config.episode}</h2>{words}{said}{bar}{sheet}</section>"
        f"<section><h2>Signals</h2>{_signals(data, columns, record, marks)}</section>"
    )


def _sheet(data: Dataset, record: Episode, config: SheetConfig) -> str:
    """A row of pictures per camera and depth map at the same instants."""
    numbers = spaced(record.length, config.frames)
    head = "".join(f"<th>{n / data.fps:.2f} s<small>frame {n}</small></th>" for n in numbers)
    rows = []
    for camera in data.cameras:
        pictures = data.frames(camera, record.index, numbers)
        rows.append((camera, "", [embed(p, config.height) for p in pictures]))
    for name in data.depths:
        maps = data.depth(name, record.index, numbers)
        low, high = depth_range(maps)
        scale = f"{low / 1000:.2f} (dark) to {high / 1000:.2f} m (red)"
        rows.append((name, scale, [embed(colour_depth(m, low, high), config.height) for m in maps]))
    body = "".join(
        f"<tr><th>{escape(short(name))}<small>{note}</small></th>"
        + "".join(f'<td><img alt="" src="{src}"></td>' for src in images)
        + "</tr>"
        for name, note, images in rows
    )
    return f'<div class="scroll"><table class="sheet"><tr><th></th>{head}</tr>{body}</table></div>' if rows else ""


def _signals(data: Dataset, columns: Mapping[str, np.ndarray], record: Episode, marks: Sequence[float]) -> str:
    seconds = record.length / data.fps
    charts = []
    shown_first = sorted(data.info.columns, key=lambda n: (n != ACTION, n not in (STATE, STAMPS)))
    for name in shown_first:
        feature = data.features[name]
        if not feature.is_numeric or name in OWN_FEATURES or name == SUCCESS:
            continue
        values = columns[name].reshape(record.length, -1).astype(np.float64)
        channels = channel_names(name, feature, values.shape[1])
        if name == STAMPS:
            values = 1000.0 * (values - values[:1] - np.arange(record.length)[:, None] / data.fps)
            channels = [f"{c.partition('.')[0]}.late_ms" for c in channels]
        for label, chosen in groups(channels):
            chart = plots.curves(values[:, chosen], [channels[c] for c in chosen], seconds, marks)
            shown = plots.legend([channels[c].partition(".")[0].removesuffix("_joint") for c in chosen])
            charts.append(
                f"<figure><figcaption>{escape(name)} <small>{escape(label)}</small></figcaption>{chart}{shown}</figure>"
            )
    return f'<div class="charts">{"".join(charts)}</div>'


def channel_names(name: str, feature: Feature, count: int) -> list[str]:
    """Names of a column's channels: its own where it has as many, else the column's with a number."""
    if feature.names and len(feature.names) == count:
        return list(feature.names)
    return [short(name)] if count == 1 else [f"{short(name)}[{i}]" for i in range(count)]


def groups(channels: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Channels that share a chart: one quantity and, where that has many, one side; at most `MAX_CHANNELS` each."""
    counts = Counter(quantity(n) for n in channels)
    found: dict[str, list[int]] = {}
    for i, name in enumerate(channels):
        side = next((s for s in ("left", "right") if name.startswith(f"{s}_")), "")
        wide = counts[quantity(name)] > MAX_CHANNELS
        found.setdefault(f"{quantity(name)} {side if wide else ''}".strip(), []).append(i)
    if len(channels) <= MAX_CHANNELS and max(counts.values()) == 1:
        return [("", list(range(len(channels))))]
    parts = [
        (label, members[at : at + MAX_CHANNELS])
        for label, members in found.items()
        for at in range(0, len(members), MAX_CHANNELS)
    ]
    return parts


def quantity(channel: str) -> str:
    """What a channel measures, from its name: `left_knee_joint.q_rad` -> `q [rad]`, `gravity_x` -> `gravity`."""
    head, _, unit = channel.rpartition(".")
    if channel in ("s_x", "s_y", "s_psi"):
        return "flags"
    bare = re.sub(r"_[xyz]$", "", channel if not head else unit)
    name, _, last = bare.rpartition("_")
    if bare in UNITS:
        sensor = re.sub(r"_[xyz]$", "", head)
        return f"{sensor if sensor != head else ''} [{UNITS[bare]}]".strip()
    return f"{name} [{UNITS[last]}]" if last in UNITS else bare


def _strips(data: Dataset, config: SheetConfig) -> str:
    """Other episodes, evenly over the dataset, by four frames of the first camera."""
    if not data.cameras or not config.others:
        return ""
    cells = []
    for index in spaced(data.num_episodes, config.others):
        record = data.episodes[index]
        pictures = data.frames(data.cameras[0], index, spaced(record.length, 4))
        images = "".join(f'<img alt="" src="{embed(p, config.height // 2)}">' for p in pictures)
        reached = outcome(data.columns(index, [SUCCESS])[SUCCESS]) if SUCCESS in data.info.columns else "unknown"
        cells.append(
            f'<div class="strip"><div>{images}</div><p><b>{index}</b> {escape(", ".join(record.tasks))} '
            f"<small>{record.length / data.fps:.1f} s, goal {reached}</small></p></div>"
        )
    head = f"<h2>{len(cells)} of {data.num_episodes} episodes</h2>"
    return f'<section>{head}<div class="strips">{"".join(cells)}</div></section>'


def _tasks(summary: Summary) -> str:
    most = max((c.seconds for c in summary.tasks), default=0.0) or 1.0
    rows = "".join(
        f"<tr><td>{escape(c.name)}</td><td>{c.episodes}</td><td>{hours(c.seconds)}</td>"
        f'<td class="bar"><i style="width:{100 * c.seconds / most:.1f}%"></i></td></tr>'
        for c in (*summary.tasks[:40], *summary.primitives)
    )
    head = "<tr><th>instruction or primitive</th><th>episodes</th><th>time</th><th></th></tr>"
    return f"<section><h2>Instructions</h2><table>{head}{rows}</table></section>"


def _statistics(data: Dataset) -> str:
    """Per feature a row, per channel a row under it; over all frames, as meta/stats.json has them."""
    stats, blocks = data.stats, []
    for name, feature in data.features.items():
        found = stats.get(name)
        if not found or not set(QUANTILES) <= set(found):
            continue
        flat = {k: np.ravel(found[k]) for k in ("min", "q01", "mean", "std", "q99", "max")}
        names = channel_names(name, feature, len(flat["min"]))
        rows = "".join(
            f"<tr><td>{escape(names[i])}</td>"
            + "".join(f"<td>{flat[k][i]:.4g}</td>" for k in flat)
            + f"<td>{plots.spread(*(float(flat[k][i]) for k in ('min', 'q01', 'q99', 'max', 'mean')))}</td></tr>"
            for i in range(len(flat["min"]))
        )
        shape = "x".join(map(str, feature.shape))
        head = "<tr><th>channel</th>" + "".join(f"<th>{k}</th>" for k in flat) + "<th>q01 to q99, mean</th></tr>"
        facts = f"<small>{feature.dtype} {shape}, {found['count'][0]} frames</small>"
        summary = f"<summary>{escape(name)} {facts}</summary>"
        blocks.append(f"<details>{summary}<table>{head}{rows}</table></details>")
    empty = f"<p>none yet: <code>wbvla data stats {escape(data.root.name)}</code></p>"
    return f"<section><h2>Statistics</h2>{''.join(blocks) or empty}</section>"


def _contract(contract: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(k))}</td><td>{escape(str(v)[:400])}</td></tr>" for k, v in sorted(contract.items())
    )
    return f"<section><details><summary>Contract</summary><table>{rows}</table></details></section>" if rows else ""


def embed(rgb: UInt8[np.ndarray, "height width 3"], height: int) -> str:
    """A picture as a data URI, JPEG at `height` [px], never enlarged."""
    if rgb.shape[0] > height:
        rgb = resize(rgb, (height, max(1, round(rgb.shape[1] * height / rgb.shape[0]))))
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def colour_depth(
    millimetres: UInt16[np.ndarray, "height width"], low: float, high: float
) -> UInt8[np.ndarray, "height width 3"]:
    """A depth map in colour: `low` to `high` [mm] from near to far, black where nothing came back."""
    share = np.clip((millimetres - low) / max(high - low, 1.0), 0.0, 1.0)
    stops = np.linspace(0.0, 1.0, len(DEPTH_COLOURS))
    rgb = np.stack([np.interp(share, stops, DEPTH_COLOURS[:, c]) for c in range(3)], axis=-1)
    rgb[millimetres == 0] = 0
    return rgb.astype(np.uint8)


def depth_range(maps: UInt16[np.ndarray, "frame height width"]) -> tuple[float, float]:
    """2nd and 98th percentile of what came back [mm]; (0, 1) when nothing did."""
    seen = maps[maps > 0]
    return (float(np.quantile(seen, 0.02)), float(np.quantile(seen, 0.98))) if seen.size else (0.0, 1.0)


def spaced(length: int, count: int) -> list[int]:
    """At most `count` numbers evenly over 0 .. length - 1, both ends among them."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


def short(name: str) -> str:
    """The last part of a feature's name."""
    return name.rpartition(".")[2]
