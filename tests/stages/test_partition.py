"""PARTITION finds each shard once, names it the same wherever the root lies, and cuts groups of about equal bytes."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.errors import ShardError, UsageError
from pycurate.results.partitions import read_partition, write_partitions
from pycurate.shards.listing import Shard, check_unchanged, find_shards
from pycurate.stages.partition import bytes_in, partition


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/00000.tar", "a/00001.tar", "b/00000.tar", "b/00010.tar", "b/note.txt"):
        path = tmp_path / "in put" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return tmp_path / "in put"


def names(text: object) -> list[str]:
    return [shard.name for shard in find_shards(str(text))]


ALL = ["a/00000.tar", "a/00001.tar", "b/00000.tar", "b/00010.tar"]


def test_every_form_of_input(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(root) == ALL
    assert names(f"{root}/*/*.tar") == ALL
    assert names(f"{root}/**/*.tar") == ALL
    assert names(f"{root}/a/{{00000..00001}}.tar") == ["00000.tar", "00001.tar"]
    assert names(f"{root}/{{a,b}}/00000.tar") == ["a/00000.tar", "b/00000.tar"]
    assert names(root / "a" / "00001.tar") == ["00001.tar"]
    monkeypatch.chdir(root.parent)
    assert names("in put") == ALL
    assert names("in put/*/*0.tar") == ["a/00000.tar", "b/00000.tar", "b/00010.tar"]


def test_a_path_may_lead_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "list.txt").write_text("a/00000.tar\n")
    monkeypatch.chdir(root / "b")
    assert names("..") == names("../../in put") == names("../*/*.tar") == ALL
    assert names("../a/00001.tar") == ["00001.tar"]
    assert names("../list.txt") == ["a/00000.tar"]


def test_a_list_names_shards_from_its_own_folder(root: Path) -> None:
    listing = root / "list.txt"
    listing.write_text(f"# mine\n\nb/00010.tar\n{root}/a/00001.tar\na/{{00000..00001}}.tar\n")
    assert names(listing) == ["a/00000.tar", "a/00001.tar", "b/00010.tar"]
    elsewhere = root.parent / "list.txt"
    elsewhere.write_text(f"{root}/b/00000.tar\n{root}/b/00010.tar\n")
    assert names(elsewhere) == ["in put/b/00000.tar", "in put/b/00010.tar"]


def test_moving_the_root_changes_no_name(root: Path) -> None:
    before = names(root)
    assert names(root.rename(root.parent / "moved")) == before


@pytest.mark.parametrize("text", ["", "nowhere", "nowhere/*.tar", "{00000..00001}.tar", "a/{00000..00002}.tar", "a/{0"])
def test_a_missing_input_is_refused(root: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(UsageError):
        find_shards(text)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names no \.tar shard"):
        find_shards(str(tmp_path))


def test_a_name_that_no_table_line_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\tb.tar").write_bytes(b"")
    with pytest.raises(UsageError, match="tab"):
        find_shards(str(tmp_path))


def test_every_way_to_name_a_shard_names_it_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "linked").symlink_to(root / "a")
    assert names(root) == [*ALL, "linked/00000.tar", "linked/00001.tar"]
    listing = root / "list.txt"
    listing.write_text("\ufeffa/00000.tar\nb/../a/00000.tar\n", encoding="utf-8")
    assert names(listing) == ["a/00000.tar"]


def test_what_cannot_be_read_is_refused_and_not_passed_over(root: Path) -> None:
    (root / "a" / "00002.tar").symlink_to("nothing")
    for text in (root, f"{root}/a/*.tar", f"{root}/a/{{00000..00002}}.tar"):
        with pytest.raises(UsageError, match=r"00002\.tar"):
            find_shards(str(text))
    (root / "packed.tar.gz").write_bytes(b"\x1f\x8b\xff\xff")
    with pytest.raises(UsageError, match=r"neither a \.tar shard nor a text file"):
        find_shards(f"{root}/packed.tar.gz")


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
    with pytest.raises(UsageError, match="hold no image"):
        bytes_in(1, 40, find_shards(str(tmp_path)))


def test_partitions_are_read_back_and_changes_noticed(root: Path) -> None:
    shards = find_shards(str(root))
    write_partitions(root.parent, partition(shards, 20))
    (first, *_), number = read_partition(root.parent, "00000"), "00000"
    assert first == shards[0] and read_partition(root.parent, number)[0].path.is_absolute()
    check_unchanged(first)
    first.path.write_bytes(b"longer than it was before")
    with pytest.raises(ShardError, match=r"a/00000\.tar had 11 bytes and now has 25"):
        check_unchanged(first)
    first.path.unlink()
    with pytest.raises(ShardError, match="is gone"):
        check_unchanged(first)


def test_the_script_leaves_partitions_and_exit_codes(root: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "bin" / "partition.py"
    call = [sys.executable, str(script), "--results", str(tmp_path / "r"), "--partition-bytes", "1"]
    subprocess.run([*call, "--input", str(root)], check=True)
    assert len(list((tmp_path / "r" / "partitions").iterdir())) == 4
    missing = subprocess.run([*call, "--input", str(tmp_path / "no")], capture_output=True, text=True)
    assert missing.returncode == 2
    assert missing.stderr.startswith("partition.py: The input") and missing.stderr.count("\n") == 1
