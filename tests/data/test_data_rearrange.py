"""Compact, expand, merge, split, delete: episodes stay equal to the bit, numbers close ranks, or it is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fingerprints import fingerprints
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import CONFIG, HEAD, make_dataset, record

from wbvla.cli.data_change import Compact, Expand
from wbvla.cli.data_choose import Delete, Merge, Split
from wbvla.core.errors import ConfigError, ContractMismatch, DataError
from wbvla.data import tables
from wbvla.data.check import check
from wbvla.data.format import Feature, scalar, vector
from wbvla.data.labels import write_labels
from wbvla.data.reader import Dataset
from wbvla.data.rearrange import chosen, compact, delete, expand, merge, split, split_by_fraction
from wbvla.data.repair import repair
from wbvla.data.sharing import Layout
from wbvla.data.writer import DatasetConfig, DatasetWriter

LENGTHS = [3, 4, 2, 5, 3, 2]
SMALL = Layout(data_bytes=30_000, video_bytes=6_000, chunks_size=2)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("sound") / "d", LENGTHS)


@pytest.fixture(scope="module")
def known(sound) -> list[str]:
    return fingerprints(sound)


@pytest.fixture
def root(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "d"))


@pytest.fixture
def rolling(root) -> Path:
    compact(root)
    return root


def files(root: Path, pattern: str) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.glob(pattern))


def inodes(root: Path, pattern: str) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_ino for p in root.glob(pattern)}


def test_compact_joins_everything_and_changes_nothing(root, known):
    change = compact(root)
    assert (change.files_before, change.episodes, change.frames) == (6 * 4 + 1, 6, 19)
    assert change.files_after == 5
    assert files(root, "data/**/*.parquet") == ["data/chunk-000/file-000.parquet"]
    assert pq.ParquetFile(root / "data/chunk-000/file-000.parquet").num_row_groups == 6
    assert fingerprints(root) == known
    assert check(root) == []
    assert [p.name for p in (root / ".staging").iterdir()] == ["lock"]


@settings(max_examples=3)
@given(data=st.integers(1, 200_000), video=st.integers(1, 40_000), chunk=st.integers(1, 4))
def test_any_layout_and_back(sound, known, tmp_path_factory, data, video, chunk):
    """Whatever the sizes, rolling files hold the same episodes, names sort as frames do, and expand is the inverse."""
    root = Path(shutil.copytree(sound, tmp_path_factory.mktemp("layout") / "d"))
    before = {n: (root / n).read_bytes() for n in files(root, "videos/**/*.mp4")}
    compact(root, Layout(data_bytes=data, video_bytes=video, chunks_size=chunk))
    assert fingerprints(root) == known
    assert check(root) == []
    expand(root)
    assert set(files(root, "videos/**/*.mp4")) == set(before)
    assert fingerprints(root) == known
    assert check(root) == []


def test_compacting_again_rewrites_no_frame(rolling):
    before = inodes(rolling, "[dv]*/**/*.*")
    compact(rolling)
    assert inodes(rolling, "[dv]*/**/*.*") == before


def test_clips_of_unlike_codecs_do_not_share_a_file(root, known):
    """An mp4 has one decoder header: joining unlike streams would break every frame after the first clip."""
    writer = DatasetWriter.open(root, replace(CONFIG.codec, crf=35))
    with writer:
        record(writer, 4)
    more = fingerprints(root)
    compact(root)
    assert files(root, f"videos/{HEAD}/**/*.mp4") == [f"videos/{HEAD}/chunk-000/file-00{i}.mp4" for i in range(2)]
    assert fingerprints(root) == more
    assert more[:6] == known


@pytest.mark.parametrize("layout", [Layout(), SMALL])
def test_a_compacted_dataset_is_recorded_on_labelled_and_repaired(root, known, layout):
    compact(root, layout)
    rolling = root
    with DatasetWriter.open(rolling) as writer:
        assert record(writer, 4) == 6
        assert record(writer, 2) == 7
    assert check(rolling) == []
    assert fingerprints(rolling)[:6] == known
    lengths = [*LENGTHS, 4, 2]
    labels = [{"latent.locomotion": np.full(n, i)} for i, n in enumerate(lengths)]
    write_labels(rolling, {"latent.locomotion": vector(["token"], "int64")}, labels, {"digest": "abc"})
    data = Dataset(rolling)
    assert [int(data.columns(i)["latent.locomotion"][-1]) for i in range(8)] == list(range(8))
    assert check(rolling) == []
    before = fingerprints(rolling)
    assert repair(rolling).kept == 8
    compact(rolling)
    assert fingerprints(rolling) == before
    assert check(rolling) == []


def test_merge_joins_words_and_statistics(sound, tmp_path, known):
    """Unequal episodes, shared and new instructions; quantiles equal numpy's over all frames within a bin."""
    other = tmp_path / "other"
    with DatasetWriter.create(other, CONFIG) as writer:
        record(writer, 9, task="turn around")
        record(writer, 1, task="step back")
    change = merge(tmp_path / "all", [sound, other])
    assert change.episodes == 8
    assert fingerprints(tmp_path / "all") == known + fingerprints(other)
    assert check(tmp_path / "all") == []
    data = Dataset(tmp_path / "all")
    assert data.tasks == ["lift the box", "step back", "turn around"]
    assert data.instruction(7) == "step back"
    values = data.column("observation.state").astype(np.float64)
    for name, q in {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}.items():
        width = np.ptp(values, axis=0) / 4000
        np.testing.assert_allclose(
            data.stats["observation.state"][name], np.quantile(values, q, axis=0), rtol=0, atol=max(width.max(), 1e-6)
        )
    rows = [row for path in tables.episode_files(data.root) for row in tables.read_table(path).to_pylist()]
    assert [row["stats/index/min"] for row in rows] == [[float(e.start)] for e in data.episodes]
    with pytest.raises(DataError, match="already holds a dataset"):
        merge(tmp_path / "all", [sound, other])


