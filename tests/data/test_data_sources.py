"""Footage without actions: videos, pictures and archives read where they lie, listed once, nothing skipped silently."""

import copy
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.recording import HEAD, make_dataset

from wbvla.core.errors import ConfigError, DataError
from wbvla.data import listing
from wbvla.data.listing import FOLDER, LIST, PART, list_clips
from wbvla.data.packets import ByteRange
from wbvla.data.reader import Dataset
from wbvla.data.sources import SETTINGS, Chosen, Footage, Source, open_source
from wbvla.data.stream import Stream, StreamConfig
from wbvla.data.video import VideoCodec, VideoReader, VideoWriter

HEIGHT, WIDTH = 32, 48


def grey(number: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), (10 + 6 * number) % 250, dtype=np.uint8)


def video(path: Path, length: int, fps: int = 20, step: int = 1) -> Path:
    """Frame i of the file has the grey of number i * step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, HEIGHT, WIDTH, fps, VideoCodec())
    for i in range(length):
        writer.add(grey(i * step))
    writer.close()
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def level(frames: np.ndarray) -> list[int]:
    return frames[:, 8, 8, 0].astype(int).tolist()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    video(root / "squat_down" / "b.mp4", 12)
    video(root / "advance" / "a.mp4", 20)
    video(root / "fast.mp4", 24, fps=40)
    (root / "advance" / "broken.mp4").write_bytes(b"\0\0\0\x10ftypisom")
    (root / "advance" / "empty.mp4").write_bytes(b"")
    (root / "notes.txt").write_text("no clip")
    return root


def test_a_folder_of_videos(videos: Path) -> None:
    source = Footage(videos)
    assert isinstance(source, Source)
    names = [s.clip.name for s in source.episodes]
    assert names == ["advance/a.mp4", "fast.mp4", "squat_down/b.mp4"]
    assert [source.instruction(i) for i in range(3)] == ["advance", "", "squat down"]
    assert source.fps == 20
    assert [e.length for e in source.episodes] == [20, 12, 12]
    assert sorted(source.broken) == ["advance/broken.mp4", "advance/empty.mp4"]
    assert all("mp4" in reason for reason in source.broken.values())
    for number in (0, 2):
        np.testing.assert_allclose(level(source.frames("", number, [3, 1])), [28, 16], atol=2)
    np.testing.assert_allclose(level(source.frames("", 1, [0, 3, 11])), [10, 46, 142], atol=2)  # every second frame
    assert source.frames("", 0, [0], (8, 10)).shape == (1, 8, 10, 3)
    for clip, frame in ((0, 20), (0, -1), (3, 0)):
        with pytest.raises(DataError, match="asked"):
            source.frames("", clip, [frame])
    source.close()


def test_a_clip_at_another_rate_is_shown_in_time(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", 30, fps=30)
    source = Footage(tmp_path, fps=20)
    assert [e.length for e in source.episodes] == [20]
    shown = (np.array(level(source.frames("", 0, range(20)))) - 10) / 6 / 30
    assert np.abs(shown - np.arange(20) / 20).max() <= 0.5 / 30 + 0.02
    source.close()


def test_the_list_is_made_once_and_follows_changes(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    probe = listing._probe
    monkeypatch.setattr(listing, "_probe", lambda root, item: (opened.append(item.path), probe(root, item))[1])
    first = list_clips(videos)
    assert len(opened) == 5
    assert list_clips(videos) == first
    assert len(opened) == 5
    video(videos / "new.mp4", 5)
    (videos / "fast.mp4").unlink()
    second = list_clips(videos)
    assert opened[5:] == ["new.mp4"]
    assert [c.name for c in second.clips] == ["advance/a.mp4", "new.mp4", "squat_down/b.mp4"]
    assert second.digest != first.digest
    assert list_clips(videos, workers=1).broken == first.broken


def test_a_killed_listing_goes_on_where_it_stopped(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list_clips(videos)
    rows = (videos / FOLDER / LIST).read_text().splitlines(keepends=True)
    (videos / FOLDER / LIST).unlink()
    (videos / FOLDER / PART).write_text("".join(rows[:2]) + rows[2][:30])
    opened: list[str] = []
    probe = listing._probe
    monkeypatch.setattr(listing, "_probe", lambda root, item: (opened.append(item.path), probe(root, item))[1])
    assert list_clips(videos) == whole
    assert len(opened) == 3
    assert not (videos / FOLDER / PART).exists()


def test_the_list_goes_to_a_cache_folder(videos: Path, tmp_path: Path) -> None:
    source = Footage(videos, cache=tmp_path / "cache")
    assert not (videos / FOLDER).exists()
    assert (tmp_path / "cache" / FOLDER / LIST).is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cache"):
        Footage(videos, cache=tmp_path / "file")
    source.close()


def test_a_list_that_was_tampered_with_leads_nowhere(videos: Path) -> None:
    list_clips(videos)
    path = videos / FOLDER / LIST
    path.write_text(path.read_text().replace('"path": "fast.mp4"', '"path": "../../etc/passwd"'))
    with pytest.raises(DataError, match="outside the dataset"):
        list_clips(videos)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_damaged_list_is_made_anew(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Lines that hold no clip, or one of no length or rate, are probed again."""
    root = tmp_path_factory.mktemp("list")
    video(root / "a.mp4", 4)
    whole = list_clips(root)
    path = root / FOLDER / LIST
    key, row = json.loads(path.read_text())
    wrong = data.draw(st.sampled_from([("length", -1), ("length", "x"), ("fps", "nan"), ("start", 1.5), ("size", -3)]))
    row["clips"][0] |= dict([wrong])
    line = json.dumps([key, row])
    path.write_text(line[: data.draw(st.integers(0, len(line)))])
    assert list_clips(root) == whole
    path.write_text(line)
    assert list_clips(root) == whole


