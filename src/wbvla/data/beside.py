"""What lies beside an episode's rows, where other readers do not look: lossless depth, truth, notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from wbvla.core.errors import DataError
from wbvla.data.depth import LOSSLESS, DepthCache, DepthCodec
from wbvla.data.format import DEPTH_PATH, NOTES_PATH, TRUTH_PATH, Feature
from wbvla.data.layout import read_json


class DepthSource:
    """Depth maps of one dataset: from the lossless files where they are, else from the 12-bit videos."""

    def __init__(self, root: Path, fps: int) -> None:
        self._root, self._files = root, DepthCache(fps)

    def read(
        self, key: str, feature: Feature, episode: int, coded: tuple[str, int], indices: Sequence[int]
    ) -> UInt16[np.ndarray, "frame height width"]:
        """Maps by number in the episode [mm], 0 where nothing came back.

        `coded` is the episode's 12-bit video and the number of its first frame there. Raises DataError when neither
        file holds a map, or when their size is not the declared one.
        """
        lossless = self._root / DEPTH_PATH.format(video_key=key, episode_index=episode)
        if lossless.is_file():
            found = self._files.get(lossless).read(indices)
        else:
            name, first = coded
            reader = self._files.get(self._root / name)
            found = reader.read([first + int(i) for i in indices])
            if reader.pixels != LOSSLESS:
                found = DepthCodec.from_info(feature.info).dequantize(found)
        if found.shape[1:] != feature.shape[:2]:
            raise DataError(f"depth {key!r} of episode {episode} is {found.shape[1:]}, declared {feature.shape[:2]}")
        return found

    def close(self) -> None:
        """Close the open files."""
        self._files.close()


def read_truth(root: Path, episode: int) -> dict[str, np.ndarray]:
    """Privileged arrays of an episode, for evaluation only; empty when there are none."""
    path = root / TRUTH_PATH.format(episode_index=episode)
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def read_notes(root: Path, episode: int) -> dict[str, Any]:
    """Free facts kept with an episode; empty when there are none."""
    path = root / NOTES_PATH.format(episode_index=episode)
    notes = read_json(path) if path.is_file() else {}
    if not isinstance(notes, dict):
        raise DataError(f"{path} holds no object; run `wbvla data check`")
    return notes
