"""Reads the table of one robot: joints and links as the vendor states them; the robot's own file adds its drives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbvla.core.errors import ConfigError
from wbvla.robots.description import JointFacts, LinkFacts, ShapeFacts

TABLES = Path(__file__).parent / "tables"


@dataclass(frozen=True, kw_only=True)
class Drive:
    """How wbvla holds the joints of one kind."""

    kp: float
    """[N.m/rad]"""
    kd: float
    """[N.m.s/rad]"""
    damping: float
    """passive joint damping [N.m.s/rad]"""
    effort: float | None = None
    """largest torque where it differs from the vendor's [N.m]"""


@dataclass(frozen=True, kw_only=True)
class RobotTable:
    """One file of `robots/tables`, parsed."""

    name: str
    version: str
    sources: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    """joints as the vendor states them"""
    links: tuple[LinkFacts, ...]
    shells: tuple[ShapeFacts, ...]
    colliders: tuple[ShapeFacts, ...]

    def joints(self, drives: Mapping[str, Drive], pose: Mapping[str, float]) -> tuple[JointFacts, ...]:
        """Joints with their drives and default pose; both are looked up by the first key found in the joint's name.

        Raises ConfigError when a joint has no drive. A joint without a pose stands at 0 rad.
        """
        return tuple(self._joint(dict(row), drives, pose) for row in self.rows)

    def _joint(self, row: dict[str, Any], drives: Mapping[str, Drive], pose: Mapping[str, float]) -> JointFacts:
        drive = next((d for key, d in drives.items() if key in row["name"]), None)
        if drive is None:
            raise ConfigError(f"{self.name}: no drive for joint {row['name']}; drives exist for {list(drives)}")
        default = next((angle for key, angle in pose.items() if key in row["name"]), 0.0)
        effort = row["effort"] if drive.effort is None else drive.effort
        vectors = {k: tuple(row[k]) for k in ("origin_xyz", "origin_rpy", "axis")}
        held = {"kp": drive.kp, "kd": drive.kd, "damping": drive.damping, "effort": effort, "default": default}
        return JointFacts(**{**row, **vectors, **held})


def read_table(name: str) -> RobotTable:
    """The table `robots/tables/<name>.json`."""
    raw = json.loads((TABLES / f"{name}.json").read_text())
    return RobotTable(
        name=raw["name"],
        version=raw["version"],
        sources=tuple(raw["sources"]),
        rows=tuple(raw["joints"]),
        links=tuple(LinkFacts(**_tuples(row)) for row in raw["links"]),
        shells=tuple(ShapeFacts(**_tuples(row)) for row in raw["shells"]),
        colliders=tuple(ShapeFacts(**_tuples(row)) for row in raw["colliders"]),
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
