"""What a file may ask of its decoder: the parts whose number costs time, counted before the decoder sees them.

Pillow walks through chunks, blocks, tags and comments in Python, some microseconds each, and a hostile file holds
millions of them. No encoder in use comes near these bounds.
"""

import math
import re
import struct
from collections.abc import Callable

from pycurate.images.formats import FORMATS

PARTS = 10_000
"""Chunks, blocks, boxes or markers before the pixels, more than ten times what any known file has."""

LONGEST_SIDE = 100_000
"""Pixels of a side. Pillow takes twelve bytes for a row of one pixel, and a view that squashes the image takes as many
rows of its own width at first: of a hundred million rows, which fit into a few kilobytes of a PNG, that is all memory.
"""

STRIPS = LONGEST_SIDE
"""Strips or tiles of a TIFF: one for each row of the tallest image."""

LZMA_BYTES = 96 << 20
"""Bytes of a TIFF in LZMA, each of which takes 25 to 50 ns to decode; those of its other compressions 15 at most."""

SAMPLES = 4096
"""Values of a TIFF's tags that have one for each sample of a pixel."""

TILE = 1 << 24
"""Pixels of a TIFF's tile that are more than its image has."""

COMMENTS = 1000
"""Comments of a PPM: Pillow copies a megabyte for each."""

IN_PYTHON = 8 << 20
"""Bytes of what Pillow decodes in Python: BMP in run-length code, PPM written out or to be scaled."""

SCANNED = 1 << 32
"""Scans times pixels that are read: 24 scans of the largest image. libjpeg writes ten, other encoders a few more.

A scan may hold nothing and still costs a pass over all coefficients: 5,000 of them fit into 500 kB.
"""

SCANS = 1000
"""Scans of a JPEG, however small: each costs tables."""

PRECINCTS, BLOCKS, PACKETS = 100_000, 1_000_000, 10_000_000
"""Of a JPEG 2000: areas that take 2 kB each to decode, blocks of their coefficients, 300 bytes, and parts of its code.

Encoders make some ten thousands of the largest image; a file of a hundred bytes can ask for one for each pixel.
"""

RECOUNTED = 64 << 20
"""Bytes of a JPEG of too many scans that are looked through for its end mark, behind which there is none: a second."""

_GAP = rb"(?:\s|#[^\r\n]*+[\r\n])++"
_PPM = re.compile(rb"P[1-6]" + _GAP + rb"\d++" + _GAP + rb"\d++(?:" + _GAP + rb"(\d{1,6}+))?")
_HEADER = 1 << 16


class UnreadableError(Exception):
    """Ends the reading of one image, with its code (see pycurate.images.decode.CODES)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(data: bytes, name: str) -> None:
    """Raises UnreadableError where a file of format `name` asks for more work than any honest one."""
    if name in _CHECKS:
        _CHECKS[name](data)


def most(data: bytes, name: str) -> tuple[float, float]:
    """Pixels and bytes that a file of format `name` may have, infinity where nothing but the pixels' own limit counts.

    What is searched for in a WebP are the names of the chunks that hold pixels, without which it has none of the kind.
    """
    pixels, size = FORMATS[name].most_pixels or math.inf, FORMATS[name].most_bytes or math.inf
    if name == "webp":  # lossless ones are slow by pixels, the others by bytes
        return pixels if b"VP8L" in data else math.inf, size if b"VP8 " in data else math.inf
    return pixels, size


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas, for which Pillow takes memory as soon as it opens the file."""
    if len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _png(data: bytes) -> None:
    """libpng cuts pixels into chunks of 8 kB, and no writer into smaller ones than 4."""
    limit, at, found = PARTS + len(data) // 4096, 8, 0
    while at + 12 <= len(data) and data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        found += 1
        if found > limit:
            raise UnreadableError("unsupported", f"the PNG has more than {limit} chunks")


def _gif(data: bytes) -> None:
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    found = 0
    while at < len(data) and data[at] != 0x2C:
        if data[at] == 0x21:  # an extension: its label, then blocks up to one of no bytes
            at += 2
            while at < len(data) and data[at]:
                at += 1 + data[at]
                found += 1
                if found > PARTS:
                    break
        at += 1
        found += 1
        if found > PARTS:
            raise UnreadableError("unsupported", f"the GIF has more than {PARTS} blocks before its image")


def _bmp(data: bytes) -> None:
    if data[14:15] > b"\x0c" and data[30:34] in (b"\1\0\0\0", b"\2\0\0\0") and len(data) > IN_PYTHON:
        raise UnreadableError("unsupported", f"a run-length encoded BMP of more than {IN_PYTHON} bytes")


