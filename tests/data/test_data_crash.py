"""Killed by SIGKILL at steps of a commit: after recovery nothing committed is lost, nothing half done is seen."""

import importlib
import multiprocessing
import signal
from pathlib import Path

import numpy as np
import pytest
from killed import killed_at, label_all, record_one
from recording import CONFIG, make_dataset, record, require_episode

from wbvla.core.errors import DataError
from wbvla.data.journal import Disk, pending
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import compact, delete
from wbvla.data.writer import DatasetWriter


class Steps:
    """Remembers the steps it hears of."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, step: str) -> None:
        self.seen.append(step)


def run_killed(work, root: Path, steps: int) -> bool:
    """Do the work in another process that dies at a step; True when it died."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed"])
    process = context.Process(target=killed_at, args=(work, root, steps))
    process.start()
    process.join(300)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def steps_of(work, root: Path) -> list[str]:
    steps = Steps()
    work(root, Disk(steps))
    return steps.seen


def spread(total: int, count: int) -> list[int]:
    """Step numbers at even distances, the first and the last included."""
    return sorted({round(i) for i in np.linspace(0, total - 1, count)})


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_killed_commit_is_whole_or_absent(tmp_path):
    """At five of the steps: the two older episodes are untouched, the new one is whole or wholly absent."""
    steps = steps_of(record_one, make_dataset(tmp_path / "whole", [3, 2]))
    whole = files(tmp_path / "whole")
    assert {s.split()[1] for s in steps} == {"fsync", "rename", "write", "unlink"}
    for number in spread(len(steps), 5):
        root = make_dataset(tmp_path / f"killed-{number}", [3, 2])
        before = files(root)
        assert run_killed(record_one, root, number), f"step {number} was not reached"
        Dataset(root).columns(1)
        with DatasetWriter.open(root) as writer:
            found = writer.num_episodes
        assert files(root) == (whole if found == 3 else before), f"killed {steps[number]}"
        data = Dataset(root)
        for index, length in enumerate([3, 2, 4][:found]):
            require_episode(data, index, length)
            assert data.load_video(data.cameras[0], (32, 48), [index]).shape[0] == length
        assert pending(root) is None
        with DatasetWriter.open(root) as writer:
            assert record(writer, 2) == found
        require_episode(Dataset(root), found, 2)


def test_killed_labelling_leaves_old_or_new(tmp_path):
    """At three of the steps: after recovery all episodes are labelled, or none is; in between nobody may read."""
    steps = steps_of(label_all, make_dataset(tmp_path / "whole", [3, 2]))
    for number in spread(len(steps), 3):
        root = make_dataset(tmp_path / f"killed-{number}", [3, 2])
        assert run_killed(label_all, root, number)
        if pending(root):
            with pytest.raises(DataError, match="data repair"):
                Dataset(root)
        DatasetWriter.open(root).close()
        data = Dataset(root)
        assert ("latent.locomotion" in data.features) == bool(data.labels)
        for episode in data.episodes:
            require_episode(data, episode.index, episode.length)
            if data.labels:
                assert (data.columns(episode.index)["latent.locomotion"] == 5).all()


def test_killed_recovery_recovers(tmp_path):
    """A second kill, during the recovery of the first, loses nothing either."""
    root = make_dataset(tmp_path / "d", [3])
    steps = steps_of(record_one, make_dataset(tmp_path / "whole", [3]))
    journal = next(i for i, s in enumerate(steps) if s == "after rename journal.json")
    assert run_killed(record_one, root, journal + 3)
    assert pending(root) == "add"
    assert run_killed(record_one, root, 4)
    with DatasetWriter.open(root) as writer:
        assert writer.num_episodes == 2
    require_episode(Dataset(root), 1, 4)


class Full:
    """A disk that is full from the n-th step on."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")


def test_full_disk_is_reported_and_loses_nothing(tmp_path):
    """ENOSPC at any step: an error that says what to do, a closed writer, and a dataset that opens again."""
    steps = Steps()
    with DatasetWriter.open(make_dataset(tmp_path / "whole", [3]), disk=Disk(steps)) as writer:
        record(writer, 2)
        total = len(steps.seen)
    for number in spread(total, 4):
        root = make_dataset(tmp_path / f"full-{number}", [3])
        writer = DatasetWriter.open(root, disk=Disk(Full(number)))
        with pytest.raises(DataError, match="No space left"):
            record(writer, 2)
        with pytest.raises(DataError, match="closed"):
            record(writer, 2)
        with DatasetWriter.open(root) as again:
            assert again.num_episodes in (1, 2)
        require_episode(Dataset(root), 0, 3)


@pytest.mark.parametrize("work", [compact, label_all], ids=["compact", "label"])
def test_full_disk_leaves_the_old_dataset_or_a_commit_to_finish(tmp_path, work):
    """An error in plain words at any step; before the journal nothing changed, after it recovery finishes."""
    steps = steps_of(lambda root, disk: work(root, disk=disk), make_dataset(tmp_path / "whole", [3, 2]))
    journal = steps.index("after rename journal.json")
    for number in (0, journal - 1, journal + 2):
        root = make_dataset(tmp_path / f"full-{number}", [3, 2])
        with pytest.raises(DataError, match=r"No space left.*free space"):
            work(root, disk=Disk(Full(number)))
        assert (pending(root) == "replace") == (number > journal)
        DatasetWriter.open(root).close()
        data = Dataset(root)
        for index, length in enumerate([3, 2]):
            require_episode(data, index, length)


def test_leftovers_of_a_kill_while_recording_are_removed(tmp_path):
    """Half an episode in the staging folder is no episode."""
    root = make_dataset(tmp_path / "d", [3])
    (root / ".staging/000000.mp4").write_bytes(b"half")
    assert Dataset(root).num_episodes == 1
    with DatasetWriter.resume(root, CONFIG) as writer:
        assert writer.num_episodes == 1
    assert [p.name for p in (root / ".staging").iterdir()] == ["lock"]


def test_short_form_of_the_crash_benchmark(root, tmp_path, monkeypatch):
    """`benchmarks/data_crash.py` on a handful of cases: killed rearrangements, a full disk, damage of each kind."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    monkeypatch.delenv("WBVLA_INTEROP", raising=False)
    data_crash = importlib.import_module("data_crash")
    bench = data_crash.Bench(tmp_path, seed=2)
    cases = [("compact", False), ("delete", True), ("merge", False)]
    data_crash.kills(bench, cases, 1)
    data_crash.full_disk(bench, 1)
    for kind in data_crash.DAMAGE:
        data_crash.damage(bench, kind, 2)
    score = bench.score
    assert (score.kills, score.faults) == (3, 8)
    assert (score.lost, score.undetected, score.served, score.unsound) == (0, 0, 0, 0), score.complaints


def test_the_benchmark_would_notice(root, tmp_path, monkeypatch):
    """A recovery that loses an episode, and a check that says nothing, are counted."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    monkeypatch.delenv("WBVLA_INTEROP", raising=False)
    data_crash = importlib.import_module("data_crash")
    bench = data_crash.Bench(tmp_path, seed=0)
    place, states = bench.prepare("stats", False)
    delete(place.root, [0], forever=True)
    bench.verify(place, states, "an episode was deleted meanwhile")
    assert (bench.score.lost, bench.score.unsound) == (2, 2)
    monkeypatch.setattr(data_crash, "check", lambda root: [])
    data_crash.damage(bench, "empty file", 2)
    assert bench.score.undetected == 2
