"""Statistics of columns without decoding video: mergeable counts, moments, quantiles; and of sampled pixels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped, UInt8

from wbvla.core.errors import DataError

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
MAX_BINS = 8192


def describe(values: Shaped[np.ndarray, " frame *channel"]) -> dict[str, list[Any]]:
    """min, max, mean, std (population), count and quantiles of one column, per channel."""
    data = values.astype(np.float64)
    data = data[:, None] if data.ndim == 1 else data
    result: dict[str, list[Any]] = {
        "min": data.min(0).tolist(),
        "max": data.max(0).tolist(),
        "mean": data.mean(0).tolist(),
        "std": data.std(0).tolist(),
        "count": [len(data)],
    }
    return result | {k: np.quantile(data, q, axis=0).tolist() for k, q in QUANTILES.items()}


class ImageTally:
    """256-bin histogram per colour of a grid of pixels in some frames; exact, mergeable, small."""

    def __init__(self, every: int = 5, stride: int = 4) -> None:
        self.counts: Int64[np.ndarray, "3 256"] = np.zeros((3, 256), dtype=np.int64)
        self._every, self._stride, self._seen, self._taken = every, stride, 0, 0

    def add(self, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """Count every `every`-th frame, every `stride`-th pixel in each direction."""
        if self._seen % self._every == 0:
            pixels = rgb[:: self._stride, :: self._stride].reshape(-1, 3)
            self.counts += np.stack([np.bincount(pixels[:, c], minlength=256) for c in range(3)])
            self._taken += 1
        self._seen += 1

    def merge(self, other: "ImageTally") -> None:
        """Take in what another tally counted."""
        self.counts += other.counts
        self._taken += other._taken

    def summary(self) -> dict[str, list[Any]]:
        """Statistics in LeRobot's shape (3, 1, 1), pixels in [0, 1]; count = frames looked at."""
        total = int(self.counts[0].sum())
        if total == 0:
            raise DataError("no frame was looked at; add one first")
        levels = np.arange(256) / 255.0
        mean = self.counts @ levels / total
        std = np.sqrt(np.maximum(self.counts @ levels**2 / total - mean**2, 0.0))
        cumulative = self.counts.cumsum(1)
        present = self.counts > 0
        result: dict[str, Any] = {
            "min": levels[present.argmax(1)],
            "max": levels[255 - present[:, ::-1].argmax(1)],
            "mean": mean,
            "std": std,
        }
        for name, q in QUANTILES.items():
            result[name] = levels[(cumulative <= q * (total - 1)).sum(1)]
        shaped = {k: [[[float(x)]] for x in v] for k, v in result.items()}
        return {**shaped, "count": [self._taken]}


