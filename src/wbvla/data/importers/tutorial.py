"""The tutorial's layout: task_001/episode_000/{images/, actions.npy, lang.txt}; rate and names are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.features import ACTION, IMAGE, action_names
from wbvla.data.format import vector
from wbvla.data.importers.streams import FilePictures
from wbvla.data.importers.take import ImportConfig, Item, Take, folders, importers, require_finite, require_size, within
from wbvla.data.listing import find_pictures
from wbvla.robots.platforms import load_robot

MAX_TEXT = 1 << 16
"""largest lang.txt [bytes]"""


@importers.register("tutorial")
class Tutorial:
    """Pictures of one head camera, or of one folder per camera; an action per picture; no state, no stamps."""

    version = 1
    licence = "not told by the layout; that of whoever recorded it"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """One per episode folder."""
        for task in folders(src):
            for episode in folders(task):
                yield Item(name=f"{task.name}/{episode.name}")

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One episode; raises DataError where a file lacks, lengths differ, or channels cannot be named."""
        folder = within(src, item.name)
        actions = _actions(folder / "actions.npy")
        names = _names(actions.shape[1], config)
        pictures = within(src, item.name, "images")
        if not pictures.is_dir():
            raise DataError("images/ is missing")
        inner = {p.name: p for p in folders(pictures)} or {"head": pictures}
        cameras = {IMAGE + n: FilePictures(find_pictures(p)) for n, p in inner.items() if config.takes(n)}
        return Take(
            task=_text(folder / "lang.txt"),
            rate_hz=float(config.fps),
            columns={ACTION: (vector(names), actions)},
            cameras=cameras,
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """The robot as given; raises DataError without a rate."""
        if not config.fps:
            raise DataError("the tutorial's layout does not say how fast its frames follow; give --fps")
        clock = "none: frame i is at i / fps by the operator's word"
        return {"robot": config.robot or "unknown", "clock": clock}


def _names(width: int, config: ImportConfig) -> tuple[str, ...]:
    """Names of the action's channels: as given, else this robot's arms, or whole action, where the width fits."""
    if config.joints:
        names = config.joints
    elif config.robot:
        spec = load_robot(config.robot)
        arms = tuple(f"{n}.target_rad" for n in spec.arm_joints)
        names = arms if width == len(arms) else action_names(spec)
    else:
        raise DataError(f"actions.npy has {width} channels without names; give --joints, or --robot")
    if len(names) != width:
        raise DataError(f"actions.npy has {width} channels, {len(names)} names were given ({', '.join(names[:3])} ...)")
    return names


def _actions(path: Path) -> np.ndarray:
    """(T, n) numbers; raises DataError when the file is none, holds objects, or NaN."""
    if not path.is_file():
        raise DataError("actions.npy is missing")
    require_size("actions.npy", path.stat().st_size)
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"actions.npy cannot be read ({error})") from error
    if not isinstance(mapped, np.ndarray) or mapped.ndim != 2 or mapped.dtype.kind not in "fiu":
        raise DataError(f"actions.npy is {getattr(mapped, 'dtype', '?')} {getattr(mapped, 'shape', '?')}, not (T, n)")
    return require_finite("actions.npy", np.array(mapped, dtype=np.float32))


def _text(path: Path) -> str:
    if not path.is_file():
        raise DataError("lang.txt is missing")
    if path.stat().st_size > MAX_TEXT:
        raise DataError(f"lang.txt has {path.stat().st_size} bytes, more than {MAX_TEXT} are not read")
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not text:
        raise DataError("lang.txt is empty")
    return text
