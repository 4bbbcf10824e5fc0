"""Walking through the headers of a tar file that may be damaged.

Python's tarfile ends at some broken headers, passes over others without a word, and its `ignore_zeros` hides holes.
Here every byte of the file belongs to a member, to the empty blocks between members, or is reported as damage, and
reading goes on behind it. Formats: V7, POSIX ustar and pax (IEEE Std 1003.1), GNU long names; sparse members are named
as such and not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
HOLE = 1 << 16  # bytes of empty blocks between members from which on they are damage; tar itself writes up to 10 KiB
TAIL = 1 << 20  # the same at the end of the file, where some writers pad to a large record
LONGEST_NAME = 1 << 20  # bytes of a pax or GNU header's body

FILES = b"0\0007"  # type flags of members that are files with their bytes
NO_DATA = b"123456"  # links, devices, folders, pipes: their size says nothing of what follows


@dataclass(frozen=True)
class Member:
    """One member: its headers begin at `start`, its `size` bytes at `data`, and the next header at `end`."""

    name: str  # bytes that are not UTF-8 come as surrogates (PEP 383); empty for a header of the whole archive
    start: int
    data: int
    size: int
    end: int
    regular: bool  # a file: no folder, link, device
    sparse: bool = False  # a file whose bytes are not stored as they are


@dataclass(frozen=True)
class Damage:
    """Bytes from `start` to `end` that are no tar's."""

    start: int
    end: int


def walk(file: BinaryIO) -> Iterator[Member | Damage]:
    """The members and the damaged stretches of the file, in its order. Memory holds one header at a time."""
    length = file.seek(0, 2)
    at = sound = 0  # where to look next; up to where every byte is accounted for
    while at < length:
        member = _member(file, at)
        if member is None:
            at += BLOCK
            continue
        if not _empty(file, sound, at, HOLE):
            yield Damage(sound, at)
        yield member
        at = sound = member.end
    if not _empty(file, sound, length, TAIL):
        yield Damage(sound, length)


def begins_like_tar(file: BinaryIO) -> bool:
    """Whether a member's headers stand at the very beginning of the file. No more of it is read."""
    return _member(file, 0) is not None


def _member(file: BinaryIO, start: int) -> Member | None:
    """The member whose headers begin at `start`, or None if there is none."""
    name, pax = b"", dict[bytes, bytes]()
    at = start
    while True:
        file.seek(at)
        header = file.read(BLOCK)
        size = _number(header[124:136])
        if len(header) < BLOCK or not _sums_up(header) or size is None:
            return None
        kind, data = header[156:157], at + BLOCK
        if kind not in b"LKxXg":
            break
        if size > LONGEST_NAME:
            return None
        body = file.read(size)
        at = data + _padded(size)
        if kind == b"g":
            return Member("", start, data, size, at, regular=False)
        if kind == b"L":
            name = body.split(b"\0")[0]
        elif kind in b"xX":
            records = _records(body)
            if records is None:
                return None
            pax |= records

    if kind == b"S":
        more = header[482]
        while more:
            file.seek(data)
            extension = file.read(BLOCK)
            more, data = extension[504] if len(extension) == BLOCK else 0, data + BLOCK
    if b"size" in pax:
        size = int(pax[b"size"]) if pax[b"size"].isdigit() else None
        if size is None:
            return None
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    short = b"/".join(part for part in (prefix, header[:100].split(b"\0")[0]) if part)
    name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or name or short
    sparse = kind == b"S" or any(key.startswith(b"GNU.sparse.") for key in pax)
    regular = (kind in FILES or kind == b"S") and not name.endswith(b"/")
    stored = 0 if kind in NO_DATA else size
    end = data + _padded(stored)
    return Member(name.decode("utf-8", "surrogateescape"), start, data, stored, end, regular, sparse)


def _sums_up(header: bytes) -> bool:
    """Whether the header's checksum is right; old writers added the bytes as signed numbers."""
    wanted = _number(header[148:156])
    if wanted is None or not header.strip(b"\0"):
        return False
    rest = header[:148] + b" " * 8 + header[156:]
    total = sum(rest)
    return wanted == total or wanted == total - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int | None:
    """An octal or base-256 number of a header; None if it is neither or negative."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8) if not digits.startswith((b"-", b"+")) else None
    except ValueError:
        return None


def _records(body: bytes) -> dict[bytes, bytes] | None:
    """The `LENGTH KEY=VALUE\\n` records of a pax header; None if they are none."""
    records = {}
    while body.strip(b"\0"):
        digits, blank, _ = body.partition(b" ")
        if not blank or not digits.isdigit() or not len(digits) < int(digits) <= len(body):
            return None
        key, equals, value = body[len(digits) + 1 : int(digits)].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            return None
        records[key] = value[:-1]
        body = body[int(digits) :]
    return records


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _empty(file: BinaryIO, start: int, end: int, most: int) -> bool:
    """Whether there are only zeros from start to end, and at most so many."""
    if end - start > most:
        return False
    file.seek(start)
    return not file.read(max(0, end - start)).strip(b"\0")
