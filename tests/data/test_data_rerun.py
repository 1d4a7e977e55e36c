"""A Rerun recording holds what the dataset holds: read back with rerun's own reader."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looking import ACTION, DEPTH, FPS, HAND, HEAD, LENGTHS, STATE, write_recording
from PIL import Image

from wbvla.core.errors import ConfigError, DataError
from wbvla.data import rerun_file
from wbvla.data.reader import Dataset
from wbvla.data.rerun_file import FRAME, TIME, entity, write_rerun

rerun = pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_recording(tmp_path_factory.mktemp("rerun") / "boxes")


@pytest.fixture(scope="module")
def chunks(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Record batches of the first episode, by entity."""
    out = tmp_path_factory.mktemp("out") / "boxes.rrd"
    write_rerun(data, 0, out)
    assert [p.name for p in out.parent.iterdir()] == [out.name], "nothing half written is left"
    found: dict[str, list[Any]] = {}
    for chunk in rerun.chunk.RrdReader(str(out)).stream():
        found.setdefault(chunk.entity_path, []).append(chunk.to_record_batch())
    return found


def column(batches: list[Any], name: str) -> list[Any]:
    """A column over all chunks of an entity that have it, as python values."""
    return [v for b in batches if name in b.schema.names for v in b.column(name).to_pylist()]


def test_every_channel_is_there_on_both_timelines(data: Dataset, chunks: dict[str, list[Any]]) -> None:
    for name in (STATE, ACTION):
        batches = chunks["/" + entity(name)]
        values = np.array(column(batches, "Scalars:scalars"))
        np.testing.assert_allclose(values, data.columns(0, [name])[name], rtol=1e-6)
        assert column(batches, FRAME) == list(range(LENGTHS[0]))
        seconds = [t.total_seconds() for t in column(batches, TIME)]
        np.testing.assert_allclose(seconds, np.arange(LENGTHS[0]) / FPS, atol=1e-6)
        (names,) = column(batches, "SeriesLines:names")
        assert tuple(names) == data.features[name].names


def test_pictures_are_the_frames(data: Dataset, chunks: dict[str, list[Any]]) -> None:
    for camera in (HEAD, HAND):
        blobs = column(chunks["/" + entity(camera)], "EncodedImage:blob")
        assert len(blobs) == LENGTHS[0]
        recorded = data.frames(camera, 0, range(LENGTHS[0]))
        for blob, truth in zip(blobs, recorded):
            shown = np.asarray(Image.open(io.BytesIO(bytes(blob[0]))))
            assert np.abs(shown.astype(int) - truth).max() <= 4


def test_depth_is_kept_in_full(data: Dataset, chunks: dict[str, list[Any]]) -> None:
    batches = chunks["/" + entity(DEPTH)]
    buffers = column(batches, "DepthImage:buffer")
    assert len(buffers) == LENGTHS[0]
    recorded = data.depth(DEPTH, 0, range(LENGTHS[0]))
    for buffer, truth in zip(buffers, recorded):
        found = np.frombuffer(bytes(buffer[0]), dtype=np.uint16).reshape(truth.shape)
        np.testing.assert_array_equal(found, truth)
    assert column(batches, "DepthImage:meter")[0] == [1000.0]


def test_words_stand_where_they_begin(data: Dataset, chunks: dict[str, list[Any]]) -> None:
    assert column(chunks["/instruction"], "TextLog:text") == [[data.tasks[0]]]
    texts = [t[0] for t in column(chunks["/subtask"], "TextLog:text")]
    frames = column(chunks["/subtask"], FRAME)
    assert dict(zip(frames, texts)) == {0: "reach <it>", 5: "lift"}


def test_an_older_file_survives_a_failure(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "kept.rrd"
    out.write_bytes(b"older")

    def fail(*_: object) -> None:
        raise DataError("decoder gave up")

    monkeypatch.setattr(rerun_file, "_pictures", fail)
    with pytest.raises(DataError, match="gave up"):
        write_rerun(data, 0, out)
    assert out.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [out]


def test_missing_viewer_and_episode_are_named(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="episode 7"):
        write_rerun(data, 7, tmp_path / "x.rrd")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(rerun_file.importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=r"wbvla\[view\]"):
        write_rerun(data, 0, tmp_path / "x.rrd")
    assert not list(tmp_path.iterdir())
