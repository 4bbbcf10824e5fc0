"""Tars with something wrong in them, made from a seed, and what Python's tarfile reads of a tar: for test_tar.py.

python tests/support/tar_fuzz.py 20000        tries so many seeds and prints how many crashed, hung, disagreed
"""

import io
import os
import random
import re
import signal
import sys
import tarfile
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from tars import jpeg

from pycurate.images.decode import ImageInfo
from pycurate.images.evidence import Evidence
from pycurate.shards.count import HEAD
from pycurate.shards.header import LINK, LONGEST_NAME
from pycurate.shards.links import Links
from pycurate.shards.samples import Sample, read_samples
from pycurate.shards.tar import Damage, walk_tar
from pycurate.stages.embed import samples_table

BLOCK = 512
PATIENCE = 5  # seconds for one tar of at most some hundred kilobytes
IMAGES = [jpeg(seed, 24, 16) for seed in range(4)]
NAMES = ["a", "b", "d/c", "d.e/f", "ä", "._a", "d/._b", "__MACOSX/x", "n" * 120, "s/" * 70 + "k", "\udcff", "x" * 5000]
NAMES += ["__meta__/a"]
EXTENSIONS = ["jpg", "txt", "json", "cls", "JPG", "seg.png"]
TEXTS = [b"", b"a cat", b"\xff\xfea\0 \0c\0", b"\xef\xbb\xbfdog", b"\0\xd8", b'{"caption": "\\ud83d"}', b"[" * 2000]

TEXTS += [b'{"caption": 1e999, "n": ' + b"9" * 5000 + b"}", b'{"caption": "x", "caption": "y", "z": NaN}', b"\x80" * 70]
NUMBERS = [b"77777777777\0", b"00000000000\0", b"-0000000001\0", b"\x80" + bytes(3) + b"\x40" + bytes(7), b"\x80" * 12]
NUMBERS += [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"12345\0junk!!", b"\0junk-junk!!", b"  10 \0\0\0\0\0\0\0", b" " * 12]
NUMBERS += [b"00000001000\0", b"0o17\0\0\0\0\0\0\0\0", b"abcdefghijkl", b"\xff" * 11 + b"\0"]
RECORDS = [("size", "9" * 5000), ("size", "-5"), ("size", ""), ("size", "600"), ("size", "9" * 30), ("path", "")]
RECORDS += [("path", "p/" * 3000 + "q.jpg"), ("path", "d/new.jpg"), ("path", "nul\0.jpg"), ("linkpath", "a.jpg")]
RECORDS += [
    ("GNU.sparse.size", "1"),
    ("GNU.sparse.map", "0,1,5"),
    ("GNU.sparse.major", "1"),
    ("GNU.sparse.name", "q.jpg"),
]
RECORDS += [("comment", "x" * 3000), ("hdrcharset", "BINARY"), ("mtime", "nan"), ("path", "d/slash.jpg/")]
VALUES = [  # place in a header, what a fault writes there
    *[(0, [b"\0", b"b.jpg\0", b"\xed\xa0\x80.jpg\0"]), (124, NUMBERS), (124, NUMBERS), (148, [n[:8] for n in NUMBERS])],
    *[(156, [bytes([kind]) for kind in b"01234567LKxXgSVDMAq\0\xff"]), (157, [b"a.jpg\0", b"\xff", b"../x\0"])],
    *[(257, [b"ustar  \0", bytes(8)]), (345, [b"prefix\0"]), (482, [bytes([more]) for more in range(256)])],
]


def make(seed: int) -> bytes:
    """The tar of this seed: sound members of every kind, then up to a few faults."""
    rng = random.Random(seed)
    tar = bytearray(_sound(rng))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        rng.choice(FAULTS)(rng, tar)
    return bytes(tar)


