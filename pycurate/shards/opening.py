"""Shards opened for reading, wherever they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from pycurate.stores.file import RemoteFile
from pycurate.stores.spans import Span
from pycurate.stores.store import Object


def open_shard(path: Path | Object, wanted: Iterable[Span] | None = None) -> BinaryIO:
    """The shard as a file: from a store about once from front to back, or, where they are named, its `wanted` bytes.

    Raises OSError if a path cannot be opened. What a store refuses shows when it is read.
    """
    return cast(BinaryIO, RemoteFile(path, wanted)) if isinstance(path, Object) else open(path, "rb")
