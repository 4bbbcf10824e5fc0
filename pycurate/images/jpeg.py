"""What a JPEG says of itself before its scan (ITU-T T.81 annex B; Exif 2.32 section 4.7.2 for where EXIF stands)."""

import math
import re
import struct
from dataclasses import dataclass, replace

import numpy as np

from pycurate.images import exif, limits

_SOI, _EOI, _SOS, _DQT, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xDB, 0xE1, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0-SOF15; the other three are DHT, JPG and DAC
APPS = range(0xE0, 0xF0)
_COLOURS = {0xE0: 14, 0xEE: 12}  # JFIF's and Adobe's tell which colours the components are; shorter ones tell nothing
PROGRESSIVE = frozenset((0xC2, 0xCA))  # Huffman- and arithmetic-coded
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # behind the first scan: a marker that no libjpeg passes over

LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""The quantisation steps of luminance in annex K of T.81, which encoders scale by their quality."""
MEAN_STEP = float(LUMINANCE.mean())


@dataclass(frozen=True)
class JpegHeader:
    """A JPEG's frame: stored size in pixels, colour components, bits per sample, SOF marker, EXIF orientation 1-8.

    `samplings`: a byte for each component, its horizontal and vertical sampling factors in four bits each. `scans`:
    how many there are at most. `parts`: where the segments before the first scan stand, and, as the last one, all from
    that scan on. `exif`: whether EXIF is among them. `quality`: what the quantisation table of luminance stands for, 1
    to 100 as libjpeg counts; None where there is none.
    """

    width: int
    height: int
    components: int
    bits: int
    frame: int
    orientation: int
    samplings: bytes
    scans: int
    exif: bool
    parts: tuple[slice, ...]
    quality: float | None

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once the orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def scanned(self) -> int:
        """Pixels that all scans go over, more where there are more than limits.SCANS."""
        return self.scans * self.width * self.height if self.scans <= limits.SCANS else limits.SCANNED + 1

    @property
    def common(self) -> bool:
        """Whether this is a JPEG as nearly all are: 8 bits, grey or three colours, Huffman-coded DCT (SOF0-SOF2)."""
        return self.bits == 8 and self.components in (1, 3) and self.frame <= 0xC2


def read_header(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan, in some 10 microseconds, and look for the end marker behind it.

    Inside a scan 0xFF is always followed by 0x00 or a restart marker, so an end marker behind the first scan's start
    is a real one. An end marker in an EXIF thumbnail comes earlier and does not count.

    Raises EOFError if the file ends before its end marker, ValueError if it has no frame or no pixels, or segments
    beyond number.
    """
    frame: tuple[int, int, int, int, int] | None = None  # marker, bits, height, width, components
    samplings = luminance = b""
    tables: dict[int, bytes] = {}
    exifs, packet = [], b""  # as Pillow has them: all blocks of EXIF in a row, the last packet of XMP
    parts = []
    at = 2
    for _ in range(limits.PARTS):
        found = _MARKER.search(data, at)  # past fill bytes, as libjpeg does
        if not found or found.start() + 4 > len(data):
            raise EOFError("the JPEG ends before its image data")
        at = found.start()
        marker = data[at + 1]
        if marker == _SOI:
            raise ValueError("the JPEG has a second start marker (SOI)")
        if marker == _EOI:
            raise ValueError("the JPEG has no image data")
        if marker == _SOS:
            break
        if marker == _TEM or marker in _RESTARTS:  # no segment
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES and frame is None:
            if at + 10 > len(data):
                raise EOFError("the JPEG ends before its image data")
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 4))
            samplings, luminance = data[at + 11 : end : 3], data[at + 12 : at + 13]
        elif marker == _DQT:
            tables |= _tables(data[at + 4 : end])
        elif marker == _APP1 and data.startswith(b"Exif", at + 4):
            exifs.append(data[at + 4 : end])
        elif marker == _APP1 and data.startswith(_XMP, at + 4):
            packet = data[at + 4 + len(_XMP) : end]
        end = max(end, at + 4)
        parts.append(slice(at, end))
        at = end
    else:
        raise ValueError(f"the JPEG has more than {limits.PARTS} segments before its image data")
    if data.rfind(b"\xff\xd9", at) < 0:
        raise EOFError("the JPEG ends before its end marker")
    if frame is None or not (frame[2] and frame[3]):
        raise ValueError("the JPEG does not state its size")
    kind, bits, height, width, components = frame
    blocks = [block for block in exifs if block.startswith(b"Exif\0\0")]
    block = b"".join((*blocks[:1], *(block[6:] for block in blocks[1:])))
    orientation = exif.orientation(block, packet) if block or packet else 1
    # A scan of all components ends a sequential image.
    scans = (
        1 if kind not in PROGRESSIVE and data[at + 4 : at + 5] == bytes((components,)) else data.count(b"\xff\xda", at)
    )
    quality = _quality(tables.get(luminance[0], b"")) if luminance else None
    parts.append(slice(at, len(data)))
    header = JpegHeader(
        width, height, components, bits, kind, orientation, samplings, scans, bool(exifs), tuple(parts), quality
    )
    # Bytes behind the end mark, such as a phone's short film, may look like scans.
    doubtful = header.scanned > limits.SCANNED and len(data) <= limits.RECOUNTED
    return replace(header, scans=_scans(data, at)) if doubtful else header


