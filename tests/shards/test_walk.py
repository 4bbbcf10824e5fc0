"""Folders are walked once, whatever links lead to them."""

from pathlib import Path

from pycurate.shards.listing import find_shards, search


def names(text: object) -> list[str]:
    return [shard.name for shard in find_shards(str(text))]


def test_links_in_circles_and_to_one_file_count_once(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for folder in ("b", "b/.hidden"):
        (top / folder).mkdir(parents=True)
        (top / folder / "x.tar").write_text(folder)
    (top / "a").symlink_to(top / "b")  # before the folder itself by its name
    (top / "b" / "round").symlink_to(top)
    (top / "b" / "again").symlink_to("..")  # two circles: 2^40 paths for who follows them
    (top / "b" / "itself").symlink_to("itself")
    (top / "link.tar").symlink_to(top / "b" / "x.tar")
    (top / "hard.tar").hardlink_to(top / "b" / ".hidden" / "x.tar")
    found = search(str(top))
    assert [shard.name for shard in found.shards] == ["b/x.tar", "hard.tar"]
    assert found.remarks == ["Files listed or linked several times are used once (names left out: 2)."]
    assert names(f"{top}/**/*.tar") == ["b/x.tar", "hard.tar"]
    assert names(f"{top}/**/a/*.tar") == ["a/x.tar"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "y.tar").write_text("y")
    (top / "c").symlink_to(tmp_path / "elsewhere")
    assert names(top) == ["b/x.tar", "c/y.tar", "hard.tar"]
