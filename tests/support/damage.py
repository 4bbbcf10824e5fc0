"""Files that were cut, or in which a bit was turned."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pycurate.errors import TableError


def check_refusals(path: Path, load: Callable[[Path], object], message: str, bits: int = 100) -> None:
    """A cut file is refused by a TableError that begins so; one with a bit turned too, unless it can be read."""
    whole, source = path.read_bytes(), random.Random(0)
    for end in range(0, len(whole), len(whole) // 10):
        path.write_bytes(whole[:end])
        with pytest.raises(TableError, match=message):
            load(path)
    refused = 0
    for _ in range(bits):
        broken = bytearray(whole)
        broken[source.randrange(len(whole))] ^= 1 << source.randrange(8)
        path.write_bytes(broken)
        try:
            load(path)
        except TableError:
            refused += 1
    assert refused > bits / 2
