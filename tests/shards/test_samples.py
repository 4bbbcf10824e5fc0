"""Shards are read as webdataset groups them, and damage costs only itself."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.errors import ShardError
from pycurate.shards.samples import Sample, read_samples

BLOCK = 512


def read(path: Path) -> list[Sample]:
    return list(read_samples(path, "a/00000.tar"))


def readable(path: Path) -> list[str]:
    return [sample.key for sample in read(path) if sample.error is None]


def errors(path: Path) -> dict[str, str | None]:
    return {sample.key: sample.error for sample in read(path) if sample.error}


def test_samples_carry_image_place_and_caption(tmp_path: Path) -> None:
    image = jpeg(0)
    path = write_tar(tmp_path / "s.tar", [("x/k.jpg", image), ("x/k.txt", b" a cat \n"), ("x/k.seg.png", b"mask")])
    (sample,) = read(path)
    assert (sample.key, sample.ext, sample.data, sample.caption) == ("x/k", "jpg", image, "a cat")
    whole = path.read_bytes()
    assert whole[sample.offset : sample.offset + sample.size] == image
    assert (sample.tar_offset, sample.tar_size % BLOCK) == (0, 0)
    assert whole[sample.tar_offset + sample.tar_size :].strip(b"\0") == b""


def test_caption_of_the_json_sidecar_is_used_where_there_is_no_text(tmp_path: Path) -> None:
    members = [
        ("a.jpg", jpeg(1)),
        ("a.json", b'{"caption": "a dog"}'),
        ("b.jpg", jpeg(2)),
        ("b.json", b"not json"),
        ("c.jpg", jpeg(3)),
        ("c.json", b'{"caption": 3}'),
    ]
    assert [sample.caption for sample in read(write_tar(tmp_path / "s.tar", members))] == ["a dog", None, None]


def test_the_uid_of_the_json_sidecar_is_kept_where_it_is_one(tmp_path: Path) -> None:
    uid = "139e4a9b22a614771f06c700a8ebe150"
    records = [b'{"uid": "%s"}' % uid.encode(), b'{"uid": "%s"}' % uid.upper().encode(), b'{"uid": 7}', b'{"uid": "7"}']
    records += [b"[]", b'{"uid": "%s"}' % uid.encode() + b" " * (1 << 24)]
    members = [
        member
        for i, record in enumerate(records)
        for member in ((f"{i}.jpg", jpeg(i)), (f"{i}.txt", b""), (f"{i}.json", record))
    ]
    members += [("no_image.json", records[0])]
    found = [sample.given_uid for sample in read(write_tar(tmp_path / "s.tar", members))]
    assert found == [uid, uid, None, None, None, None, uid]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "dir/a", "./c", "../up", "/abs/d", "d.e/f", "ä", ".hidden", "x" * 300]),
            st.sampled_from(["jpg", "JPG", "txt", "json", "seg.png", "cls"]),
        ),
        max_size=12,
        unique=True,
    )
)
def test_keys_are_grouped_as_webdataset_groups_them(tmp_path: Path, names: list[tuple[str, str]]) -> None:
    members = [(f"{key}.{ext}", f"{key}{ext}".encode()) for key, ext in names]
    path = write_tar(tmp_path / "s.tar", members)
    try:
        expected = [
            sample["__key__"] for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
        ]
    except ValueError:  # .JPG and .jpg of one key: webdataset gives up there, pycurate marks the sample
        assert "duplicate_key" in {sample.error for sample in read(path)}
        return
    samples = [sample for sample in read(path) if sample.error != "no_samples"]
    assert [sample.key for sample in samples] == expected
    assert len({sample.uid for sample in samples}) == len(expected)


def test_a_sample_needs_exactly_one_image(tmp_path: Path) -> None:
    members = [("a.txt", b"x"), ("b.jpg", jpeg(1)), ("b.png", b"x"), ("c.jpg", jpeg(2)), ("c.jpg", jpeg(3))]
    members += [("d.jpg", jpeg(4)), ("e.photo.jpg", jpeg(5)), ("d.txt", b"too late")]
    samples = read(write_tar(tmp_path / "s.tar", members))
    found = [(sample.key, sample.error) for sample in samples]
    assert found == [
        ("a", "no_image"),
        ("b", "duplicate_key"),
        ("c", "duplicate_key"),
        ("d", None),
        ("e", None),
        ("d", "duplicate_key"),
    ]
    assert len({sample.uid for sample in samples}) == 6


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
    samples = read(path)
    assert [sample.error for sample in samples] == [None] * len(keys)
    assert [sample.key for sample in samples] == [*keys[:-1], "\\xff\\xfe"]
    assert [sample.data for sample in samples] == [jpeg(i) for i in range(len(keys))]


def three(tmp_path: Path) -> tuple[Path, bytes]:
    members = [
        (f"{key}.{ext}", data) for key in "abc" for ext, data in (("jpg", jpeg(ord(key), 200, 200)), ("txt", b"x"))
    ]
    path = write_tar(tmp_path / "s.tar", members)
    return path, path.read_bytes()


def test_a_shard_cut_anywhere_gives_its_whole_samples_and_reports_the_rest(tmp_path: Path) -> None:
    path, whole = three(tmp_path)
    ends = {sample.key: sample.tar_offset + sample.tar_size for sample in read(path)}
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
    middle = {sample.key: sample for sample in read(path)}["b"]
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
    (sample,) = read(path)
    assert (sample.key, sample.error) == ("", "not_a_tar")


def test_a_shard_without_a_sample_is_one_row(tmp_path: Path) -> None:
    for members in ([], [("README", b"no dot, no sample")]):
        (sample,) = read(write_tar(tmp_path / "s.tar", members))
        assert (sample.key, sample.error) == ("", "no_samples")


def test_a_sample_across_the_seam_of_two_archives_is_parted(tmp_path: Path) -> None:
    # Copied in one piece it would carry an end mark into the output.
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0))])
    more = write_tar(tmp_path / "t.tar", [("a.txt", b"late"), ("c.jpg", jpeg(1))])
    path.write_bytes(path.read_bytes() + more.read_bytes())
    assert [(sample.key, sample.error) for sample in read(path)] == [("a", None), ("a", "duplicate_key"), ("c", None)]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_broken_header_behind_a_long_name_costs_only_itself_and_the_next(tmp_path: Path, format: int) -> None:
    keys = [f"{letter * 150}" for letter in "abcdef"]
    path = write_tar(tmp_path / "s.tar", [(f"{key}.jpg", jpeg(i)) for i, key in enumerate(keys)], format)
    third = read(path)[2]
    whole = bytearray(path.read_bytes())
    header = third.offset - BLOCK
    whole[header : header + 100] = b"\xee" * 100
    path.write_bytes(whole)
    assert readable(path) == [keys[0], keys[1], keys[4], keys[5]]  # the one behind may have lost members
    assert errors(path) == dict.fromkeys(keys[2:4], "shard_corrupt")


def pax(records: bytes, size: int = 0) -> bytes:
    """A pax header with these records, and behind it an ordinary header for a.jpg."""
    out = b""
    for name, kind, length in ((b"PaxHeader", b"x", len(records)), (b"a.jpg", b"0", size)):
        block = bytearray(BLOCK)
        block[:100] = name.ljust(100, b"\0")
        block[124:136] = f"{length:011o}\0".encode()
        block[156:157] = kind
        block[257:265] = b"ustar\00000"
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block):06o}\0 ".encode()
        out += bytes(block)
        if kind == b"x":
            out += records.ljust(BLOCK, b"\0")
    return out


@pytest.mark.parametrize(
    "records", [b"14 size=-5000\n", b"9 size=x\n", b"garbage", b"99 size=1\n", b"22 GNU.sparse.size=1\n"]
)
def test_nonsense_in_a_pax_header_ends_and_costs_only_itself(tmp_path: Path, records: bytes) -> None:
    path = write_tar(tmp_path / "s.tar", [("b.jpg", jpeg(0))])
    path.write_bytes(pax(records) + path.read_bytes())
    samples = read(path)
    assert len(samples) <= 3
    assert all(sample.error for sample in samples if sample.key != "b")


def test_holes_are_damage(tmp_path: Path) -> None:
    path, whole = three(tmp_path)
    second = read(path)[1]
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
    end = read(path)[-1].tar_offset + read(path)[-1].tar_size
    path.write_bytes(path.read_bytes()[:end] + bytes(2 * BLOCK) + tail)
    assert readable(path) == ["a", "b"]
    # What may hold headers, or be a part that is not yet there, is reported.
    assert errors(path) == ({"": "shard_truncated"} if tail[:1] == b"<" or len(tail) > 1 << 22 else {})


def test_damage_behind_a_header_for_the_whole_archive_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(jpeg(0))
        tar.addfile(info, io.BytesIO(jpeg(0)))
    whole = bytearray(path.read_bytes())
    whole[2 * BLOCK : 2 * BLOCK + 9] = b"\xee" * 9
    path.write_bytes(whole)
    assert readable(path) == [] and errors(path) == {"": "shard_truncated"}


def test_sidecars_and_names_of_any_bytes_cost_nobody(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    members = [("a.jpg", jpeg(0)), ("a.json", b'{"caption": "hi \\ud83d"}'), ("b.jpg", jpeg(1)), ("b.json", deep)]
    latin = b"caf\xe9".decode("utf-8", "surrogateescape")
    members += [(f"c.{latin}.jpg", jpeg(2)), (f"d.{latin}.jpg", jpeg(3)), ("d.x.png", b"p")]
    samples = read(write_tar(tmp_path / "s.tar", members))
    assert [(s.key, s.caption, s.error) for s in samples] == [
        ("a", "hi ?", None),
        ("b", None, None),
        ("c", None, None),
        ("d", None, "duplicate_key"),
    ]
    assert all((sample.ext + (sample.message or "")).encode("utf-8") for sample in samples)


def test_sparse_members_are_not_judged(tmp_path: Path) -> None:
    source = tmp_path / "a.bmp"
    with open(source, "wb") as file:
        file.write(jpeg(0))
        file.truncate(1 << 20)
    for format in ("gnu", "posix"):
        subprocess.run(["tar", "-S", f"--format={format}", "-cf", "s.tar", "a.bmp"], cwd=tmp_path, check=True)
        assert errors(tmp_path / "s.tar") == {"a": "unsupported"}


def test_concatenated_archives_are_read_to_their_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", jpeg(0))])
    more = write_tar(tmp_path / "t.tar", [("b.jpg", jpeg(1))])
    path.write_bytes(path.read_bytes() + more.read_bytes())
    assert readable(path) == ["a", "b"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"a/00000\.tar cannot be opened"):
        read(tmp_path / "gone.tar")


def test_a_header_for_the_whole_archive_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "made by a test"}) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(jpeg(0))
        tar.addfile(info, io.BytesIO(jpeg(0)))
    assert [(sample.key, sample.error) for sample in read(path)] == [("a", None)]
