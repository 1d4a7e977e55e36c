"""How hard the robot touches a person: force on each region of the body, as it is and filtered, beside its limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from wbvla.sim.person_body import PERSON, all_parts
from wbvla.sim.scene import World

QUASI_STATIC_N: Mapping[str, float] = {
    "head": 65.0,
    "neck": 150.0,
    "shoulders": 210.0,
    "chest": 140.0,
    "abdomen": 110.0,
    "pelvis": 180.0,
    "upper arm": 150.0,
    "lower arm": 160.0,
    "hand": 140.0,
    "thigh": 220.0,
    "lower leg": 130.0,
}
"""largest permissible force by region, quasi-static contact: ISO/TS 15066:2016, annex A, table A.2; of the head, whose
skull may bear 130 N, the value of the face [N]"""
TRANSIENT_FACTOR = 2.0
"""a transient contact (below 0.5 s) may be this much harder (table A.2), but not on the head [-]"""
FILTER_HZ = 5.0
"""cut-off of the first-order low-pass whose output is held against the quasi-static limit: ours [Hz]"""


@dataclass(frozen=True, kw_only=True)
class PersonContact:
    """What a person felt in one trial."""

    max_n: float
    """largest force of one body of the robot on one region, at any physics step [N]"""
    filtered_n: float
    """peak of the filtered force [N]"""
    region: str
    """where the filtered force came closest to its limit; empty when nothing was touched"""
    share_of_limit: float
    """largest of: filtered force over the quasi-static limit, force over the transient limit [-]"""
    duration_s: float
    """time in contact [s]"""

    @property
    def within_limits(self) -> bool:
        """Whether every force stayed below the limit of its region."""
        return self.share_of_limit <= 1.0


def transient_limit_n(region: str) -> float:
    """Largest permissible force of a short contact [N]."""
    return QUASI_STATIC_N[region] * (1.0 if region == "head" else TRANSIENT_FACTOR)


class ContactMeter:
    """Adds up contact forces at every physics step. A force is what one body of the robot exerts on one region: two
    fingers that clasp a hand press it from two sides, and each of them counts by itself."""

    def __init__(self, world: World) -> None:
        model = world.model
        self._regions = tuple(QUASI_STATIC_N)
        self._region = np.full(model.ngeom, -1)
        for part in all_parts():
            if part.region:
                self._region[model.geom(f"{PERSON}.{part.name}").id] = self._regions.index(part.region)
        self._alpha = 1.0 - float(np.exp(-2.0 * np.pi * FILTER_HZ * model.opt.timestep))
        self._dt_s = float(model.opt.timestep)
        self.reset()

    def reset(self) -> None:
        """Nothing has been touched."""
        count = len(self._regions)
        self.now_n, self.filtered_n = np.zeros(count), np.zeros(count)
        self._max_n, self._peak_n = np.zeros(count), np.zeros(count)
        self._duration_s = 0.0
        self._touching: frozenset[tuple[int, int]] = frozenset()

    def feel(self, world: World) -> None:
        """Take in the contacts of the last physics step."""
        self.now_n[:], self._touching = 0.0, frozenset()
        data = world.data
        if data.ncon:
            region = self._region[data.contact.geom]
            touched = np.flatnonzero((region >= 0).any(axis=1))
            if touched.size:
                self._add(world, touched, region)
        self.filtered_n += self._alpha * (self.now_n - self.filtered_n)
        np.maximum(self._max_n, self.now_n, out=self._max_n)
        np.maximum(self._peak_n, self.filtered_n, out=self._peak_n)

    def _add(self, world: World, touched: np.ndarray, region: np.ndarray) -> None:
        forces: dict[tuple[int, int], np.ndarray] = {}
        wrench, model, data = np.zeros(6), world.model, world.data
        for index in touched:
            contact = data.contact[int(index)]
            mine = 0 if region[index, 0] >= 0 else 1
            mujoco.mj_contactForce(model, data, int(index), wrench)
            body = int(model.geom_bodyid[contact.geom[1 - mine]])
            force = (1.0 if mine else -1.0) * contact.frame.reshape(3, 3).T @ wrench[:3]  # on the second geometry
            key = (int(region[index, mine]), body)
            forces[key] = forces.get(key, np.zeros(3)) + force
        for (where, _), force in forces.items():
            self.now_n[where] = max(self.now_n[where], float(np.linalg.norm(force)))
        self._touching = frozenset(key for key, force in forces.items() if np.linalg.norm(force) > 0.0)
        self._duration_s += self._dt_s if self._touching else 0.0

    def touching(self, region: str) -> set[int]:
        """Bodies of the robot, by number, that press on a region now."""
        where = self._regions.index(region)
        return {body for one, body in self._touching if one == where}

    def force_n(self, region: str) -> float:
        """Filtered force on a region now [N]."""
        return float(self.filtered_n[self._regions.index(region)])

    def report(self) -> PersonContact:
        """Since the last reset."""
        steady = np.array([QUASI_STATIC_N[name] for name in self._regions])
        short = np.array([transient_limit_n(name) for name in self._regions])
        shares = np.maximum(self._peak_n / steady, self._max_n / short)
        worst = int(np.argmax(shares))
        return PersonContact(
            max_n=float(self._max_n.max()),
            filtered_n=float(self._peak_n.max()),
            region=self._regions[worst] if shares[worst] > 0.0 else "",
            share_of_limit=float(shares[worst]),
            duration_s=self._duration_s,
        )


def summarise_contact(contacts: Sequence[PersonContact]) -> dict[str, Any] | None:
    """Forces over trials, beside the limits they are held against; None without a person."""
    if not contacts:
        return None
    worst = max(contacts, key=lambda contact: contact.share_of_limit)
    return {
        "trials": len(contacts),
        "touched": sum(contact.max_n > 0.0 for contact in contacts),
        "beyond_limit": sum(not contact.within_limits for contact in contacts),
        "max_n": max(contact.max_n for contact in contacts),
        "filtered_n": max(contact.filtered_n for contact in contacts),
        "mean_filtered_n": float(np.mean([contact.filtered_n for contact in contacts])),
        "worst_region": worst.region,
        "worst_share_of_limit": worst.share_of_limit,
        "limit": "ISO/TS 15066:2016 table A.2",
    }