def change_json(root: Path, name: str, key: str, value: object) -> None:
    """As another recording would have it: the seal goes, so that this is no fault."""
    content = json.loads((root / name).read_text())
    content[key] = value
    (root / name).write_text(json.dumps(content))
    (root / "meta/seal.json").unlink()
    shutil.rmtree(root / "meta/manifest")


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("meta/info.json", "robot_type", "unitree_g1", "robot: 'agibot_x2' here, 'unitree_g1' there"),
        ("meta/contract.json", "joint_names", ["b", "a"], "contract.joint_names"),
        ("meta/contract.json", "rates", {"body": 50}, "contract.rates"),
    ],
)
def test_merge_names_the_difference(sound, root, tmp_path, name, key, value, message):
    change_json(root, name, key, value)
    with pytest.raises(ContractMismatch, match="to be merged") as refusal:
        merge(tmp_path / "all", [sound, root])
    assert message in str(refusal.value)
    assert not (tmp_path / "all").exists()


def test_merge_refuses_other_labels_and_features(sound, root, tmp_path):
    labels = [{"latent.locomotion": np.zeros(n, dtype=np.int64)} for n in LENGTHS]
    write_labels(root, {"latent.locomotion": vector(["token"], "int64")}, labels, {"digest": "abc"})
    with pytest.raises(ContractMismatch) as refusal:
        merge(tmp_path / "all", [sound, root])
    assert "features.latent.locomotion" in str(refusal.value)
    assert "labels.latent.locomotion: None here, 'abc' there" in str(refusal.value)


def test_split_takes_episodes_in_the_order_given(rolling, tmp_path, known):
    split(rolling, tmp_path / "part", [4, 0, 1])
    assert fingerprints(tmp_path / "part") == [known[4], known[0], known[1]]
    assert check(tmp_path / "part") == []
    assert fingerprints(rolling) == known
    with pytest.raises(DataError, match=r"episodes \[9\] asked"):
        split(rolling, tmp_path / "none", [1, 9])


def test_split_by_fraction_parts_without_overlap(root, tmp_path, known):
    made = split_by_fraction(root, tmp_path / "parted", 0.5, seed=3)
    train, test = (fingerprints(tmp_path / "parted" / name) for name in ("train", "test"))
    assert made["train"].episodes == len(train) == 3
    assert sorted(train + test) == sorted(known)
    split_by_fraction(root, tmp_path / "again", 0.5, seed=3)
    assert fingerprints(tmp_path / "again/train") == train
    split_by_fraction(root, tmp_path / "other", 0.5, seed=4)
    assert fingerprints(tmp_path / "other/train") != train
    with pytest.raises(ConfigError, match="one side empty"):
        split_by_fraction(root, tmp_path / "none", 0.01, seed=0)


