"""The tar that is being written, and its SHA-256, which is computed beside the writing from the same bytes."""

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from pycurate.errors import ShardError
from pycurate.shards.copy import Source

BLOCK = 1 << 20  # bytes that are written and hashed at once


class Output:
    """An unbuffered file to which bytes are appended; a context manager.

    While a block is written, another thread hashes it: hashing is about as fast as a disk, and so costs a second core
    and no time. `size` is how many bytes came.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self._file = file
        self._digest = hashlib.sha256()
        self._hashing = ThreadPoolExecutor(1)
        self._hashed: Future[None] | None = None
        self._block, self._other = bytearray(BLOCK), bytearray(BLOCK)
        self._filled = 0

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._hashing.shutdown()

    def write(self, data: bytes) -> None:
        """Append these bytes."""
        view = memoryview(data)
        while view:
            room = self._room()
            part = view[: len(room)]
            room[: len(part)] = part
            self._came(len(part))
            view = view[len(part) :]

    def copy(self, source: Source, start: int, stop: int) -> None:
        """Append the bytes of a shard from `start` up to `stop`.

        Raises ShardError if it does not contain them, or one of the images among them is not the embedded one.
        """
        while start < stop:
            room = self._room()[: stop - start]
            done = source.read_into(room, start)
            if done == 0:
                raise ShardError(
                    f"Shard {source.name} ends before byte {stop}; it changed while it was read: run again."
                )
            source.images.came(start, room[:done])
            self._came(done)
            start += done

    def sha256(self) -> str:
        """The SHA-256 of all bytes, which are then written: 64 hex digits."""
        self._flush()
        if self._hashed:
            self._hashed.result()
        return self._digest.hexdigest()

    def _room(self) -> memoryview:
        if self._filled == BLOCK:
            self._flush()
        return memoryview(self._block)[self._filled :]

    def _came(self, count: int) -> None:
        self._filled += count
        self.size += count

    def _flush(self) -> None:
        block = memoryview(self._block)[: self._filled]
        if self._hashed:
            self._hashed.result()  # that of the other block, which is filled next
        self._hashed = self._hashing.submit(self._digest.update, block)
        while block:
            block = block[os.write(self._file.fileno(), block) :]
        self._block, self._other, self._filled = self._other, self._block, 0