def test_links_out_of_the_folder_are_not_followed(videos: Path, tmp_path: Path) -> None:
    outside = video(tmp_path / "outside.mp4", 4)
    os.symlink(outside, videos / "link.mp4")
    assert "link.mp4" not in {c.name for c in list_clips(videos).clips}


def test_folders_of_pictures(tmp_path: Path) -> None:
    for clip, kind in (("one", "png"), ("two", "jpg")):
        (tmp_path / clip).mkdir()
        for i in range(11):
            Image.fromarray(grey(i)).save(tmp_path / clip / f"frame_{i}.{kind}")
    (tmp_path / "two" / "clip.json").write_text(json.dumps({"text": "turn left", "fps": 10.0, "fx": 200}))
    (tmp_path / "lone").mkdir()
    Image.fromarray(grey(0)).save(tmp_path / "lone" / "x.png")
    (tmp_path / "bad").mkdir()
    for i in range(2):
        (tmp_path / "bad" / f"{i}.png").write_bytes(b"no picture")
    source = Footage(tmp_path)
    assert [s.clip.name for s in source.episodes] == ["one", "two"]
    assert source.fps == 10
    np.testing.assert_allclose(level(source.frames("", 0, [10, 2])), [70, 22], atol=2)
    np.testing.assert_allclose(level(source.frames("", 1, [10, 2], (16, 24))), [70, 22], atol=3)
    assert source.instruction(1) == "turn left"
    assert source.episodes[1].clip.intrinsics == {"fx": 200.0}
    assert set(source.broken) == {"lone", "bad"}
    (tmp_path / "one" / "frame_4.png").unlink()
    fresh = copy.copy(source)  # as another process gets it
    with pytest.raises(DataError, match="lost pictures"):
        fresh.frames("", 0, [0])


