"""Older schemas, other programs' datasets and LeRobot v2.1 become the present format, once, and lose nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fingerprints import fingerprints
from recording import CONFIG, HAND, HEAD, make_dataset, record

from wbvla.core.errors import DataError
from wbvla.data import tables
from wbvla.data.check import check
from wbvla.data.format import OWN_FEATURES
from wbvla.data.journal import as_json
from wbvla.data.manifest import SCHEMA, read_manifest, read_seal, schema_of, signed
from wbvla.data.migrate import STEPS, migrate
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import compact
from wbvla.data.repair import repair
from wbvla.data.writer import DatasetWriter

LENGTHS = [3, 4, 2]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("sound") / "d", LENGTHS)


@pytest.fixture
def root(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "d"))


def to_schema_1(root: Path) -> None:
    """As this package's first release wrote it: manifests without rows, a seal without schema and texts."""
    for path in root.glob("meta/manifest/*.json"):
        old = json.loads(path.read_bytes())
        path.write_bytes(as_json(signed({k: v for k, v in old.items() if k not in ("row", "self")})))
    seal = json.loads((root / "meta/seal.json").read_bytes())
    content = {k: v for k, v in seal.items() if k not in ("schema", "texts", "self")}
    (root / "meta/seal.json").write_bytes(as_json(signed(content)))


def to_elsewhere(root: Path) -> None:
    """As another program leaves it: rolling files, no hashes."""
    compact(root)
    shutil.rmtree(root / "meta/manifest")
    (root / "meta/seal.json").unlink()


def to_v21(root: Path) -> None:
    """The same recording as LeRobot v2.1 lays it out: numbers in the names, JSON lines in meta/."""
    data = Dataset(root)
    info = json.loads((root / "meta/info.json").read_text())
    names = {}
    for e in data.episodes:
        names[e.data] = f"data/chunk-000/episode_{e.index:06d}.parquet"
        names |= {name: f"videos/chunk-000/{c}/episode_{e.index:06d}.mp4" for c, (name, _) in e.videos.items()}
    for old, new in names.items():
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)
    lines = [{"episode_index": e.index, "tasks": list(e.tasks), "length": e.length} for e in data.episodes]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tasks = [json.dumps({"task_index": i, "task": t}) + "\n" for i, t in enumerate(data.tasks)]
    (root / "meta/tasks.jsonl").write_text("".join(tasks))
    template = {"data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"}
    template["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    (root / "meta/info.json").write_text(json.dumps({**info, **template, "codebase_version": "v2.1"}))
    for name in ("meta/episodes", "meta/manifest"):
        shutil.rmtree(root / name)
    for name in ("meta/tasks.parquet", "meta/seal.json", "meta/stats.json"):
        (root / name).unlink()


@pytest.mark.parametrize(("downgrade", "schema"), [(to_schema_1, 1), (to_elsewhere, 0), (to_v21, 0)])
def test_everything_is_brought_to_the_present_once(root, downgrade, schema):
    known = fingerprints(root)
    downgrade(root)
    assert schema_of(root) == schema
    done = migrate(root)
    assert len(done) == SCHEMA - schema + (downgrade is to_v21)
    assert schema_of(root) == SCHEMA
    assert check(root) == []
    data = Dataset(root)
    assert data.info.version == "v3.0"
    assert data.features["success"].dtype == "int64"
    assert [data.columns(i)["success"][0] for i in range(3)] == [1, 0, 1]
    # success is an integer now; all else is the same to the bit
    for i in range(3):
        columns = data.columns(i)
        assert columns["note"].tolist() == [f"é{k}" for k in range(LENGTHS[i])]
        assert data.truth(i)["twist"].shape == (LENGTHS[i], 6)
    assert len(fingerprints(root)) == len(known)
    for i in range(3):
        assert read_manifest(root, i)["row"]["episode_index"] == i
    assert not list((root / "meta").glob("*.jsonl"))
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}
    assert migrate(root) == []
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()} == before


def test_frames_and_columns_survive_the_way_from_v21(root):
    data = Dataset(root)
    frames = {(c, i): data.frames(c, i, range(n)) for c in (HEAD, HAND) for i, n in enumerate(LENGTHS)}
    columns = [data.columns(i) for i in range(3)]
    to_v21(root)
    migrate(root)
    data = Dataset(root)
    for (camera, i), rgb in frames.items():
        np.testing.assert_array_equal(data.frames(camera, i, range(LENGTHS[i])), rgb)
    for i, old in enumerate(columns):
        for name, values in old.items():
            np.testing.assert_array_equal(data.columns(i)[name], values)
    assert pq.ParquetFile(root / data.episodes[0].data).num_row_groups == 3


@pytest.mark.parametrize(
    "damage", ["data/chunk-000/episode_000001.parquet", f"videos/chunk-000/{HEAD}/episode_000001.mp4"]
)
def test_a_damaged_v21_dataset_is_refused_and_kept(root, damage):
    to_v21(root)
    content = (root / damage).read_bytes()
    (root / damage).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="1 faults"):
        migrate(root)
    assert (root / "meta/episodes.jsonl").is_file()
    assert Dataset(root).num_episodes == 3


def test_an_adopted_dataset_is_recorded_on_and_repaired(root):
    to_elsewhere(root)
    DatasetWriter.open(root).close()
    assert schema_of(root) == SCHEMA
    config = CONFIG.features | {"success": Dataset(root).features["success"]}
    assert set(config) | set(OWN_FEATURES) == set(Dataset(root).features)
    with DatasetWriter.open(root) as writer:
        assert record(writer, 5, success=1) == 3  # type: ignore[arg-type]
    assert check(root) == []
    path = root / Dataset(root).episodes[3].data
    path.write_bytes(path.read_bytes()[:50])
    assert repair(root).kept == 3
    assert check(root) == []


def test_a_newer_schema_is_refused(root):
    seal = read_seal(root)
    (root / "meta/seal.json").write_bytes(as_json(signed({**seal, "schema": SCHEMA + 1})))
    with pytest.raises(DataError, match="newer release"):
        migrate(root)


def test_every_older_schema_has_a_step():
    assert sorted(STEPS) == list(range(SCHEMA))


def test_schema_1_damage_is_found_and_repaired_before_migration(root):
    """Manifests without rows: a meta row that is gone is derived from the episode's own parquet."""
    to_schema_1(root)
    assert check(root) == []
    (root / "meta/episodes/chunk-000/file-001.parquet").unlink()
    assert "meta" in {f.kind for f in check(root)}
    assert repair(root).kept == 3
    assert check(root) == []
    assert [tuple(e.tasks) for e in Dataset(root).episodes] == [("lift the box",), ("step back",), ("lift the box",)]
    assert len(tables.episode_files(root)) == 3
