"""The order in which a stream shows its windows: arithmetic, so that any position is found without those before it.

Windows are counted through all clips; the count starts at another window each epoch, is cut into blocks of contiguous
windows, and the blocks are permuted by a keyed permutation that needs no table. Consecutive blocks form a group; the
windows of a group are shuffled. Groups are dealt to shards (one per rank and worker) in turn. What is left after the
last full round is cut into equal pieces, one per shard; where the rest does not divide, the last window of a short
piece is shown again, so all shards have equally many windows and at most (shards - 1) windows an epoch come twice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from wbvla.core.errors import ConfigError

ROUNDS = 4
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def _mixed(value: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * MIX[0]
    value = (value ^ (value >> np.uint64(27))) * MIX[1]
    return value ^ (value >> np.uint64(31))


def permuted(numbers: Int64[np.ndarray, " number"], size: int, key: tuple[int, ...]) -> Int64[np.ndarray, " number"]:
    """Images of some of 0..size-1 under a pseudo-random permutation of them, fixed by `key`.

    A balanced Feistel network on the smallest even number of bits that holds `size`, walked until the result is
    below `size` (Black and Rogaway 2002, cycle walking).
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask, shift = np.uint64((1 << half) - 1), np.uint64(half)
    keys = np.random.SeedSequence(list(key)).generate_state(ROUNDS, np.uint64)
    result = np.asarray(numbers, dtype=np.int64).astype(np.uint64)
    todo = np.ones(result.shape, dtype=bool)
    while todo.any():
        left, right = result[todo] >> shift, result[todo] & mask
        for word in keys:
            left, right = right, left ^ (_mixed(right + word) & mask)
        result[todo] = (left << shift) | right
        todo[todo] = result[todo] >= size
    return result.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of `num_windows` windows for one of `num_shards` shards."""

    num_windows: int
    """windows of the source"""
    block: int
    """windows of a block, decoded one after another"""
    group: int
    """blocks of a group, shuffled together"""
    seed: int
    """two orders with the same seed are the same"""
    shard: int = 0
    """number of this shard"""
    num_shards: int = 1
    """ranks x workers"""
    replacement: bool = False
    """blocks are drawn anew each time instead of once an epoch"""

    def __post_init__(self) -> None:
        if min(self.num_windows, self.block, self.group, self.num_shards) < 1:
            raise ConfigError(f"an order needs windows, blocks, groups and shards, not {self}")
        if not 0 <= self.shard < self.num_shards:
            raise ConfigError(f"shard {self.shard} of {self.num_shards} does not exist")

    @property
    def group_windows(self) -> int:
        """Windows of a full group."""
        return self.block * self.group

    @property
    def rounds(self) -> int:
        """Full groups that each shard gets in an epoch."""
        return self.num_windows // self.group_windows // self.num_shards

    @property
    def length(self) -> int:
        """Windows that each shard shows in an epoch; the same for all shards."""
        rest = self.num_windows - self.rounds * self.num_shards * self.group_windows
        return self.rounds * self.group_windows + -(-rest // self.num_shards)

    def group_at(self, position: int) -> tuple[int, int, int]:
        """Epoch, group in it, and place in the group, of the window that this shard shows as number `position`."""
        epoch, place = divmod(position, self.length)
        group = min(place // self.group_windows, self.rounds)
        return epoch, group, place - group * self.group_windows

    def windows(self, epoch: int, group: int) -> Int64[np.ndarray, " window"]:
        """Numbers of the windows of one group of this shard, in the order they are shown."""
        if group < self.rounds:
            first = (group * self.num_shards + self.shard) * self.group_windows
            slots = first + np.arange(self.group_windows)
        else:
            start = self.rounds * self.num_shards * self.group_windows
            rest = self.num_windows - start
            low, high = (start + rest * s // self.num_shards for s in (self.shard, self.shard + 1))
            slots = np.arange(low, high) if high > low else np.array([start])
            missing = self.length - self.rounds * self.group_windows - len(slots)
            slots = np.append(slots, np.repeat(slots[-1:], missing))
        rng = np.random.default_rng([self.seed, epoch, group, self.shard, self.num_shards])
        return self._window(rng.permutation(slots), epoch)

    def _window(self, slots: Int64[np.ndarray, " slot"], epoch: int) -> Int64[np.ndarray, " slot"]:
        """Which window lies in a place of the epoch; the short last block stays last."""
        full = self.num_windows // self.block
        block, within = np.divmod(slots, self.block)
        if full:
            whole = block < full
            if self.replacement:
                seeds = np.random.SeedSequence([self.seed, epoch, 2]).generate_state(1, np.uint64)
                drawn = _mixed(_mixed(block[whole].astype(np.uint64)) + seeds) % np.uint64(full)
                block[whole] = drawn.astype(np.int64)
            else:
                block[whole] = permuted(block[whole], full, (self.seed, epoch, 0))
        turn = int(np.random.default_rng([self.seed, epoch, 1]).integers(self.num_windows))
        return (block * self.block + within + turn) % self.num_windows
