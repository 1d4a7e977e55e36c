"""The numbers of an AgiBot World episode: groups of proprio_stats.h5 as features, with the format's traps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Num

from wbvla.core.errors import DataError
from wbvla.data.format import Feature, vector
from wbvla.data.importers.hdf5 import Hdf5
from wbvla.data.importers.take import Columns, require_finite

SIDES = ("left", "right")
JOINTS = tuple(f"{side}_joint_{i}" for side in SIDES for i in range(7))
FINGERS = tuple(f"{side}_finger_{i}" for side in SIDES for i in range(6))
END = tuple(f"{side}_end.{axis}" for side in SIDES for axis in ("x_m", "y_m", "z_m"))
TURN = tuple(f"{side}_end.{axis}" for side in SIDES for axis in ("qx", "qy", "qz", "qw"))
HEAD, WAIST = ("head_yaw.{}_rad", "head_pitch.{}_rad"), ("waist_pitch.{}_rad", "waist_lift.{}_m")
ACTION_GIVEN = "action_given"


@dataclass(frozen=True, kw_only=True)
class Group:
    """One data set of the file as one feature of ours."""

    feature: str
    source: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    """of a row in the file; rows are flattened"""


def _q(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    return tuple(name.format(what) if "{}" in name else f"{name}.{what}_rad" for name in names)


STATE = (
    Group(feature="observation.state", source="joint/position", names=_q(JOINTS, "q"), shape=(14,)),
    Group(feature="observation.head", source="head/position", names=_q(HEAD, "q"), shape=(2,)),
    Group(feature="observation.waist", source="waist/position", names=_q(WAIST, "q"), shape=(2,)),
    Group(feature="observation.ee_position", source="end/position", names=END, shape=(2, 3)),
    Group(feature="observation.ee_orientation", source="end/orientation", names=TURN, shape=(2, 4)),
    Group(feature="observation.effort", source="joint/effort", names=_q(JOINTS, "effort"), shape=(14,)),
    Group(feature="observation.velocity", source="joint/velocity", names=_q(JOINTS, "dq"), shape=(14,)),
)
ACTION = (
    Group(feature="action", source="joint/position", names=_q(JOINTS, "target"), shape=(14,)),
    Group(feature="action.head", source="head/position", names=_q(HEAD, "target"), shape=(2,)),
    Group(feature="action.waist", source="waist/position", names=_q(WAIST, "target"), shape=(2,)),
    Group(feature="action.ee_position", source="end/position", names=END, shape=(2, 3)),
    Group(feature="action.ee_orientation", source="end/orientation", names=TURN, shape=(2, 4)),
    Group(feature="action.base", source="robot/velocity", names=("base.v_x_mps", "base.w_z_radps"), shape=(2,)),
)


def state_columns(file: Hdf5, length: int) -> Columns:
    """Measured groups that are not empty; raises DataError without joints, or on another number of rows."""
    found: Columns = {}
    for group in STATE:
        values = file.read(f"state/{group.source}", *group.shape)
        if values is not None:
            found[group.feature] = vector(group.names), _rows(f"/state/{group.source}", values, length)
    if "observation.state" not in found:
        raise DataError("/state/joint/position is empty: the episode has no measured joints")
    effector = file.read("state/effector/position", 0)
    if effector is not None:
        values = _rows("/state/effector/position", effector, length)
        found["observation.effector"] = vector(_effector(values.shape[1], "position_mm", "q_rad")), values
    return found


def action_columns(file: Hdf5, state: Mapping[str, tuple[Feature, np.ndarray]], length: int, remarks: list) -> Columns:
    """Commanded groups that are not empty, one row per frame, and `action_given`: where the source told them.

    Frames without a command hold the measured state; the effector, whose command has another unit than its state,
    holds its last command, and the base stands. Raises DataError when there are more actions than frames.
    """
    found: Columns = {}
    given: dict[str, np.ndarray] = {}
    for group in ACTION:
        values = file.read(f"action/{group.source}", *group.shape)
        if values is None:
            continue
        name = f"/action/{group.source}"
        at = _index(file, group.source.partition("/")[0], name, len(values), length)
        base = state.get(group.feature.replace("action", "observation", 1)) if "." in group.feature else None
        base = state.get("observation.state") if group.feature == "action" else base
        if base is None and group.feature != "action.base" and len(at) < length:
            raise DataError(f"{name} has {len(at)} of {length} rows, and no state to stand in for the others")
        whole = np.zeros((length, len(group.names)), dtype=np.float32) if base is None else base[1].copy()
        whole[at] = _flat(name, values)
        found[group.feature], given[group.feature] = (vector(group.names), whole), _mask(at, length)
    effector = file.read("action/effector/position", 0)
    if effector is not None:
        name = "/action/effector/position"
        at = _index(file, "effector", name, len(effector), length)
        values = _flat(name, effector)
        before = np.clip(np.searchsorted(at, np.arange(length), side="right") - 1, 0, None)
        names = _effector(values.shape[1], "closing", "target_rad")
        found["action.effector"], given["action.effector"] = (vector(names), values[before]), _mask(at, length)
    if found:
        mask = np.stack(list(given.values()), axis=1)
        if not mask.all():
            remarks.append("actions were told for some frames only; see action_given")
        found[ACTION_GIVEN] = vector(tuple(found), "int64"), mask.astype(np.int64)
    return found


def _effector(width: int, gripper: str, hand: str) -> tuple[str, ...]:
    """Channels of two grippers or of two hands of six; raises DataError on another width."""
    if width == 2:
        return tuple(f"{side}_gripper.{gripper}" for side in SIDES)
    if width == 12:
        return tuple(f"{name}.{hand}" for name in FINGERS)
    raise DataError(f"the effectors have {width} channels; grippers have 2, hands 12")


def _index(file: Hdf5, group: str, name: str, count: int, length: int) -> Int64[np.ndarray, " action"]:
    """Frames that a group's actions belong to; raises DataError when they cannot be placed."""
    if count > length:
        raise DataError(f"{name} has {count} rows, the episode {length} frames: more actions than frames")
    index = file.read(f"action/{group}/index")
    if index is None and group == "end":
        index = file.read("action/joint/index")
    if index is None or len(index) != count:
        if count == length:
            return np.arange(length, dtype=np.int64)
        told = "no index" if index is None else f"an index of {len(index)}"
        raise DataError(f"{name} has {count} rows for {length} frames and {told}: they cannot be placed")
    at = index.astype(np.int64)
    if at.min() < 0 or at.max() >= length or (np.diff(at) <= 0).any():
        raise DataError(f"/action/{group}/index does not rise within 0..{length - 1}")
    return at


def _mask(at: Int64[np.ndarray, " action"], length: int) -> np.ndarray:
    mask = np.zeros(length, dtype=bool)
    mask[at] = True
    return mask


def _rows(name: str, values: Num[np.ndarray, " row *axes"], length: int) -> Float32[np.ndarray, "row channel"]:
    if len(values) != length:
        raise DataError(f"{name} has {len(values)} rows, /timestamp {length}")
    return _flat(name, values)


def _flat(name: str, values: Num[np.ndarray, " row *axes"]) -> Float32[np.ndarray, "row channel"]:
    with np.errstate(over="ignore"):
        return require_finite(name, values.reshape(len(values), -1).astype(np.float32))
