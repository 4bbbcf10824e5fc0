"""Headers of every format of tar are read, and a broken one costs only itself and its neighbours."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from tars import errors, jpeg, read_shard, readable, write_tar

BLOCK = 512


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
