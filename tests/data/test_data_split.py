"""Which episodes are held out: whole blocks of neighbours, some always, never all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.recording import make_dataset

from wbvla.core.errors import DataError
from wbvla.data.reader import Dataset
from wbvla.data.split import BLOCK, held_out_episodes, split_episodes


@pytest.mark.parametrize(("episodes", "share", "held"), [(12, 0.25, 3), (12, 0.0, 1), (12, 0.5, 6), (8, 0.25, 2)])
def test_few_episodes_are_held_out_at_the_end(episodes: int, share: float, held: int) -> None:
    assert held_out_episodes(episodes, share) == set(range(episodes - held, episodes))


def test_of_four_hundred_whole_rooms_are_held_out_evenly() -> None:
    chosen = held_out_episodes(400, 0.2)
    assert {e // BLOCK for e in chosen} == {4, 9, 14, 19, 24, 29, 34, 39}
    assert len(chosen) == 80


@given(total=st.integers(2, 3000), held_out=st.floats(0.0, 1.0))
def test_some_are_held_out_and_never_all(total: int, held_out: float) -> None:
    chosen = held_out_episodes(total, held_out)
    assert chosen
    assert chosen < set(range(total)), "numbers of episodes, and not all"
    asked = min(max(1, round(held_out * total)), total - 1)
    assert asked - BLOCK < len(chosen) <= asked


def test_a_recording_is_split_and_one_episode_is_not(tmp_path: Path) -> None:
    training, held_out = split_episodes(Dataset(make_dataset(tmp_path / "two", [12, 12])), 0.2)
    assert (training, held_out) == ([0], [1])
    with pytest.raises(DataError, match="1 episodes; two are needed"):
        split_episodes(Dataset(make_dataset(tmp_path / "one", [12])), 0.2)
