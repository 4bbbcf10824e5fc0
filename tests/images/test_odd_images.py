"""Images of every odd kind: what becomes of each on either backend; docs/inputs.md holds the table that is printed."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mutations import Both
from pictures import claiming, encode, exif, lacking, photograph, png, without_tables
from PIL import Image, ImageOps

from pycurate.images.decode import ImageInfo, decode, jpeg_header
from pycurate.images.limits import SCANS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, of tags that make no sense
READ = "read"
SIZE = (160, 112)


@cache
def jpeg(progressive: bool = False) -> bytes:
    return encode(photograph().resize(SIZE), "JPEG", progressive=progressive, subsampling=0)


def sampled(factors: bytes) -> bytes:
    """A JPEG of one colour whose components have these sampling factors: what its entropy code holds fits any."""
    data = bytearray(encode(Image.new("L", (96, 96), 90), "JPEG"))
    at = data.find(b"\xff\xc0")
    frame = struct.pack(">HBHHB", 8 + 3 * len(factors), 8, 96, 96, len(factors))
    frame += b"".join(bytes((number + 1, factor, 0)) for number, factor in enumerate(factors))
    scan = data.find(b"\xff\xda")
    start = struct.pack(">HB", 6 + 2 * len(factors), len(factors))
    start += b"".join(bytes((number + 1, 0)) for number in range(len(factors))) + b"\0\x3f\0"
    tables = bytes(data[at + 13 : scan])
    body = bytes(4000) if len(factors) > 1 else bytes(data[scan + 10 : -2])
    return bytes(data[:at]) + b"\xff\xc0" + frame + tables + b"\xff\xda" + start + body + b"\xff\xd9"


def many_scans(count: int) -> bytes:
    """A progressive JPEG with an empty refinement again and again."""
    data = jpeg(True)
    last = data.rfind(b"\xff\xda")
    length = int.from_bytes(data[last + 2 : last + 4], "big")
    return data[:-2] + (data[last : last + 2 + length]) * count + b"\xff\xd9"


def tiff(bits: int, white_is_zero: bool, rows: bytes, width: int, height: int) -> bytes:
    """A grey TIFF of one strip, written by hand."""
    return stripped([rows], {256: (width,), 257: (height,), 258: (bits,), 262: (int(not white_is_zero),)})


def stripped(strips: list[bytes], tags: dict[int, tuple[int, ...]]) -> bytes:
    """A TIFF of these strips and tags, all LONG: uncompressed, and all rows in a strip unless they say otherwise."""
    tags = {259: (1,), 278: tags[257], 279: tuple(map(len, strips))} | tags
    end = 8 + 2 + 12 * (len(tags) + 1) + 4  # of the directory, behind which are the values that do not fit in
    data = end + sum(4 * len(values) for values in (*tags.values(), strips) if len(values) > 1)
    tags[273] = tuple(data + sum(map(len, strips[:number])) for number in range(len(strips)))
    directory = beside = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        inside = len(values) == 1
        directory += struct.pack("<HHI", tag, 4, len(values)) + (packed if inside else struct.pack("<I", end))
        beside, end = beside + packed * (not inside), end + len(packed) * (not inside)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + beside + b"".join(strips)


def planes() -> bytes:
    """RGB of 16 bits, each colour in a strip of its own: all greys, their negative, and 9."""
    strips = [(plane.astype("<u2") << 8 | 7).tobytes() for plane in (ramp(), 255 - ramp(), np.full((64, 64), 9))]
    return stripped(strips, {256: (64,), 257: (64,), 258: (16,) * 3, 262: (2,), 277: (3,), 284: (2,)})


def subsampled() -> bytes:
    """All greys as YCbCr, of whose colours there is one for four pixels."""
    luma = ramp().reshape(32, 2, 32, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    rows = np.concatenate([luma, np.full((1024, 2), 128, np.uint8)], axis=1).tobytes()
    return stripped([rows], {256: (64,), 257: (64,), 258: (8,) * 3, 262: (6,), 277: (3,), 530: (2, 2)}) + bytes(9999)


def bands(strips: list[bytes], **tags: int) -> bytes:
    """Grey of 64 x 64 pixels, 16 rows in a strip."""
    more: dict[int, tuple[int, ...]] = {int(tag[1:]): (value,) for tag, value in tags.items()}
    return stripped(strips, {256: (64,), 257: (64,), 258: (8,), 262: (1,), 278: (16,)} | more)


def bmp(bits: int, compression: int, body: bytes) -> bytes:
    """A BMP with this body."""
    header = struct.pack("<IiiHHIIiiII", 40, *SIZE, 1, bits, compression, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + header + body


@cache
def ramp() -> np.ndarray:
    """uint8 (64, 64), all greys."""
    return np.repeat(np.arange(256, dtype=np.uint8), 16).reshape(64, 64)


def quarters() -> list[bytes]:
    """Its rows, 16 at a time."""
    return [ramp()[top : top + 16].tobytes() for top in range(0, 64, 16)]


def twelve_bits() -> bytes:
    """Grey of 12 bits, two samples in three bytes, the first one's upper bits first."""
    wide = ramp().astype(np.uint16).ravel() << 4 | 7
    first, second = wide[::2], wide[1::2]
    parts = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    return tiff(12, False, parts.astype(np.uint8).tobytes(), 64, 64)


