"""Egocentric-10K: clips read where they lie in their archives; hostile members never reach the disk."""

import json
import tarfile

import numpy as np
import pytest
from foreign_layouts import egocentric, levels, mp4, tar_of
from imported import imported, require_levels

from wbvla.core.errors import DataError

HEAD = "observation.images.head"
TAR = "factory_001/workers/worker_002/factory001_worker002_part00.tar"


def test_clips_and_values(tmp_path):
    src = egocentric(tmp_path / "src", [8, 6], tmp_path / "scratch")
    before = sorted(p.relative_to(src) for p in src.rglob("*"))
    report, data = imported("egocentric-10k", src, tmp_path / "d")
    assert (report.episodes, report.frames, report.copied_videos) == (2, 14, 0)
    require_levels(data, HEAD, 1, levels(6, 11))
    np.testing.assert_allclose(data.columns(0)["stamps"].reshape(-1), np.arange(8) / 30, atol=1e-5)
    notes = data.notes(1)
    assert notes["source"] == {"factory_id": "factory_001", "worker_id": "worker_002", "video_index": 1}
    assert notes["cameras"]["head"]["fx"] == 1030.0
    assert notes["import"]["episode"] == f"{TAR}::clip_00001.mp4"
    assert (data.robot, set(data.features) & {"action", "observation.state"}) == ("human", set())
    assert sorted(p.relative_to(src) for p in src.rglob("*")) == before, "nothing was unpacked or written there"


def test_hostile_members_are_named_and_never_unpacked(tmp_path):
    src = egocentric(tmp_path / "src", [6], tmp_path / "scratch")
    clip = mp4(tmp_path / "scratch/x.mp4", levels(5)).read_bytes()
    short = json.dumps({"duration_sec": 9.0}).encode()
    big = json.dumps({"height": 1080, "width": 1920}).encode()
    members = {
        "../../escaped.mp4": clip,
        "/absolute.mp4": clip,
        "fine.mp4": clip,
        "noise.mp4": b"\0" * 4096,
        "empty.mp4": b"",
        "short.mp4": clip,
        "short.json": short,
        "big.mp4": clip,
        "big.json": big,
        "bad.mp4": clip,
        "bad.json": b"{",
    }
    tar_of(src / "factory_002/workers/worker_001/a.tar", members, links={"link.mp4": "/etc/passwd"})
    report, data = imported("egocentric-10k", src, tmp_path / "d")
    assert data.num_episodes == 2
    require_levels(data, HEAD, 1, levels(5))
    rejected = {k.rpartition("::")[2]: v for k, v in report.rejected.items()}
    wanted = {
        "../../escaped.mp4": "would lie outside",
        "/absolute.mp4": "would lie outside",
        "link.mp4": "no plain file",
        "noise.mp4": "",
        "empty.mp4": "no bytes",
        "short.mp4": "its description says 9.00 s",
        "big.mp4": "its description says 1080x1920",
        "bad.mp4": "not JSON",
    }
    assert set(rejected) == set(wanted)
    assert all(w in rejected[k] for k, w in wanted.items()), rejected
    assert not list(tmp_path.rglob("escaped*"))


def test_an_archive_cut_short_gives_what_is_whole(tmp_path):
    src = egocentric(tmp_path / "src", [8, 8, 8], tmp_path / "scratch")
    with tarfile.open(src / TAR) as archive:
        second = archive.getmember("clip_00001.mp4")
    content = (src / TAR).read_bytes()
    (src / TAR).write_bytes(content[: second.offset_data + second.size // 2])
    report, data = imported("egocentric-10k", src, tmp_path / "d")
    assert data.num_episodes == 1
    require_levels(data, HEAD, 0, levels(8))
    assert any("ends before it" in r or "cannot be read on" in r for r in report.rejected.values()), report.rejected


def test_without_archives_it_is_refused(tmp_path):
    (tmp_path / "src").mkdir()
    with pytest.raises(DataError, match=r"no \.tar"):
        imported("egocentric-10k", tmp_path / "src", tmp_path / "d")
