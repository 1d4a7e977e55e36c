"""Frame pairs changed for training: one draw per pair, so that what moved between its frames stays as it was."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.data.augment import OFF, AugmentConfig, augment, draw
from wbvla.data.mirror import flip
from wbvla.robots.mirror import swap_sides


def change_pairs(
    pairs: Mapping[str, UInt8[Tensor, "pair height width 3"]],
    config: AugmentConfig,
    cameras: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, UInt8[Tensor, "pair height width 3"]]:
    """`now` and `later` of each pair changed alike; `cameras` stand side by side in every picture.

    A pair without an action may be moved and mirrored freely: its code is learnt, not given. Raises ConfigError when
    pairs are mirrored and a camera has no partner to swap with.
    """
    if config == OFF:
        return dict(pairs)
    names = list(pairs)
    both = torch.stack([pairs[n] for n in names], dim=1).numpy()
    count, frames, height, width, _ = both.shape
    windows = both.reshape(count, frames, height, len(cameras), width // len(cameras), 3).swapaxes(2, 3)
    keys = np.stack([np.full(count, rng.integers(2**62)), np.arange(count)], axis=1)
    draws = draw(config, keys)
    changed = augment(windows, draws, [config.moves(c) for c in cameras])
    if draws.mirrored.any():
        turned = changed[draws.mirrored][:, :, partners(cameras)]
        changed[draws.mirrored] = flip(turned)
    joined = changed.swapaxes(2, 3).reshape(both.shape)
    return {name: torch.from_numpy(np.ascontiguousarray(joined[:, i])) for i, name in enumerate(names)}


def partners(cameras: Sequence[str]) -> list[int]:
    """For each camera the number of the one it swaps with in a mirror; raises ConfigError when that is missing."""
    alone = [c for c in cameras if swap_sides(c) not in cameras]
    if alone:
        raise ConfigError(
            f"camera {alone[0]!r} has no partner to swap with in {list(cameras)}; set augment.mirror to 0"
        )
    return [list(cameras).index(swap_sides(c)) for c in cameras]


def require_possible(config: AugmentConfig, cameras: Sequence[str]) -> None:
    """Raises ConfigError when training would later fail: cameras without partner, one draw for a whole episode.

    Pairs know no instruction and no optional camera either.
    """
    if config.mirror > 0:
        partners(cameras)
    if config.per != "window" or config.paraphrase > 0 or config.camera_dropout > 0:
        raise ConfigError("pairs are changed per window, without paraphrases or camera dropout; set those to 0")
