"""Episodes to learn from and episodes to judge by: the same for every station that learns from a recording."""

from wbvla.core.errors import DataError
from wbvla.data.sources import Source

BLOCK = 10
"""episodes in a row that are held out together; `record egovideo` films as many in one room"""


def split_episodes(source: Source, held_out: float) -> tuple[list[int], list[int]]:
    """(training, held-out) episodes, a function of their number alone; raises DataError below two.

    Held out are blocks of up to ten consecutive episodes, evenly over the recording and ending with its last: what is
    recorded in a row (one room, one table) is then either seen in training or not at all. Of a small recording that is
    sorted by kind (clips of one motion after the other), that is its last kind alone: mix it, or record more.
    """
    total = source.num_episodes
    if total < 2:
        raise DataError(f"{source.root} has {total} episodes; two are needed to hold one out, record more")
    chosen = held_out_episodes(total, held_out)
    return [e for e in range(total) if e not in chosen], sorted(chosen)


def held_out_episodes(total: int, held_out: float) -> set[int]:
    """The numbers that are held out of `total` >= 2 episodes, at least one and never all."""
    count = min(max(1, round(held_out * total)), total - 1)
    size = min(BLOCK, count)
    blocks = count // size
    ends = [total - i * total // (blocks * size) * size for i in range(blocks)]
    return {e for end in ends for e in range(end - size, end)}
