"""PARTITION cuts groups of about equal bytes, in order."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.errors import UsageError
from pycurate.shards.listing import Shard, find_shards
from pycurate.stages.partition import bytes_in, partition


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60))
def test_groups_keep_the_order_and_are_about_equal(sizes: list[int], target: int) -> None:
    shards = [Shard(f"{i:05}.tar", Path("x"), size) for i, size in enumerate(sizes)]
    groups = partition(shards, target)
    assert [shard for group in groups for shard in group] == shards
    assert all(groups)
    for group in groups[:-1]:
        total, last = sum(shard.bytes for shard in group), group[-1].bytes
        assert total - last / 2 <= target or len(group) == 1
        assert total > target - max(sizes)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 60), st.integers(1, 50))
def test_a_shard_added_at_the_end_changes_only_the_last_group(sizes: list[int], target: int, more: int) -> None:
    shards = [Shard(f"{i:05}.tar", Path("x"), size) for i, size in enumerate([*sizes, more])]
    before, after = partition(shards[:-1], target), partition(shards, target)
    assert after[: len(before) - 1] == before[:-1]


def test_partitions_by_time_hold_what_a_task_embeds_in_it(tmp_path: Path) -> None:
    for shard in range(6):
        samples = [(f"{number}.{ext}", jpeg(number)) for number in range(20) for ext in ("jpg", "txt")]
        write_tar(tmp_path / f"{shard}.tar", samples)
    shards = find_shards(str(tmp_path))
    # 40 images a second for a minute are 2400 images; a shard holds 20.
    assert bytes_in(1, 40, shards) == 120 * shards[0].bytes
    assert [len(group) for group in partition(shards, bytes_in(0.5, 40 / 30, shards))] == [2, 2, 2]


def test_partitions_by_time_need_an_image(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.txt", b"x")])
    with pytest.raises(UsageError, match="contain no image"):
        bytes_in(1, 40, find_shards(str(tmp_path)))


def test_the_script_leaves_partitions_and_exit_codes(four_shards: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "bin" / "partition.py"
    call = [sys.executable, str(script), "--results", str(tmp_path / "r"), "--partition-bytes", "1"]
    subprocess.run([*call, "--input", str(four_shards)], check=True)
    assert len(list((tmp_path / "r" / "partitions").iterdir())) == 4
    missing = subprocess.run([*call, "--input", str(tmp_path / "no")], capture_output=True, text=True)
    assert missing.returncode == 2
    assert missing.stderr.startswith("partition.py: The input") and missing.stderr.count("\n") == 1
