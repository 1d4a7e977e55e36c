"""Embedded pictures: the pixels that were put in, in the size that was declared, from no more memory than allowed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wbvla.core.errors import DataError
from wbvla.data.pictures import PictureCache, decode_picture, read_depths, read_pictures


def encoded(array: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind)
    return out.getvalue()


def packed(*contents: bytes) -> np.ndarray:
    result = np.empty(len(contents), dtype=object)
    result[:] = contents
    return result


def test_pictures_in_the_order_asked():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    files = packed(*(encoded(p) for p in rgb))
    np.testing.assert_array_equal(read_pictures(files, [2, 0, 2], (5, 7, 3)), rgb[[2, 0, 2]])
    jpeg = decode_picture(encoded(np.full((8, 8, 3), 90, np.uint8), "JPEG"), (8, 8, 3))
    assert np.abs(jpeg.astype(int) - 90).max() <= 2
    grey = decode_picture(encoded(np.full((4, 4), 9, np.uint8)), (4, 4, 3))
    assert grey.shape == (4, 4, 3)


def test_depth_in_millimetres_and_metres():
    mm = np.array([[0, 1, 65535], [1200, 2, 3]], dtype=np.uint16)
    np.testing.assert_array_equal(read_depths(packed(encoded(mm)), [0], (2, 3, 1), "mm")[0], mm)
    metres = np.array([[0.0, 1.2004, np.nan], [np.inf, 70.0, -1.0]], dtype=np.float32)
    found = read_depths(packed(encoded(metres, "TIFF")), [0], (2, 3, 1), "m")[0]
    assert found.dtype == np.uint16
    assert found.tolist() == [[0, 1200, 0], [0, 0, 0]]
    with pytest.raises(DataError, match="3 axes"):
        read_depths(packed(encoded(np.zeros((2, 3, 3), np.uint8))), [0], (2, 3, 1), "mm")


def test_another_size_is_refused_before_it_is_decoded():
    """The header of a picture of 4 Gpx is enough: no memory is taken for it."""
    bomb = bytearray(encoded(np.zeros((2, 2, 3), np.uint8)))
    bomb[16:24] = (65500).to_bytes(4, "big") * 2
    for content in (bytes(bomb), encoded(np.zeros((3, 2, 3), np.uint8))):
        with pytest.raises(DataError, match=r"declared 2x2|cannot be decoded"):
            decode_picture(content, (2, 2, 3))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_bytes_crash_the_decoder(data):
    whole = encoded(np.zeros((4, 4, 3), np.uint8), data.draw(st.sampled_from(["PNG", "JPEG", "TIFF"])))
    cut = data.draw(st.integers(0, len(whole)))
    content = data.draw(st.one_of(st.binary(max_size=40), st.just(whole[:cut]))) + data.draw(st.binary(max_size=4))
    try:
        found = decode_picture(content, (4, 4, 3))
    except DataError:
        return
    assert found.shape == (4, 4, 3)


def test_the_cache_is_bounded_in_bytes():
    cache, loads = PictureCache(max_bytes=100), []

    def load(episode: int, size: int) -> np.ndarray:
        loads.append(episode)
        return packed(b"x" * size)

    for episode, size in ((0, 60), (0, 60), (1, 30), (2, 50), (0, 60), (3, 500), (3, 500)):
        cache.get((episode, "c"), lambda e=episode, s=size: load(e, s))
    assert loads == [0, 1, 2, 0, 3]
