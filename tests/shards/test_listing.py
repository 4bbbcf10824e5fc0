"""The input's shards: every form of --input names each file once, and nothing that a run made."""

import hashlib
import os
from itertools import product
from pathlib import Path

import pytest

from pycurate.errors import ShardError, UsageError
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, find_shards, read_image, search, touched


def names(text: object) -> list[str]:
    return [shard.name for shard in find_shards(str(text))]


ALL = ["a/00000.tar", "a/00001.tar", "b/00000.tar", "b/00010.tar"]


def test_every_form_of_input(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(four_shards) == ALL
    assert names(f"{four_shards}/*/*.tar") == ALL
    assert names(f"{four_shards}/**/*.tar") == ALL
    assert names(f"{four_shards}/a/{{00000..00001}}.tar") == ["00000.tar", "00001.tar"]
    assert names(f"{four_shards}/{{a,b}}/00000.tar") == ["a/00000.tar", "b/00000.tar"]
    assert names(four_shards / "a" / "00001.tar") == ["00001.tar"]
    monkeypatch.chdir(four_shards.parent)
    assert names("in put") == ALL
    assert names("in put/*/*0.tar") == ["a/00000.tar", "b/00000.tar", "b/00010.tar"]


def test_a_pattern_may_be_longer_than_any_name(four_shards: Path) -> None:
    there = ",".join(["00000.tar", "00001.tar"] * 30)
    assert names(f"{four_shards}/a/{{{there}}}") == ["00000.tar", "00001.tar"]
    with pytest.raises(UsageError, match="matches no file"):
        find_shards(f"{four_shards}/a/{{{there},00002.tar}}")


def test_a_path_may_lead_up(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (four_shards / "list.txt").write_text("a/00000.tar\n")
    monkeypatch.chdir(four_shards / "b")
    assert names("..") == names("../../in put") == names("../*/*.tar") == ALL
    assert names("../a/00001.tar") == ["00001.tar"]
    assert names("../list.txt") == ["a/00000.tar"]


def test_a_pattern_may_lead_out_of_its_folder(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(f"{four_shards}/a/{{00000,../b/00010}}.tar") == ["a/00000.tar", "b/00010.tar"]
    assert names(f"{four_shards}/*/../b/*.tar") == ["b/00000.tar", "b/00010.tar"]
    for place in (four_shards / "a", Path("/")):  # whose names do not depend on where the run is started
        monkeypatch.chdir(place)
        assert names(f"{{{four_shards}/a,{four_shards}/b}}/00000.tar") == ["a/00000.tar", "b/00000.tar"]
    with pytest.raises(UsageError, match=r"contains no \.tar shard"):
        find_shards(f"{{{four_shards}/a,{four_shards}/b}}")


def test_a_list_names_shards_from_its_own_folder(four_shards: Path) -> None:
    listing = four_shards / "list.txt"
    listing.write_text(f"# mine\n\nb/00010.tar\n{four_shards}/a/00001.tar\na/{{00000..00001}}.tar\n")
    assert names(listing) == ["a/00000.tar", "a/00001.tar", "b/00010.tar"]
    elsewhere = four_shards.parent / "list.txt"
    elsewhere.write_text(f"{four_shards}/b/00000.tar\n{four_shards}/b/00010.tar\n")
    assert names(elsewhere) == ["in put/b/00000.tar", "in put/b/00010.tar"]


def test_moving_the_root_changes_no_name(four_shards: Path) -> None:
    before = names(four_shards)
    assert names(four_shards.rename(four_shards.parent / "moved")) == before


@pytest.mark.parametrize("text", ["", "nowhere", "nowhere/*.tar", "{00000..00001}.tar", "a/{00000..00002}.tar", "a/{0"])
def test_a_missing_input_is_refused(four_shards: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(four_shards)
    with pytest.raises(UsageError):
        find_shards(text)


@pytest.mark.parametrize("content", [b"a/\0*.tar\n", "a/*.tar".encode("utf-16-le"), "ä/*.tar".encode("latin-1")])
def test_a_list_that_is_no_text_is_refused(four_shards: Path, content: bytes) -> None:
    (four_shards / "list.txt").write_bytes(content)
    with pytest.raises(UsageError, match=r"neither a \.tar shard nor a text file"):
        find_shards(str(four_shards / "list.txt"))


def test_a_large_file_that_is_no_list_is_refused_by_its_beginning(tmp_path: Path) -> None:
    packed = tmp_path / "a.tar.gz"
    with packed.open("wb") as file:
        file.write(b"\x1f\x8b\x08\0")
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match=r"neither a \.tar shard nor a text file"):
        find_shards(str(packed))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"contains no \.tar shard"):
        find_shards(str(tmp_path))


@pytest.mark.parametrize(
    ("odd", "said"),
    [("\t", "a tab or a line"), ("\r", "a tab or a line"), ("\n", "a tab or a line"), ("\udcff", "UTF-8")],
)
def test_a_name_that_no_table_line_can_hold_is_refused(tmp_path: Path, odd: str, said: str) -> None:
    (tmp_path / f"a{odd}b.tar").write_bytes(b"")
    with pytest.raises(UsageError, match=f"{said}.* in its path; rename it"):
        find_shards(str(tmp_path))


def test_every_way_to_name_a_shard_names_it_once(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (four_shards / "linked").symlink_to(four_shards / "a")
    assert names(four_shards) == ALL  # the folder behind the link is met by its own name
    listing = four_shards / "list.txt"
    listing.write_text("\ufeffa/00000.tar\nb/../a/00000.tar\n", encoding="utf-8")
    assert names(listing) == ["a/00000.tar"]


def test_of_several_names_of_a_file_its_own_comes_before_links_and_the_shortest_first(four_shards: Path) -> None:
    assert search(str(four_shards)).remarks == []
    (four_shards / "a" / "0.tar").symlink_to("00000.tar")
    (four_shards / "b" / "zz.tar").hardlink_to(four_shards / "b" / "00010.tar")
    (four_shards / "zzz.tar").hardlink_to(four_shards / "b" / "00000.tar")
    found = search(str(four_shards))
    assert [shard.name for shard in found.shards] == ["a/00000.tar", "a/00001.tar", "b/00010.tar", "zzz.tar"]
    assert found.remarks == ["Files listed or linked several times are used once (names left out: 3)."]


def test_an_entry_of_a_list_is_the_name_of_a_file_before_it_is_a_pattern_or_has_white_space_around_it(
    tmp_path: Path,
) -> None:
    for name in ("*.tar", "1.tar", " 2.tar"):
        (tmp_path / name).write_bytes(b"x")
    listing = tmp_path / "list.txt"
    for lines, due in (("[*].tar", ["*.tar"]), ("\t1.tar ", ["1.tar"]), (" 2.tar", [" 2.tar"])):
        listing.write_text(lines)
        assert names(listing) == due
    listing.write_text("*.tar\n1.tar")
    with pytest.raises(UsageError, match="also a pattern that matches 1 more; escape the name"):
        find_shards(str(listing))
    listing.write_text("*.tar\n1.tar\n 2.tar")
    assert names(listing) == [" 2.tar", "*.tar", "1.tar"]


def test_a_file_system_may_keep_only_the_whole_seconds_of_a_time_stamp(tmp_path: Path) -> None:
    path, second = tmp_path / "s.tar", 10**9
    path.touch()
    times = [5 * second + more for more in (0, 1, second - 1, second, second + 1, 2 * second)]
    for one, other in product(times, times):
        os.utime(path, ns=(other, other))
        same = one == other or one == other - other % second or other == one - one % second
        assert touched(Shard("s.tar", path, 0, one)) == (not same)
        assert not touched(Shard("s.tar", path, 0))
    path.unlink()
    assert not touched(Shard("s.tar", path, 0, times[0]))


def test_an_image_is_read_only_where_it_is_the_one_that_was_embedded(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(b"0123456789")
    shard, image = Shard("s.tar", path, 10), ImagePlace("k", 3, 4, hashlib.sha256(b"3456").hexdigest())
    assert read_image(shard, image) == b"3456"
    for content, said in (
        (b"012345x789", "the image of 'k' is not the one"),
        (b"01234567891", "10 bytes and now has 11"),
    ):
        path.write_bytes(content)
        with pytest.raises(ShardError, match=said):
            read_image(shard, image)
    path.unlink()
    with pytest.raises(ShardError, match=r"s\.tar is gone"):
        read_image(shard, image)


def test_what_cannot_be_read_is_refused_and_not_passed_over(four_shards: Path) -> None:
    (four_shards / "a" / "00002.tar").symlink_to("nothing")
    for text in (four_shards, f"{four_shards}/a/*.tar", f"{four_shards}/a/{{00000..00002}}.tar"):
        with pytest.raises(UsageError, match=r"00002\.tar"):
            find_shards(str(text))
    (four_shards / "packed.tar.gz").write_bytes(b"\x1f\x8b\xff\xff")
    with pytest.raises(UsageError, match=r"neither a \.tar shard nor a text file"):
        find_shards(f"{four_shards}/packed.tar.gz")
