"""Arm motions to disturb the legs with: our own key poses, a file of trajectories, or windows of a dataset."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.features import ACTION
from wbvla.data.reader import Dataset
from wbvla.robots.description import RobotSpec

KEY_POSES: tuple[tuple[tuple[float, ...], ...], ...] = (
    # shoulder pitch, shoulder roll (outwards), shoulder yaw, elbow; offsets from the default pose [rad]
    ((0.0, 0.0, 0.0, 0.0), (-0.9, 0.0, 0.0, -0.3), (-1.2, -0.1, 0.0, -0.2)),  # reach forward
    ((-0.3, 0.0, 0.0, -0.6), (-0.6, -0.1, 0.2, -0.9), (-0.3, 0.0, 0.0, -0.9)),  # hold a box before the chest
    ((0.1, 0.0, 0.0, 0.2), (-0.4, -0.1, 0.0, 0.1), (-0.8, -0.1, 0.0, -0.4)),  # pick up low, lift
    ((0.0, 0.6, 0.0, 0.0), (-0.5, 0.9, 0.0, -0.4), (0.2, 0.3, 0.0, 0.1)),  # open to the side
)
"""Key poses of our own making; both arms play the same clip, mirrored (paper: structured arm perturbation)."""
MAX_CLIPS = 512
"""clips taken from a dataset at most, evenly spread over its episodes"""


def own_clips(spec: RobotSpec, names: tuple[str, ...]) -> Float[Tensor, "clip key arm"]:
    """KEY_POSES of the named joints [rad]; joints that none mentions stay at their default."""
    _, signs = spec.mirror(names)
    kinds = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")
    offsets = torch.zeros(len(KEY_POSES), len(KEY_POSES[0]), len(names))
    for joint, name in enumerate(names):
        side = float(signs[joint]) if name.startswith("right_") else 1.0
        for kind, part in enumerate(kinds):
            if part in name:
                offsets[:, :, joint] = side * torch.tensor([[key[kind] for key in clip] for clip in KEY_POSES])
    return torch.tensor(spec.column("default")[spec.indices(names)], dtype=torch.float32) + offsets


def load_clips(
    source: Path, spec: RobotSpec, names: tuple[str, ...], length_s: float, rate_hz: float
) -> Float[Tensor, "clip key arm"]:
    """Clips of the user's own: `length_s` long each, keys evenly spread [rad].

    Args:
        source: a `.npy` file, float (clip, time, arm joint) in [rad], joints in `spec.arm_joints` order, sampled at
            `rate_hz`; or the folder of a dataset recorded with this robot (its action's arm targets are taken).
        names: arm joints that are wanted.

    Raises ConfigError on a file of another shape or with angles that are not finite or far beyond the limits, DataError
    on a dataset without this robot's arm targets.
    """
    columns = [spec.arm_joints.index(name) for name in names]
    whole = _of_dataset(source, spec, length_s) if source.is_dir() else _of_file(source, spec, length_s, rate_hz)
    index = spec.indices(spec.arm_joints)
    lower, upper = spec.column("lower")[index] - 0.2, spec.column("upper")[index] + 0.2
    if not np.isfinite(whole).all() or (whole < lower).any() or (whole > upper).any():
        raise ConfigError(f"clips of {source} hold angles beyond the limits of {spec.name}'s arms, or no numbers")
    return torch.tensor(whole[:, :, columns], dtype=torch.float32)


def _of_file(source: Path, spec: RobotSpec, length_s: float, rate_hz: float) -> Float[np.ndarray, "clip key arm"]:
    try:
        clips = np.load(source, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no arm clips in {source}: {error}; wanted a .npy file or a dataset folder") from error
    keys, num_joints = 1 + round(length_s * rate_hz), len(spec.arm_joints)
    if clips.ndim != 3 or clips.shape[2] != num_joints or clips.shape[1] < keys:
        raise ConfigError(
            f"{source} has shape {clips.shape}; wanted (clip, time, {num_joints}) with at least {keys} times: "
            f"{length_s} s at {rate_hz} Hz"
        )
    return np.asarray(clips[:, :keys], dtype=np.float64)


def _of_dataset(source: Path, spec: RobotSpec, length_s: float) -> Float[np.ndarray, "clip key arm"]:
    reader = Dataset(source)
    try:
        known = list(reader.features[ACTION].names or ()) if ACTION in reader.features else []
        wanted = [f"{name}.target_rad" for name in spec.arm_joints]
        if not set(wanted) <= set(known):
            raise DataError(f"{source} has no arm targets of {spec.name}; its action holds {', '.join(known[:20])}")
        columns, keys = [known.index(name) for name in wanted], 1 + round(length_s * reader.fps)
        found = []
        for episode in reader.episodes:
            rows = reader.columns(episode.index, [ACTION])[ACTION][:, columns]
            found += [rows[start : start + keys] for start in range(0, len(rows) - keys + 1, keys // 2)]
    finally:
        reader.close()
    if not found:
        raise DataError(f"no episode of {source} is {length_s} s long")
    chosen = np.linspace(0, len(found) - 1, min(MAX_CLIPS, len(found))).round().astype(int)
    return np.stack([found[i] for i in chosen]).astype(np.float64)
