"""Shards are read whatever is damaged in them, and damage costs only itself."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from odd_tars import part
from tars import errors, jpeg, read_shard, readable, write_tar

from pycurate.errors import ShardError
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, read_image
from pycurate.shards.samples import read_samples

BLOCK = 512


def test_a_shard_whose_disk_fails_is_named() -> None:
    memory = Path("/proc/self/mem")  # at whose beginning there is none to read
    with pytest.raises(ShardError, match=r"Shard s\.tar cannot be read to its end"):
        next(read_samples(memory, "s.tar"))
    with pytest.raises(ShardError, match=r"Shard s\.tar cannot be read to its end"):
        read_image(Shard("s.tar", memory, 0), ImagePlace("k", 0, 8, ""))


def test_samples_carry_image_place_and_caption(tmp_path: Path) -> None:
    image = jpeg(0)
    path = write_tar(tmp_path / "s.tar", [("x/k.jpg", image), ("x/k.txt", b" a cat \n"), ("x/k.seg.png", b"mask")])
    (sample,) = read_shard(path)
    assert (sample.key, sample.ext, sample.data, sample.caption) == ("x/k", "jpg", image, "a cat")
    assert sample.uid == hashlib.blake2b(b"a/00000.tar\0x/k", digest_size=16).hexdigest()  # as docs/output.md says
    whole = path.read_bytes()
    assert whole[sample.offset : sample.offset + sample.size] == image
    assert (sample.tar_offset, sample.tar_size % BLOCK) == (0, 0)
    assert whole[sample.tar_offset + sample.tar_size :].strip(b"\0") == b""


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_odd_names_are_samples_like_others(tmp_path: Path, format: int) -> None:
    long = f"{'d' * 90}/{'k' * 80}{'/m' * 70 if format != tarfile.USTAR_FORMAT else ''}"
    keys = [
        "../up",
        "/abs/olute",
        long,
        "naïve-ключ",
        "with space",
        "quote'\"",
        "new\nline",
        b"\xff\xfe".decode("utf-8", "surrogateescape"),
    ]
    path = write_tar(tmp_path / "s.tar", [(f"{key}.jpg", jpeg(i)) for i, key in enumerate(keys)], format)
    samples = read_shard(path)
    assert [sample.error for sample in samples] == [None] * len(keys)
    assert [sample.key for sample in samples] == [*keys[:-1], "\\xff\\xfe"]
    assert [sample.data for sample in samples] == [jpeg(i) for i in range(len(keys))]


def test_keys_that_are_written_alike_are_two(tmp_path: Path) -> None:
    keys = ["a\udcff", "a\\xff", "b\\", "a\udcff", "a\\xff", "b\\"]
    samples = read_shard(write_tar(tmp_path / "s.tar", [(f"{key}.jpg", jpeg(i)) for i, key in enumerate(keys)]))
    assert [sample.key for sample in samples] == ["a\\xff", "a\\xff", "b\\"] * 2
    assert [sample.error for sample in samples] == [None] * 3 + ["duplicate_key"] * 3
    assert len({sample.uid for sample in samples}) == 6


def test_a_message_stays_short_however_many_members_a_sample_has(tmp_path: Path) -> None:
    members = [(f"a.{i:03}{'x' * 200}", b"") for i in range(500)] + [(f"b.{i:02}.jpg", b"") for i in range(11)]
    members += [("c.txt", b""), ("c.json", b""), ("d.jpg", b""), ("d.png", b"")]
    messages = [sample.message for sample in read_shard(write_tar(tmp_path / "s.tar", members))]
    long, images = (", ".join(form.format(i) for i in range(10)) for form in (f"{{:03}}{'x' * 37}...", "{:02}.jpg"))
    assert messages == [
        f"The sample contains no image, only {long} and 490 more.",
        f"The sample contains several images: {images} and 1 more.",
        "The sample contains no image, only json, txt.",
        "The sample contains several images: jpg, png.",
    ]


def three(tmp_path: Path) -> tuple[Path, bytes]:
    members = [
        (f"{key}.{ext}", data) for key in "abc" for ext, data in (("jpg", jpeg(ord(key), 200, 200)), ("txt", b"x"))
    ]
    path = write_tar(tmp_path / "s.tar", members)
    return path, path.read_bytes()


def test_a_shard_cut_anywhere_gives_its_whole_samples_and_reports_the_rest(tmp_path: Path) -> None:
    path, whole = three(tmp_path)
    ends = {sample.key: sample.tar_offset + sample.tar_size for sample in read_shard(path)}
    for cut in [
        *range(1, ends["c"], 997),
        *(edge + shift for edge in range(BLOCK, ends["c"] + 1, BLOCK) for shift in (-1, 0, 1)),
    ]:
        path.write_bytes(whole[:cut])
        # A sample passes as soon as it is known that nothing of it is missing: when the name of another one follows.
        assert readable(path) == [key for key in "abc" if ends[key] + (BLOCK if key != "c" else 1) <= cut], cut
        if cut <= ends["c"]:
            assert set(errors(path).values()) <= {"shard_truncated", "not_a_tar"} and errors(path), cut


def test_damage_in_the_middle_costs_only_its_neighbours(tmp_path: Path) -> None:
    path, whole = three(tmp_path)
    middle = {sample.key: sample for sample in read_shard(path)}["b"]
    path.write_bytes(whole[: middle.tar_offset] + b"\x55" * BLOCK + whole[middle.tar_offset + BLOCK :])
    assert readable(path) == ["c"]  # b's image is lost; a may have lost members in the damage
    assert errors(path)[""] == "shard_corrupt"
    assert errors(path)["a"] == "shard_corrupt"


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\x1f\x8b" + bytes(range(256)) * 9, b"\0" * 99, b"\x55" * 5000], ids=str
)
def test_a_file_that_is_no_tar_is_one_row(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(content)
    (sample,) = read_shard(path)
    assert (sample.key, sample.error) == ("", "not_a_tar")


def test_a_shard_without_a_sample_is_one_row(tmp_path: Path) -> None:
    for members in ([], [("README", b"no dot, no sample")]):
        (sample,) = read_shard(write_tar(tmp_path / "s.tar", members))
        assert (sample.key, sample.error) == ("", "no_samples")


def test_a_sample_across_the_seam_of_two_archives_is_parted(tmp_path: Path) -> None:
    # Copied in one piece it would carry an end mark into the output.
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0))])
    more = write_tar(tmp_path / "t.tar", [("a.txt", b"late"), ("c.jpg", jpeg(1))])
    path.write_bytes(path.read_bytes() + more.read_bytes())
    assert [(sample.key, sample.error) for sample in read_shard(path)] == [
        ("a", None),
        ("a", "duplicate_key"),
        ("c", None),
    ]


@pytest.mark.parametrize("between", ["._a.jpg", "__meta__/a.json", "README"])
def test_the_seam_parts_a_sample_whatever_comes_first_behind_it(tmp_path: Path, between: str) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0))])
    path.write_bytes(path.read_bytes() + write_tar(tmp_path / "t.tar", [(between, b""), ("a.txt", b"")]).read_bytes())
    assert [(sample.key, sample.error) for sample in read_shard(path)] == [("a", None), ("a", "duplicate_key")]


@pytest.mark.parametrize("name", ["._a.jpg", "__meta__/a.json", "README"])
def test_a_shard_that_is_cut_behind_what_is_no_sample_may_lack_members_of_the_one_before(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(part(("a.jpg", jpeg(0)), (name, b"")))
    assert errors(path) == {"a": "shard_truncated"}
    path.write_bytes(path.read_bytes() + bytes(BLOCK))
    assert readable(path) == ["a"]


@pytest.mark.parametrize("link", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_shard_that_is_cut_behind_a_link_may_lack_members_of_the_sample_before(tmp_path: Path, link: bytes) -> None:
    tar = part(("a.jpg", jpeg(0))) + part(("b.jpg", b""), type=link, linkname="a.jpg")
    (tmp_path / "s.tar").write_bytes(tar)
    assert errors(tmp_path / "s.tar") == {"a": "shard_truncated", "b": "shard_truncated"}


def test_holes_are_damage(tmp_path: Path) -> None:
    path, whole = three(tmp_path)
    second = read_shard(path)[1]
    start = second.tar_offset
    path.write_bytes(whole[:start] + bytes(1 << 17) + whole[start:])  # as behind the end mark of an archive: a is whole
    assert readable(path) == ["a", "c"] and errors(path) == {"": "shard_corrupt", "b": "shard_corrupt"}
    # Allocated, and not yet downloaded: what the hole took of a sample is not known.
    inside = start - 2 * BLOCK
    path.write_bytes(whole[: inside - BLOCK] + bytes(1 << 23))
    assert readable(path) == [] and errors(path) == {"": "shard_truncated", "a": "shard_truncated"}


@pytest.mark.parametrize("tail", [bytes(1), b"\n", b"junk" * 100, b"<html>" * 1000, bytes(1 << 21), bytes(1 << 23)])
def test_what_follows_the_end_mark_costs_no_sample(tmp_path: Path, tail: bytes) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0)), ("b.jpg", jpeg(1))])
    end = read_shard(path)[-1].tar_offset + read_shard(path)[-1].tar_size
    path.write_bytes(path.read_bytes()[:end] + bytes(2 * BLOCK) + tail)
    assert readable(path) == ["a", "b"]
    # What may hold headers, or be a part that is not yet there, is reported.
    assert errors(path) == ({"": "shard_truncated"} if tail[:1] == b"<" or len(tail) > 1 << 22 else {})


def test_concatenated_archives_are_read_to_their_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0))])
    more = write_tar(tmp_path / "t.tar", [("b.jpg", jpeg(1))])
    path.write_bytes(path.read_bytes() + more.read_bytes())
    assert readable(path) == ["a", "b"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"a/00000\.tar cannot be opened"):
        read_shard(tmp_path / "gone.tar")
