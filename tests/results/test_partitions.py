"""Partitions are read as they were written, and a shard that has changed since is noticed."""

from pathlib import Path

import pytest

from pycurate.errors import ShardError
from pycurate.results.partitions import read_partition, write_partitions
from pycurate.shards.listing import Shard, check_unchanged, find_shards
from pycurate.stages.partition import partition
from pycurate.stores.store import Object


def test_partitions_are_read_back_and_changes_noticed(four_shards: Path) -> None:
    shards = find_shards(str(four_shards))
    write_partitions(four_shards.parent, partition(shards, 20))
    (first, *_), number = read_partition(four_shards.parent, "00000"), "00000"
    assert first == shards[0] and read_partition(four_shards.parent, number)[0].path == four_shards / "a" / "00000.tar"
    check_unchanged(first)
    (four_shards / first.name).write_bytes(b"longer than it was before")
    with pytest.raises(ShardError, match=r"a/00000\.tar had 11 bytes and now has 25"):
        check_unchanged(first)
    (four_shards / first.name).unlink()
    with pytest.raises(ShardError, match="is gone"):
        check_unchanged(first)


def test_a_shard_in_a_store_is_read_back(tmp_path: Path) -> None:
    shard = Shard("a/0.tar", Object("s3://bucket/x/a/0.tar", 7, "0a-2"), 7)
    write_partitions(tmp_path, [[shard]])
    assert read_partition(tmp_path, "00000") == [shard]
    check_unchanged(shard)
