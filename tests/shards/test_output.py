"""The tar that is being written is what came, byte for byte, and its size and SHA-256 are its own."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.errors import ShardError
from pycurate.shards.copy import Source
from pycurate.shards.listing import Shard
from pycurate.shards.output import BLOCK, Output

BYTES = 3 * BLOCK
LENGTHS = (0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    path = tmp_path_factory.mktemp("output") / "0.tar"
    path.write_bytes(np.random.default_rng(0).bytes(BYTES))
    return Shard("0.tar", path, BYTES)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(LENGTHS), st.integers(0, BLOCK - 3)), max_size=6))
def test_what_came_is_written_and_hashed(shard: Shard, parts: list[tuple[bool, int, int]]) -> None:
    """In pieces of any lengths, from memory and from a shard by turns."""
    assert isinstance(shard.path, Path)
    data, path = shard.path.read_bytes(), shard.path.with_name("written")
    with open(path, "wb", buffering=0) as file, Output(file) as output, Source(shard, []) as source:
        for copied, length, start in parts:
            if copied:
                output.copy(source, start, start + length)
            else:
                output.write(data[start : start + length])
        sha256, size = output.sha256(), output.size
    whole = b"".join(data[start : start + length] for _, length, start in parts)
    assert path.read_bytes() == whole and size == len(whole)
    assert sha256 == hashlib.sha256(whole).hexdigest()


def test_a_shard_that_is_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    path.write_bytes(bytes(1000))
    said = r"Shard 0\.tar ends before byte 900; it changed while it was read"
    written, shard = tmp_path / "written", Shard("0.tar", path, 1000)
    with open(written, "wb", buffering=0) as file, Output(file) as output, Source(shard, []) as source:
        os.truncate(path, 700)
        with pytest.raises(ShardError, match=said):
            output.copy(source, 600, 900)
