"""Every kind of fault made on purpose, in both layouts: check names it, in the right file and for the right episode."""

import io
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fingerprints import fingerprints
from PIL import Image
from recording import HEAD, make_dataset

from wbvla.data import tables
from wbvla.data.check import check
from wbvla.data.depth import depth_map
from wbvla.data.faults import KINDS, leaves
from wbvla.data.format import read_info, scalar, vector
from wbvla.data.journal import REPLACE, Commit, Disk, as_json
from wbvla.data.labels import write_labels
from wbvla.data.manifest import read_seal, signed
from wbvla.data.rearrange import compact
from wbvla.data.repair import repair
from wbvla.data.writer import DatasetConfig, DatasetWriter

LENGTHS = [3, 4, 2]
DATA, VIDEO = "data/chunk-000/file-001.parquet", f"videos/{HEAD}/chunk-000/file-001.mp4"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("sound") / "d", LENGTHS)


@pytest.fixture(scope="module")
def joined(sound, tmp_path_factory) -> Path:
    root = Path(shutil.copytree(sound, tmp_path_factory.mktemp("joined") / "d"))
    compact(root)
    return root


@pytest.fixture
def root(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "d"))


@pytest.fixture
def rolling(joined, tmp_path) -> Path:
    return Path(shutil.copytree(joined, tmp_path / "d"))


def unsigned(root: Path) -> Path:
    """As another program leaves a dataset: without hashes, so that only its content can tell."""
    shutil.rmtree(root / "meta/manifest")
    (root / "meta/seal.json").unlink()
    return root


def change_column(root: Path, name: str, change: Callable[[np.ndarray], Any], path: str = DATA) -> None:
    table = pq.read_table(root / path)
    at = table.column_names.index(name)
    kind = table.schema.field(name).type
    values = np.array(table.column(name).to_pylist())
    pq.write_table(table.set_column(at, table.schema.field(name), pa.array(list(change(values)), kind)), root / path)


def change_json(root: Path, name: str, **values: Any) -> None:
    content = json.loads((root / name).read_text())
    (root / name).write_text(json.dumps({**content, **values}))


def shift_frame(root: Path) -> None:
    """One frame of a video comes 20 ms late; the number of frames is right."""
    old = root / VIDEO
    with av.open(str(old)) as given, av.open(str(old.with_suffix(".new")), "w", format="mp4") as out:
        stream = out.add_stream_from_template(given.streams.video[0], opaque=True)
        stream.time_base = Fraction(1, 10240)
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            packet.stream, packet.time_base = stream, Fraction(1, 10240)
            packet.pts = packet.dts = number * 1024 + (205 if number == 2 else 0)
            out.mux(packet)
    old.with_suffix(".new").rename(old)


def add_row(root: Path) -> None:
    table = pq.read_table(root / DATA)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), root / DATA)


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("index", lambda r: change_column(r, "frame_index", lambda v: v[::-1]), DATA),
    ("index", lambda r: change_column(r, "episode_index", lambda v: v + 1), DATA),
    ("index", lambda r: change_column(r, "timestamp", lambda v: v * 2), DATA),
    ("value", lambda r: change_column(r, "task_index", lambda v: v + 9), DATA),
    ("value", lambda r: change_column(r, "action", lambda v: v * np.nan), DATA),
    ("schema", lambda r: pq.write_table(pq.read_table(r / DATA).drop_columns(["action"]), r / DATA), DATA),
    ("schema", lambda r: shutil.copy(make_small_video(r), r / VIDEO), VIDEO),
    ("length", add_row, DATA),
    ("length", lambda r: pq.write_table(pq.read_table(r / DATA).slice(0, 3), r / DATA), DATA),
    ("length", lambda r: shutil.copy(r / VIDEO.replace("001", "000"), r / VIDEO), VIDEO),
    ("timing", shift_frame, VIDEO),
    ("missing", lambda r: (r / VIDEO).unlink(), VIDEO),
    ("empty", lambda r: (r / DATA).write_bytes(b""), DATA),
    ("unreadable", lambda r: (r / VIDEO).write_bytes(b"no video"), VIDEO),
    ("tasks", lambda r: tables.write_tasks(r / "meta/tasks.parquet", ["one"]), "meta/tasks.parquet"),
    ("totals", lambda r: change_json(r, "meta/info.json", total_frames=99), "meta/info.json"),
    ("info", lambda r: change_json(r, "meta/info.json", fps="fast"), "meta/info.json"),
    ("stats", lambda r: (r / "meta/stats.json").unlink(), "meta/stats.json"),
    ("orphan", lambda r: shutil.copy(r / DATA, r / DATA.replace("001", "009")), DATA.replace("001", "009")),
    ("labels", lambda r: (r / "meta/labels.json").write_text('{"latent.gone": {"digest": "a"}}'), "meta/labels.json"),
    ("unreadable", lambda r: (r / "meta/contract.json").write_text("{"), "meta/contract.json, meta/labels.json"),
]


