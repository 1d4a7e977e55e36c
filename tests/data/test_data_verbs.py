"""`wbvla data info | view | stats`: what they print, what they write, and what they refuse in one line."""

from pathlib import Path

import pytest
from looking import SECOND, write_recording
from recording import make_dataset

from wbvla.cli.data import main
from wbvla.cli.main import main as wbvla
from wbvla.data.export import export
from wbvla.data.format import STATS
from wbvla.data.reader import Dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("verbs") / "boxes").root


def test_info_counts_what_is_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "3 episodes, 39 frames at 10 Hz (0.001 h), robot agibot_x2, v3.0" in shown
    assert f"1 episodes    0.000 h  instruction: {SECOND}" in shown
    assert "primitive: turn" in shown
    assert "goal reached: yes 1, no 1, unknown 1" in shown
    assert "observation.images.head_depth" in shown


def test_view_writes_a_page(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside where one stands when no file is named, and it says what it wrote."""
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(root), "--episode", "1"]) == 0
    (out,) = tmp_path.iterdir()
    assert out.name == "boxes-1.html"
    assert "<h2>Episode 1</h2>" in out.read_text()
    assert ">sound<" in out.read_text()
    assert "boxes-1.html written" in capsys.readouterr().out


def test_view_writes_a_rerun_recording(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    out = tmp_path / "deep" / "episode.rrd"
    assert main(["view", str(root), "--format", "rrd", "--out", str(out)]) == 0
    assert out.read_bytes()[:4] == b"RRF2"


def test_older_versions_are_shown_unchecked(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "new", [3, 4])
    export(root, tmp_path / "old")
    out = tmp_path / "old.html"
    assert main(["view", str(tmp_path / "old"), "--out", str(out)]) == 0
    assert "not checked" in out.read_text()
    assert "v2.1" in out.read_text()


def test_stats_are_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_dataset(tmp_path / "d", [3, 4])
    (root / STATS).unlink(missing_ok=True)
    assert main(["stats", str(root)]) == 0
    assert Dataset(root).stats["action"]["count"] == [7]
    assert "features written" in capsys.readouterr().out


def test_a_missing_episode_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("html", "rrd"):
        out = tmp_path / f"x.{form}"
        assert wbvla(["data", "view", str(root), "--episode", "5", "--format", form, "--out", str(out)]) == 1
        assert "episode 5 asked" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
