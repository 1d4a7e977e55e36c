"""When each sensor captured each frame: order, rate and skew are checked before an episode is committed.

A dataset promises `fps` frames per second. Frames of a 60 Hz camera kept as 30 Hz would teach a policy half the speed,
and nothing later can tell; so the capture times themselves must agree with the promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError, DataError

WINDOW = 10
"""periods over which a rate may be taken: a robot's ticks at 50 Hz kept at 30 Hz come 20 and 40 ms apart"""


@dataclass(frozen=True, kw_only=True)
class StampRules:
    """What capture times must keep."""

    rate_tolerance: float = 0.1
    """share by which a sensor's median and mean rate may differ from the dataset's fps [-]"""
    max_skew_s: float = 0.1
    """largest time between the first and the last capture of one frame [s]"""
    max_repeats: float = 0.0
    """share of frames that may show the same capture as the frame before, as a camera beside the loop gives [-]"""
    gap_periods: float = 1.5
    """a pause longer than this many periods is reported as a gap, not refused [-]"""

    def __post_init__(self) -> None:
        if not (0.0 < self.rate_tolerance < 1.0 and 0.0 <= self.max_repeats < 1.0):
            raise ConfigError(f"stamps need a tolerance in (0, 1) and repeats in [0, 1), not {self}")
        if self.max_skew_s <= 0.0 or self.gap_periods <= 1.0:
            raise ConfigError(f"stamps need a positive skew and a gap above 1, not {self}")


def check_stamps(
    stamps: Float[np.ndarray, "frame sensor"], names: Sequence[str], fps: int, rules: StampRules
) -> list[str]:
    """Warnings about an episode's capture times [s], one per finding; empty when all is well.

    Raises DataError, with the numbers, when a sensor's stamps do not strictly increase (but for `max_repeats`), when
    its rate is not `fps`, or when the sensors of one frame lie too far apart.
    """
    warnings: list[str] = []
    for name, times in zip(names, stamps.T):
        warnings += _order(name, times, rules)
        if len(times) > 1:
            _require_rate(name, times, fps, rules)
            warnings += _gaps(name, times, fps, rules)
    return warnings + _skew(stamps, names, fps, rules)


def _order(name: str, times: Float[np.ndarray, " frame"], rules: StampRules) -> list[str]:
    periods = np.diff(times)
    late = np.flatnonzero(periods <= 0.0)
    if late.size > rules.max_repeats * len(periods) or (periods < 0.0).any():
        at = int(np.flatnonzero(periods < 0.0)[0] if (periods < 0.0).any() else late[0])
        raise DataError(
            f"stamps of {name!r} do not increase: {times[at]:.6f} s at frame {at}, {times[at + 1]:.6f} s at the next "
            f"({late.size} such); give capture times of a monotonic clock, one capture per frame"
        )
    return [f"{name!r} shows the capture before again at {late.size} of {len(times)} frames"] if late.size else []


def _require_rate(name: str, times: Float[np.ndarray, " frame"], fps: int, rules: StampRules) -> None:
    new = times[np.append(True, np.diff(times) > 0.0)]
    window = min(WINDOW, len(new) - 1)
    median = 1.0 / float(np.median(np.diff(new)))
    steady = window / float(np.median(new[window:] - new[:-window]))
    if abs(steady / fps - 1.0) <= rules.rate_tolerance:
        median = steady
    mean = (len(times) - 1) / float(times[-1] - times[0])
    for kind, rate in (("median", median), ("mean", mean)):
        if abs(rate / fps - 1.0) > rules.rate_tolerance:
            raise DataError(
                f"{name!r} was captured at {rate:.2f} Hz ({kind} of {len(times) - 1} periods), the dataset says "
                f"{fps} Hz: played back it would run at {fps / rate:.2f} times its speed; record at {fps} Hz or "
                f"declare the rate (tolerance {rules.rate_tolerance:.0%})"
            )


def _gaps(name: str, times: Float[np.ndarray, " frame"], fps: int, rules: StampRules) -> list[str]:
    periods = np.diff(times)
    long = np.flatnonzero(periods > rules.gap_periods / fps)
    if not long.size:
        return []
    worst = int(periods.argmax())
    return [
        f"{name!r} has {long.size} gaps longer than {rules.gap_periods / fps * 1e3:.0f} ms, the longest "
        f"{periods[worst] * 1e3:.0f} ms after frame {worst}"
    ]


def _skew(stamps: Float[np.ndarray, "frame sensor"], names: Sequence[str], fps: int, rules: StampRules) -> list[str]:
    apart = stamps.max(axis=1) - stamps.min(axis=1)
    worst = int(apart.argmax())
    first, last = names[int(stamps[worst].argmin())], names[int(stamps[worst].argmax())]
    found = f"{apart[worst] * 1e3:.0f} ms lie between {first!r} and {last!r} at frame {worst}"
    if apart[worst] > rules.max_skew_s:
        raise DataError(
            f"{found}; at most {rules.max_skew_s * 1e3:.0f} ms may (max_skew_s); trigger the sensors together"
        )
    return [f"{found}, more than half a frame"] if apart[worst] > 0.5 / fps else []