def grey16(white_is_zero: bool) -> bytes:
    wide = ramp().astype(np.uint16) << 8 | 7
    return tiff(16, white_is_zero, (65535 - wide if white_is_zero else wide).astype("<u2").tobytes(), 64, 64)


def texted() -> bytes:
    """A PNG with text that becomes 80 MB."""
    data = encode(photograph().resize(SIZE), "PNG")
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(80 << 20))
    return data[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def chunked(count: int) -> bytes:
    data = encode(Image.new("L", (8, 8)), "PNG")
    body = b"tEXta\0b"
    return data[:33] + (struct.pack(">I", 3) + body + struct.pack(">I", zlib.crc32(body))) * count + data[33:]


def two_exifs(first: int, second: int) -> bytes:
    parts = [struct.pack(">HH", 0xFFE1, len(block) + 2) + block for block in (exif(first, "<"), exif(second, "<"))]
    return jpeg()[:2] + b"".join(parts) + jpeg()[2:]


def turned(number: int, order: str) -> bytes:
    """A JPEG with orientation 6 as a TIFF type of this number: 1 is BYTE, 4 LONG."""
    block = struct.pack(order + ("HHII" if number == 4 else "HHIHxx"), 0x0112, number, 1, 6)
    data = exif(6, order)
    return encode(photograph().resize(SIZE), "JPEG", exif=data[:16] + block + data[28:])


def foreign() -> bytes:
    half = len(jpeg(True)) // 2
    return jpeg(True)[:half] + jpeg() + jpeg(True)[half:]


def first_scan() -> bytes:
    """A progressive JPEG that ends, properly, behind its first scan."""
    data = jpeg(True)
    return data[: data.find(b"\xff\xda", data.find(b"\xff\xda") + 2)].rstrip(b"\0") + b"\xff\xd9"


def unended() -> bytes:
    """A TIFF of several JPEGs, the first of which has no end marker."""
    return encode(photograph(), "TIFF", compression="jpeg").replace(b"\xff\xd9", b"\0\0", 1)


def untiled() -> bytes:
    """A JPEG 2000 without the last of its tiles."""
    data = encode(photograph().resize(SIZE), "JPEG2000", no_jp2=True, tile_size=(64, 64))
    return data[: data.rfind(b"\xff\x90\0\x0a")] + b"\xff\xd9"


def shallow() -> bytes:
    """A JPEG 2000 that says that its samples have 4 bits."""
    data = encode(photograph().resize(SIZE).convert("L"), "JPEG2000", no_jp2=True)
    depth = data.find(b"\xff\x51") + 40
    return data[:depth] + b"\3" + data[depth + 1 :]


def broken_exif(kind: str) -> bytes:
    return encode(photograph().resize(SIZE), kind, exif=b"Exif\0\0broken")


@cache
def odd() -> dict[str, tuple[Callable[[], bytes], str, str]]:
    """Kind: how to make a file of it, `read` or a code, and what more the table says."""
    small = photograph().resize(SIZE)
    return {
        "Progressive JPEG, damaged so that libjpeg only warns": (foreign, "corrupt", "partial pixels are never used"),
        "Progressive JPEG that ends after its first scan": (first_scan, READ, "at the quality of that scan"),
        "JPEG with bytes between its segments": (lambda: jpeg()[:20] + b"\1\2\3" + jpeg()[20:], READ, ""),
        "JPEG with two start markers": (lambda: jpeg()[:2] + jpeg(), "corrupt", "the message names the cause"),
        "JPEG without its end marker": (lambda: jpeg()[:-2], "truncated", ""),
        "JPEG with invalid tables": (lambda: without_tables(jpeg()), "corrupt", ""),
        "JPEG that lacks a table its scans need": (lambda: lacking(jpeg()), "corrupt", "never passed to DALI"),
        "JPEG with chroma sampled more finely than luma": (lambda: sampled(b"\x11\x22\x22"), READ, ""),
        "JPEG with three different sampling factors": (lambda: sampled(b"\x22\x21\x11"), READ, ""),
        "CMYK JPEG": (lambda: encode(small.convert("CMYK"), "JPEG"), READ, "converted to RGB by Pillow"),
        f"JPEG of more than {SCANS} scans": (lambda: many_scans(SCANS), "too_large", "never decoded"),
        "JPEG of 40 scans over 160 megapixels": (
            lambda: claiming(many_scans(30), 16000, 10000),
            "too_large",
            "scans times pixels are limited",
        ),
        "EXIF orientation stored as LONG": (lambda: turned(4, ">"), READ, "applied"),
        "EXIF orientation stored as BYTE": (lambda: turned(1, "<"), READ, "not applied, as in Pillow"),
        "Two EXIF blocks": (lambda: two_exifs(1, 6), READ, "the first is used"),
        "JPEG with broken EXIF": (lambda: broken_exif("JPEG"), READ, "no orientation applied"),
        "PNG with broken EXIF": (lambda: broken_exif("PNG"), READ, "no orientation applied"),
        "WebP with broken EXIF": (lambda: broken_exif("WEBP"), READ, "no orientation applied"),
        "TIFF, 12-bit grey": (twelve_bits, READ, "the upper 8 bits"),
        "TIFF, 16-bit grey": (lambda: grey16(False), READ, "the upper 8 bits"),
        "TIFF, 16-bit grey, white is zero": (lambda: grey16(True), READ, "the upper 8 bits, not inverted"),
        "TIFF, uncompressed: 16-bit colour in planes, subsampled YCbCr": (planes, READ, "as libtiff has them"),
        "TIFF with strips or tiles missing": (lambda: bands(quarters()[:3]), "corrupt", ""),
        "Uncompressed TIFF, truncated": (lambda: bands(quarters())[:-9], "truncated", ""),
        "TIFF of JPEGs, one of them without its end marker": (unended, "truncated", ""),
        "TIFF with floating-point or signed pixels": (
            lambda: encode(Image.new("F", (9, 9)), "TIFF"),
            "unsupported",
            "no standard range",
        ),
        "TIFF of pixels or a compression that Pillow does not know": (
            lambda: grey16(False).replace(struct.pack("<HHII", 259, 4, 1, 1), struct.pack("<HHII", 259, 4, 1, 50002)),
            "unsupported",
            "such as 16-bit grey with alpha, or JPEG XL",
        ),
        "BMP of a layout that Pillow does not know": (
            lambda: bmp(0, 5, encode(small, "PNG")),
            "unsupported",
            "such as a PNG within",
        ),
        "JPEG of 2 or more than 4 components": (lambda: sampled(b"\x11\x11"), "unsupported", ""),
        "16-bit PGM": (
            lambda: b"P5 64 64 65535\n" + (ramp().astype(np.uint16) << 8 | 7).astype(">u2").tobytes(),
            READ,
            "the upper 8 bits",
        ),
        "PPM with more than 1000 comments": (
            lambda: b"P3 2 2 255\n" + b"#\n" * 2000 + b"1 " * 12,
            "unsupported",
            "",
        ),
        "1-bit PNG": (lambda: encode(small.convert("1"), "PNG"), READ, ""),
        "PNG whose pixel data ends early": (lambda: png(9, 9, 8, b"\1" * 28 * 8), "truncated", ""),
        "JPEG 2000 with a tile missing": (untiled, "truncated", ""),
        "JPEG 2000 of fewer than 8 bits": (shallow, "unsupported", "Pillow shows it too dark"),
        "PNG with 80 MB of text": (texted, "unsupported", "the message names the cause"),
        "PNG of more than 10,000 chunks": (lambda: chunked(11_000), "unsupported", ""),
        "Palette PNG with transparency": (
            lambda: encode(small.quantize(64), "PNG", transparency=3),
            READ,
            "alpha is ignored",
        ),
        "Animated GIF or WebP": (
            lambda: encode(small, "WEBP", save_all=True, append_images=[Image.new("RGB", SIZE)]),
            READ,
            "the first frame",
        ),
        "HEIC, JPEG XL, PSD, PDF, SVG": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "unsupported", ""),
        "HTML": (lambda: b"<!DOCTYPE html><html></html>", "not_an_image", ""),
        "No bytes": (lambda: b"", "empty", ""),
    }


