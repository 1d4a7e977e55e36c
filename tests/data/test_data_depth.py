"""Depth: the lossless file gives every number back; the 12-bit one is LeRobot's to the bit, its error bounded."""

import hashlib
import multiprocessing
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.depth import (
    CODES,
    LOSSLESS,
    DepthCache,
    DepthCodec,
    DepthReader,
    DepthTally,
    DepthWriter,
    as_millimetres,
    depth_at,
)

ALL_MM = np.arange(65536, dtype=np.uint16)
QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}


def write(folder, maps, codec=None, fps=10):
    """Both files of a stack of maps (T, H, W) uint16."""
    paths = folder / "coded.mp4", folder / "lossless.mkv"
    writer = DepthWriter(*paths, maps.shape[1:], fps, codec or DepthCodec())
    for depth in maps:
        writer.add(depth)
    assert writer.num_frames == len(maps)
    writer.close()
    return paths


def noise(count, height=24, width=38, seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (count, height, width)).astype(np.uint16)


def test_codes_are_those_of_lerobot():
    """SHA-256 of the tables that LeRobot 0.6.1's `quantize_depth` and `dequantize_depth` gave when run."""
    codec = DepthCodec()
    codes = codec.quantize(ALL_MM)
    assert hashlib.sha256(codes.astype("<u2").tobytes()).hexdigest() == (
        "a9e0fa8887fcf6d3de3f2b82eb940c499cfb5cc165ef3f9b05c7208dbfd839a4"
    )
    depths = codec.dequantize(np.arange(4096, dtype=np.uint16))
    assert depths[0] == 0
    depths[0] = 10  # LeRobot's value of code 0; here it means that nothing came back
    assert hashlib.sha256(depths.astype("<u2").tobytes()).hexdigest() == (
        "f0023bc093b7b87a53d00855bd2ef2596fa5f4e3a22c718168031d32d2514da8"
    )


@pytest.mark.parametrize("codec", [DepthCodec(), DepthCodec(min_m=0.2, max_m=4.0, shift_m=0.5)])
def test_error_of_the_codes_is_bounded_by_the_formula(codec):
    low, high = round(codec.min_m * 1000), round(codec.max_m * 1000)
    back = codec.dequantize(codec.quantize(ALL_MM)).astype(np.int64)
    inside = ALL_MM[low + 1 : high + 1].astype(np.int64)
    error = np.abs(back[low + 1 : high + 1] - inside)
    heard = back[low + 1 : high + 1] > 0
    assert (~heard).sum() <= 1  # the millimetre after min may share code 0
    assert (error[heard] <= codec.error_mm(inside)[heard]).all()
    # the bound is no idle one: a tenth less and it is broken
    assert (error[heard] > 0.9 * codec.error_mm(inside)[heard]).any()
    assert (back[high:] == high).all(), "clipped, as LeRobot clips"
    assert back[0] == 0
    assert (np.diff(back) >= 0).all()


def test_error_in_numbers():
    """What docs may say: under 1 mm within 1 m, under 3 mm everywhere."""
    bound = DepthCodec().error_mm(np.array([500, 1000, 3000, 10000]))
    np.testing.assert_allclose(bound, [1.2, 1.3, 1.7, 2.9], atol=0.1)


def test_lossless_file_is_exact_and_the_coded_file_holds_the_codes(tmp_path):
    maps, codec = noise(7), DepthCodec()
    coded, lossless = write(tmp_path, maps)
    reader = DepthReader(lossless, 10)
    assert (reader.pixels, reader.size, reader.count()) == (LOSSLESS, (24, 38), 7)
    np.testing.assert_array_equal(reader.read(range(7)), maps)
    for order in ([6, 0, 3], [3, 3], [5], [0, 6]):
        np.testing.assert_array_equal(reader.read(order), maps[order])
    codes = DepthReader(coded, 10)
    assert (codes.pixels, codes.count()) == (CODES, 7)
    np.testing.assert_array_equal(codes.read([6, 1, 4]), codec.quantize(maps)[[6, 1, 4]])
    with av.open(str(coded)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.canonical_name, stream.pix_fmt, stream.frames) == ("hevc", CODES, 7)
        stamps = [Fraction(f.pts or 0) * (stream.time_base or 0) for f in container.decode(stream)]
    assert stamps == [Fraction(i, 10) for i in range(7)]