def _sound(rng: random.Random) -> bytes:
    out = io.BytesIO()
    format = rng.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    everywhere = {"comment": "x"} if rng.random() < 0.1 else None
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape", pax_headers=everywhere) as tar:
        for _ in range(rng.randrange(9)):
            info = tarfile.TarInfo(f"{rng.choice(NAMES)}.{rng.choice(EXTENSIONS)}")
            data = rng.choice(IMAGES + TEXTS)
            kind = rng.choice([tarfile.REGTYPE] * 8 + [tarfile.LNKTYPE] * 2 + [tarfile.SYMTYPE, tarfile.DIRTYPE, b"q"])
            info.type = kind
            if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
                info.linkname, data = f"{rng.choice(NAMES)}.{rng.choice(EXTENSIONS)}", b""
            if format == tarfile.PAX_FORMAT and rng.random() < 0.2:
                info.pax_headers = dict([rng.choice(RECORDS)])
            info.size = len(data)
            with suppress(ValueError):  # too long for ustar
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _header(rng: random.Random, tar: bytearray) -> int | None:
    """The place of some header."""
    places = [at for at in range(0, len(tar) - BLOCK + 1, BLOCK) if tar[at + 257 : at + 262] == b"ustar"]
    return rng.choice(places) if places else None


def _field(rng: random.Random, tar: bytearray) -> None:
    """Another value in a field of a header, mostly with the right checksum."""
    at = _header(rng, tar)
    if at is None:
        return
    start, values = rng.choice(VALUES)
    value = rng.choice(values)
    tar[at + start : at + start + len(value)] = value
    if rng.random() < 0.85 and start != 148:
        tar[at + 148 : at + 156] = b" " * 8
        tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + BLOCK])


def _bytes(rng: random.Random, tar: bytearray) -> None:
    """Some bytes overwritten."""
    at = rng.randrange(len(tar) or 1)
    tar[at : at + rng.choice([1, 20, 600])] = rng.choice([rng.randbytes(20), bytes(600), b"0" * 600])


def _cut(rng: random.Random, tar: bytearray) -> None:
    del tar[rng.randrange(len(tar) + 1) :]


def _gone(rng: random.Random, tar: bytearray) -> None:
    """Some blocks, or bytes, missing."""
    at = rng.randrange(len(tar) or 1) // BLOCK * BLOCK
    del tar[at : at + rng.choice([BLOCK, 3 * BLOCK, 100])]


def _again(rng: random.Random, tar: bytearray) -> None:
    """A stretch of blocks that comes twice."""
    at = rng.randrange(len(tar) or 1) // BLOCK * BLOCK
    tar[at:at] = tar[at : at + rng.choice([1, 2, 5]) * BLOCK]


