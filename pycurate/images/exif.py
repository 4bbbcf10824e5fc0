"""How an image is to be turned: one reading of EXIF and XMP for every format and backend, the reading of Pillow.

Pillow's, since a trainer will read with it, oddities included: a number of any type counts, bytes do not; of two equal
tags the first that holds something; what lies behind the block ends the reading. It raises on some blocks that are
broken, and warns of others; here they say nothing, for the pixels may be sound.
(TIFF 6.0 section 2, Exif 2.32 section 4.6.4; `PIL.Image.Image.getexif`.)
"""

import re
import struct

ORIENTATION = 0x0112
_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">", b"MM\0+": ">"}
_TYPES = {  # a type's number: bytes of one value, how struct reads the first one; empty where it is no number
    1: (1, ""),
    2: (1, ""),
    3: (2, "H"),
    4: (4, "I"),
    5: (8, "II"),
    6: (1, "b"),
    7: (1, ""),
    8: (2, "h"),
    9: (4, "i"),
    10: (8, "ii"),
    11: (4, "f"),
    12: (8, "d"),
    13: (4, "I"),
    16: (8, "Q"),
}
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def orientation(exif: bytes | None, xmp: bytes | str | None = None) -> int:
    """The orientation, 1 to 8, in an EXIF block, with or without `Exif\\0\\0` before it, or else in an XMP packet.

    1, which is upright as stored, where neither says one that makes sense.
    """
    return chosen(_in_block(exif) if exif else None, xmp)


def chosen(value: object, xmp: bytes | str | None) -> int:
    """The orientation where EXIF's tag has this value, None for no such tag."""
    if value is None and xmp:
        found = _IN_XMP.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp)
        value = int(found[1]) if found else None
    return next((number for number in range(2, 9) if value == number), 1)


def segment(value: int) -> bytes:
    """A JPEG's APP1 segment that says this orientation and nothing else."""
    block = struct.pack(">4sIHHHIHHI", b"MM\0*", 8, 1, ORIENTATION, 3, 1, value, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 8 + len(block)) + b"Exif\0\0" + block


def _in_block(exif: bytes) -> float | None:
    """The value in the first directory: None where it has none, 1 where that is no number or the block is broken."""
    for _ in range(2):
        exif = exif.removeprefix(b"Exif\0\0")
    order = _ORDERS.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1 if exif else None
    entry = _entry(exif, order)
    if entry is None:
        return None
    form = _TYPES[entry[0]][1]
    values = struct.unpack_from(order + form, exif, entry[1])
    if len(values) == 2:
        return values[0] / values[1] if values[1] else 1
    return values[0] if values else 1


def _entry(exif: bytes, order: str) -> tuple[int, int] | None:
    """Type and place of the orientation's first value."""
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    if directory + 2 > len(exif):
        return None
    (entries,) = struct.unpack_from(order + "H", exif, directory)
    seen = set()
    held = 0
    for at in range(directory + 2, min(directory + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, count, place = struct.unpack_from(order + "HHII", exif, at)
        size = count * _TYPES.get(kind, (0, ""))[0]
        if tag in seen or not size:
            continue
        if size > 4:
            held += size
            if held > len(exif):  # more than the block can hold: passed over
                continue
            if place + size > len(exif):
                return None
        if tag == ORIENTATION:
            return kind, place if size > 4 else at + 8
        seen.add(tag)
    return None