def verdict(info: ImageInfo) -> str:
    return READ if info.error is None else f"`{info.error}`"


def pillows(data: bytes) -> np.ndarray:
    try:
        return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    except SyntaxError:  # Pillow gives up on EXIF that is broken
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    """Both backends, built once."""
    loaders = Both(16)
    yield loaders
    loaders.close()


def test_what_becomes_of_every_odd_image_is_in_the_docs(both: Both, capsys: pytest.CaptureFixture[str]) -> None:
    files = [make() for make, _, _ in odd().values()]
    rows = ["| Image | `cpu` | `dali` | Notes |", "| --- | --- | --- | --- |"]
    seen = zip(odd().items(), both.results(0, files), both.results(1, files), strict=True)
    for (kind, (_, code, note)), (info, _), (other, _) in seen:
        assert (info.error or READ) == (other.error or READ) == code, (kind, info, other)
        rows.append(f"| {kind} | {verdict(info)} | {verdict(other)} | {note} |")
    assert both.disagreements(files) == [""] * len(files)
    table = "\n".join(rows)
    with capsys.disabled():
        print(f"\n{table}")
    assert table in (ROOT / "docs" / "inputs.md").read_text()


def test_uncompressed_tiffs_of_any_layout_have_their_pixels() -> None:
    first, second = (decode(make())[1] for make in (planes, subsampled))
    np.testing.assert_array_equal(first, np.stack([ramp(), 255 - ramp(), np.full((64, 64), 9)], axis=2))
    np.testing.assert_array_equal(second, np.repeat(ramp()[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(decode(bands(quarters()))[1], np.repeat(ramp()[:, :, None], 3, axis=2))


def test_no_pixels_of_a_tiff_come_from_elsewhere() -> None:
    strips = quarters()
    for fewer in ([*strips[:1], b"", *strips[2:]], strips[:3], strips[:0]):
        assert decode(bands(fewer))[0].error == "corrupt", len(fewer)
    info, _ = decode(bands(strips, t339=2))
    assert info.error == "unsupported" and "signed" in str(info.message)


GREYS = ("TIFF, 12-bit grey", "TIFF, 16-bit grey", "TIFF, 16-bit grey, white is zero", "16-bit PGM")


@pytest.mark.parametrize("kind", GREYS)
def test_deep_grey_keeps_its_upper_8_bits(kind: str) -> None:
    pixels = decode(odd()[kind][0]())[1]
    np.testing.assert_array_equal(pixels, np.repeat(ramp()[:, :, None], 3, axis=2))


@pytest.mark.parametrize("kind", [kind for kind, (_, code, _) in odd().items() if code == READ and kind not in GREYS])
def test_odd_images_have_pillows_pixels(kind: str) -> None:
    data = odd()[kind][0]()
    np.testing.assert_array_equal(decode(data)[1], pillows(data))


def premultiplied() -> bytes:
    """A TIFF of grey with alpha that says that grey was multiplied by it."""
    data = encode(photograph().resize(SIZE).convert("LA"), "TIFF")
    unassociated, associated = (struct.pack("<HHIHH", 338, 3, 1, value, 0) for value in (2, 1))
    assert unassociated in data
    return data.replace(unassociated, associated)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tiff(64, False, bytes(64 * 64 * 8), 64, 64),
        premultiplied,
        lambda: bmp(2, 0, bytes(160 * 112 // 4)),
        lambda: bmp(16, 3, struct.pack("<III", 0xF00, 0xF0, 0xF) + bytes(160 * 112 * 2)),
        lambda: sampled(b"\x11" * 5),
    ],
)
def test_a_sound_image_that_pillow_does_not_read_is_not_called_damaged(make: Callable[[], bytes]) -> None:
    info, pixels = decode(make())
    assert (info.error, pixels) == ("unsupported", None) and "Pillow does not read" in str(info.message)


@pytest.mark.parametrize("segment", [b"\xff\xe0\0\x06JFIF", b"\xff\xee\0\x07Adobe"])
def test_a_segment_too_short_for_its_colours_says_nothing_to_any_decoder(both: Both, segment: bytes) -> None:
    """Pillow raises on it, libjpeg passes it over; bytes before the end make libjpeg warn, so that Pillow decides."""
    whole = jpeg()[:2] + segment + jpeg()[2:]
    files = [whole, whole[:-2] + bytes(9) + whole[-2:]]
    for data in files:
        np.testing.assert_array_equal(decode(data)[1], pillows(jpeg()))
    assert all(map(jpeg_header, files)) and both.disagreements(files) == ["", ""]


def test_what_is_refused_names_its_cause() -> None:
    causes = {
        "JPEG with two start markers": "SOI",
        "PNG with 80 MB of text": "text",
        f"JPEG of more than {SCANS} scans": "scans",
        "PNG of more than 10,000 chunks": "chunks",
        "PPM with more than 1000 comments": "comments",
        "TIFF of pixels or a compression that Pillow does not know": "compression 50002",
    }
    for kind, word in causes.items():
        assert word in str(decode(odd()[kind][0]())[0].message), kind
    assert jpeg_header(many_scans(SCANS)) is None  # never DALI's
