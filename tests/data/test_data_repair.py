"""Damage of every sort: check names it, repair keeps every valid episode, and the result is sound again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from recording import HEAD, make_dataset, record, require_episode

from wbvla.cli.data import main as data_verb
from wbvla.core.errors import DataError
from wbvla.data.check import KINDS, check
from wbvla.data.reader import Dataset
from wbvla.data.repair import LOST_TASK, repair
from wbvla.data.writer import DatasetWriter

LENGTHS = [3, 4, 2, 5]
DATA, META = "data/chunk-000/file-001.parquet", "meta/episodes/chunk-000/file-001.parquet"
VIDEO, TRUTH, MANIFEST = (
    f"videos/{HEAD}/chunk-000/file-001.mp4",
    "truth/episode_000001.npz",
    "meta/manifest/episode_000001.json",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("sound") / "d", LENGTHS)


@pytest.fixture
def root(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "d"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def flip_value(path: Path) -> None:
    """A bit in the middle of a column's values, where only the page checksum can tell."""
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x10
    path.write_bytes(bytes(content))


def drop_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(1), path)


def shift_index(path: Path) -> None:
    table = pq.read_table(path)
    at = table.column_names.index("index")
    moved = table.column("index").to_numpy() + 1
    pq.write_table(table.set_column(at, table.schema.field("index"), [moved]), path)


def test_a_sound_dataset_has_no_fault_and_stays_as_it_is(root):
    assert check(root) == []
    before = {p: p.stat().st_mtime_ns for p in root.glob("data/**/*.parquet")}
    result = repair(root)
    assert (result.kept, result.dropped, result.quarantined) == (4, {}, ())
    assert {p: p.stat().st_mtime_ns for p in root.glob("data/**/*.parquet")} == before
    assert check(root) == []


FATAL = [
    (VIDEO, truncate, "changed"),
    (VIDEO, empty, "empty"),
    (VIDEO, flip, "changed"),
    (DATA, truncate, "changed"),
    (DATA, Path.unlink, "missing"),
    (DATA, flip, "changed"),
]


@pytest.mark.parametrize(("name", "damage", "kind"), FATAL, ids=lambda v: getattr(v, "__name__", str(v)[:5]))
def test_a_damaged_episode_is_named_and_taken_out(root, name, damage, kind):
    damage(root / name)
    faults = check(root)
    assert (kind, name, 1) in {(f.kind, f.path, f.episode) for f in faults}
    assert {f.kind for f in faults} <= set(KINDS)
    result = repair(root)
    assert list(result.dropped) == [1]
    assert result.kept == 3
    assert check(root) == []
    data = Dataset(root)
    for index, (old, length) in enumerate([(0, 3), (2, 2), (3, 5)]):
        require_episode(data, index, length)
        assert data.columns(index)["observation.state"][0, 0] == old
        assert data.instruction(index) == ("lift the box", "step back")[old % 2]
        assert abs(int(data.frames(HEAD, index, [length - 1])[0, 0, 0, 0]) - (5 * (length - 1) + 11 * old)) <= 2
        assert data.truth(index)["twist"].shape == (length, 6)
    assert not (root / "data/chunk-000/file-003.parquet").exists()
    with DatasetWriter.open(root) as writer:
        assert record(writer, 2) == 3
    assert check(root) == []


@pytest.mark.parametrize(
    ("name", "damage", "kind"),
    [
        (VIDEO, truncate, "unreadable"),
        (DATA, flip_value, "unreadable"),
        (DATA, drop_rows, "length"),
        (DATA, shift_index, "index"),
    ],
    ids=lambda v: getattr(v, "__name__", str(v)[:5]),
)
def test_faults_are_seen_without_hashes_too(root, name, damage, kind):
    """A dataset from elsewhere has no manifest: decoding, page checksums, lengths and indices must tell."""
    damage(root / name)
    shutil.rmtree(root / "meta/manifest")
    assert (kind, name, 1) in {(f.kind, f.path, f.episode) for f in check(root)}


@pytest.mark.parametrize(
    ("name", "damage"),
    [(META, Path.unlink), (META, truncate), (META, flip), (MANIFEST, Path.unlink), (MANIFEST, flip), (TRUTH, flip)],
    ids=lambda v: getattr(v, "__name__", str(v)[:12]),
)
def test_what_can_be_derived_costs_no_episode(root, name, damage):
    """A lost meta row or manifest is made anew; a damaged truth file is set aside; the episode stays."""
    damage(root / name)
    assert check(root)
    result = repair(root)
    assert (result.kept, result.dropped) == (4, {})
    assert check(root) == []
    data = Dataset(root)
    require_episode(data, 1, 4)
    assert data.instruction(1) == "step back"
    assert (data.truth(1) == {}) == (name == TRUTH)
    assert result.quarantined == ((TRUTH,) if name == TRUTH else ())


def test_lost_task_table_is_rebuilt_from_the_episodes(root):
    empty(root / "meta/tasks.parquet")
    assert "tasks" in {f.kind for f in check(root)}
    repair(root)
    assert check(root) == []
    assert Dataset(root).tasks == ["lift the box", "step back"]
    assert LOST_TASK not in Dataset(root).tasks


@pytest.mark.parametrize("damage", [Path.unlink, empty, flip, truncate])
def test_lost_info_is_restored_from_its_seal(root, damage):
    before = json.loads((root / "meta/info.json").read_text())
    damage(root / "meta/info.json")
    assert check(root)
    repair(root)
    assert check(root) == []
    assert json.loads((root / "meta/info.json").read_text()) == before


def test_orphans_are_found_and_set_aside(root):
    """A file that no committed episode owns would be read as data by others."""
    orphan = "data/chunk-000/file-007.parquet"
    shutil.copy(root / DATA, root / orphan)
    assert [(f.kind, f.path) for f in check(root)] == [("orphan", orphan)]
    assert repair(root).quarantined == (orphan,)
    assert check(root) == []
    assert (root / "quarantine/000" / orphan).is_file()


def test_unreadable_journal_is_set_aside(root):
    (root / ".staging/journal.json").write_text("{")
    assert [f.kind for f in check(root)] == ["unreadable"]
    with pytest.raises(DataError, match="data repair"):
        Dataset(root)
    assert repair(root).kept == 4
    assert check(root) == []


def test_stale_statistics_are_told_and_renewed(root):
    stats = json.loads((root / "meta/stats.json").read_text())
    stats["index"]["count"] = [1]
    (root / "meta/stats.json").write_text(json.dumps(stats))
    assert "stats" in {f.kind for f in check(root)}
    repair(root)
    assert check(root) == []


def test_random_damage_is_never_missed(root):
    """One flipped bit anywhere in the dataset is a fault, and repair makes it sound."""
    rng = np.random.default_rng(0)
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "lock")
    for path in rng.choice(np.array(files, dtype=object), 12, replace=False):
        content = path.read_bytes()
        at = int(rng.integers(len(content)))
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        assert check(root), f"bit of byte {at} of {path.relative_to(root)}"
        path.write_bytes(content)
    assert check(root) == []


def test_verb(root, capsys):
    assert data_verb(["info", str(root)]) == 0
    assert "4 episodes, 14 frames at 10 Hz" in capsys.readouterr().out
    assert data_verb(["check", str(root)]) == 0
    flip(root / VIDEO)
    assert data_verb(["check", str(root)]) == 1
    assert "changed" in capsys.readouterr().out
    assert data_verb(["repair", str(root)]) == 0
    assert "3 episodes kept, 1 taken out" in capsys.readouterr().out
    assert data_verb(["check", str(root)]) == 0