def make_small_video(root: Path) -> Path:
    """The right number of frames, of half the size."""
    path = root.parent / "small.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 24, 16, "yuv420p"
        for _ in range(4):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 24, 3), dtype=np.uint8))))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(("kind", "damage", "path"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_each_fault_is_named_by_content_alone(root, kind, damage, path):
    damage(unsigned(root))
    assert kind in KINDS
    found = check(root)
    assert (kind, path) in {(f.kind, f.path) for f in found}, [str(f) for f in found]
    assert {f.episode for f in found if f.path in (DATA, VIDEO)} <= {1}


@pytest.mark.parametrize("layout", ["sound", "joined"])
def test_a_sound_dataset_without_hashes_has_no_fault(request, tmp_path, layout):
    root = unsigned(Path(shutil.copytree(request.getfixturevalue(layout), tmp_path / "d")))
    assert check(root, deep=True) == []
    assert check(root, hashes=False) == []


def test_names_that_do_not_sort_as_frames_do(root):
    """LeRobot concatenates files in the order of their names: two swapped names mix up its episodes."""
    rows = {p: tables.read_table(p).to_pylist()[0] for p in tables.episode_files(root)}
    names = [root / f"data/chunk-000/file-00{i}.parquet" for i in (0, 1)]
    names[0].rename(root / "aside")
    names[1].rename(names[0])
    (root / "aside").rename(names[1])
    for path, row in list(rows.items())[:2]:
        row["data/file_index"] = 1 - row["data/file_index"]
        tables.write_episode(path, row)
    assert [f.kind for f in check(unsigned(root))] == ["order"]


@pytest.mark.parametrize("value", ["../{chunk_index:03d}/{file_index:03d}.parquet", "/etc/{chunk_index}{file_index}"])
def test_paths_that_leave_the_dataset_are_faults(root, value):
    change_json(root, "meta/info.json", data_path=value)
    assert [f.kind for f in check(root)] in (["path"], ["info"])
    assert leaves("a/../../b")
    assert leaves("/etc/passwd")
    assert not leaves("data/chunk-000/file-000.parquet")


def test_a_manifest_cannot_point_outside(root):
    path = root / "meta/manifest/episode_000001.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../../outside"] = {"sha256": "0", "bytes": 1}
    path.write_bytes(as_json(signed(manifest)))
    assert ("path", "../../outside", 1) in {(f.kind, f.path, f.episode) for f in check(root)}


def test_success_stamps_joints_and_labels_are_checked(tmp_path):
    """Columns with a meaning: yes/no/unknown, capture times that rise, the joints promised, codes with a source."""
    features = {
        "observation.state": vector(["hip.q_rad", "knee.q_rad", "hip.dq_radps"]),
        "success": scalar("int64"),
        "stamps": vector(["body.time_s", "head.time_s"], "float64"),
    }
    config = DatasetConfig(fps=10, robot="r", features=features, contract={"joint_names": ["hip", "knee"]})
    root = tmp_path / "d"
    with DatasetWriter.create(root, config) as writer, writer.episode(task="go") as episode:
        for i in range(4):
            row = {"observation.state": np.zeros(3, dtype=np.float32), "stamps": np.array([i / 10, i / 10 + 0.01])}
            episode.add({**row, "success": -1})
        episode.commit()
    write_labels(
        root, {"latent.x": vector(["t"], "int64")}, [{"latent.x": np.zeros(4, dtype=np.int64)}], {"digest": "a"}
    )
    assert check(root) == []
    unsigned(root)
    name = "data/chunk-000/file-000.parquet"
    for column, change, kind in (
        ("success", lambda v: v + 3, "value"),
        ("stamps", lambda v: v * 0.0, "timing"),
    ):
        again = Path(shutil.copytree(root, tmp_path / column))
        change_column(again, column, change, name)
        assert [f.kind for f in check(again)] == [kind]
    change_json(root, "meta/contract.json", joint_names=["knee", "hip"])
    assert [f.kind for f in check(root)] == ["contract"]
    (root / "meta/labels.json").write_text('{"latent.x": {}}')
    assert {f.kind for f in check(root)} == {"contract", "labels"}


def test_depth_is_checked_in_both_its_files(tmp_path):
    key = "observation.images.head_depth"
    root = tmp_path / "d"
    config = DatasetConfig(fps=10, robot="r", features={key: depth_map(32, 48), "x": scalar("float32")})
    rng = np.random.default_rng(0)
    with DatasetWriter.create(root, config) as writer:
        for length in (3, 4):
            with writer.episode(task="look") as episode:
                for _ in range(length):
                    episode.add({key: rng.integers(300, 3000, (32, 48), dtype=np.uint16), "x": 0.0})
                episode.commit()
    before = fingerprints(root)
    assert check(root, deep=True) == []
    compact(root)
    assert check(root, deep=True) == []
    assert fingerprints(root) == before
    unsigned(root)
    lossless = root / f"depth/{key}/episode_000001.mkv"
    shutil.copy(root / f"depth/{key}/episode_000000.mkv", lossless)
    assert [(f.kind, f.episode) for f in check(root)] == [("length", 1)]
    lossless.write_bytes(b"no video")
    assert [(f.kind, f.episode) for f in check(root)] == [("unreadable", 1)]


def row_group_span(path: Path, group: int) -> tuple[int, int]:
    facts = pq.ParquetFile(path).metadata.row_group(group)
    chunks = [facts.column(i) for i in range(facts.num_columns)]
    first = min(c.dictionary_page_offset or c.data_page_offset for c in chunks)
    return first, first + sum(c.total_compressed_size for c in chunks)


def packet_span(path: Path, number: int) -> tuple[int, int]:
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][number]
        return packet.pos, packet.pos + packet.size


