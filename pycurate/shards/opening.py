"""Shards opened for reading, wherever they are."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pycurate.errors import ShardError
from pycurate.stores.file import RemoteFile
from pycurate.stores.spans import Span
from pycurate.stores.store import Object


def open_shard(path: Path | Object, wanted: Iterable[Span] | None = None) -> BinaryIO:
    """The shard as a file: from a store about once from front to back, or, where they are named, its `wanted` bytes.

    Raises OSError if a path cannot be opened. What a store refuses shows when it is read.
    """
    return cast(BinaryIO, RemoteFile(path, wanted)) if isinstance(path, Object) else open(path, "rb")


@contextmanager
def reading(shard: str) -> Iterator[None]:
    """Raises ShardError where a disk fails in the block, in which no other file is used than the shard of this name.

    The error of the system does not tell the file, and whoever writes another one would take it for that one's.
    """
    try:
        yield
    except OSError as error:
        raise ShardError(
            f"Shard {shard} cannot be read to its end ({error}); check its disk, or leave the shard out."
        ) from error
