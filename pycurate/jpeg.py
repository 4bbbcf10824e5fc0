"""What a JPEG says of itself before its scan (ITU-T T.81 annex B; Exif 2.32 section 4.5 for the orientation)."""

import struct
from dataclasses import dataclass

_SOI, _EOI, _SOS, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0-SOF15; the other three are DHT, JPG and DAC


@dataclass(frozen=True)
class JpegHeader:
    """A JPEG's frame: stored size in pixels, colour components, bits per sample, SOF marker, EXIF orientation 1-8."""

    width: int
    height: int
    components: int
    bits: int
    frame: int
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once the orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def plain(self) -> bool:
        """Whether this is a JPEG as nearly all are: 8 bits, grey or three colours, Huffman-coded DCT (SOF0-SOF2)."""
        return self.bits == 8 and self.components in (1, 3) and self.frame <= 0xC2


def read_header(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan, in some 10 microseconds, and look for the end marker behind it.

    Inside a scan 0xFF is always followed by 0x00 or a restart marker, so an end marker behind the first scan's start
    is a real one. An end marker in an EXIF thumbnail comes earlier and does not count.

    Raises EOFError if the file ends before its end marker, ValueError if it has no frame or no pixels.
    """
    frame: tuple[int, int, int, int, int] | None = None  # marker, bits, height, width, components
    orientation = 1
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise EOFError("the JPEG ends before its image data")
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in (_SOI, _TEM) or marker in _RESTARTS:  # fill bytes, or no segment
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _EOI:
            raise ValueError("the JPEG has no image data")
        if marker == _SOS:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES and frame is None:
            if at + 10 > len(data):
                raise EOFError("the JPEG ends before its image data")
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 4))
        elif marker == _APP1 and data.startswith(b"Exif\0\0", at + 4):
            orientation = _orientation(data[at + 10 : end])
        at = max(end, at + 4)
    if data.rfind(b"\xff\xd9", at) < 0:
        raise EOFError("the JPEG ends before its end marker")
    if frame is None or not (frame[2] and frame[3]):
        raise ValueError("the JPEG does not say its size")
    kind, bits, height, width, components = frame
    return JpegHeader(width, height, components, bits, kind, orientation)


def _orientation(tiff: bytes) -> int:
    """The orientation in the first directory of an EXIF block; 1 (upright) where it is absent or damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for at in range(directory + 2, min(directory + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == 0x0112:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1
