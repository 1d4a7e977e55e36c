"""What GR00T adds to LeRobot v2.1: meta/modality.json, names for slices of state and action, cameras, instructions."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from wbvla.data.features import COMMAND, IMAGE
from wbvla.data.format import Feature, Info

TASK = "human.action.task_description"
ANNOTATION = f"annotation.{TASK}"
"""the column of task indices that GR00T reads instructions from"""
DEFAULTS = {"state": "observation.state", "action": "action"}
"""the column GR00T takes where a slice names none"""
LIMBS = {
    "arm": ("shoulder", "elbow", "wrist", "arm"),
    "leg": ("hip", "knee", "ankle", "leg"),
    "waist": ("waist", "torso"),
    "head": ("head", "neck"),
}
KINDS = {"dq_radps": "_velocity"}


def modality_of(info: Info, contract: Mapping[str, Any]) -> dict[str, Any]:
    """meta/modality.json: slices of the channels that belong together, by their names.

    Arms are known by the contract's `arm_joints`, else by the names of their joints; channels without names make
    one slice under the column's own name.
    """
    arms = frozenset(str(n) for n in contract.get("arm_joints", ()))
    result: dict[str, Any] = {"state": {}, "action": {}}
    for name, feature in info.columns.items():
        part = _part_of(name, feature)
        if part:
            result[part] |= _slices(name, feature, part, arms, result[part])
    result["video"] = {camera.removeprefix(IMAGE): {"original_key": camera} for camera in info.cameras}
    result["annotation"] = {TASK: {}}
    return result


def _part_of(name: str, feature: Feature) -> str | None:
    """Whether a column is state, action or neither."""
    if not feature.is_numeric or len(feature.shape) != 1 or feature.dtype in ("bool",):
        return None
    if name.startswith("observation."):
        return "state"
    return "action" if name.split(".")[0] in ("action", "target") else None


def _slices(
    name: str, feature: Feature, part: str, arms: frozenset[str], taken: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Runs of channels of one group; a second run of the same name is numbered."""
    own = name == DEFAULTS[part]
    base = name.removeprefix("observation.").replace(".", "_")
    if feature.names is None:
        runs: Sequence[tuple[str, int]] = [(base, feature.shape[0])]
    else:
        runs = [(group, len(list(run))) for group, run in groupby(feature.names, lambda n: group_of(n, arms))]
        runs = runs if own else [(f"{base}_{group}", length) for group, length in runs]
    result: dict[str, dict[str, Any]] = {}
    start = 0
    for group, length in runs:
        key, number = group, 2
        while key in result or key in taken:
            key, number = f"{group}_{number}", number + 1
        result[key] = {"start": start, "end": start + length} | ({} if own else {"original_key": name})
        start += length
    return result


def group_of(channel: str, arms: frozenset[str] = frozenset()) -> str:
    """The group of a channel by its name: `left_arm`, `right_gripper`, `command`, `gyro`, `left_arm_velocity`, ..."""
    joint, _, unit = channel.partition(".")
    if joint in COMMAND:
        return "command"
    if "gripper" in joint or unit in ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz"):
        return joint if "gripper" in joint else f"{joint}_pose"
    if joint[-2:] in ("_x", "_y", "_z"):
        return joint[:-2]
    side = next((s for s in ("left", "right") if s in joint), "")
    limb = "arm" if joint in arms else next((k for k, words in LIMBS.items() if any(w in joint for w in words)), "")
    return "_".join(p for p in (side, limb) if p and limb) + KINDS.get(unit, "") if limb else "joints"
