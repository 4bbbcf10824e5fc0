"""The headers of one member of a tar file, read without faith in any of their fields.

Formats: V7, POSIX ustar and pax (IEEE Std 1003.1), GNU long names; sparse members are named as such and not read.
Numbers and names are what Python's tarfile takes from them. What it takes from a field that no sound writer leaves (a
size that is negative or ends beyond the file, a name over LONGEST_NAME, two names for one member) makes an Unusable.
"""

from dataclasses import dataclass
from typing import BinaryIO, overload

BLOCK = 512
LONGEST_NAME = 4096  # bytes; no path on Linux is longer
LONGEST_BODY = 1 << 20  # bytes of a pax header, or of the blocks that map a sparse member; more are not read
MOST_DIGITS = 19  # of a number in a pax header; no file has more bytes

FILES = b"0\x007S"  # type flags of members that are files with their bytes; S: stored sparse
LINK, SYMBOLIC_LINK = b"1", b"2"
NO_DATA = b"123456"  # links, devices, folders, pipes: their size says nothing of what follows
EXTENSIONS = {b"L": b"path", b"K": b"linkpath", b"x": b"pax", b"X": b"pax", b"g": b"global"}  # of the next member


@dataclass(frozen=True)
class Member:
    """One member: its headers begin at `start`, its `size` bytes at `data`, and the next header at `end`.

    The bytes are all there, at most their padding is cut. A header of the whole archive comes as a member without name.
    """

    name: str  # bytes that are not UTF-8 come as surrogates (PEP 383)
    start: int
    data: int
    size: int
    end: int
    type: bytes
    sparse: bool = False  # a file whose bytes are not stored as they are
    target: str = ""  # of a link

    @property
    def regular(self) -> bool:
        """A file: no folder, link, device."""
        return self.type in FILES and not self.name.endswith("/")


@dataclass(frozen=True)
class Unusable:
    """Headers from `start` on that are a tar's, of a member that cannot be as they say; read on at `end`.

    `name` is None where it is not certain. A name that is too long is cut. `torn`: no header stands at `end`, where one
    should, so that more than this member may be lost.
    """

    start: int
    end: int
    name: str | None
    torn: bool = False


def read_member(file: BinaryIO, start: int, length: int) -> Member | Unusable | None:
    """The member whose headers begin at `start` of a file of `length` bytes; None if no header stands there.

    What is read lies before `data` of the member or `end` of the Unusable, so a walk is linear in the file's bytes.
    """
    found: dict[bytes, bytes] = {}  # what extension headers say; where they differ the first counts, as in tarfile
    seen = set[bytes]()
    mixed = False  # a header of the whole archive stands between those of the member, and would be copied with it
    at = start
    while True:
        header = _read(file, at, BLOCK)
        if not sums_up(header):
            return Unusable(start, at, _text(found.get(b"path")), torn=True) if at > start else None
        kind, size, data = header[156:157], number(header[124:136]), at + BLOCK
        if kind not in EXTENSIONS:
            break
        role = EXTENSIONS[kind]
        if role in seen:
            return Unusable(start, at, _text(found.get(b"path")))  # tar and Python disagree which one counts
        if size is None or data + size > length:
            return Unusable(start, data, None)
        at = data + padded(size)
        if role == b"global":
            if not seen:
                return Member("", start, data, size, at, kind)
            mixed = True
            continue
        seen.add(role)
        whole = size if role == b"pax" else padded(size)  # tarfile takes a long name up to the first NUL
        said = _said(role, _read(file, data, min(whole, LONGEST_BODY)), size)
        if said is None:
            return Unusable(start, at, None)
        found = said | found

    if b"size" in found:
        digits = found[b"size"]
        size = int(digits) if digits.isdigit() and len(digits) <= MOST_DIGITS else None
    if kind == b"S":
        data = _behind_map(file, header, data)
    name = found.get(b"path") or _short_name(header)
    text = _text(name)
    stored = 0 if kind in NO_DATA else size
    if stored is None or data + stored > length:
        return Unusable(start, data, text)
    end = data + padded(stored)
    if len(name) > LONGEST_NAME or mixed:
        return Unusable(start, end, text)
    sparse = kind == b"S" or b"sparse" in found
    return Member(
        text, start, data, stored, end, kind, sparse, _text(found.get(b"linkpath") or until_nul(header[157:257]))
    )


def sums_up(header: bytes) -> bool:
    """Whether it is a header with the right checksum; old writers added the bytes as signed numbers."""
    wanted = number(header[148:156])
    if not wanted or len(header) < BLOCK:
        return False
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if wanted == total:
        return True
    rest = header[:148] + header[156:]
    return wanted == total - 256 * sum(byte > 127 for byte in rest)


def number(field: bytes) -> int | None:
    """An octal or base-256 number of a header; None if it is neither, or negative. What follows a NUL is no part."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        value = int(until_nul(field).strip() or b"0", 8)
    except ValueError:
        return None
    return value if value >= 0 else None


def records(body: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """Key, value and the whole of each `LENGTH KEY=VALUE\\n` record of a pax header; None if they are none."""
    found = []
    at, end = 0, len(body.rstrip(b"\0"))
    while at < end:
        digits = body[at : body.find(b" ", at, at + MOST_DIGITS)]
        stop = at + int(digits) if digits.isdigit() and len(digits) < MOST_DIGITS else 0
        if not at + len(digits) < stop <= len(body):
            return None
        key, equals, value = body[at + len(digits) + 1 : stop].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            return None
        found.append((key, value[:-1], body[at:stop]))
        at = stop
    return found


def padded(size: int) -> int:
    """Bytes that a member of `size` bytes takes: whole blocks."""
    return -(-size // BLOCK) * BLOCK


def until_nul(field: bytes) -> bytes:
    """A text of a header, which a NUL ends."""
    return field.partition(b"\0")[0]


def _said(role: bytes, body: bytes, size: int) -> dict[bytes, bytes] | None:
    """What an extension header of `size` bytes, of which `body` was read, says; None if it cannot be trusted."""
    if role != b"pax":
        return {role: until_nul(body)[: LONGEST_NAME + 1]}
    found = records(body) if size <= LONGEST_BODY else None
    if found is None:
        return None
    said = {key: value for key, value, _ in found if key in (b"path", b"linkpath", b"size")}
    for key, value, _ in found:
        if key.startswith(b"GNU.sparse."):
            said[b"sparse"] = b""
        if key == b"GNU.sparse.name":
            said[b"path"] = value
    names = [said[key] for key in (b"path", b"linkpath") if key in said]
    if any(b"\0" in name for name in names):
        return None
    if b"path" in said:
        said[b"path"] = said[b"path"].rstrip(b"/")
    return said


@overload
def _text(name: bytes) -> str: ...
@overload
def _text(name: bytes | None) -> str | None: ...
def _text(name: bytes | None) -> str | None:
    """A name as text, cut where it is too long."""
    return None if name is None else name[:LONGEST_NAME].decode("utf-8", "surrogateescape")


def _short_name(header: bytes) -> bytes:
    """The name that an ordinary header holds."""
    name = until_nul(header[:100])
    prefix = until_nul(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _behind_map(file: BinaryIO, header: bytes, data: int) -> int:
    """Where the bytes of a sparse member of GNU's old kind begin: behind the blocks that go on with its map."""
    more = header[482]
    last = data + LONGEST_BODY
    while more and data < last:
        block = _read(file, data, BLOCK)
        more, data = block[504] if len(block) == BLOCK else 0, data + BLOCK
    return data


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
