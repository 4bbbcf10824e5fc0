"""Walking through the members of a tar file that may be damaged.

Python's tarfile ends at some broken headers, passes over others without a word, and its `ignore_zeros` hides holes.
Here every byte of the file belongs to a member, to the empty blocks between members, or is reported as damage, and
reading goes on behind it. No field of a header ends the walk, and each byte is looked at a bounded number of times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pycurate.shards.header import BLOCK, Member, Unusable, read_member, sums_up

HOLE = 1 << 16  # bytes of empty blocks between members from which on they are damage; tar itself writes up to 10 KiB
TAIL = 1 << 22  # the same at the end of the file, which `tar -b` pads to a record as large as one likes

CHUNKS = (1 << 13, 1 << 20)  # bytes that a search for the next header reads, at first and at most
BEGINS_NUMBER = np.isin(np.arange(256), list(b" \t\n\v\f\r+01234567\x80"))  # the first byte of a checksum, by its value

RECORD = 10240  # tar pads an archive to a multiple of this
END = bytes(2 * BLOCK)  # two empty blocks end an archive


@dataclass(frozen=True)
class Damage:
    """Bytes from `start` to `end` that are no tar's.

    `name` is that of the member with which they begin, where its headers tell. `torn`: members beyond that one may be
    lost there. `ended`: an end mark stands before.
    """

    start: int
    end: int
    name: str | None = None
    torn: bool = True
    ended: bool = False


def walk_tar(file: BinaryIO, start: int = 0, stop: int | None = None) -> Iterator[Member | Damage]:
    """The members and the damaged stretches of the file, in its order. Memory holds the headers of one at a time.

    Of a part of the file if `start`, where a header stands, and `stop` are given: then no member reaches beyond it.
    """
    length = file.seek(0, 2) if stop is None else stop
    at = sound = start  # where to look next; up to where every byte is accounted for
    bad: Unusable | None = None  # the one that stands at `sound`
    while at < length:
        found = read_member(file, at, length)
        if found is None:
            at = _next_header(file, at + BLOCK, length)
        elif isinstance(found, Member):
            yield from _gap(file, sound, at, bad, HOLE)
            yield found
            at = sound = found.end
            bad = None
        elif found.name is None:
            at, bad = found.end, None
        elif bad and (bad.end, bad.name) == (at, found.name):  # a chain of headers, say
            at, bad = found.end, found
        else:
            yield from _gap(file, sound, at, bad, HOLE)
            sound, at, bad = at, found.end, found
    yield from _gap(file, sound, length, bad, TAIL)


def begins_like_tar(file: BinaryIO) -> bool:
    """Whether a header stands at the very beginning of the file. No more of it is read."""
    file.seek(0)
    return sums_up(file.read(BLOCK))


def _next_header(file: BinaryIO, at: int, length: int) -> int:
    """The place of the next header, in steps of a block; `length` if none follows."""
    size, most = CHUNKS
    while at + BLOCK <= length:
        file.seek(at)
        chunk = file.read(min(size, (length - at) // BLOCK * BLOCK))
        blocks = np.frombuffer(chunk, np.uint8, len(chunk) // BLOCK * BLOCK).reshape(-1, BLOCK)
        if not len(blocks):
            break
        for number in np.flatnonzero(BEGINS_NUMBER[blocks[:, 148]]).tolist():
            if sums_up(chunk[number * BLOCK : (number + 1) * BLOCK]):
                return at + number * BLOCK
        at += blocks.size
        size = min(2 * size, most)
    return length


def _gap(file: BinaryIO, start: int, end: int, bad: Unusable | None, most: int) -> Iterator[Damage]:
    """The damage, if any, that the bytes between two members are: an unusable member, or not empty as they may be."""
    if bad:
        yield Damage(start, end, bad.name, bad.torn)
    elif start < end and not _empty(file, start, end, most):
        yield Damage(start, end, ended=_end_mark(file, start, end))


def _empty(file: BinaryIO, start: int, end: int, most: int) -> bool:
    """Whether there are only zeros from start to end, and at most so many; anything under a block may follow one."""
    if end - start > most:
        return False
    file.seek(start)
    between = file.read(end - start)
    whole = len(between) // BLOCK * BLOCK
    return not between[: whole or len(between)].strip(b"\0")


def _end_mark(file: BinaryIO, start: int, end: int) -> bool:
    """Whether an empty block at `start` ends an archive, and is not the rest of a hole that begins within a member."""
    before = max(0, start - BLOCK)
    file.seek(before)
    around = file.read(min(end, start + HOLE) - before)
    zeros = around[start - before :]
    hole = len(zeros) == HOLE and not around.strip(b"\0")
    return len(zeros) >= BLOCK and not zeros[:BLOCK].strip(b"\0") and not hole
