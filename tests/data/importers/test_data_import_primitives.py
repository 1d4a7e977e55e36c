"""Folders of clips by primitive: numbers, stamps, copying, thinning, and every kind of broken video."""

import av
import numpy as np
import pytest
from foreign_layouts import H, W, levels, mp4, primitives, truncate
from imported import imported, require_levels

from wbvla.core.errors import ContractMismatch, DataError
from wbvla.data.importers.run import REPORT
from wbvla.data.layout import read_json

HEAD = "observation.images.head"


def test_clips_and_numbers(tmp_path):
    src = primitives(tmp_path / "src", {"turn_left": [6, 9], "advance": [8]})
    report, data = imported("primitives", src, tmp_path / "d")
    assert (report.episodes, report.frames, dict(report.rejected)) == (3, 23, {})
    assert data.contract["primitives"] == ["advance", "turn_left"]
    assert [e.length for e in data.episodes] == [8, 6, 9]
    assert [e.tasks[0] for e in data.episodes] == ["advance", "turn left", "turn left"]
    assert (data.columns(0)["primitive"] == 0).all()
    assert (data.columns(2)["primitive"] == 1).all()
    require_levels(data, HEAD, 2, levels(9, 11))
    np.testing.assert_allclose(data.columns(1)["stamps"].reshape(-1), np.arange(6) / 30, atol=1e-6)
    assert data.robot == "human"
    assert data.fps == 30


def test_true_stamps_of_an_uneven_file(tmp_path):
    """What the file says, not what the rate would make of it."""
    mp4(tmp_path / "src/advance/1.mp4", levels(8), ticks=5)
    _, data = imported("primitives", tmp_path / "src", tmp_path / "d")
    wanted = np.arange(8) / 30 + np.where(np.arange(8) % 2, 0.05 / 30, 0.0)
    np.testing.assert_allclose(data.columns(0)["stamps"].reshape(-1), wanted, atol=1e-4)
    require_levels(data, HEAD, 0, levels(8))


def test_short_groups_are_copied_and_long_ones_encoded(tmp_path):
    src = tmp_path / "src"
    short = mp4(src / "advance/1.mp4", levels(8), gop=2)
    mp4(src / "advance/2.mp4", levels(8, 5), gop=12)
    report, data = imported("primitives", src, tmp_path / "d")
    assert report.copied_videos == 1
    assert data.notes(0)["import"]["copied"] == [HEAD]
    require_levels(data, HEAD, 0, levels(8))
    require_levels(data, HEAD, 1, levels(8, 5))
    copied = (tmp_path / "d" / data.episodes[0].videos[HEAD][0]).read_bytes()
    keep = short.read_bytes()
    start = keep.index(b"mdat") + 4
    assert keep[start + 800 : start + 1200] in copied, "the very packets of the source"
    report, _ = imported("primitives", src, tmp_path / "none", copy_gop=0)
    assert report.copied_videos == 0


def test_longer_groups_are_copied_when_asked(tmp_path):
    """B frames, which are stored in another order than they are shown, included."""
    src = tmp_path / "src"
    mp4(src / "advance/1.mp4", levels(20), options=(("bf", "2"), ("preset", "medium")))
    report, data = imported("primitives", src, tmp_path / "d", copy_gop=12)
    assert report.copied_videos == 1
    require_levels(data, HEAD, 0, levels(20))
    np.testing.assert_allclose(data.columns(0)["stamps"].reshape(-1)[3] - data.columns(0)["stamps"].reshape(-1)[0], 0.1)


