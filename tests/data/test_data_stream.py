"""Streaming: every window once an epoch over all ranks and workers, a pure order, bounded bytes, exact mixtures."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.recording import HAND, HEAD, make_dataset

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.loader import StreamLoader
from wbvla.data.mixture import Schedule
from wbvla.data.order import Order, permuted
from wbvla.data.reader import Dataset
from wbvla.data.stream import Lane, SourceWindows, Stream, StreamConfig

LENGTHS = [14, 3, 9, 6, 11]
CONFIG = StreamConfig(
    offsets_s={HEAD: (0.0, 0.3), "observation.state": (-0.1, 0.0, 0.3)},
    batch_size=4,
    size=(16, 24),
    block=4,
    group_mib=1,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("stream") / "d", LENGTHS)


@given(size=st.integers(1, 3000), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_the_permutation_without_a_table_is_one(size: int, seed: int) -> None:
    numbers = np.arange(size)
    image = permuted(numbers, size, (seed, 1))
    np.testing.assert_array_equal(np.sort(image), numbers)
    np.testing.assert_array_equal(permuted(numbers[::-1].copy(), size, (seed, 1)), image[::-1])


def test_the_permutation_mixes() -> None:
    """Neighbours do not stay neighbours, each place is reached from anywhere, and keys differ."""
    image = permuted(np.arange(4096), 4096, (0,))
    assert (np.abs(np.diff(image)) < 8).mean() < 0.02
    assert abs(np.corrcoef(np.arange(4096), image)[0, 1]) < 0.05
    counts = np.zeros((8, 8))
    for key in range(40):
        np.add.at(counts, (np.arange(512) // 64, permuted(np.arange(512), 512, (key,)) // 64), 1)
    expected = 40 * 512 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 85.4  # chi-square of 49 degrees, 0.1 %
    big = permuted(np.arange(1000), 10**9, (1,))
    assert len(set(big.tolist())) == 1000
    assert big.max() > 9 * 10**8


@given(
    windows=st.integers(1, 120),
    block=st.integers(1, 9),
    group=st.integers(1, 6),
    shards=st.integers(1, 7),
    epoch=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_shards_share_each_epoch_and_are_equally_long(
    windows: int, block: int, group: int, shards: int, epoch: int
) -> None:
    seen: Counter[int] = Counter()
    for shard in range(shards):
        order = Order(num_windows=windows, block=block, group=group, seed=3, shard=shard, num_shards=shards)
        shown = []
        for position in range(epoch * order.length, (epoch + 1) * order.length):
            at, number, place = order.group_at(position)
            assert at == epoch
            shown.append(int(order.windows(at, number)[place]))
        assert len(shown) == order.length
        seen.update(shown)
    assert set(seen) == set(range(windows))
    assert seen.total() - windows < shards  # at most one window of each short piece comes again


def test_blocks_hold_neighbours_and_epochs_differ() -> None:
    order = Order(num_windows=1000, block=10, group=5, seed=0)
    first = np.concatenate([order.windows(0, g) for g in range(order.rounds)])
    again = np.concatenate([order.windows(1, g) for g in range(order.rounds)])
    assert (first != again).mean() > 0.9
    group = np.sort(order.windows(0, 0))
    assert (np.diff(group) == 1).sum() >= 40  # five runs of ten
    assert not (np.diff(order.windows(0, 0)) == 1).all()


def test_with_replacement_blocks_are_drawn_evenly_and_repeat() -> None:
    order = Order(num_windows=6400, block=10, group=8, seed=1, replacement=True)
    counts = np.zeros(6400 // 10)
    for epoch in range(20):
        for group in range(order.rounds):
            windows = (order.windows(epoch, group) - int(np.random.default_rng([1, epoch, 1]).integers(6400))) % 6400
            np.add.at(counts, windows // 10, 0.1)
    assert abs(counts.sum() - 20 * 640) < 1
    chi_square = ((counts - 20) ** 2 / 20).sum()
    assert 530 < chi_square < 760  # 639 degrees of freedom, about three deviations


def test_windows_hold_what_the_dataset_holds(root: Path) -> None:
    data = Dataset(root)
    stream = Stream([data], CONFIG)
    windows = {(e, t) for e, n in enumerate(LENGTHS) for t in range(1, n - 3)}
    seen = set()
    for number in range(int(stream.epoch_batches)):
        batch = stream.batch(number)
        assert batch[HEAD].shape == (4, 2, 16, 24, 3)
        assert not batch[HEAD + "_is_pad"].any()
        for i in range(4):
            episode, frame = batch["observation.state"][i, 1, :2].round().astype(int).tolist()
            seen.add((episode, frame))
            expected = data.window(episode, frame, {HEAD: (0, 3), "observation.state": (-1, 0, 3)}, (16, 24))
            for name, value in expected.items():
                np.testing.assert_array_equal(batch[name][i], value)
    assert len(windows - seen) < 4  # what the last, partial batch of the epoch holds
    assert seen <= windows


def test_padding_shows_every_frame(root: Path) -> None:
    config = replace(CONFIG, pad=True, batch_size=1)
    stream = Stream([Dataset(root)], config)
    padded, seen = 0, set()
    for number in range(sum(LENGTHS)):
        batch = stream.batch(number)
        seen.add(tuple(batch["observation.state"][0, 1, :2].round().astype(int).tolist()))
        padded += int(batch["observation.state_is_pad"].any())
    assert seen == {(e, t) for e, n in enumerate(LENGTHS) for t in range(n)}
    assert padded == sum(min(n, 4) for n in LENGTHS)


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (2, 1), (2, 3), (3, 2)])
def test_ranks_and_workers_together_show_every_window_once(root: Path, ranks: int, workers: int) -> None:
    seen: Counter[tuple[int, ...]] = Counter()
    total = sum(n - 4 for n in LENGTHS if n > 4)
    for rank in range(ranks):
        config = replace(CONFIG, rank=rank, num_ranks=ranks, workers=workers, batch_size=1)
        stream = Stream([Dataset(root)], config)
        share = -(-total // (ranks * config.lanes)) * config.lanes
        assert stream.epoch_batches == share
        for number in range(share):
            seen[tuple(stream.batch(number)["observation.state"][0, 1, :2].round().astype(int).tolist())] += 1
    assert len(seen) == total
    assert seen.total() - total < ranks * max(1, workers)


def test_any_position_equals_the_uninterrupted_run(root: Path) -> None:
    config = replace(CONFIG, group_mib=1, batch_size=3, weights=(1.0, 2.0))
    sources = [Dataset(root), Dataset(root)]
    straight = [b for b, _ in zip(Stream(sources, config).batches(), range(30))]
    for start in (0, 1, 7, 16, 29):
        again = Stream(sources, config).batch(start)
        assert again.keys() == straight[start].keys()
        for name, value in again.items():
            np.testing.assert_array_equal(value, straight[start][name])
    other = Stream(sources, replace(config, seed=1)).batch(0)
    assert any((other[n] != straight[0][n]).any() for n in other)


def test_decoded_bytes_stay_within_the_bound(root: Path) -> None:
    size = (256, 256)
    config = replace(CONFIG, size=size, offsets_s={HEAD: (0.0, 0.3), HAND: (0.0,)}, block=2)
    lane = Lane([Dataset(root)], config, 0)
    frame, most = 256 * 256 * 3, 0
    for number in range(40):
        lane.get(number)
        most = max(most, lane.parts[0].held_bytes)
    assert frame <= most <= 1 << 20
    assert lane.orders[0].group_windows * 3 * frame <= 1 << 20
    with pytest.raises(ConfigError, match="group_mib"):
        Lane([Dataset(root)], replace(config, size=(1024, 1024)), 0)


def test_a_group_is_decoded_once_from_front_to_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = Dataset(root), []
    frames = Dataset.frames
    monkeypatch.setattr(
        Dataset, "frames", lambda self, c, e, i, s=None: (asked.append((e, list(i))), frames(self, c, e, i, s))[1]
    )
    lane = Lane([data], CONFIG, 0)
    for number in range(lane.orders[0].length):
        lane.get(number)
    whole = [(e, i) for e, part in asked for i in part]
    assert len(whole) == len(set(whole))  # the group holds the whole epoch here: no frame twice
    assert all(part == sorted(part) for _, part in asked)


def test_a_schedule_holds_exact_shares_and_counts_each_source_through() -> None:
    schedule = Schedule([3.0, 1.0, 0.0, 1e-9], seed=0)
    assert schedule.counts.tolist() == [3071, 1024, 0, 1]
    rows = [schedule.at(i) for i in range(2 * Schedule.CYCLE)]
    for source in range(4):
        numbers = [n for s, n in rows if s == source]
        assert numbers == list(range(2 * int(schedule.counts[source])))
    first = np.array([s for s, _ in rows[:1024]])
    expected = 1024 * schedule.counts / Schedule.CYCLE
    observed = np.bincount(first, minlength=4)
    positive = expected > 1
    assert ((observed - expected)[positive] ** 2 / expected[positive]).sum() < 10.8
    assert Schedule([3.0, 1.0, 0.0, 1e-9], seed=0).at(5000) == rows[5000]
    for wrong in ([], [0.0], [-1.0, 2.0], [float("nan")]):
        with pytest.raises(ConfigError):
            Schedule(wrong, seed=0)


def test_a_mixture_follows_its_weights(root: Path) -> None:
    config = replace(CONFIG, weights=(3.0, 1.0), batch_size=64, offsets_s={"observation.state": (0.0,)})
    stream = Stream([Dataset(root), Dataset(root)], config)
    drawn = np.concatenate([stream.batch(n)["source"] for n in range(64)])
    assert np.bincount(drawn).tolist() == [3072, 1024]
    with pytest.raises(ConfigError, match="one weight per source"):
        Lane([Dataset(root)], config, 0)


def test_worker_processes_give_the_same_batches_and_their_errors(root: Path) -> None:
    config = replace(CONFIG, workers=2)
    straight = Stream([Dataset(root)], config)
    loader = iter(StreamLoader(Stream([Dataset(root)], config), 3))
    for number in range(3, 8):
        batch, expected = next(loader), straight.batch(number)
        assert batch.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name].numpy(), value)


def test_a_worker_that_dies_surfaces(root: Path, tmp_path: Path) -> None:
    broken = make_dataset(tmp_path / "d", [12])
    data = Dataset(broken)
    for path in broken.glob("videos/**/*.mp4"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="mp4"):
        next(iter(StreamLoader(Stream([data], replace(CONFIG, workers=1)))))


def test_a_killed_worker_surfaces(root: Path) -> None:
    script = """
