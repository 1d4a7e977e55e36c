"""Does it walk? Single support, foot clearance, contacts per second and slip of a trace, as one dataclass."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from wbvla.lmo.trace import Trace


@dataclass(frozen=True, kw_only=True)
class GaitFacts:
    """Figures of the robots that never fell; None where nothing of the kind happened."""

    single_support: float | None
    """share of time with exactly one foot down [-]"""
    flight: float | None
    """share of time with no foot down [-]"""
    contacts_hz: float | None
    """touchdowns per foot and second [1/s]"""
    clearance_m: float | None
    """highest point of a swing of the sole's middle, mean over swings [m]"""
    clearance_low_m: float | None
    """highest point of a swing of the sole's lowest corner, 5th percentile over swings: does every step clear? [m]"""
    slip_mps: float | None
    """horizontal speed of a foot that bears weight, mean over time [m/s]"""


def gait_facts(trace: Trace) -> GaitFacts:
    """Figures of a span of steady motion; what lasts a single tick is neither a contact nor a swing."""
    up = trace.standing
    if not up.any():
        return GaitFacts(**dict.fromkeys(GaitFacts.__dataclass_fields__))
    contact = steady(trace.contact[:, up])
    down = contact.sum(axis=2)
    seconds = len(contact) * trace.dt_s
    touchdowns = (~contact[:-1] & contact[1:]).sum(axis=0)
    tops = swing_tops(contact, trace.sole_m[:, up])
    low = swing_tops(contact, trace.lowest_m[:, up])
    speeds = trace.sole_mps[:, up][contact]
    return GaitFacts(
        single_support=float((down == 1).mean()),
        flight=float((down == 0).mean()),
        contacts_hz=float(touchdowns.mean() / seconds),
        clearance_m=float(np.mean(tops)) if tops else None,
        clearance_low_m=float(np.percentile(low, 5)) if low else None,
        slip_mps=float(speeds.mean()) if speeds.size else None,
    )


def steady(contact: Bool[np.ndarray, "tick robot 2"]) -> Bool[np.ndarray, "tick robot 2"]:
    """Contact by majority of three ticks: a sole that rattles for 20 ms has not stepped."""
    padded = np.concatenate([contact[:1], contact, contact[-1:]]).astype(np.int64)
    return (padded[:-2] + padded[1:-1] + padded[2:]) >= 2


def swing_tops(contact: Bool[np.ndarray, "tick robot 2"], height_m: Float[np.ndarray, "tick robot 2"]) -> list[float]:
    """Highest point of every swing that begins and ends within the span [m]."""
    tops = []
    flat, heights = contact.reshape(len(contact), -1), height_m.reshape(len(contact), -1)
    for column in range(flat.shape[1]):
        edges = np.flatnonzero(np.diff(flat[:, column].astype(np.int64))) + 1
        starts = edges[:-1][~flat[edges[:-1], column]] if len(edges) > 1 else edges[:0]
        for start in starts:
            end = edges[np.searchsorted(edges, start, side="right")]
            tops.append(float(heights[start:end, column].max()))
    return tops