def test_what_a_telephone_stored_lying_stands_upright(tmp_path):
    """The file holds a picture bright on its left and asks to be shown a quarter clockwise: bright above."""
    half = np.zeros((H, W, 3), dtype=np.uint8)
    half[:, : W // 2] = 200
    path = tmp_path / "src/advance/1.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "16", "bf": "0", "g": "2"})
        stream.height, stream.width, stream.pix_fmt = H, W, "yuv420p"
        for _ in range(4):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(half, format="rgb24")))
        out.mux(stream.encode())
    one, minus, zero = (n.to_bytes(4, "big", signed=True) for n in (1 << 16, -1 << 16, 0))
    content = path.read_bytes()
    at = content.index(b"tkhd")
    upright, turned = one + zero * 3 + one, zero + one + zero + minus + zero
    assert content[at:].count(upright) >= 1
    where = content.index(upright, at)
    path.write_bytes(content[:where] + turned + content[where + len(upright) :])
    report, data = imported("primitives", tmp_path / "src", tmp_path / "d")
    assert data.features[HEAD].shape == (W, H, 3)
    assert report.copied_videos == 0
    frame = data.frames(HEAD, 0, [2])[0].astype(float)
    assert frame[: W // 2 - 2].mean() > 190
    assert frame[W // 2 + 2 :].mean() < 10


def test_faster_clips_are_thinned_and_slower_ones_refused(tmp_path):
    src = tmp_path / "src"
    mp4(src / "advance/1.mp4", levels(10), fps=60)
    mp4(src / "advance/2.mp4", levels(10), fps=15)
    report, data = imported("primitives", src, tmp_path / "d", fps=30)
    assert data.episodes[0].length == 5
    require_levels(data, HEAD, 0, levels(10)[::2])
    np.testing.assert_allclose(np.diff(data.columns(0)["stamps"].reshape(-1)), 1 / 30, atol=1e-4)
    assert "15.00 Hz, the dataset at 30 Hz" in report.rejected["advance/2.mp4"]


def test_broken_videos_are_named(tmp_path):
    src = primitives(tmp_path / "src", {"advance": [8, 8, 8, 8]})
    one, two, three, _ = sorted((src / "advance").iterdir())
    truncate(one)
    two.write_bytes(b"")
    three.write_bytes(b"not a video at all" * 40)
    mp4(src / "advance/9999999999.mp4", levels(6), size=(48, 64))
    report, data = imported("primitives", src, tmp_path / "d")
    assert data.num_episodes == 1
    assert set(report.rejected) == {f"advance/{p.name}" for p in (one, two, three)} | {"advance/9999999999.mp4"}
    assert "has no bytes" in report.rejected[f"advance/{two.name}"]
    assert "(48, 64, 3)" in report.rejected["advance/9999999999.mp4"]
    assert "of their own" in report.rejected["advance/9999999999.mp4"]
    assert read_json(tmp_path / "d" / REPORT)["rejected"] == report.rejected


def test_a_video_cut_short_behind_its_tables_is_found(tmp_path):
    """Its tables lie in front and still promise every frame."""
    src = primitives(tmp_path / "src", {"advance": [8, 30]})
    path = sorted((src / "advance").iterdir())[1]
    content = path.read_bytes()
    moov, mdat = content.index(b"moov") - 4, content.index(b"mdat") - 4
    assert moov > mdat
    front = path.with_suffix(".mkv").with_name("front.mp4")
    with av.open(str(path)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    path.unlink()
    whole = front.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    front.write_bytes(whole[: int(len(whole) * 0.8)])
    report, data = imported("primitives", src, tmp_path / "d")
    assert data.num_episodes == 1
    assert (
        "breaks off" in report.rejected["advance/front.mp4"]
        or "cannot be decoded" in report.rejected["advance/front.mp4"]
    )


def test_pictures_are_resized_when_asked(tmp_path):
    src = tmp_path / "src"
    mp4(src / "advance/1.mp4", levels(4))
    mp4(src / "advance/2.mp4", levels(4, 9), size=(64, 64))
    _, data = imported("primitives", src, tmp_path / "d", height=24, width=32)
    assert data.features[HEAD].shape == (24, 32, 3)
    require_levels(data, HEAD, 1, levels(4, 9))


def test_again_is_nothing_more_and_mended_ones_come_last(tmp_path):
    src = primitives(tmp_path / "src", {"advance": [8, 8, 8]})
    first = sorted((src / "advance").iterdir())[0]
    whole = first.read_bytes()
    truncate(first)
    report, _ = imported("primitives", src, tmp_path / "d")
    assert report.episodes == 2
    first.write_bytes(whole)
    report, data = imported("primitives", src, tmp_path / "d")
    assert (report.episodes, dict(report.rejected)) == (3, {})
    assert data.notes(2)["import"]["episode"] == f"advance/{first.name}"
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "d/videos").rglob("*.mp4")}
    report, _ = imported("primitives", src, tmp_path / "d")
    assert report.episodes == 3
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "d/videos").rglob("*.mp4")}


def test_other_options_do_not_mix(tmp_path):
    src = primitives(tmp_path / "src", {"advance": [8]})
    imported("primitives", src, tmp_path / "d")
    with pytest.raises(ContractMismatch, match="height"):
        imported("primitives", src, tmp_path / "d", height=24, width=32)
    with pytest.raises(ContractMismatch, match="format"):
        imported("egodex", src, tmp_path / "d")


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folder per primitive"):
        imported("primitives", tmp_path / "empty", tmp_path / "d")
    with pytest.raises(DataError, match="is no folder"):
        imported("primitives", tmp_path / "nothing", tmp_path / "d")
    src = primitives(tmp_path / "src", {"advance": [8]})
    truncate(next((src / "advance").iterdir()))
    with pytest.raises(DataError, match=r"no episode of .* can be used .1 rejected"):
        imported("primitives", src, tmp_path / "d2")
    assert len(read_json(tmp_path / "d2" / REPORT)["rejected"]) == 1
    with pytest.raises(DataError, match="lie in one another"):
        imported("primitives", src, src / "d")