import os, sys
from dataclasses import replace
from pathlib import Path
from tests.data.test_data_stream import CONFIG
from wbvla.core.errors import DataError
from wbvla.data.loader import StreamLoader
from wbvla.data.reader import Dataset
from wbvla.data.stream import Stream
if __name__ == "__main__":
    import multiprocessing
    loader = iter(StreamLoader(Stream([Dataset(Path(sys.argv[1]))], replace(CONFIG, workers=1))))
    next(loader)
    multiprocessing.active_children()[0].kill()
    try:
        for _ in range(100):
            next(loader)
    except DataError as error:
        print("DataError", error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, timeout=120)
    assert "DataError a worker that decodes batches died" in done.stdout, done.stderr


def test_impossible_streams_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match="no feature 'speed'"):
        SourceWindows(Dataset(root), replace(CONFIG, offsets_s={"speed": (0.0,)}))
    with pytest.raises(DataError, match="longer than 50 frames"):
        SourceWindows(Dataset(root), replace(CONFIG, offsets_s={HEAD: (0.0, 5.0)}))
    for change in ({"rank": 2}, {"batch_size": 0}, {"workers": -1}, {"offsets_s": {}}):
        with pytest.raises(ConfigError):
            replace(CONFIG, **change)
    with pytest.raises(ConfigError, match="no source"):
        Lane([], CONFIG, 0)
    with pytest.raises(ConfigError, match="shard 3 of 2"):
        Order(num_windows=5, block=1, group=1, seed=0, shard=3, num_shards=2)
