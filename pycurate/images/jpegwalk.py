"""Whether a JPEG is one that every decoder reads to its end: the markers from its first to its last, and their tables.

ITU-T T.81 annex B says what a marker may hold; where libjpeg, which is in every decoder of pycurate, is stricter or
laxer than that, it counts as libjpeg has it.
"""

import re
from dataclasses import dataclass, field
from operator import mul

from pycurate.images import limits
from pycurate.images.jpeg import APPS, PROGRESSIVE, JpegHeader

_SOS, _DHT, _DQT, _DRI, _COM = 0xDA, 0xC4, 0xDB, 0xDD, 0xFE
_TABLES = frozenset((_DHT, _DQT, _DRI, _COM))  # may stand before every scan
_SAMPLINGS = frozenset(  # luma as often as, or more often than, colour: 4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1, 4:4:1
    bytes((luma, 0x11, 0x11)) for luma in (0x11, 0x21, 0x22, 0x12, 0x41, 0x14)
) | frozenset(bytes((16 * across + down,)) for across in range(1, 5) for down in range(1, 5))  # grey: it has no effect
_LONGEST_SIDE = 65500
_AC = 0x10  # is added to the number of an AC table, as in a DHT segment
_STANDARD = frozenset((0, 1, _AC, _AC + 1))  # Huffman tables that a sequential JPEG may use without defining them
_CODE_SPACE = tuple(1 << 16 - length for length in range(1, 17))  # what a code of each length takes of all 2^16
_LEAST_SHIFT = 13  # of coefficients, in a progressive scan
_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # what is neither a stuffed byte nor a restart marker ends a scan


def regular(data: bytes, header: JpegHeader) -> bool:
    """Whether the JPEG is of the ordinary kind, and every marker up to its end stands where it belongs and is lawful.

    What DALI fails on ends its pipeline, which costs as much as hundreds of decodes. In such a file only the bits
    within scans, or the numbers within tables, can be damaged, which all libjpegs repair alike. Behind misplaced
    markers they differ: some have given out a whole image by then, some have not.
    """
    if not header.common or header.samplings not in _SAMPLINGS or max(header.width, header.height) > _LONGEST_SIDE:
        return False
    so_far = _SoFar(header.frame in PROGRESSIVE)
    at, scans, whole = 2, 0, False
    for _ in range(limits.PARTS):
        if whole or at + 4 > len(data) or data[at] != 0xFF:
            break
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in APPS and not scans:
            at = end
            continue
        body = data[at + 4 : end]
        if marker == _SOS:
            if not so_far.begins_scan(body):
                return False
            scans += 1
            whole = not so_far.progressive and body[0] == header.components
            found = _IN_SCAN.search(data, end)
            if found is None:
                return False
            end = found.start()
        elif marker in _TABLES:
            if not so_far.defines(marker, body):
                return False
        elif marker == header.frame and not so_far.components:
            if len(body) != 6 + 3 * header.components:
                return False
            so_far.components, so_far.quantised_by = body[6::3], body[8::3]
        else:
            break
        at = end
    return bool(scans) and data[at : at + 2] == b"\xff\xd9"


@dataclass
class _SoFar:
    """What a JPEG has said up to some place: its components' names, and which tables they refer to and are there."""

    progressive: bool
    components: bytes = b""
    quantised_by: bytes = b""
    quantisers: set[int] = field(default_factory=set)
    codes: set[int] = field(default_factory=set)  # Huffman tables, with _AC where they are for AC coefficients

    def __post_init__(self) -> None:
        if not self.progressive:
            self.codes |= _STANDARD

    def defines(self, marker: int, body: bytes) -> bool:
        """Take the body of a segment of tables in; whether it is lawful."""
        if marker == _COM:
            return True
        if marker == _DRI:
            return len(body) == 2
        known, tables = (self.codes, _codes(body)) if marker == _DHT else (self.quantisers, _quantisers(body))
        known.update(tables or ())
        return tables is not None

    def begins_scan(self, body: bytes) -> bool:
        """Whether the body of a scan's header refers to what is there, and asks for what this process can have."""
        count = body[0] if body else 0
        if not count or len(body) != 4 + 2 * count:
            return False
        first, last, high, low = body[-3], body[-2], body[-1] >> 4, body[-1] & 15
        if self.progressive and (
            low > _LEAST_SHIFT
            or (high and low != high - 1)
            or (last != 0 if first == 0 else not (count == 1 and first <= last < 64))
        ):
            return False
        at = -1
        for name, tables in zip(body[1:-3:2], body[2:-3:2], strict=True):
            at = self.components.find(name, at + 1)  # in the frame's order
            if at < 0 or self.quantised_by[at] not in self.quantisers:
                return False
            needs_dc = first == 0 and high == 0 if self.progressive else True
            if needs_dc and tables >> 4 not in self.codes:
                return False
            if (first or not self.progressive) and _AC + (tables & 15) not in self.codes:
                return False
        return True


def _quantisers(body: bytes) -> set[int] | None:
    """The numbers of the tables in the body of a DQT segment; None if they are not whole or have no such number."""
    found, at = set(), 0
    while at < len(body):
        precision, number = body[at] >> 4, body[at] & 15
        if number > 3:
            return None
        found.add(number)
        at += 129 if precision else 65
    return found if at == len(body) else None


def _codes(body: bytes) -> set[int] | None:
    """The numbers of the tables in the body of a DHT segment, with _AC where they are for AC coefficients.

    None if they are not whole, have no such number, or their codes do not fit the codes' lengths (T.81, B.2.4.2 and
    annex C). A code of all ones is no code, so that they leave room for one. Symbols of DC tables count bits, 15 at
    most.
    """
    found, at = set(), 0
    while at < len(body):
        number, counts = body[at], body[at + 1 : at + 17]
        end = at + 17 + sum(counts)
        if len(counts) < 16 or end > len(body) or sum(map(mul, counts, _CODE_SPACE)) >= 1 << 16:
            return None
        if number & ~_AC > 3 or (number < _AC and max(body[at + 17 : end], default=0) > 15):
            return None
        found.add(number)
        at = end
    return found
