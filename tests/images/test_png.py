"""A PNG whose pixel data ends early, behind a row or within one, has no pixels that nobody wrote."""

import struct
import zlib

import numpy as np
import pytest
from pictures import png

from pycurate.images.decode import decode
from pycurate.images.png import whole

WIDTH, HEIGHT = 21, 13
ROW = 1 + 3 * WIDTH
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def pixels() -> np.ndarray:
    """uint8 (HEIGHT, WIDTH, 3), whose last row is black."""
    found = np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    found[-1] = 0
    return found


def rows(image: np.ndarray, interlaced: bool) -> list[bytes]:
    """The filtered rows of an image, in the order in which a PNG holds them."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [image[top::down, left::across] for top, left, down, across in passes]
    return [b"\0" + row.tobytes() for part in parts if part.shape[1] for row in part]


def interlaced(data: bytes) -> bytes:
    """The PNG with a header that says so."""
    header = data[12:28] + b"\1"
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("adam7", [False, True])
def test_rows_that_are_missing_are_told_and_a_black_one_is_none(adam7: bool) -> None:
    held = rows(pixels(), adam7)
    for count in range(len(held) + 1):
        data = png(WIDTH, HEIGHT, 8, b"".join(held[:count]))
        data = interlaced(data) if adam7 else data
        info, found = decode(data)
        assert whole(data) == (count == len(held))
        assert info.error in ((None,) if whole(data) else ("truncated", "corrupt")), (count, info)
    np.testing.assert_array_equal(found, pixels())


@pytest.mark.parametrize("height", [HEIGHT, 5000])
def test_only_the_length_of_the_pixel_data_counts(height: int) -> None:
    for length in (0, 1, ROW * height - 1, ROW * height, ROW * height + 99):
        assert whole(png(WIDTH, height, 8, bytes(length))) == (length >= ROW * height)
    assert whole(png(WIDTH, height, 16, bytes(2 * ROW * height))) and not whole(png(WIDTH, height, 16, bytes(ROW)))