@pytest.mark.parametrize("fps", [7, 30, 60])
def test_frame_numbers_survive_the_millisecond_stamps_of_the_container(tmp_path, fps):
    maps = np.repeat(np.arange(100, dtype=np.uint16), 16 * 16).reshape(100, 16, 16) * 7
    for path in write(tmp_path, maps, fps=fps):
        reader = DepthReader(path, fps)
        for index in (99, 0, 57, 58, 3, 98):
            assert reader.read([index]).shape == (1, 16, 16)
        assert reader.count() == 100
    np.testing.assert_array_equal(reader.read([99, 41, 0])[:, 0, 0], [693, 287, 0])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_maps_come_back(tmp_path, data):
    height, width = 2 * data.draw(st.integers(8, 20)), 2 * data.draw(st.integers(8, 20))
    maps = data.draw(arrays(np.uint16, (data.draw(st.integers(1, 3)), height, width)))
    coded, lossless = write(tmp_path, maps)
    np.testing.assert_array_equal(DepthReader(lossless, 10).read(range(len(maps))), maps)
    np.testing.assert_array_equal(DepthReader(coded, 10).read(range(len(maps))), DepthCodec().quantize(maps))


def test_same_maps_same_bytes(tmp_path):
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in write(tmp_path / name, noise(9))])
    assert digests[0] == digests[1]


def test_metres_become_millimetres_by_rule():
    """NaN, infinity, nothing and less, and what 16 bits cannot say: no return. Nothing else becomes no return."""
    given_m = np.array(
        [[np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-4], [0.0014, 0.0016, 1.2346, 65.535, 65.5356, 1e30]], np.float32
    )
    expected = [[0, 0, 0, 0, 0, 1], [1, 2, 1235, 65535, 0, 0]]
    assert as_millimetres("d", given_m, (2, 6, 1)).tolist() == expected
    assert as_millimetres("d", given_m[..., None].astype(np.float64), (2, 6, 1)).tolist() == [
        expected[0],
        [1, 2, 1235, 65535, 0, 0],
    ]
    assert as_millimetres("d", np.array([[0, 65535]], np.uint16), (1, 2, 1)).tolist() == [[0, 65535]]


@given(arrays(np.float32, (3, 4)))
def test_any_metres_are_stored_or_no_return(metres):
    mm = as_millimetres("d", metres, (3, 4, 1))
    seen = np.isfinite(metres) & (metres > 0) & (metres < 65.535)
    assert (mm[seen] > 0).all()
    assert (mm[~np.isfinite(metres) | (metres <= 0)] == 0).all()
    assert (np.abs(mm[seen] / 1000.0 - metres[seen]) <= 0.001).all()
    back = depth_at(mm)
    assert np.isnan(back[mm == 0]).all()
    np.testing.assert_array_equal(as_millimetres("d", back, (3, 4, 1)), mm)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 3), np.float32), "depth map is"),
        (np.zeros((2, 2), np.int32), "uint16 in millimetres"),
        (np.zeros((2, 2), bool), "uint16 in millimetres"),
        (np.zeros((2, 2, 3), np.uint16), "depth map is"),
    ],
)
def test_what_is_no_depth_map_is_refused(value, message):
    with pytest.raises(DataError, match=message):
        as_millimetres("d", value, (2, 2, 1))


