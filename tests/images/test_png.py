"""A PNG whose pixel data ends early, behind a row or within one, has no pixels that nobody wrote."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from pictures import encode, png
from PIL import Image

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


@pytest.mark.parametrize("width", range(1, 18))
def test_an_interlaced_png_of_any_size_has_the_rows_of_its_passes(width: int) -> None:
    for height in (1, 2, 3, 4, 5, 8, 9, 16, 17):
        length = sum(map(len, rows(np.zeros((height, width, 3), np.uint8), True)))
        assert whole(interlaced(png(width, height, 8, bytes(length))))
        assert not whole(interlaced(png(width, height, 8, bytes(length - 1))))


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and the body of each chunk of a PNG."""
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def shortened(data: bytes, cut: int, pieces: int) -> bytes:
    """A PNG without the last `cut` bytes of its filtered rows, its pixel data in so many chunks."""
    parts = list(chunks(data))
    rows = zlib.decompress(b"".join(body for name, body in parts if name == b"IDAT"))
    packed = zlib.compress(rows[: len(rows) - cut])
    step = -(-len(packed) // pieces)
    held = [(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    kept = [part for part in parts if part[0] != b"IDAT"]
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (*kept[:-1], *held, kept[-1])
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (13, 9), (200, 150)])
def test_of_every_kind_a_whole_png_is_told_from_one_that_lacks_a_byte(mode: str, size: tuple[int, int]) -> None:
    """Its last row is black, so that only the length of its pixel data tells."""
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), np.uint8)
    noise[-1] = 0
    grey = Image.fromarray(noise[..., 0])
    image = (
        Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else grey.quantize(200)
        if mode == "P"
        else Image.fromarray(noise).convert(mode)
    )
    data = encode(image, "PNG")
    for pieces in (1, 7):
        found = shortened(data, 0, pieces)
        assert whole(found) and not whole(shortened(data, 1, pieces))
        info, pixels = decode(found)
        assert info.error is None
        np.testing.assert_array_equal(pixels, decode(data)[1])
