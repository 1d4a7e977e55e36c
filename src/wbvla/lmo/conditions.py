"""The two conditions of the paper's table, plain and disturbed, and the table itself: shared by check and benchmark."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.lmo.perturb import ArmConfig
from wbvla.lmo.protocol import sway, track_heights, walk_and_stop
from wbvla.lmo.trial import TrialConfig
from wbvla.robots.description import RobotSpec

PAPER = {
    "forward_pos_m": 0.21, "forward_yaw_rad": 0.05, "lateral_pos_m": 0.55, "lateral_yaw_rad": 0.06,
    "turn_pos_m": 0.05, "turn_yaw_rad": 0.19, "sway_stand_m": 0.03, "sway_squat_m": 0.03,
}  # fmt: skip
"""the paper's controller (arXiv 2512.11047, table of the LMO's errors)"""
PAIRS = {"forward": ("forward", "backward"), "lateral": ("left", "right"), "turn": ("turn_left", "turn_right")}
FIELDS = {"pos_m": "position_m", "yaw_rad": "heading_rad", "settle_m": "settle_m", "settle_rad": "settle_rad"}
REPLAY = ArmConfig(clip_share=1.0, clip_gain=1.5, warp=(1.6, 3.0, 0.25), rate_radps=(3.0, 6.0))
"""stage II's clips at twice the paper's clock and 1.5 of their way"""
BLOWS = (150.0, 30.0)
"""largest force [N] and yaw torque [N.m] of the blows of 0.2 s about every 4 s"""


def plain(seed: int) -> TrialConfig:
    """Arms at rest; plants, sensor noise and delay as ever."""
    return TrialConfig(seed=seed, arm_amplitude=0.0, arms=ArmConfig(clip_share=0.0))


def arms_alone(config: TrialConfig) -> TrialConfig:
    """The same with arm clips at 2.0x speed and 1.5x amplitude."""
    return replace(config, arm_amplitude=1.0, arms=REPLAY)


def disturbed(config: TrialConfig) -> TrialConfig:
    """The same with these arm clips and blows."""
    return replace(arms_alone(config), wrench=BLOWS)


def cells(policy: Path, spec: RobotSpec, config: TrialConfig, robots_each: int) -> dict[str, Any]:
    """The table of one condition: errors by direction with half widths of their intervals, sway, heights, falls."""
    walk = walk_and_stop(policy, spec, config, robots_each)
    rest = sway(policy, spec, replace(config, num_robots=robots_each))
    heights = track_heights(policy, spec, replace(config, num_robots=robots_each))
    row: dict[str, Any] = {}
    for name, sides in PAIRS.items():
        for short, field in FIELDS.items():
            row[f"{name}_{short}"] = _mean([walk[side][field] for side in sides])
            row[f"{name}_{short}_half"] = _half([walk[side][f"half_{field}"] for side in sides])
    row |= {"sway_stand_m": rest["stand"]["sway_m"], "sway_squat_m": rest["squat"]["sway_m"]}
    row |= {"drift_stand_m": rest["stand"]["drift_m"], "drift_squat_m": rest["squat"]["drift_m"]}
    row["height_mae_m"] = heights["mae_m"]
    fallen = [walk[side]["fall_rate"] * robots_each for sides in PAIRS.values() for side in sides]
    fallen += [part["fall_rate"] * robots_each for part in (rest["stand"], rest["squat"], heights)]
    row["falls"], row["episodes"] = round(sum(fallen)), len(fallen) * robots_each
    row["speeds"] = [walk[side]["speed"] for sides in PAIRS.values() for side in sides]
    return row


def worse_than_paper(row: dict[str, Any]) -> list[str]:
    """Cells of one condition that are not as good as the paper's; one without a robot left standing is worse."""
    return [name for name, limit in PAPER.items() if row[name] is None or not row[name] <= limit]


def _half(halves: list[float | None]) -> float | None:
    """Half width of the mean of two sides; None when a side has too few robots left standing for one."""
    known = [h for h in halves if h is not None]
    return round(float(np.linalg.norm(known)) / len(halves), 4) if len(known) == len(halves) else None


def _mean(values: list[float | None]) -> float | None:
    """Mean of two sides; None when a side has no robot left standing."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 4) if len(known) == len(values) else None