class Tally:
    """Count, mean, variance, range and histogram of one channel, mergeable without loss.

    Bins are `2**exponent` wide and aligned at zero, so a histogram is coarsened exactly by joining pairs of bins; two
    tallies are merged at the coarser exponent. There are between half of and all `MAX_BINS` bins over the range.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.spread = 0.0
        """sum of squared deviations from the mean"""
        self.low, self.high = np.inf, -np.inf
        self.exponent = 0
        self.first_bin = 0
        self.counts: Int64[np.ndarray, " bin"] = np.zeros(0, dtype=np.int64)

    def add(self, values: Float[np.ndarray, " frame"]) -> None:
        """Take in values; raises DataError on NaN or infinity."""
        if values.size == 0:
            return
        if not np.isfinite(values).all():
            raise DataError("statistics of NaN or infinity were asked; run `wbvla data check`")
        batch = Tally()
        batch.count = values.size
        batch.mean = float(values.mean())
        batch.spread = float(((values - batch.mean) ** 2).sum())
        batch.low, batch.high = float(values.min()), float(values.max())
        batch.exponent = _exponent(batch.low, batch.high)
        bins = np.floor(np.ldexp(values, -batch.exponent)).astype(np.int64)
        batch.first_bin = int(bins.min())
        batch.counts = np.bincount(bins - batch.first_bin).astype(np.int64)
        self.merge(batch)

    def merge(self, other: "Tally") -> None:
        """Take in what another tally counted (moments by Chan et al. 1979)."""
        if other.count == 0:
            return
        total = self.count + other.count
        delta = other.mean - self.mean
        self.spread += other.spread + delta * delta * self.count * other.count / total
        self.mean += delta * other.count / total
        low, high = min(self.low, other.low), max(self.high, other.high)
        exponent = max(_exponent(low, high), other.exponent, self.exponent if self.count else other.exponent)
        parts = [t._at(exponent) for t in (self, other) if t.count]
        first = min(start for start, _ in parts)
        counts = np.zeros(max(start + len(c) for start, c in parts) - first, dtype=np.int64)
        for start, part in parts:
            counts[start - first : start - first + len(part)] += part
        self.count, self.low, self.high = total, low, high
        self.exponent, self.first_bin, self.counts = exponent, first, counts

    def quantile(self, q: float) -> float:
        """Within one bin of `numpy.quantile(values, q)`."""
        position = q * (self.count - 1)
        below = int(np.floor(position))
        above = min(below + 1, self.count - 1)
        share = position - below
        return (1 - share) * self._ranked(below) + share * self._ranked(above)

    @property
    def bin_width(self) -> float:
        return float(np.ldexp(1.0, self.exponent))

    def _ranked(self, rank: int) -> float:
        """Estimate of the value of a rank: the lower edge of its bin (exact for whole numbers), inside the range."""
        index = int(np.searchsorted(self.counts.cumsum(), rank, side="right"))
        return float(np.clip((self.first_bin + index) * self.bin_width, self.low, self.high))

    def _at(self, exponent: int) -> tuple[int, Int64[np.ndarray, " bin"]]:
        """First bin and counts at a coarser exponent."""
        shift = exponent - self.exponent
        bins = (np.arange(len(self.counts)) + self.first_bin) >> shift
        first = int(bins[0])
        counts = np.zeros(int(bins[-1]) - first + 1, dtype=np.int64)
        np.add.at(counts, bins - first, self.counts)
        return first, counts


def tally_columns(columns: Iterable[Shaped[np.ndarray, " frame *channel"]]) -> list[Tally]:
    """One tally per channel of a column given episode by episode."""
    return tally_features({"": values} for values in columns).get("", [])


def tally_features(blocks: Iterable[Mapping[str, Shaped[np.ndarray, " _ *channel"]]]) -> dict[str, list[Tally]]:
    """One tally per channel of every column, given some frames at a time; arrays count as their elements in order."""
    tallies: dict[str, list[Tally]] = {}
    for block in blocks:
        for name, values in block.items():
            data = values.reshape(len(values), -1)
            mine = tallies.setdefault(name, [Tally() for _ in range(data.shape[1])])
            if len(mine) != data.shape[1]:
                raise DataError(f"column {name!r} has {data.shape[1]} channels in one episode, {len(mine)} in another")
            for channel, tally in enumerate(mine):
                tally.add(data[:, channel].astype(np.float64))
    return tallies


def summarize(tallies: Sequence[Tally], shape: tuple[int, ...] = ()) -> dict[str, list[Any]]:
    """The statistics of one feature as meta/stats.json holds them; nested lists where its `shape` has several axes."""
    result: dict[str, list[Any]] = {
        "min": [t.low for t in tallies],
        "max": [t.high for t in tallies],
        "mean": [t.mean for t in tallies],
        "std": [float(np.sqrt(t.spread / t.count)) for t in tallies],
    }
    result |= {name: [t.quantile(q) for t in tallies] for name, q in QUANTILES.items()}
    if len(shape) > 1:
        result = {name: np.reshape(values, shape).tolist() for name, values in result.items()}
    return result | {"count": [tallies[0].count]}


def _exponent(low: float, high: float) -> int:
    """Smallest exponent at which [low, high] needs at most MAX_BINS bins and bin numbers stay exact integers."""
    span = int(np.ceil(np.log2(max(high - low, 1e-300) / (MAX_BINS - 2))))
    size = int(np.ceil(np.log2(max(abs(low), abs(high), 1e-300)))) - 40
    return max(span, size, -900)