@pytest.mark.parametrize("compacted", [False, True])
def test_deleted_episodes_can_be_merged_back(root, tmp_path, known, compacted):
    if compacted:
        compact(root)
    delete(root, [1, 4])
    assert fingerprints(root) == [known[i] for i in (0, 2, 3, 5)]
    assert fingerprints(root / "quarantine/000") == [known[1], known[4]]
    assert check(root) == []
    merge(tmp_path / "back", [root, root / "quarantine/000"])
    assert sorted(fingerprints(tmp_path / "back")) == sorted(known)


def test_delete_touches_only_the_files_it_must(root, known):
    compact(root, SMALL)
    before = inodes(root, "videos/**/*.mp4")
    delete(root, [0], forever=True)
    kept = set(inodes(root, "videos/**/*.mp4").values()) & set(before.values())
    assert len(kept) >= len(before) - 2
    assert fingerprints(root) == known[1:]
    assert not (root / "quarantine").exists()
    assert check(root) == []


def test_nothing_damaged_is_carried_on(root, tmp_path):
    path = root / "data/chunk-000/file-001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    for work in (compact, expand, lambda r: split(r, tmp_path / "s", [0]), lambda r: merge(tmp_path / "m", [r])):
        with pytest.raises(DataError, match="data repair"):
            work(root)
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "m").exists()


def test_a_dataset_that_is_being_recorded_is_left_alone(root):
    with DatasetWriter.open(root), pytest.raises(DataError, match="another process"):
        compact(root)


def test_what_others_keep_beside_the_episodes_stays(root):
    (root / "truth/attempts.json").write_text("[1, 2]")
    compact(root)
    delete(root, [0])
    assert repair(root).kept == 5
    assert (root / "truth/attempts.json").read_text() == "[1, 2]"
    assert check(root) == []


def test_words_for_episodes():
    assert chosen("0:3,7, 2") == [0, 1, 2, 7]
    for words in ("", "a", "3:1", "-1", "1;2", "1:2:3"):
        with pytest.raises(ConfigError, match="0:50,60"):
            chosen(words)


def test_verbs(root, tmp_path, known, capsys):
    from rich.console import Console

    console = Console(soft_wrap=True, width=200)
    assert Compact(path=root).run(console) == 0
    assert "files 25 -> 5" in capsys.readouterr().out
    assert Expand(path=root).run(console) == 0
    assert Split(path=root, out=tmp_path / "part", episodes="0:2").run(console) == 0
    assert Split(path=root, out=tmp_path / "parts", fraction=0.5).run(console) == 0
    with pytest.raises(ConfigError, match="either --episodes"):
        Split(path=root, out=tmp_path / "x").run(console)
    assert Delete(path=root, episodes="0").run(console) == 0
    assert Merge(out=tmp_path / "all", sources=(root, tmp_path / "part")).run(console) == 0
    assert fingerprints(tmp_path / "all") == known[1:] + known[:2]


def test_words_arrays_and_notes_travel_too(tmp_path):
    """Language rows, arrays of two axes, sub-tasks and notes; numbers in the names of what lies beside change along."""
    features = {
        "observation.state": vector(["a"]),
        "grid": Feature(dtype="float32", shape=(2, 3)),
        "language_persistent": scalar("language"),
        "subtask": scalar("string"),
        "skill": scalar("string"),
    }
    rng = np.random.default_rng(0)
    root = tmp_path / "d"
    with DatasetWriter.create(root, DatasetConfig(fps=10, robot="r", features=features)) as writer:
        for number in range(3):
            with writer.episode(task=f"task {number}") as episode:
                for _ in range(4):
                    row = {"grid": rng.normal(size=(2, 3)).astype(np.float32)}
                    episode.add({**row, "observation.state": np.zeros(1, dtype=np.float32)})
                episode.segment(0, 2, "reach", "approach")
                episode.add_phrasings([f"do task {number}"])
                episode.note(operator=number)
                episode.commit()
    before = fingerprints(root)
    compact(root)
    assert fingerprints(root) == before
    delete(root, [0])
    assert fingerprints(root) == before[1:]
    assert json.loads((root / "notes/episode_000001.json").read_text()) == {"operator": 2}
    assert check(root) == []
    merge(tmp_path / "back", [root / "quarantine/000", root])
    assert fingerprints(tmp_path / "back") == before
