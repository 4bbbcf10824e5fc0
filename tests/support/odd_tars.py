"""Tars with one odd thing each, made in code: sample `a`, the odd thing (mostly `b`), sample `z`."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tars import jpeg

BLOCK = 512
END = bytes(2 * BLOCK)
RECORD = 4096 * BLOCK  # of `tar -b 4096`


def part(*members: tuple[str, bytes], format: int = tarfile.USTAR_FORMAT, **fields: object) -> bytes:
    """These members without an end mark; `fields` are those of tarfile.TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
        end = tar.offset
    return out.getvalue()[:end]


def patched(tar: bytes, at: int, value: bytes) -> bytes:
    """The tar with other bytes in its first header, whose checksum is made right again."""
    header = bytearray(tar[:BLOCK])
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + tar[BLOCK:]


def sized(field: bytes) -> bytes:
    """The image b whose size says something else."""
    return patched(B, 124, field)


def pax(key: str, value: str) -> bytes:
    """The image b with a record of a pax header."""
    return part(("b.jpg", jpeg(1)), format=tarfile.PAX_FORMAT, pax_headers={key: value})


def linked(kind: bytes, target: str) -> bytes:
    """A link b.jpg."""
    return part(("b.jpg", b""), type=kind, linkname=target)


def sparse(folder: Path, name: str, data: bytes) -> bytes:
    """What GNU tar makes of a file with a hole."""
    folder.mkdir(exist_ok=True)
    with open(folder / name, "wb") as file:
        file.write(data)
        file.truncate(1 << 20)
    tar = subprocess.run(["tar", "-S", "-cf", "-", name], cwd=folder, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as reader:
        reader.getmembers()
        return tar[: reader.offset]


def titled(*sidecars: tuple[str, bytes]) -> bytes:
    """The sample b with these sidecars."""
    return part(("b.jpg", jpeg(1)), *((f"b.{extension}", data) for extension, data in sidecars))


A, B, Z = (part((f"{key}.jpg", jpeg(number)), (f"{key}.txt", key.encode())) for number, key in enumerate("abz"))


def around(odd: bytes) -> bytes:
    return A + odd + Z + END


LONG = "n" * 5000
NAMED = part((f"b{'n' * 200}.jpg", b""), format=tarfile.GNU_FORMAT)
Make = Callable[[Path], bytes]

HEADERS: dict[str, tuple[Make, str]] = {  # what is odd: how it is made, what becomes of it
    "A size that is negative": (lambda _: around(sized(b"\xff" * 12)), "only that sample is lost"),
    "A size that no file has, as octal or binary number": (
        lambda _: around(sized(b"\x80" + bytes(3) + b"\x40" + bytes(7))),
        "only that sample is lost",
    ),
    "A size beyond the file, or no number, in a pax header": (
        lambda _: around(pax("size", "9" * 5000)),
        "only that sample is lost",
    ),
    "Anything behind the NUL of a number": (
        lambda _: around(sized(b"%o\0junk" % len(jpeg(1)))),
        "no matter, as to tarfile",
    ),
    "A header with a wrong checksum": (
        lambda _: around(b"\xee" * 9 + B[9:]),
        "its neighbours are lost too, since it may have been a member of theirs",
    ),
    "A pax header that is none": (
        lambda _: around(pax("comment", "x").replace(b"comment=x", b"comment x")),
        "as a wrong checksum",
    ),
    "A name over 4096 bytes": (
        lambda _: around(part((f"{LONG}.jpg", jpeg(1)), format=tarfile.GNU_FORMAT)),
        "only that sample is lost",
    ),
    "A NUL in the name of a pax header": (lambda _: around(pax("path", "b\0.jpg")), "as a wrong checksum"),
    "Two long names for one member, or a chain of them": (
        lambda _: around(NAMED[:-BLOCK] * 500 + NAMED),
        "only that member is lost",
    ),
    "A header of the whole archive (`g`)": (
        lambda _: around(part(("x", b"17 path=new.jpg\n"), type=b"g")),
        "its values do not count",
    ),
    "Folders, devices, pipes, labels, names without a dot": (
        lambda _: around(
            part(("d.jpg/", b""), type=b"5") + part(("p.jpg", b""), type=b"6") + part(("V.jpg", b""), type=b"V")
        ),
        "passed over, as by webdataset",
    ),
    "A file of a type that POSIX does not know": (
        lambda _: around(part(("b.jpg", jpeg(1)), type=b"q")),
        "GNU tar extracts it, webdataset passes over it: a row",
    ),
}
MEMBERS: dict[str, tuple[Make, str]] = {
    "A hard link to a file before it": (
        lambda _: around(linked(b"1", "a.jpg")),
        "read as that file; WRITE makes a file of it",
    ),
    "A hard link to nothing, or to what comes later": (lambda _: around(linked(b"1", "z.jpg")), "a row"),
    "A symbolic link": (lambda _: around(linked(b"2", "a.jpg")), "a row; links are not followed"),
    "Files of macOS: `._*`, `.DS_Store`, `__MACOSX/`": (
        lambda _: around(
            part(("b.jpg", jpeg(1)), ("._b.jpg", b"mac"), (".DS_Store", b"mac"), ("__MACOSX/b.jpg", b"mac"))
            + part(("b.txt", b"b"))
        ),
        "passed over and counted in the log; WRITE leaves them behind",
    ),
    "A file of macOS whose size is no number": (
        lambda _: around(
            part(("b.jpg", jpeg(1)))
            + patched(part(("._b.jpg", b"mac")), 124, b"\xff" * 12)
            + part(("d/._b.jpg", b"mac"), ("b.txt", b"b"))
        ),
        "as a sound one",
    ),
    "An image stored as a sparse file": (lambda at: around(sparse(at, "b.bmp", b"BM")), "a row"),
    "A caption stored as a sparse file": (
        lambda at: around(part(("b.jpg", jpeg(1))) + sparse(at, "b.txt", b"hello")),
        "a row",
    ),
    "A caption that `tar -r` added later": (
        lambda _: A + B + Z + part(("b.txt", b"newer")) + END,
        "webdataset groups neighbours: the first caption counts, the later one is a row",
    ),
}
ENDS: dict[str, tuple[Make, str]] = {
    "Cut within a sample": (lambda _: (A + B)[: len(A) + 700], "its whole samples count"),
    "Cut behind a member, without an end mark": (lambda _: A + B, "nobody knows whether the last sample is whole"),
    "Under 512 bytes behind the end mark": (lambda _: A + Z + END + b"\n", "no header has room there: no matter"),
    "More behind the end mark": (lambda _: A + Z + END + b"<html>" * 999, "its samples count, what follows is a row"),
    "Zeros up to 4 MiB, as of `tar -b 4096`": (lambda _: (A + Z).ljust(RECORD, b"\0"), "no matter"),
    "More zeros": (
        lambda _: A + Z + bytes(4 * RECORD),
        "its samples count; the zeros may be what is not downloaded yet: a row",
    ),
    "Over 64 KiB of zeros between samples": (
        lambda _: A + bytes(1 << 17) + B + Z + END,
        "the sample behind them may have lost members",
    ),
    "Tars joined by `cat`": (lambda _: A + END + B + Z + END, "read to the end of the last"),
    "No tar, or a compressed one": (lambda _: b"\x1f\x8b" + bytes(range(256)) * 9, "one row"),
    "A tar without a sample": (lambda _: part(("README", b"")) + END, "one row"),
}
CAPTIONS: dict[str, tuple[Make, str]] = {
    "UTF-8 with a byte order mark": (lambda _: around(titled(("txt", b"\xef\xbb\xbfcat"))), "without the mark"),
    "UTF-16 or UTF-32 with a byte order mark": (lambda _: around(titled(("txt", "cat".encode("utf-16")))), "decoded"),
    "Bytes that are no UTF-8": (lambda _: around(titled(("txt", b"caf\xe9"))), "U+FFFD in their place"),
    "A `.txt` over 64 KiB": (
        lambda _: around(titled(("txt", "ä".encode() * (1 << 20)))),
        "its first 64 KiB; so with `caption` of a `.json`",
    ),
    "An empty `.txt` beside a `.json`": (
        lambda _: around(titled(("txt", b" \n"), ("json", b'{"caption": "cat"}'))),
        "the caption of the `.json`",
    ),
    "A `.json` with numbers of any length, half surrogates": (
        lambda _: around(titled(("json", b'{"n": ' + b"9" * 9999 + b', "caption": "cat \\ud83d"}'))),
        "read; what is no Unicode becomes `?`",
    ),
    "A `.json` that is none, is nested too deep, or has over 4 MiB": (
        lambda _: around(titled(("json", b"[" * 99999))),
        "no caption, no `given_uid`",
    ),
}
ODD = HEADERS | MEMBERS | ENDS | CAPTIONS
