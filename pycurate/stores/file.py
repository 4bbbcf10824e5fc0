"""A file in a store, open for reading."""

import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any

from pycurate.stores.spans import Span, joined
from pycurate.stores.store import Object, read_range

PIECE = 4 << 20  # bytes of a request at most
AHEAD = 3  # pieces that are on their way while one is used
HELD = 10  # pieces in memory at most


class RemoteFile(io.RawIOBase):
    """An object as a file that is read once, about from front to back.

    It is cut into pieces, and a piece is fetched when a byte of it is read, with those ahead of it. Without `wanted`
    that is all of the object. Else only the wanted spans, joined, are fetched ahead; what lies between them can be read
    too. Of the pieces in memory the foremost gives way, since what was read far ahead (a header behind a large member)
    is still to be used.

    Reading raises StoreError and ShardError as `read_range` does.
    """

    def __init__(self, known: Object, wanted: Iterable[Span] | None = None) -> None:
        self.known = known
        whole = [(0, known.bytes)] if wanted is None else joined(wanted)
        self._starts, self._wanted = _pieces(whole, known.bytes)
        self._held: dict[int, Future[bytes]] = {}
        self._at = 0
        self._current = -1  # the piece that was read last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.known.bytes}[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from where the file stands, as far as the file goes; the number of bytes."""
        room = memoryview(buffer).cast("B")[: max(0, self.known.bytes - self._at)]
        done = 0
        while done < len(room):
            number = bisect_right(self._starts, self._at) - 1
            begin = self._at - self._starts[number]
            part = memoryview(self._piece(number))[begin : begin + len(room) - done]
            room[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.known.bytes - self._at)
        data = bytearray(left if size < 0 else min(size, left))
        self.readinto(data)
        return bytes(data)

    def close(self) -> None:
        for piece in self._held.values():
            piece.cancel()
        self._held = {}
        super().close()

    def _piece(self, number: int) -> bytes:
        if number != self._current or number not in self._held:
            self._current = number
            for one in (number, *self._ahead(number)):
                self._fetch(one)
            while len(self._held) > HELD:
                self._held.pop(min(one for one in self._held if one != number)).cancel()
        return self._held[number].result()

    def _ahead(self, number: int) -> Iterator[int]:
        """The wanted pieces that come next, if this is one."""
        if self._wanted[number]:
            yield from islice((one for one in range(number + 1, len(self._wanted)) if self._wanted[one]), AHEAD)

    def _fetch(self, number: int) -> None:
        if number not in self._held:
            start = self._starts[number]
            stop = self._starts[number + 1] if number + 1 < len(self._starts) else self.known.bytes
            self._held[number] = _threads().submit(read_range, self.known, start, stop)


def _pieces(wanted: Iterable[Span], size: int) -> tuple[list[int], list[bool]]:
    """Where the pieces of a file of so many bytes begin, and whether each is wanted."""
    starts: list[int] = []
    flags: list[bool] = []

    def cut(start: int, stop: int, flag: bool) -> None:
        for at in range(start, stop, PIECE):
            starts.append(at)
            flags.append(flag)

    at = 0
    for start, stop in wanted:
        start, stop = min(start, size), min(stop, size)
        cut(at, start, False)
        cut(start, stop, True)
        at = stop
    cut(at, size, False)
    return starts, flags


@cache
def _threads() -> ThreadPoolExecutor:
    """Those that fetch, of all files together."""
    return ThreadPoolExecutor(2 * (AHEAD + 1), thread_name_prefix="stores")
