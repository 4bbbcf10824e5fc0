"""Whether a PNG holds all of its pixels (PNG Specification, third edition, sections 5, 7 to 10)."""

import struct
import zlib
from collections.abc import Iterator

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by its colour type
_WHOLE = ((0, 0, 1, 1),)  # the one pass of an ordinary image: first column and row, steps across and down
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 16  # bytes that are inflated at a time, and the most that comes of them at a time


def whole(data: bytes) -> bool:
    """Whether the pixel data of a PNG does not end before its last row. It is inflated, and only its length counts.

    Raises KeyError, struct.error or zlib.error for a file that no decoder reads.
    """
    header, start = _first(data)
    due, inflate = _due(header), zlib.decompressobj()
    for piece in _pixel_data(data, start):
        while piece and due > 0 and not inflate.eof:
            due -= len(inflate.decompress(piece, min(due, _PIECE)))
            piece = inflate.unconsumed_tail
    return due <= 0 or due <= len(inflate.flush())


def _first(data: bytes) -> tuple[bytes, int]:
    """The body of the header, and where the first chunk of pixels begins."""
    header, at = b"", 8
    while (name := data[at + 4 : at + 8]) not in (b"IDAT", b""):
        length = int.from_bytes(data[at : at + 4], "big")
        header = data[at + 8 : at + 8 + length] if name == b"IHDR" else header
        at += 12 + length
    return header, at


def _due(header: bytes) -> int:
    """Bytes of all rows, each with its filter's."""
    width, height, bits, colour, interlaced = struct.unpack(">IIBB2xB", header[:13])
    bits *= _SAMPLES[colour]
    total = 0
    for left, top, across, down in _ADAM7 if interlaced else _WHOLE:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return total


def _pixel_data(data: bytes, at: int) -> Iterator[bytes]:
    """What the chunks of pixels hold, which stand one behind the other from `at` on, in pieces."""
    while data[at + 4 : at + 8] == b"IDAT":
        start, end = at + 8, at + 8 + int.from_bytes(data[at : at + 4], "big")
        for piece in range(start, end, _PIECE):
            yield data[piece : min(piece + _PIECE, end)]
        at = end + 4
