"""The engine: killed, interrupted, in parallel, with a worker that dies; the same dataset at the end."""

import hashlib
import multiprocessing
import signal
from pathlib import Path

import killed_import
import pytest
from foreign_layouts import primitives, truncate
from imported import imported

from wbvla.cli.main import main
from wbvla.core.errors import DataError, UnknownName
from wbvla.data.check import check
from wbvla.data.importers import run
from wbvla.data.importers.primitives import Primitives
from wbvla.data.importers.run import REPORT, import_dataset
from wbvla.data.importers.take import ImportConfig, importers
from wbvla.data.journal import lock
from wbvla.data.layout import read_json
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetWriter


def source(tmp_path: Path) -> Path:
    """Five clips, of which the second is broken."""
    src = primitives(tmp_path / "src", {"advance": [6, 9, 7], "turn": [8, 5]})
    truncate(src / "advance/1700000001.mp4")
    return src


def contents(root: Path) -> dict[str, str]:
    """Every file of a dataset by name, with its hash."""
    files = [p for p in root.rglob("*") if p.is_file() and p.name != "lock"]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    where = tmp_path_factory.mktemp("whole")
    src = source(where)
    report, _ = imported("primitives", src, where / "d")
    assert list(report.rejected) == ["advance/1700000001.mp4"]
    return src, contents(where / "d")


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        ("wbvla.data.footage:EpisodeFootage.add", 3),
        ("wbvla.data.footage:EpisodeFootage.add", 20),
        ("wbvla.data.journal:Disk.move", 8),
        ("wbvla.data.journal:Disk.move", 22),
        ("wbvla.data.writer:DatasetWriter.close", 0),
    ],
)
def test_killed_and_run_again_it_is_as_undisturbed(tmp_path, undisturbed, place, calls):
    """In the first and a later episode, within commits, and when all episodes are there but the statistics are not."""
    src, whole = undisturbed
    dst = tmp_path / "d"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_import"])
    process = context.Process(target=killed_import.killed_at, args=(place, calls, "primitives", src, dst))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert not (dst / REPORT).exists(), "killed before its end"
    report, _ = imported("primitives", src, dst)
    assert (report.episodes, report.finished) == (4, True)
    assert contents(dst) == whole


def test_finished_episodes_are_not_read_again(tmp_path, undisturbed):
    src, _ = undisturbed
    dst = tmp_path / "d"
    seen: list[float] = []

    def show(done: float, total: float, note: str) -> None:
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset("primitives", src, dst, ImportConfig(), show)
    assert check(dst, deep=True) == [], "Ctrl-C leaves valid data, statistics included"
    assert Dataset(dst).num_episodes == 2
    told = read_json(dst / REPORT)
    assert (told["finished"], told["episodes"], list(told["rejected"])) == (False, 2, ["advance/1700000001.mp4"])
    before = {p: p.stat().st_mtime_ns for p in (dst / "videos").rglob("*.mp4")}
    seen.clear()
    import_dataset("primitives", src, dst, ImportConfig(), lambda done, total, note: seen.append(done))
    assert seen == [2, 3, 4, 5], "two were there; the broken one is looked at again"
    assert before.items() <= {p: p.stat().st_mtime_ns for p in (dst / "videos").rglob("*.mp4")}.items()


def test_interrupted_and_run_again_it_is_as_undisturbed(tmp_path, undisturbed):
    src, whole = undisturbed

    def show(done: float, total: float, note: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset("primitives", src, tmp_path / "d", ImportConfig(), show)
    imported("primitives", src, tmp_path / "d")
    assert contents(tmp_path / "d") == whole


def test_several_processes_make_the_same(tmp_path, undisturbed):
    src, whole = undisturbed
    imported("primitives", src, tmp_path / "d", processes=2)
    assert contents(tmp_path / "d") == whole


def test_a_worker_that_dies_costs_its_episode_only(tmp_path, monkeypatch):
    src = primitives(tmp_path / "src", {"advance": [6, 9, 7], "turn": [8]})
    monkeypatch.setattr(run, "_prepared", killed_import.prepared_or_dead)
    report, data = imported("primitives", src, tmp_path / "d", processes=2)
    assert data.num_episodes == 3
    assert list(report.rejected) == ["advance/1700000001.mp4"]
    assert "the process that read it died" in report.rejected["advance/1700000001.mp4"]


def test_only_some_episodes_then_more(tmp_path, undisturbed):
    src, _ = undisturbed
    report, _ = imported("primitives", src, tmp_path / "d", only=("turn/*",))
    assert report.episodes == 2
    report, data = imported("primitives", src, tmp_path / "d")
    assert report.episodes == 4
    assert [e.tasks[0] for e in data.episodes] == ["turn", "turn", "advance", "advance"]


def test_two_at_once_are_refused(tmp_path, undisturbed):
    src, _ = undisturbed
    with lock(tmp_path / "d" / run.WORK), pytest.raises(DataError, match="another process"):
        import_dataset("primitives", src, tmp_path / "d")
    imported("primitives", src, tmp_path / "d")
    with DatasetWriter.open(tmp_path / "d"), pytest.raises(DataError, match="another process"):
        import_dataset("primitives", src, tmp_path / "d")


def test_a_full_disk_is_no_fault_of_the_episodes(tmp_path, undisturbed, monkeypatch):
    src, _ = undisturbed
    imported("primitives", src, tmp_path / "d", only=("turn/*",))
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr("wbvla.data.importers.prepare.shutil.disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="the disk is full"):
        import_dataset("primitives", src, tmp_path / "d")
    monkeypatch.undo()
    assert check(tmp_path / "d") == []


def test_what_nobody_thought_of_costs_its_episode_only(tmp_path, monkeypatch):
    src = primitives(tmp_path / "src", {"advance": [6, 9, 7]})
    taken = Primitives.take

    def odd(self, src, item, config):
        if item.name.endswith("1700000001.mp4"):
            raise KeyError("a field of another release")
        return taken(self, src, item, config)

    monkeypatch.setattr(Primitives, "take", odd)
    report, data = imported("primitives", src, tmp_path / "d")
    assert data.num_episodes == 2
    assert report.rejected == {"advance/1700000001.mp4": "KeyError('a field of another release')"}


def test_the_verb_says_what_became_of_each(tmp_path, undisturbed, capsys):
    src, _ = undisturbed
    assert main(["data", "import", "primitives", str(src), str(tmp_path / "d"), "--processes", "1"]) == 1
    shown = capsys.readouterr().out
    assert "advance/1700000001.mp4 rejected" in shown
    assert "4 episodes, 26 frames" in shown
    assert "licence: the operator's own" in shown
    sound = ["data", "import", "primitives", str(src), str(tmp_path / "e"), "--only", "turn/*", "--processes", "1"]
    assert main(sound) == 0
    assert main(["data", "import", "primitve", str(src), str(tmp_path / "f")]) == 1
    assert "Did you mean 'primitives'" in capsys.readouterr().err


def test_the_table_of_formats():
    wanted = {"agibot-world", "egocentric-10k", "egodex", "groot", "primitives", "tutorial", "xr-teleoperate"}
    assert set(importers) == wanted
    for name in importers:
        importer = importers.build(name)
        assert importer.version >= 1
        assert importer.licence
    with pytest.raises(UnknownName, match="egodex"):
        importers.build("ego-dex")
