"""The input's shards: every form of --input names each file once, and nothing that a run made."""

from pathlib import Path

import pytest

from pycurate.errors import UsageError
from pycurate.shards.listing import find_shards


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


def test_a_name_that_no_table_line_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\tb.tar").write_bytes(b"")
    with pytest.raises(UsageError, match="tab"):
        find_shards(str(tmp_path))


def test_every_way_to_name_a_shard_names_it_once(four_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (four_shards / "linked").symlink_to(four_shards / "a")
    assert names(four_shards) == ALL  # the folder behind the link is met by its own name
    listing = four_shards / "list.txt"
    listing.write_text("\ufeffa/00000.tar\nb/../a/00000.tar\n", encoding="utf-8")
    assert names(listing) == ["a/00000.tar"]


def test_what_cannot_be_read_is_refused_and_not_passed_over(four_shards: Path) -> None:
    (four_shards / "a" / "00002.tar").symlink_to("nothing")
    for text in (four_shards, f"{four_shards}/a/*.tar", f"{four_shards}/a/{{00000..00002}}.tar"):
        with pytest.raises(UsageError, match=r"00002\.tar"):
            find_shards(str(text))
    (four_shards / "packed.tar.gz").write_bytes(b"\x1f\x8b\xff\xff")
    with pytest.raises(UsageError, match=r"neither a \.tar shard nor a text file"):
        find_shards(f"{four_shards}/packed.tar.gz")