def _scans(data: bytes, at: int) -> int:
    """How many scans there are from the first one, at `at`, to the end mark, as libjpeg finds them."""
    scans = 0
    for _ in range(limits.PARTS):
        found = _SEGMENT.search(data, at)
        if not found or data[found.end() - 1] == _EOI:
            return scans
        scans += data[found.end() - 1] == _SOS
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return limits.SCANS + 1


def scale_of(quality: float) -> float:
    """Per cent by which libjpeg scales LUMINANCE for a quality of 1 to 100 (`jpeg_quality_scaling`)."""
    return 5000 / quality if quality < 50 else 200 - 2 * quality


def quality_of(step: float) -> float:
    """The quality, 1 to 100, that scales LUMINANCE to this mean."""
    scale = 100 * step / MEAN_STEP
    return float(np.clip(5000 / scale if scale > 100 else 100 - scale / 2, 1, 100))


def _tables(body: bytes) -> dict[int, bytes]:
    """The steps of each table in the body of a DQT segment, in one byte each or in two, by its number, 0 to 3."""
    found: dict[int, bytes] = {}
    at = 0
    while at < min(len(body), 4 * 129):  # no encoder writes more
        size = 128 if body[at] >> 4 else 64
        found[body[at] & 15] = body[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def _quality(table: bytes) -> float | None:
    """The quality, 1 to 100, that scales LUMINANCE to the mean of these steps; None if they are cut."""
    steps = np.frombuffer(table[: len(table) // 64 * 64], ">u2" if len(table) == 128 else ">u1")
    if len(steps) != 64:
        return None
    return quality_of(float(steps.mean()))


def restated(data: bytes, header: JpegHeader) -> bytes:
    """The JPEG with `header.orientation` as all of its EXIF, for a decoder that turns by a reading of its own."""
    if not header.exif and header.orientation == 1:
        return data
    kept = (data[part] for part in header.parts if not data.startswith(b"Exif", part.start + 4))
    return b"".join((data[:2], exif.segment(header.orientation), *kept))


def bare(data: bytes, header: JpegHeader) -> bytes:
    """The JPEG without metadata, which Pillow would read in Python: of APPn it keeps JFIF's and Adobe's, if whole."""

    def kept(part: slice) -> bool:
        marker = data[part.start + 1]
        return marker not in APPS or part.stop - part.start - 4 >= _COLOURS.get(marker, math.inf)

    return b"".join((data[:2], *(data[part] for part in header.parts if kept(part))))