def test_pictures_need_a_rate(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for i in range(3):
        Image.fromarray(grey(i)).save(tmp_path / "one" / f"{i}.png")
    with pytest.raises(ConfigError, match=SETTINGS):
        Footage(tmp_path)
    (tmp_path / SETTINGS).write_text('{"fps": 15}')
    assert Footage(tmp_path).fps == 15


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Two archives laid out as Egocentric-10K's, one with members that try to climb out."""
    root = tmp_path / "factory_001" / "workers" / "worker_002"
    root.mkdir(parents=True)
    clips = [video(tmp_path / f"{i}.mp4", 12 + i).read_bytes() for i in range(3)]
    with tarfile.open(root / "part00.tar", "w") as archive:
        for i in range(2):
            facts = {"factory_id": "001", "video_index": i, "fps": 99, "width": WIDTH, "text": f"step {i}"}
            add(archive, f"factory001_worker002_{i:05d}.mp4", clips[i])
            add(archive, f"factory001_worker002_{i:05d}.json", json.dumps(facts).encode())
        add(archive, "intrinsics.json", json.dumps({"fx": 500.0, "fy": 501.0, "k1": 0.1}).encode())
    with tarfile.open(root / "part01.tar", "w") as archive:
        add(archive, "../../../escaped.mp4", clips[2])
        add(archive, "/etc/absolute.mp4", clips[2])
        add(archive, "rubbish.mp4", b"\0" * 600)
        add(archive, "huge.json", b"{" + b" " * (listing.MAX_JSON + 1))
        link = tarfile.TarInfo("link.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return tmp_path / "factory_001"


def test_archives_are_read_where_they_lie(archives: Path, tmp_path: Path) -> None:
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    source = open_source(archives, cache=tmp_path / "cache")
    assert isinstance(source, Footage)
    assert [e.length for e in source.episodes] == [12, 13, 14, 14]
    assert [e.clip.name.split("::")[1] for e in source.episodes][2:] == ["../../../escaped.mp4", "/etc/absolute.mp4"]
    assert source.instruction(1) == "step 1"
    assert source.episodes[0].clip.intrinsics == {"fx": 500.0, "fy": 501.0, "k1": 0.1}
    assert source.fps == 20  # of the stamps, not of what the description claims
    for number in range(4):
        np.testing.assert_allclose(level(source.frames("", number, [11, 4])), [76, 34], atol=2)
    assert list(source.broken) == ["workers/worker_002/part01.tar::rubbish.mp4"]
    after = sorted(p for p in tmp_path.rglob("*") if p.is_file() and FOLDER not in p.parts)
    assert after == before
    source.close()


def test_one_archive_is_a_source(archives: Path, tmp_path: Path) -> None:
    path = archives / "workers" / "worker_002" / "part00.tar"
    source = open_source(path, cache=tmp_path / "cache")
    assert source.num_episodes == 2
    with pytest.raises(DataError, match="does not exist"):
        open_source(path.with_name("none.tar"))
    source.close()


def test_a_cut_archive_keeps_what_is_whole(archives: Path, tmp_path: Path) -> None:
    path = archives / "workers" / "worker_002" / "part00.tar"
    content = path.read_bytes()
    with tarfile.open(path) as archive:
        second = archive.getmember("factory001_worker002_00001.mp4")
    path.write_bytes(content[: second.offset_data + 100])
    found = list_clips(path.parent, cache=tmp_path / "c2")
    assert found.clips[0].name == "part00.tar::factory001_worker002_00000.mp4"
    assert any(name.startswith("part00.tar") for name in found.broken)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_archives_give_errors_only(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("damaged")
    with tarfile.open(root / "a.tar", "w") as archive:
        add(archive, "x.mp4", b"\0\0\0\x10ftypisom" * 40)
        add(archive, "x.json", b'{"fps": 30}')
    content = bytearray((root / "a.tar").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    (root / "a.tar").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with pytest.raises(DataError, match="none of the clips"):
        list_clips(root)


def test_a_dataset_is_a_source_and_some_of_its_clips_too(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", [5, 9, 7])
    source = open_source(root)
    assert isinstance(source, Dataset)
    assert isinstance(source, Source)
    some = Chosen(source, [2, 0])
    assert isinstance(some, Source)
    assert [e.length for e in some.episodes] == [7, 5]
    np.testing.assert_array_equal(some.frames(HEAD, 0, [1, 6]), source.frames(HEAD, 2, [1, 6]))
    np.testing.assert_array_equal(some.truth(1)["twist"], source.truth(0)["twist"])
    assert (some.fps, some.digest, some.num_episodes) == (source.fps, source.digest, 2)


def test_all_kinds_stream_together(videos: Path, archives: Path, tmp_path: Path) -> None:
    """A gap in seconds is the same time in a dataset at 10 Hz and in footage at 20 Hz."""
    data = Dataset(make_dataset(tmp_path / "d", [9, 9]))
    sources = [data, Footage(videos), Footage(archives, cache=tmp_path / "cache")]
    config = StreamConfig(offsets_s={HEAD: (0.0, 0.2)}, batch_size=30, size=(16, 16), weights=(1.0, 1.0, 1.0))
    batch = Stream(sources, config).batch(0)
    step = np.diff(batch[HEAD][:, :, 4, 4, 0].astype(int), axis=1)[:, 0]
    for number, expected in ((0, 2 * 5), (1, 4 * 6), (2, 4 * 6)):
        own = step[batch["source"] == number]
        assert len(own) > 3
        assert (np.abs(own - expected) <= 4).mean() > 0.5  # `fast.mp4` takes twice the step


def test_footage_travels_to_other_processes(videos: Path) -> None:
    source = Footage(videos)
    source.frames("", 0, [0])
    other = copy.deepcopy(source)  # by the same state that a worker process gets
    np.testing.assert_array_equal(other.frames("", 0, [5]), source.frames("", 0, [5]))
    other.close()
    source.close()


def test_a_range_closes_its_file(videos: Path) -> None:
    source = ByteRange(videos / "fast.mp4")
    VideoReader(source, 40).close()
    with pytest.raises(DataError):
        source.read(0, 4)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match="nothing to read"):
        open_source(tmp_path)
