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
    "A negative size": (lambda _: around(sized(b"\xff" * 12)), "only that sample is lost"),
    "An impossible size, as an octal or binary number": (
        lambda _: around(sized(b"\x80" + bytes(3) + b"\x40" + bytes(7))),
        "only that sample is lost",
    ),
    "A size in a pax header that exceeds the file or is not a number": (
        lambda _: around(pax("size", "9" * 5000)),
        "only that sample is lost",
    ),
    "Bytes after the NUL that ends a number": (
        lambda _: around(sized(b"%o\0junk" % len(jpeg(1)))),
        "ignored, as by tarfile",
    ),
    "A header with a wrong checksum": (
        lambda _: around(b"\xee" * 9 + B[9:]),
        "adjacent samples are lost too, since the member may have belonged to them",
    ),
    "A pax header that cannot be parsed": (
        lambda _: around(pax("comment", "x").replace(b"comment=x", b"comment x")),
        "same as a wrong checksum",
    ),
    "A name of more than 4096 bytes": (
        lambda _: around(part((f"{LONG}.jpg", jpeg(1)), format=tarfile.GNU_FORMAT)),
        "only that sample is lost",
    ),
    "A NUL in a name in a pax header": (lambda _: around(pax("path", "b\0.jpg")), "same as a wrong checksum"),
    "Two long names for one member, or a chain of them": (
        lambda _: around(NAMED[:-BLOCK] * 500 + NAMED),
        "only that member is lost",
    ),
    "A global header (`g`)": (
        lambda _: around(part(("x", b"17 path=new.jpg\n"), type=b"g")),
        "its values are ignored",
    ),
    "Directories, devices, pipes, labels, names without a dot": (
        lambda _: around(
            part(("d.jpg/", b""), type=b"5") + part(("p.jpg", b""), type=b"6") + part(("V.jpg", b""), type=b"V")
        ),
        "skipped, as by webdataset; WRITE leaves them out",
    ),
    "A file of a type that POSIX does not define": (
        lambda _: around(part(("b.jpg", jpeg(1)), type=b"q")),
        "GNU tar extracts it, webdataset skips it: reported",
    ),
}
MEMBERS: dict[str, tuple[Make, str]] = {
    "A hard link to an earlier file": (
        lambda _: around(linked(b"1", "a.jpg")),
        "read as that file; WRITE replaces the link by a regular file",
    ),
    "A hard link to a later file or to none": (lambda _: around(linked(b"1", "z.jpg")), "reported"),
    "A symbolic link": (lambda _: around(linked(b"2", "a.jpg")), "reported; symbolic links are not followed"),
    "macOS metadata: `._*`, `.DS_Store`, `__MACOSX/`": (
        lambda _: around(
            part(("b.jpg", jpeg(1)), ("._b.jpg", b"mac"), (".DS_Store", b"mac"), ("__MACOSX/b.jpg", b"mac"))
            + part(("b.txt", b"b"))
        ),
        "skipped and counted in the log; WRITE leaves them out",
    ),
    "webdataset metadata: `__meta__/info.json`, `__index.json__`": (
        lambda _: around(
            part(("b.jpg", jpeg(1)), ("__meta__/info.json", b"{}"), ("__index.json__", b"{}"))
            + part(("__thumbs__/c.jpg", jpeg(2)), ("b.txt", b"b"))
        ),
        "skipped, as by webdataset, and counted in the log; WRITE leaves them out",
    ),
    "A macOS metadata file whose size is not a number": (
        lambda _: around(
            part(("b.jpg", jpeg(1)))
            + patched(part(("._b.jpg", b"mac")), 124, b"\xff" * 12)
            + part(("d/._b.jpg", b"mac"), ("b.txt", b"b"))
        ),
        "same as an intact one",
    ),
    "An image stored as a sparse file": (lambda at: around(sparse(at, "b.bmp", b"BM")), "reported"),
    "A caption stored as a sparse file": (
        lambda at: around(part(("b.jpg", jpeg(1))) + sparse(at, "b.txt", b"hello")),
        "reported",
    ),
    "A caption appended later by `tar -r`": (
        lambda _: A + B + Z + part(("b.txt", b"newer")) + END,
        "webdataset groups adjacent members: the first caption is used, the later one is reported",
    ),
}
ENDS: dict[str, tuple[Make, str]] = {
    "Truncated within a sample": (lambda _: (A + B)[: len(A) + 700], "complete samples are used"),
    "Truncated after a member, without an end-of-archive marker": (
        lambda _: A + B,
        "the last sample may be incomplete",
    ),
    "Less than 512 bytes after the end-of-archive marker": (
        lambda _: A + Z + END + b"\n",
        "ignored: too short for a header",
    ),
    "More bytes after the end-of-archive marker": (
        lambda _: A + Z + END + b"<html>" * 999,
        "its samples are used, the rest is reported",
    ),
    "Up to 4 MiB of zeros at the end, as written by `tar -b 4096`": (lambda _: (A + Z).ljust(RECORD, b"\0"), "ignored"),
    "More zeros at the end": (
        lambda _: A + Z + bytes(4 * RECORD),
        "its samples are used; the zeros may be an incomplete download: reported",
    ),
    "More than 64 KiB of zeros between samples": (
        lambda _: A + bytes(1 << 17) + B + Z + END,
        "the next sample may have lost members",
    ),
    "Tars concatenated by `cat`": (lambda _: A + END + B + Z + END, "all are read"),
    "Not a tar, or a compressed tar": (lambda _: b"\x1f\x8b" + bytes(range(256)) * 9, "reported once"),
    "A tar without samples": (lambda _: part(("README", b"")) + END, "reported once"),
}
CAPTIONS: dict[str, tuple[Make, str]] = {
    "UTF-8 with a byte order mark": (lambda _: around(titled(("txt", b"\xef\xbb\xbfcat"))), "decoded without the mark"),
    "UTF-16 or UTF-32 with a byte order mark": (lambda _: around(titled(("txt", "cat".encode("utf-16")))), "decoded"),
    "Bytes that are not valid UTF-8": (lambda _: around(titled(("txt", b"caf\xe9"))), "replaced by U+FFFD"),
    "A `.txt` of more than 64 KiB": (
        lambda _: around(titled(("txt", "ä".encode() * (1 << 20)))),
        "truncated to 64 KiB, like `caption` in a `.json`",
    ),
    "An empty `.txt` and a `.json`": (
        lambda _: around(titled(("txt", b" \n"), ("json", b'{"caption": "cat"}'))),
        "the caption in the `.json` is used",
    ),
    "A `.json` with very long numbers or lone surrogates": (
        lambda _: around(titled(("json", b'{"n": ' + b"9" * 9999 + b', "caption": "cat \\ud83d"}'))),
        "read; lone surrogates become `?`",
    ),
    "A `.json` that is invalid, too deeply nested or larger than 4 MiB": (
        lambda _: around(titled(("json", b"[" * 99999))),
        "no caption, no `given_uid`",
    ),
}
ODD = HEADERS | MEMBERS | ENDS | CAPTIONS
