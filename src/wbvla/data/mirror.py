"""A window of a recording left-right mirrored: pictures, cameras, arms, flags and words together, or not at all."""

from collections.abc import Mapping

import numpy as np

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.features import ACTION, IMAGE, STATE
from wbvla.data.format import OWN_FEATURES, Feature
from wbvla.data.phrases import mirror_words
from wbvla.data.words import SKILL, SUBTASK
from wbvla.robots.description import RobotSpec
from wbvla.robots.mirror import ChannelMirror, mirror_channels, swap_sides

LATENT, PAD = "latent.", "_is_pad"
MOTION = (STATE, ACTION)
SIDELESS = (*OWN_FEATURES, "success")
"""columns that look the same in a mirror"""
TEXTS = (SUBTASK, SKILL)
"""columns of words"""


class WindowMirror:
    """Mirrors windows of one dataset; built once, it refuses beforehand what has no known mirror image.

    The cameras must be mounted symmetrically (the hands' are; a head camera a centimetre off the middle is taken as
    in the middle). Codes of latent actions are refused: which code the mirrored motion has, only its model can say.
    """

    def __init__(self, features: Mapping[str, Feature], spec: RobotSpec | None = None) -> None:
        """`spec` is the robot of the recording; without one, there may be no state and no action."""
        self.pictures = {n: swap_sides(n) for n, f in features.items() if n.startswith(IMAGE) or f.dtype == "video"}
        alone = [n for n, partner in self.pictures.items() if partner not in self.pictures]
        if alone:
            raise ConfigError(f"camera {alone[0]!r} has no partner {self.pictures[alone[0]]!r} to swap with")
        self.columns: dict[str, ChannelMirror] = {}
        for name, feature in features.items():
            if name in self.pictures or name in SIDELESS or name.startswith(LATENT):
                continue
            if spec is not None and feature.names and feature.is_numeric:
                try:
                    self.columns[name] = mirror_channels(spec, feature.names)
                except ConfigError:
                    if name in MOTION:
                        raise
            elif name in MOTION:
                raise ConfigError(f"{name!r} can be mirrored only with the robot's description and named channels")

    def __call__(self, window: Mapping[str, np.ndarray], instruction: str) -> tuple[dict[str, np.ndarray], str]:
        """The mirrored window and its words. Pictures are (..., height, width, channels), columns (..., channels).

        Raises DataError for a column without a known mirror image (latent codes, numbers of primitives).
        """
        result: dict[str, np.ndarray] = {}
        for name, value in window.items():
            base = name.removesuffix(PAD)
            if base in self.pictures:
                result[self.pictures[base] + name[len(base) :]] = value if name.endswith(PAD) else flip(value)
            elif base in SIDELESS or name.endswith(PAD):
                result[name] = value
            elif base in self.columns:
                result[name] = self.columns[base](value)
            elif base in TEXTS:
                said = [mirror_words(str(text)) for text in value.reshape(-1)]
                result[name] = np.array(said, dtype=value.dtype if value.dtype == object else None).reshape(value.shape)
            else:
                raise DataError(f"the mirror image of column {name!r} is not known; leave it out of mirrored windows")
        return result, mirror_words(instruction)


def flip(images: np.ndarray) -> np.ndarray:
    """Pictures (..., height, width, channels) left-right reversed."""
    return np.ascontiguousarray(images[..., ::-1, :])
