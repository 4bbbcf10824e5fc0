"""Headers of every format of tar are read, and a broken one costs only itself and its neighbours."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_tars import END, A, Z, part
from tars import errors, jpeg, read_shard, readable, write_tar

from pycurate.shards.header import Member, read_member, records

BLOCK = 512
TEXT = st.one_of(st.binary(min_size=1, max_size=9), st.binary(min_size=100, max_size=100)).map(
    lambda text: text.replace(b"\0", b"\x7f").replace(b"/", b"\x80")
)


@given(
    name=TEXT,
    target=TEXT,
    kind=st.sampled_from([b"0", b"1", b"2"]),
    size=st.integers(0, 3 * BLOCK),
    binary=st.booleans(),
    signed=st.booleans(),
)
def test_the_fields_of_a_header_are_those_that_tarfile_reads(
    name: bytes, target: bytes, kind: bytes, size: int, binary: bool, signed: bool
) -> None:
    """Also where a text fills its field, a number is binary, or the checksum is that of signed bytes."""
    header = bytearray(BLOCK)
    header[:100], header[157:257] = name.ljust(100, b"\0"), target.ljust(100, b"\0")
    header[124:136] = b"\x80" + size.to_bytes(11, "big") if binary else b"%011o\0" % size
    header[156:157], header[257:265], header[148:156] = kind, b"ustar\00000", b" " * 8
    total = sum(header) - (256 * sum(byte > 127 for byte in header) if signed else 0)
    if total <= 0:  # no field can say so
        return
    header[148:156] = b"%06o\0 " % total
    expected = tarfile.TarInfo.frombuf(bytes(header), "utf-8", "surrogateescape")
    found = read_member(io.BytesIO(bytes(header) + bytes(4 * BLOCK)), 0, 5 * BLOCK)
    assert isinstance(found, Member)
    assert (found.name, found.target, found.type) == (expected.name, expected.linkname, expected.type)
    assert found.size == (expected.size if expected.isreg() else 0)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_broken_header_behind_a_long_name_costs_only_itself_and_the_next(tmp_path: Path, format: int) -> None:
    keys = [f"{letter * 150}" for letter in "abcdef"]
    path = write_tar(tmp_path / "s.tar", [(f"{key}.jpg", jpeg(i)) for i, key in enumerate(keys)], format)
    third = read_shard(path)[2]
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
    samples = read_shard(path)
    assert len(samples) <= 3
    assert all(sample.error for sample in samples if sample.key != "b")


def test_digits_without_an_end_are_no_record() -> None:
    assert records(b"9" * 5000) is None and records(b"8 a=bcd\n") == [(b"a", b"bcd", b"8 a=bcd\n")]


@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_an_extension_header_that_ends_beyond_the_file_costs_its_neighbours(tmp_path: Path, kind: bytes) -> None:
    path, odd = tmp_path / "s.tar", bytearray(part(("x", b""), type=kind))
    odd[124:136], odd[148:156] = b"%011o\0" % (1 << 30), b" " * 8
    odd[148:156] = b"%06o\0 " % sum(odd)
    path.write_bytes(A + odd + part(("b.jpg", jpeg(1))) + Z + END)
    assert readable(path) == ["z"] and errors(path) == dict.fromkeys(["a", "", "b"], "shard_corrupt")


def test_the_path_in_a_pax_header_is_that_which_tarfile_reads(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(part(("//x/a.jpg", jpeg(0)), format=tarfile.PAX_FORMAT, pax_headers={"path": "//x/a.jpg/"}) + END)
    with tarfile.open(path) as tar, open(path, "rb") as file:
        found = read_member(file, 0, path.stat().st_size)
        assert isinstance(found, Member) and [found.name] == tar.getnames()


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


def test_sparse_members_are_not_judged(tmp_path: Path) -> None:
    source = tmp_path / "a.bmp"
    with open(source, "wb") as file:
        file.write(jpeg(0))
        file.truncate(1 << 20)
    for format in ("gnu", "posix"):
        subprocess.run(["tar", "-S", f"--format={format}", "-cf", "s.tar", "a.bmp"], cwd=tmp_path, check=True)
        assert errors(tmp_path / "s.tar") == {"a": "unsupported"}


def test_a_header_for_the_whole_archive_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "made by a test"}) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(jpeg(0))
        tar.addfile(info, io.BytesIO(jpeg(0)))
    assert [(sample.key, sample.error) for sample in read_shard(path)] == [("a", None)]
