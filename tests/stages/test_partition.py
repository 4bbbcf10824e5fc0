"""PARTITION finds each shard once, names it the same wherever the root lies, and cuts groups of about equal bytes."""

import glob
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.errors import ShardError, UsageError
from pycurate.results.partitions import read_partition, write_partitions
from pycurate.shards.listing import Shard, check_unchanged, find_shards, search
from pycurate.shards.patterns import named
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
    assert names(root) == ALL  # the folder behind the link is met by its own name
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


# --- the output is no input, and a file is one shard however many links lead to it


def test_links_in_circles_and_to_one_file_count_once(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for folder in ("b", "b/.hidden"):
        (top / folder).mkdir(parents=True)
        (top / folder / "x.tar").write_text(folder)
    (top / "a").symlink_to(top / "b")  # before the folder itself by its name
    (top / "b" / "round").symlink_to(top)
    (top / "b" / "again").symlink_to("..")  # two circles: 2^40 paths for who follows them
    (top / "link.tar").symlink_to(top / "b" / "x.tar")
    (top / "hard.tar").hardlink_to(top / "b" / ".hidden" / "x.tar")
    found = search(str(top))
    assert [shard.name for shard in found.shards] == ["b/x.tar", "hard.tar"]
    assert found.remarks == ["Each file is used once, whatever leads to it (names left out: 2)."]
    assert names(f"{top}/**/*.tar") == ["b/x.tar", "hard.tar"]
    assert names(f"{top}/**/a/*.tar") == ["a/x.tar"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "y.tar").write_text("y")
    (top / "c").symlink_to(tmp_path / "elsewhere")
    assert names(top) == ["b/x.tar", "c/y.tar", "hard.tar"]


PARTS = st.sampled_from(["a", "b", ".c", "*", "**", "?", "x.tar", "*.tar"])


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_a_glob_finds_what_pythons_finds_where_no_links_are(tree: Path, parts: list[str]) -> None:
    pattern = f"{tree}/{'/'.join(parts)}"
    expected = {path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)}
    try:
        found = {str(path) for path in named(pattern)[0]}
    except UsageError:
        found = set()
    if not os.path.lexists(pattern):
        assert found == expected


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders three deep, with a shard in each."""
    top = tmp_path_factory.mktemp("tree")
    for parts in itertools.product(("a", "b", ".c"), repeat=3):
        folder = top.joinpath(*parts)
        folder.mkdir(parents=True)
        for place in (folder, *folder.parents[:2]):
            (place / "x.tar").write_text("")
    return top


def test_what_runs_made_is_left_out_unless_it_is_named_itself(tmp_path: Path) -> None:
    for name in ("own.tar", "curated/theirs.tar", "out/curated/1.tar", "out/odd.tar", "wd/ab/cd/x.tar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for earlier, mark in (("r1", "decisions.parquet"), ("r2", "summary.json"), ("w/ab/cdef", ".command.run")):
        (tmp_path / earlier / "curated").mkdir(parents=True)
        (tmp_path / earlier / "curated" / "0.tar").write_text(earlier)
        (tmp_path / earlier / "beside.tar").write_text(f"{earlier}/beside")
        (tmp_path / earlier / mark).write_text('{"inputs": 1, "kept": 1, "dropped": {}}')
    ours = {"outdir": tmp_path / "out", "work": tmp_path / "wd"}
    found = search(str(tmp_path), **ours)
    beside = ["r1/beside.tar", "r2/beside.tar", "w/ab/cdef/beside.tar"]
    assert [shard.name for shard in found.shards] == ["curated/theirs.tar", "own.tar", *beside]
    assert sorted(found.remarks) == sorted(
        f"'{tmp_path}/{name}' is left out ({count} .tar): a run made what it holds."
        for name, count in (("out", 2), ("wd", 1), ("r1/curated", 1), ("r2/curated", 1), ("w/ab/cdef/curated", 1))
    )
    # Named by himself: an earlier set is curated again, and so it is beside an outdir above or at the input.
    assert names(tmp_path / "r1" / "curated") == names(f"{tmp_path}/r1/curated/*.tar") == ["0.tar"]
    above = search(str(tmp_path / "r1"), outdir=tmp_path)
    assert [shard.name for shard in above.shards] == ["beside.tar"]
    assert [shard.name for shard in search(str(tmp_path / "out"), outdir=tmp_path / "out").shards] == ["odd.tar"]
    with pytest.raises(UsageError, match="lies in the curated shards of --outdir"):
        search(f"{tmp_path}/out/curated/*.tar", **ours)
    with pytest.raises(UsageError, match=r"names no shard but what runs made in .*r1/curated"):
        search(f"{tmp_path}/r1/**/0.tar")