def _ppm(data: bytes) -> None:
    """Pillow decodes in Python what is written out, and what is to be scaled to 255."""
    header = _PPM.match(data[:_HEADER])
    if not header:
        raise UnreadableError("corrupt", f"the PPM does not state its size within {_HEADER} bytes")
    kind, most = data[1:2], int(header[1] or 0)
    slow = kind in b"123" or (kind in b"56" and most != 255 and (kind, most) != (b"5", 65535))
    if slow and len(data) > IN_PYTHON:
        raise UnreadableError(
            "unsupported", f"a PPM in ASCII or with {most + 1} levels, of more than {IN_PYTHON} bytes"
        )
    if slow and data.count(b"#") > COMMENTS and kind in b"123":
        raise UnreadableError("unsupported", f"the PPM has more than {COMMENTS} comments")


def _tiff(data: bytes) -> None:
    """The first directory, which is the only one that is read: how many values its tags have, how large its parts are.

    Parts are strips or tiles. libtiff reads up to 100 scans of each that is a JPEG.
    """
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4) if len(data) >= 8 else (8,)
    if directory + 2 > len(data):  # many writers put it behind the pixels
        raise UnreadableError("truncated", "the TIFF ends before its directory")
    (entries,) = struct.unpack_from(order + "H", data, directory)
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(directory + 2, min(directory + 2 + 12 * entries, len(data) - 11), 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at)
        most = _TIFF_TAGS.get(tag)
        if most is not None and count > most:
            raise UnreadableError("unsupported", f"the TIFF has {count} values of its tag {tag}; {most} at most")
        if tag in _TIFF_NUMBERS and kind not in (3, 4):
            raise UnreadableError("unsupported", f"the TIFF has a tag {tag} of type {kind}, which is SHORT or LONG")
        if tag in _TIFF_NUMBERS and tag not in tags:
            tags[tag] = _tiff_values(data, order, kind, count if most else 1, at + 8)
    width, height, across, down, coding, rows = (tags.get(tag, (0,))[0] for tag in _TIFF_SINGLE)
    if across * down > max(TILE, 4 * width * height):
        raise UnreadableError("unsupported", f"a TIFF of {width} x {height} pixels in tiles of {across} x {down}")
    if coding == _TIFF_LZMA and len(data) > LZMA_BYTES:
        raise UnreadableError("too_large", f"{len(data)} bytes exceed the limit of {LZMA_BYTES} for a TIFF in LZMA")
    if coding == _TIFF_JPEG:
        pixels = across * down or width * min(rows or height, height)
        pair = tuple(tag for tag in TIFF_PARTS if tags.get(tag))
        starts, sizes = (tags[tag] for tag in pair) if pair in (TIFF_PARTS[:2], TIFF_PARTS[2:]) else ((), ())
        if not starts or len(starts) != len(sizes) or sum(sizes) > len(data):
            raise UnreadableError("unsupported", "a TIFF of JPEGs that share bytes or have no stated end")
        parts = [(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        if any(data.rfind(b"\xff\xd9", *part) < 0 for part in parts):
            raise UnreadableError("truncated", "a JPEG in the TIFF ends before its end marker")
        scans = sum(data.count(b"\xff\xda", *part) for part in parts)
        if scans * pixels > SCANNED:
            raise UnreadableError(
                "too_large", f"{scans} scans of {pixels} pixels in a TIFF go over more than {SCANNED} pixels together"
            )


def _tiff_values(data: bytes, order: str, kind: int, count: int, at: int) -> tuple[int, ...]:
    """The numbers of a tag, which stand at `at` if they fit into four bytes; none if the file ends before them."""
    layout = f"{order}{count}{'HI'[kind - 3]}"
    if struct.calcsize(layout) > 4:
        (at,) = struct.unpack_from(order + "I", data, at)
    return struct.unpack_from(layout, data, at) if at + struct.calcsize(layout) <= len(data) else ()


_TIFF_SINGLE = (256, 257, 322, 323, 259, 278)  # width and height, those of a tile, compression, rows in a strip
TIFF_PARTS = (273, 279, 324, 325)  # strips: where they begin, how many bytes they have; tiles
_TIFF_NUMBERS = frozenset(_TIFF_SINGLE + TIFF_PARTS)
_TIFF_TAGS = {258: SAMPLES, 338: SAMPLES, 339: SAMPLES, 320: 3 << 16} | dict.fromkeys(TIFF_PARTS, STRIPS)
_TIFF_JPEG, _TIFF_LZMA = 7, 34925


def _jp2(data: bytes) -> None:
    """The boxes up to the header, in a file that has any, and the markers up to the first tile."""
    at = found = 0
    while data[:1] == b"\0" and at + 8 <= len(data) and data[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        at += max(length, 8)
        found += 1
        if found > PARTS:
            raise UnreadableError("unsupported", f"the JPEG 2000 file has more than {PARTS} boxes")
    at = start = data.find(b"\xff\x4f\xff\x51", at) + 2
    while at >= 2 and at + 4 <= len(data) and data[at : at + 2] not in (b"\xff\x90", b"\xff\xd9"):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found += 1
        if found > PARTS:
            raise UnreadableError("unsupported", f"the JPEG 2000 file has more than {PARTS} markers")
    if start >= 2 and start + 40 <= len(data):
        _jp2_tiles(data, at, _jp2_parts(data, start))


def _jp2_tiles(data: bytes, at: int, tiles: int) -> None:
    """Pillow leaves those black of which no part stands among those from `at` on (ITU-T T.800, A.4.2)."""
    if len(data) > (FORMATS["jp2"].most_bytes or 0):
        return  # refused anyway
    found = set()
    while data[at : at + 2] == b"\xff\x90" and at + 12 <= len(data):
        found.add(data[at + 4 : at + 6])
        at += max(12, int.from_bytes(data[at + 6 : at + 10], "big") or len(data) - at)
    if len(found) < tiles:
        raise UnreadableError("truncated", f"the JPEG 2000 file has {len(found)} of its {tiles} tiles")
    if at > len(data):
        raise UnreadableError("truncated", "the JPEG 2000 file ends within a tile")


def _jp2_parts(data: bytes, start: int) -> int:
    """How finely a codestream is cut whose SIZ marker is at `start` (ITU-T T.800, annexes A and B).

    Where tiles or components are cut in ways of their own, the finest counts for all. Returns the number of tiles.
    """
    right, bottom, left, top, across, down, first, second, components = struct.unpack_from(">8IH", data, start + 6)
    if (right - left) * (bottom - top) > (FORMATS["jp2"].most_pixels or 0):
        return 0  # refused anyway
    colours = data[start + 40 : start + 40 + 3 * (3 if components > 2 else 1) : 3]
    if (bits := min(((depth & 127) + 1 for depth in colours), default=8)) < 8:
        raise UnreadableError("unsupported", f"a JPEG 2000 of {bits} bits, which Pillow shows too dark")
    step, block = [32, 32], [32, 32]  # exponents of two: of an area's sides and of a block's
    levels = layers = 1
    for found in _JP2_CUT.finditer(data, start):
        body = data[found.end() : found.start() + 2 + int.from_bytes(found[2], "big")]
        whole = found[1] == b"\x52"  # of all components, so that layers are told of, too
        at = 5 if whole else 2 + (components > 256)
        depth, own = (body[at], body[0 if whole else at - 1] & 1) if len(body) > at else (0, 0)
        if depth > 32 or len(body) != at + 5 + own * (depth + 1):
            continue  # code that looks like a marker
        levels = max(levels, depth + 1)
        layers = max(layers, int.from_bytes(body[2:4], "big")) if whole else layers
        for axis in (0, 1):
            block[axis] = min(block[axis], 2 + body[at + 1 + axis])
            sides = (size >> 4 * axis & 15 for size in body[at + 5 :] or b"\xff" * (depth + 1))
            step[axis] = min(step[axis], *(side + depth - level for level, side in enumerate(sides)))
    tiles, precincts, blocks = 1, components, components
    for axis, (begin, end, origin, side) in enumerate(((left, right, first, across), (top, bottom, second, down))):
        count = -(-(end - origin) // max(1, side))
        tiles *= count
        precincts *= count * -(-min(side, end - begin) >> step[axis])
        blocks *= -(-(end - begin) >> block[axis])
    if tiles > PARTS or precincts > PRECINCTS or blocks > BLOCKS or precincts * levels * layers > PACKETS:
        raise UnreadableError(
            "unsupported",
            f"the JPEG 2000 file has more parts than any honest one: {tiles} tiles, {precincts} precincts of {levels} "
            f"resolutions and {layers} layers, {blocks} blocks",
        )
    return tiles


_JP2_CUT = re.compile(rb"\xff([\x52\x53])(\0.)", re.DOTALL)  # the markers COD and COC, and their lengths

_CHECKS: dict[str, Callable[[bytes], None]] = {
    "png": _png,
    "gif": _gif,
    "bmp": _bmp,
    "ppm": _ppm,
    "tiff": _tiff,
    "jp2": _jp2,
}