@pytest.mark.parametrize("what", ["rows", "packet"])
@pytest.mark.parametrize("seed", range(4))
def test_a_bit_in_a_shared_file_condemns_only_its_episode(rolling, what, seed):
    """Frames 3..7 of the joined video and the second row group are episode 1's."""
    known = fingerprints(rolling)
    path = rolling / (VIDEO.replace("001", "000") if what == "packet" else DATA.replace("001", "000"))
    first, last = packet_span(path, 4) if what == "packet" else row_group_span(path, 1)
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    content[int(rng.integers(first, last))] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(content))
    faults = check(rolling)
    assert any("shared by episodes [0, 1, 2]" in f.message for f in faults)
    hit = {f.episode for f in faults} - {None}
    # a bit of a page header that no value depends on hits nothing; the file is written anew all the same
    assert hit == {1} or (hit == set() and (what, seed) == ("rows", 0))
    result = repair(rolling)
    assert set(result.dropped) == hit
    assert fingerprints(rolling) == [k for i, k in enumerate(known) if i not in hit]
    assert check(rolling) == []


def test_an_index_of_a_shared_file_that_is_gone_costs_its_episodes_alone(rolling):
    """A parquet without its footer, an mp4 without its moov: nothing in them can be found."""
    path = rolling / DATA.replace("001", "000")
    path.write_bytes(path.read_bytes()[:-40])
    assert {f.episode for f in check(rolling)} >= {0, 1, 2}
    assert repair(rolling).kept == 0
    assert check(rolling) == []
    assert (rolling / "quarantine/000" / DATA.replace("001", "000")).is_file()


def test_lost_meta_rows_of_many_episodes_cost_nothing(rolling):
    """All rows lie in one file after compaction; the manifests say where each episode is."""
    known = fingerprints(rolling)
    (rolling / "meta/episodes/chunk-000/file-000.parquet").unlink()
    assert "meta" in {f.kind for f in check(rolling)}
    assert repair(rolling).kept == 3
    assert fingerprints(rolling) == known
    assert check(rolling) == []


def test_contract_and_labels_come_back_from_the_seal(root):
    before = (root / "meta/contract.json").read_bytes()
    (root / "meta/contract.json").write_bytes(before.replace(b'"a"', b'"c"'))
    assert [f.kind for f in check(root)] == ["changed"]
    repair(root)
    assert (root / "meta/contract.json").read_bytes() == before
    assert check(root) == []
    assert read_seal(root)["texts"]["meta/contract.json"].encode() == before


def test_other_readers_find_no_dataset_in_the_middle_of_a_replacement(root):
    """info.json goes first and comes last: no program takes half a replacement for a dataset."""
    seen: list[bool] = []

    def watch(step: str) -> None:
        if step.startswith("before rename") and "journal" not in step:
            seen.append((root / "meta/info.json").exists())

    commit = Commit(root, Disk(watch), REPLACE)
    commit.stage_bytes("data/x.parquet", b"1")
    commit.stage_bytes("meta/info.json", (root / "meta/info.json").read_bytes())
    commit.apply()
    assert seen == [False, False]
    assert (root / "meta/info.json").exists()


def test_deep_looks_into_every_embedded_picture(root):
    """Pictures in the parquet of another program: without hashes only decoding tells that one is broken."""
    name = "observation.images.wrist"
    feature = {"dtype": "image", "shape": [8, 8, 3], "names": ["height", "width", "channels"]}
    change_json(root, "meta/info.json", features={**read_info(root).to_json()["features"], name: feature})
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(content, "PNG")
    good = content.getvalue()
    broken = good[:60] + bytes([good[60] ^ 1]) + good[61:]
    for i, length in enumerate(LENGTHS):
        path = root / f"data/chunk-000/file-00{i}.parquet"
        rows = [{"bytes": good, "path": None}] * length
        pq.write_table(pq.read_table(path).append_column(name, [rows]), path)
    assert check(unsigned(root), deep=True) == []
    rows[-1] = {"bytes": broken, "path": None}
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, [rows]), path)
    assert check(root) == []
    assert [(f.kind, f.episode) for f in check(root, deep=True)] == [("unreadable", 2)]
