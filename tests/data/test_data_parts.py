"""Shares of files: clips of every codec joined and cut to the bit, hashes that see each bit and nothing else."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wbvla.core.errors import DataError
from wbvla.data.parts import Clip, Footage, join_clips, rows_digest
from wbvla.data.video import VideoReader

FPS, LENGTHS, SIZE = 10, (5, 1, 7, 4), (48, 64)
CODECS = {
    "h264": ("libx264", {"bf": "0", "g": "2"}),
    "h264 with B-frames": ("libx264", {"bf": "3", "g": "12"}),
    "hevc": ("libx265", {"x265-params": "log-level=none:pools=none:frame-threads=1"}),
    "av1": ("libsvtav1", {"preset": "10", "g": "2"}),
}


def write(path: Path, encoder: str, options: dict[str, str], frames: np.ndarray) -> Path:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream(encoder, rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb)
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.fixture(scope="module", params=CODECS)
def clips(request, tmp_path_factory) -> list[Clip]:
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    encoder, options = CODECS[request.param]
    if encoder == "libsvtav1":
        size = (64, 64)  # the smallest it takes
    else:
        size = SIZE
    made = []
    for i, length in enumerate(LENGTHS):
        blocks = rng.integers(0, 256, (length, size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
        frames = blocks.repeat(8, 1).repeat(8, 2)
        path = write(folder / f"{i}.mp4", encoder, options, frames)
        made.append(Clip(path=path, first=0, length=length))
    return made


def pictures(clip: Clip) -> np.ndarray:
    reader = VideoReader(clip.path, FPS)
    found = reader.read(range(clip.first, clip.first + clip.length))
    reader.close()
    return found


def test_joined_and_cut_clips_decode_to_the_same_bits(clips, tmp_path):
    joined = tmp_path / "joined.mp4"
    digests = join_clips(joined, clips, FPS)
    starts = np.cumsum([0, *LENGTHS])
    shares = [Clip(path=joined, first=int(s), length=n) for s, n in zip(starts, LENGTHS)]
    with Footage(joined, FPS) as footage:
        assert sorted(footage.numbers()) == list(range(sum(LENGTHS)))
        assert [footage.digest(c.first, c.length) for c in shares] == digests
    for clip, share in zip(clips, shares):
        np.testing.assert_array_equal(pictures(share), pictures(clip))
    reader = VideoReader(joined, FPS)
    assert (reader.num_frames, reader.facts[2]) == (sum(LENGTHS), FPS)
    reader.close()
    again = join_clips(tmp_path / "again.mp4", [shares[2], shares[0]], FPS)
    assert again == [digests[2], digests[0]]
    np.testing.assert_array_equal(pictures(Clip(path=tmp_path / "again.mp4", first=0, length=7)), pictures(clips[2]))


def test_a_clip_must_start_at_a_keyframe_and_be_whole(tmp_path):
    frames = np.zeros((6, *SIZE, 3), dtype=np.uint8)
    path = write(tmp_path / "v.mp4", "libx264", {"bf": "0", "g": "6", "sc_threshold": "0"}, frames)
    for first, length in ((1, 2), (0, 7), (9, 1)):
        with pytest.raises(DataError, match="starts at a keyframe"):
            join_clips(tmp_path / "out.mp4", [Clip(path=path, first=first, length=length)], FPS)
    (tmp_path / "rubbish.mp4").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="cannot be opened"):
        Footage(tmp_path / "rubbish.mp4", FPS)
    with pytest.raises(DataError, match="missing"):
        Footage(tmp_path / "none.mp4", FPS)


def test_every_bit_of_a_packet_changes_its_digest_alone(clips, tmp_path):
    joined = tmp_path / "joined.mp4"
    before = join_clips(joined, clips, FPS)
    with av.open(str(joined)) as container:
        packet = max((p for p in container.demux(video=0) if p.size and p.pts), key=lambda p: p.pts)
        at = packet.pos + packet.size // 2
    content = bytearray(joined.read_bytes())
    content[at] ^= 1
    joined.write_bytes(bytes(content))
    starts = np.cumsum([0, *LENGTHS])
    with Footage(joined, FPS) as footage:
        after = [footage.digest(int(s), n) for s, n in zip(starts, LENGTHS)]
    assert after[:3] == before[:3]
    assert after[3] != before[3]


TABLES = st.builds(
    lambda numbers, words: pa.table(
        {
            "numbers": pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), 3),
            "words": pa.array([words] * len(numbers)),
            "flags": pa.array(numbers[:, 0] > 0),
            "pictures": pa.array([{"bytes": words.encode(), "path": None}] * len(numbers)),
            "nested": pa.array([[[float(x)] for x in row] for row in numbers]),
        }
    ),
    hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-10, 10, width=32)),
    st.text(max_size=5),
)


@given(TABLES, st.integers(1, 4), st.sampled_from(["snappy", "none", "zstd"]), st.booleans())
def test_a_digest_of_rows_is_of_values_not_of_bytes(tmp_path_factory, table, group, codec, dictionary):
    """Row groups, compression, dictionaries and slices change no digest."""
    path = tmp_path_factory.mktemp("rows") / "t.parquet"
    pq.write_table(table, path, row_group_size=group, compression=codec, use_dictionary=dictionary)
    assert rows_digest(pq.read_table(path)) == rows_digest(table)
    padded = pa.concat_tables([table, table, table])
    assert rows_digest(padded.slice(len(table), len(table))) == rows_digest(table)


@given(TABLES, st.data())
def test_a_digest_of_rows_sees_every_value(table, data):
    name = data.draw(st.sampled_from(table.column_names))
    row = data.draw(st.integers(0, len(table) - 1))
    values = table.column(name).to_pylist()
    changed = {
        "numbers": lambda v: [v[0], v[1], v[2] + 1],
        "words": lambda v: v + "x",
        "flags": lambda v: not v,
        "pictures": lambda v: {**v, "bytes": v["bytes"] + b"x"},
        "nested": lambda v: [*v[:-1], [*v[-1], 0.0]],
    }[name]
    values[row] = changed(values[row])
    at = table.column_names.index(name)
    other = table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    assert rows_digest(other) != rows_digest(table)
    values[row] = None
    assert rows_digest(table.set_column(at, name, pa.array(values, table.schema.field(name).type))) != rows_digest(
        table
    )
