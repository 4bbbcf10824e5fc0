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


OWN = """
import numpy as np

class Odd:
    reason = "odd"
    def passes(self, table): return np.ones(table.num_rows, bool)

class Nothing:
    reason = "nothing"

class Probe:
    name = "probe"
    def calibrate(raw): return raw
    def score(self, embeddings): return embeddings[:, 0]
"""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--filter own.py:Odd --scorer own.py:Probe --min-score probe=1,probe_raw=2,aesthetic_raw=3,width=9", None),
        ("--encoder own.py:Odd --scorer own.py:Probe --no-aesthetic --no-nsfw", None),
        ("--filter own.py:Off", "own.py has no class 'Off'"),
        ("--filter own.py:Nothing", "own.py:Nothing is not a filter: it needs `passes`"),
        ("--scorer nowhere:Probe", "there is no module 'nowhere'"),
        ("--pixel-scorer own.py:Odd", "own.py:Odd has no name"),
        ("--encoder own.py:No --no-aesthetic --no-nsfw", "own.py has no class 'No'"),
        ("--min-score probe=1", "There is no score probe, only aesthetic, aesthetic_raw, nsfw;"),
        ("--min-score nsfw=0.5 --no-nsfw", "There is no score nsfw"),
        ("--score mix=z(probe)+aesthetic --scorer own.py:Probe --keep-top mix=0.3,nsfw=7 --min-score mix=0", None),
        ("--score mix=z(probe)", "There is no score probe, only aesthetic"),
        ("--score mix=0.5(aesthetic)", "'0.5(aesthetic)' is not a formula"),
        ("--score aesthetic=nsfw", "There is a score aesthetic already"),
        ("--keep-top mix=0.3", "There is no score mix"),
        ("--keep-top aesthetic=30%", "'aesthetic=30%' does not say how many to keep"),
        ("--encoder ViT-B-16/openai --scorer own.py:Probe --no-nsfw", "There is no score aesthetic"),
    ],
)
def test_what_a_run_could_not_use_is_refused_before_it(
    four_shards: Path, tmp_path: Path, options: str, sentence: str | None
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    script = Path(__file__).resolve().parents[2] / "bin" / "partition.py"
    command = [sys.executable, str(script), "--input", str(four_shards), "--results", "out", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "out").exists()) == ((2, False) if sentence else (0, True)), done.stderr
    assert sentence is None or done.stderr.startswith(f"partition.py: {sentence}")