def test_wrong_sizes_and_settings_are_refused(tmp_path):
    writer = DepthWriter(tmp_path / "a.mp4", tmp_path / "a.mkv", (16, 16), 10, DepthCodec())
    with pytest.raises(DataError, match="declared"):
        writer.add(np.zeros((16, 18), np.uint16))
    writer.abandon()
    with pytest.raises(ConfigError, match="min < max"):
        DepthCodec(min_m=2.0, max_m=1.0)
    with pytest.raises(ConfigError, match="at least one"):
        DepthCodec(gop=0)
    with pytest.raises(DataError, match="12 bits"):
        DepthCodec().dequantize(np.array([4096], np.uint16))
    with pytest.raises(DataError, match="linear"):
        DepthCodec.from_info({"video.use_log": False})


def test_settings_travel_in_the_feature():
    codec = DepthCodec(min_m=0.3, max_m=6.0, shift_m=1.0)
    info = codec.info(120, 160, 10)
    assert DepthCodec.from_info(info) == codec
    assert (info["is_depth_map"], info["depth_unit"], info["video.pix_fmt"]) == (True, "mm", "gray12le")
    assert DepthCodec.from_info({}) == DepthCodec()


@pytest.mark.parametrize("name", ["coded.mp4", "lossless.mkv"])
def test_a_file_that_is_cut_or_no_video_is_an_error(tmp_path, name):
    """Cut short, emptied, zeroed, gone: the reader says so, naming the file."""
    maps = noise(6)
    path = dict(zip(("coded.mp4", "lossless.mkv"), write(tmp_path, maps)))[name]
    whole = path.read_bytes()
    for content in (b"", whole[:100], b"\0" * len(whole)):
        path.write_bytes(content)
        with pytest.raises(DataError):
            DepthReader(path, 10).read([5])
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError):
        DepthReader(path, 10).read([5])
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        DepthReader(path, 10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_decoder_never_crashes_on_flipped_bits(tmp_path, at, bit):
    lossless = tmp_path / "lossless.mkv"
    if not lossless.exists():
        write(tmp_path, noise(3))
        (tmp_path / "whole").write_bytes(lossless.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    content[at % len(content)] ^= 1 << bit
    lossless.write_bytes(content)
    try:
        found = DepthReader(lossless, 10).read([0, 1, 2])
    except DataError:
        return
    assert found.shape[0] == 3


def test_a_colour_video_is_no_depth_map(tmp_path):
    with av.open(str(tmp_path / "c.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="yuv420p"):
        DepthReader(tmp_path / "c.mp4", 10)


def test_cache_closes_the_oldest_and_travels(tmp_path):
    paths = []
    for i in range(3):
        (tmp_path / str(i)).mkdir()
        paths.append(write(tmp_path / str(i), noise(2, seed=i))[1])
    cache = DepthCache(10, capacity=2)
    first = cache.get(paths[0])
    assert cache.get(paths[0]) is first
    cache.get(paths[1])
    cache.get(paths[2])
    assert cache.get(paths[0]) is not first
    here, there = multiprocessing.Pipe()
    here.send(cache)
    copy = there.recv()
    np.testing.assert_array_equal(copy.get(paths[1]).read([1]), noise(2, seed=1)[1:])
    cache.close()


def test_tally_is_that_of_the_returns(tmp_path):
    maps = noise(4)
    maps[:, ::3] = 0
    one, two = DepthTally(every=1, stride=1), DepthTally(every=1, stride=1)
    for i, depth in enumerate(maps):
        (one, two)[i % 2].add(depth)
    one.merge(two)
    summary, heard = one.summary(QUANTILES), maps[maps > 0].astype(np.float64)
    assert summary["count"] == [4]
    for name, value in (("min", heard.min()), ("max", heard.max()), ("mean", heard.mean()), ("std", heard.std())):
        assert summary[name][0][0][0] == pytest.approx(value)
    for name, q in QUANTILES.items():
        assert summary[name][0][0][0] == pytest.approx(np.quantile(heard, q), abs=60)
    empty = DepthTally()
    empty.add(np.zeros((8, 8), np.uint16))
    assert empty.summary(QUANTILES)["mean"] == [[[0.0]]]