def _more(rng: random.Random, tar: bytearray) -> None:
    """Something in the middle or at the end that is no tar's."""
    at = rng.choice([len(tar), rng.randrange(len(tar) + 1) // BLOCK * BLOCK])
    tar[at:at] = rng.choice([b"\n", b"<html>" * 300, bytes(1 << 17), rng.randbytes(3000), b"junk"])


FAULTS = [_field, _field, _field, _field, _bytes, _cut, _gone, _again, _more]


def by_tarfile(tar: bytes) -> tuple[list[tuple[str, bytes]], int] | None:
    """Name and bytes of each file that Python's tarfile reads, and where it ends; None where it does not read it whole.

    None, too, where pycurate is documented to differ (docs/inputs.md).
    """
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape") as reader:
            while member := reader.next():
                if _differs(tar, member) or set(reader.pax_headers) & {"path", "size", "linkpath"}:
                    return None
            end = reader.offset
            # What these stand for tarfile reads, and symbolic links it follows.
            kinds = {*tarfile.SUPPORTED_TYPES} - {tarfile.SYMTYPE}
            others = {os.path.normpath(member.name) for member in reader if member.type not in kinds}
            for member in reader:
                if member.islnk() and os.path.normpath(member.linkname) in others:
                    return None
                if (member.isreg() or member.islnk()) and not member.name.endswith("/"):
                    try:
                        file = reader.extractfile(member)
                    except KeyError:  # a link to nothing
                        continue
                    if file:
                        found.append((member.name, file.read()))
    except Exception:  # noqa: BLE001 - tarfile raises anything at such tars
        return None
    whole = len(tar) >= end + BLOCK and not any(tar[end : end + BLOCK])
    return (found, end) if whole else None


def _differs(tar: bytes, member: tarfile.TarInfo) -> bool:
    """Whether pycurate is documented to take the member for something else than tarfile does."""
    kinds: list[bytes] = []
    at = member.offset
    while at < member.offset_data and len(kinds) < 50:
        header = tar[at : at + BLOCK]
        kinds.append(header[156:157].replace(b"X", b"x"))
        size: int = tarfile.nti(header[124:136])  # type: ignore[attr-defined]
        if size < 0:
            return True
        if kinds[-1] == b"x" and not _records_fit(tar[at + BLOCK : at + BLOCK + size]):
            return True
        if "\0" in member.name:
            return True
        at += BLOCK + (-(-size // BLOCK) * BLOCK if kinds[-1] in b"LKxg" else 0)
        if kinds[-1] not in b"LKxg":
            break
    named = [kind for kind in kinds if kind in b"LKx"]
    if b"g" in kinds and set(kinds[: kinds.index(b"g")]) & {b"L", b"K", b"x"}:
        return True
    other_prefix = header[257:263] != b"ustar\0" and header[345:346] != b"\0"
    odd = member.sparse is not None or len(member.name.encode("utf-8", "surrogateescape")) > LONGEST_NAME
    return len(set(named)) < len(named) or other_prefix or odd or member.size < 0 or not member.name


def _records_fit(body: bytes) -> bool:
    """Whether a pax header consists of records and nothing else, with values that a file can have."""
    while body.strip(b"\0"):
        match = re.match(rb"(\d{1,18}) ([^=]*)=", body)
        if not match or int(match[1]) > len(body) or body[int(match[1]) - 1 : int(match[1])] != b"\n":
            return False
        value = body[match.end() : int(match[1]) - 1]
        if match[2] == b"size" and not re.fullmatch(rb"\d{1,19}", value):
            return False
        if match[2] in (b"path", b"linkpath") and (b"\0" in value or not value.strip(b"/")):
            return False
        if match[2].startswith(b"GNU.sparse"):
            return False
        body = body[int(match[1]) :]
    return True


def by_pycurate(path: Path, end: int) -> list[tuple[str, bytes] | Damage]:
    """Name and bytes of each file up to `end`, as the walk that read_samples takes finds them; and what is damage."""
    found: list[tuple[str, bytes] | Damage] = []
    with open(path, "rb") as file:
        links = Links(file)
        for part in walk_tar(file):
            if part.start >= end:
                break
            if isinstance(part, Damage):
                found.append(part)
                continue
            member = links.follow(part) if part.type == LINK else part if part.regular else None
            if member and not member.name.endswith("/"):
                file.seek(member.data)
                found.append((member.name, file.read(member.size)))
    return found


def check(path: Path, tar: bytes) -> None:
    """Read the tar at `path` in every way; what is read must be consistent, and equal to what tarfile reads."""
    samples = list(read_samples(path, "s.tar"))
    heads = list(read_samples(path, "s.tar", most=HEAD))
    assert [(one.key, one.tar_offset, one.error) for one in samples] == [
        (one.key, one.tar_offset, one.error) for one in heads
    ]
    assert samples and len({sample.uid for sample in samples}) == len(samples)
    for sample in samples:
        assert 0 <= sample.tar_offset <= sample.tar_offset + sample.tar_size <= len(tar)
        _check_sample(sample, tar)
    told = [Evidence(1.0, 0.0, None)] * len(samples)
    assert isinstance(samples_table(samples, [ImageInfo(0, 0, "")] * len(samples), told), pa.Table)
    if expected := by_tarfile(tar):
        assert by_pycurate(path, expected[1]) == expected[0]


def _check_sample(sample: Sample, tar: bytes) -> None:
    assert (sample.error is None) == (sample.message is None)
    if sample.error is None:
        assert sample.data == tar[sample.offset : sample.offset + sample.size]


def main(count: int, first: int = 0) -> None:
    """Try so many seeds; print those that crash, hang or disagree, and how many there were."""
    ends = Counter[str]()

    def too_long(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.tar"
        for seed in range(first, first + count):
            tar = make(seed)
            path.write_bytes(tar)
            ends["tried"] += 1
            ends["read whole by tarfile"] += by_tarfile(tar) is not None
            began = time.perf_counter()
            signal.alarm(PATIENCE)
            try:
                check(path, tar)
            except TimeoutError:
                ends["hung"] += 1
                print("hung: seed", seed)
            except AssertionError as error:
                ends["disagreed"] += 1
                print("disagreed: seed", seed, str(error)[:300])
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                ends["crashed"] += 1
                print("crashed: seed", seed, repr(error)[:300])
            signal.alarm(0)
            slowest = max(slowest, time.perf_counter() - began)
    print(", ".join(f"{ends[end]} {end}" for end in ("tried", "read whole by tarfile", "crashed", "hung", "disagreed")))
    print(f"the slowest took {slowest:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
