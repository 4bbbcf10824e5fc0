"""No file holds a thread for long, and no crowd of large ones takes all memory."""

import io
import struct
import zlib
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from pictures import encode, photograph
from PIL import Image

from pycurate.images import limits
from pycurate.images.decode import decode, jpeg_header
from pycurate.images.formats import FORMATS
from pycurate.images.limits import LONGEST_SIDE, LZMA_BYTES, PARTS, SAMPLES, SCANS, STRIPS
from pycurate.images.render import render
from pycurate.images.views import PDQ, TILES, View


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@cache
def asking() -> dict[str, tuple[bytes, str, str]]:
    """Files that ask for too much, with the code and a word of the message."""
    image = photograph().resize((60, 40))
    photo, progressive = encode(image, "JPEG"), encode(image, "JPEG", progressive=True)
    png, gif = encode(image, "PNG"), encode(image, "GIF")
    jp2, code = encode(image, "JPEG2000"), encode(image, "JPEG2000", no_jp2=True)
    table = 13 + (3 << (gif[10] & 7) + 1)
    scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2 << 20)))
    return {
        "rows of a PNG": (png_of(1, LONGEST_SIDE + 1), "too_large", "side"),
        "columns of a PNG": (png_of(LONGEST_SIDE + 1, 1), "too_large", "side"),
        "scans of a JPEG": (progressive[:-2] + scan * SCANS + b"\xff\xd9", "too_large", "scans"),
        "segments of a JPEG": (photo[:2] + b"\xff\xe5\0\2" * (PARTS + 1) + photo[2:], "corrupt", "segments"),
        "chunks of a PNG": (png[:33] + chunk(b"abCd", b"") * 2 * PARTS + png[33:], "unsupported", "chunks"),
        "text of a PNG": (png[:33] + text + png[33:], "unsupported", "text"),
        "blocks of a GIF": (gif[:table] + b"\x21\xfe\1x\0" * PARTS + gif[table:], "unsupported", "blocks"),
        "comments of a PPM": (b"P3\n2 2\n255\n" + b"#\n" * 200_000 + b"1 " * 12, "unsupported", "comments"),
        "header of a PPM": (b"P6\n" + b"#\n" * 200_000 + b"2 2\n255\n" + b"1" * 12, "corrupt", "size"),
        "levels of a PPM": (b"P6\n3000 1000\n254\n" + bytes(9_000_000), "unsupported", "levels"),
        "strips of a TIFF": (claiming_tiff((324, 4, STRIPS + 1, 8)), "unsupported", "324"),
        "samples of a TIFF": (claiming_tiff((258, 3, SAMPLES + 1, 8)), "unsupported", "258"),
        "a tile of a TIFF": (claiming_tiff((322, 4, 1, 4096), (323, 4, 1, 4097)), "unsupported", "4096 x 4097"),
        "a TIFF's width as a rational": (claiming_tiff((256, 5, 1, 8)), "unsupported", "256 of type 5"),
        "boxes of a JPEG 2000": (jp2[:12] + b"\0\0\0\x08free" * PARTS + jp2[12:], "unsupported", "boxes"),
        "markers of a JPEG 2000": (code[:51] + b"\xff\x64\0\4\0\1" * PARTS + code[51:], "unsupported", "markers"),
        "a large JPEG 2000": (large_jp2(), "too_large", "jp2"),
        "precincts of a JPEG 2000": (cut_jp2(precinct=1), "unsupported", "1000000 precincts"),
        "precincts of one component of a JPEG 2000": (cut_jp2(precinct=1, own=True), "unsupported", "precincts"),
        "tiles of a JPEG 2000": (cut_jp2(tile=10), "unsupported", "40000 tiles"),
        "blocks of a JPEG 2000": (cut_jp2(side=6900, block=0), "unsupported", "blocks"),
        "layers of a JPEG 2000": (cut_jp2(layers=65535, tile=200), "unsupported", "65535 layers"),
        "scans within a TIFF": (tiff_of_scans(150, 1), "too_large", "scans"),
        "strips of a TIFF that share scans": (tiff_of_scans(90, 1000), "unsupported", "share"),
        "bytes of an AVIF": (encode(image, "AVIF") + bytes(FORMATS["avif"].most_bytes or 0), "too_large", "bytes"),
        "bytes of a WebP": (encode(image, "WEBP") + bytes(FORMATS["webp"].most_bytes or 0), "too_large", "bytes"),
        "a large lossless WebP": (large_webp(), "too_large", "webp"),
        "canvas of a WebP": (b"RIFF\x16\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + b"\xff" * 6, "too_large", "pixels"),
    }


def claiming_tiff(*entries: tuple[int, int, int, int]) -> bytes:
    """A TIFF of nothing but these entries: tag, type, count, and the value or its place."""
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries)


def png_of(width: int, height: int) -> bytes:
    """A white PNG of this size."""
    return encode(Image.new("1", (width, height), 1), "PNG")


def tiff_of_scans(count: int, strips: int) -> bytes:
    """A TIFF of 64 megapixels whose strips are all the same JPEG of so many scans."""
    progressive = encode(photograph().resize((60, 40)), "JPEG", progressive=True)
    body = progressive[:-2] + progressive[progressive.rfind(b"\xff\xda") : -2] * count + b"\xff\xd9"
    ends = 8 + 2 + 8 * 12 + 4
    starts, sizes = ends, ends + 4 * strips
    values = ((256, 8000), (257, 8000), (258, 8), (259, 7), (262, 6), (278, 8000 // strips))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values)
    place = sizes + 4 * strips
    if strips == 1:
        directory += struct.pack("<HHIIHHII", 273, 4, 1, place, 279, 4, 1, len(body))
    else:
        directory += struct.pack("<HHIIHHII", 273, 4, strips, starts, 279, 4, strips, sizes)
    arrays = struct.pack("<I", place) * strips + struct.pack("<I", len(body)) * strips
    return b"II*\0" + struct.pack("<IH", 8, 8) + directory + bytes(4) + arrays + body


def large_webp() -> bytes:
    data = bytearray(encode(photograph().resize((60, 40)), "WEBP", lossless=True))
    data[21:25] = struct.pack("<I", 13999 | 10999 << 14)
    return bytes(data)


def large_jp2() -> bytes:
    data = bytearray(encode(photograph(), "JPEG2000", no_jp2=True))
    data[8:16] = struct.pack(">II", 9000, 9000)
    return bytes(data)


def cut_jp2(
    side: int = 2000, tile: int = 2000, layers: int = 1, precinct: int = 15, block: int = 4, own: bool = False
) -> bytes:
    """A grey JPEG 2000, square and empty, whose tiles have this side, and its precincts and blocks these exponents.

    `own`: they are those of its one component, beside others for all.
    """
    data = encode(Image.new("L", (64, 64)), "JPEG2000", no_jp2=True)
    at = data.find(b"\xff\x52")
    size = data[2:8] + struct.pack(">8I", side, side, 0, 0, tile, tile, 0, 0) + data[40:45]
    cuts = bytes((5, block, block, 0, 1)) + bytes([17 * precinct] * 6)
    coding = b"\xff\x52\0\x12\1\2" + struct.pack(">HB", layers, 0) + cuts
    if own:
        coding = data[at : at + 14] + b"\xff\x53\0\x0f\0\1" + cuts
    steps = data[data.find(b"\xff\x5c") : data.find(b"\xff\x90")]
    packets = bytes(8)
    part = struct.pack(">HHHIBBH", 0xFF90, 10, 0, 14 + len(packets), 0, 1, 0xFF93) + packets
    return data[:2] + size + coding + steps + part + b"\xff\xd9"


@pytest.mark.parametrize("case", list(asking()))
def test_what_asks_for_too_much_is_refused_before_it_is_decoded(case: str) -> None:
    data, code, word = asking()[case]
    asked: list[int] = []
    info, pixels = decode(data, reserve=asked.append)
    assert (info.error, pixels, asked) == (code, None, []) and word in str(info.message)


def ending_early() -> dict[str, bytes]:
    image = photograph().resize((60, 40))
    ascii = " ".join(map(str, np.asarray(image).ravel())).encode()
    return {
        "TIFF, its directory behind the pixels": encode(image, "TIFF", compression="tiff_lzw"),
        "PPM in ASCII": b"P3\n60 40\n255\n" + ascii,
        "PPM of 101 levels": b"P6\n60 40\n100\n" + bytes(60 * 40 * 3),
        "JPEG 2000": encode(image, "JPEG2000"),
        "JPEG 2000 in tiles": encode(image, "JPEG2000", tile_size=(32, 32), no_jp2=True),
    }


@pytest.mark.parametrize("kind", list(ending_early()))
def test_what_ends_within_its_pixels_is_truncated(kind: str) -> None:
    data = ending_early()[kind]
    assert decode(data)[0].error is None
    assert {decode(data[: len(data) * tenths // 10])[0].error for tenths in range(4, 10)} == {"truncated"}


def test_a_tiff_in_lzma_may_have_fewer_bytes() -> None:
    data = encode(photograph().resize((60, 40)), "TIFF", compression="lzma")
    assert decode(data)[0].error is None
    info, _ = decode(data + bytes(LZMA_BYTES))
    assert info.error == "too_large" and "LZMA" in str(info.message)


def test_no_backend_reads_a_jpeg_of_too_many_bytes() -> None:
    data = encode(photograph().resize((60, 40)), "JPEG")
    longer = data.ljust((FORMATS["jpeg"].most_bytes or 0) - 1, b"\0") + b"\xff\xd9"
    assert jpeg_header(data) and jpeg_header(longer) is None
    assert decode(longer)[0].error == "too_large"


@pytest.mark.parametrize(("width", "height"), [(1, LONGEST_SIDE), (LONGEST_SIDE, 1)])
def test_the_longest_strip_is_rendered_in_each_view(width: int, height: int) -> None:
    pixels = decode(png_of(width, height))[1]
    assert pixels is not None
    for view in (View(256, 256, "squash", "bilinear"), View(256, 256, "longest"), View(256, 256), TILES, PDQ):
        assert render(pixels, view).max() == 255


def test_a_jpeg_2000_that_is_cut_as_finely_as_encoders_do_is_read() -> None:
    image = photograph().resize((700, 600))
    for options in (
        {"tile_size": (64, 64)},
        {"codeblock_size": (4, 4)},
        {"precinct_size": (32, 32), "progression": "RPCL"},
        {"quality_layers": [*range(90, 5, -5)], "precinct_size": (64, 64)},
    ):
        assert decode(encode(image, "JPEG2000", **options))[0].error is None
    assert decode(cut_jp2())[0].error is None


def test_large_images_become_rgb_in_bands_without_a_seam() -> None:
    image = photograph().resize((3000, 2000))
    for kind in (image, image.convert("L"), image.quantize(16), image.convert("1")):
        np.testing.assert_array_equal(decode(encode(kind, "PNG"))[1], np.array(kind.convert("RGB")))


def test_tiffs_of_12_bits_and_with_white_as_zero_look_as_they_should() -> None:
    grey = np.asarray(photograph().convert("L").resize((64, 48)))
    data = encode(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF")
    at = data.find(struct.pack("<HHI", 262, 3, 1)) + 8
    negative = decode(data[:at] + b"\0\0" + data[at + 2 :])[1]
    assert negative is not None
    np.testing.assert_array_equal(negative[..., 0], 255 - grey)
    pgm = decode(b"P5\n64 48\n65535\n" + (grey.astype(">u2") * 257).astype(">u2").tobytes())[1]
    assert pgm is not None
    np.testing.assert_array_equal(pgm[..., 0], grey)


def ppm(kind: str, most: int) -> bytes:
    """A PPM of 64 x 48 pixels. The samples of one in binary are the bytes that in ASCII begin a comment."""
    levels = b"" if kind in ("P1", "P4") else b" %d" % most
    return kind.encode() + b" 64 48" + levels + b"\n" + (b"1 " if kind < "P4" else b"##") * (64 * 48 * 3)


def bmp(compression: int) -> bytes:
    """A BMP of 64 x 48 pixels in 256 greys, plain or in run-length code: all of its pixels are 7."""
    rows = (b"\x40\7\0\0" if compression else b"\7" * 64) * 48
    header = struct.pack("<IiiHHIIiiII", 40, 64, 48, 1, 8, compression, len(rows), 0, 0, 0, 0)
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(rows), 0, 0, 54 + 1024) + header + palette + rows + b"\0\1"


IN_PYTHON = {f"{kind} of {most}": ppm(kind, most) for kind in ("P1", "P4") for most in (1,)}
IN_PYTHON |= {
    f"{kind} of {most}": ppm(kind, most) for kind in ("P2", "P3", "P5", "P6") for most in (99, 255, 256, 65535)
}
IN_PYTHON |= {f"BMP in code {compression}": bmp(compression) for compression in (0, 1)}


@pytest.mark.parametrize("case", IN_PYTHON)
def test_only_what_pillow_decodes_in_python_may_have_fewer_bytes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = IN_PYTHON[case]
    decoder = Image.open(io.BytesIO(data)).tile[0][0]
    assert decode(data)[0].error is None
    monkeypatch.setattr(limits, "IN_PYTHON", len(data))
    assert decode(data)[0].error is None
    monkeypatch.setattr(limits, "IN_PYTHON", len(data) - 1)
    assert decode(data)[0].error == ("unsupported" if decoder in Image.DECODERS else None)


def test_a_large_png_may_have_as_many_chunks_as_writers_cut_it_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARTS", 3)
    noise = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    noise[-1] = 255
    data = encode(Image.fromarray(noise), "PNG")
    at = data.find(b"IDAT") - 4
    body = data[at + 8 : at + 8 + int.from_bytes(data[at : at + 4], "big")]
    assert data[at + 12 + len(body) :] == chunk(b"IEND", b"")
    for size, code in ((4096, None), (1000, "unsupported")):
        pieces = b"".join(chunk(b"IDAT", body[start : start + size]) for start in range(0, len(body), size))
        info, pixels = decode(data[:at] + pieces + chunk(b"IEND", b""))
        assert info.error == code
        assert code or np.array_equal(np.asarray(pixels), noise)


@pytest.mark.parametrize("order", "<>")
def test_a_tiff_of_either_byte_order_is_read_in_strips_and_in_tiles(order: Literal["<", ">"]) -> None:
    image = photograph().convert("L").resize((160, 128))
    files = []
    for options in ({"rowsperstrip": 50}, {"tile": (32, 48)}, {"tile": (256, 256)}):
        files.append(written_tiff(np.asarray(image), order, **options))
        np.testing.assert_array_equal(decode(files[-1])[1], np.asarray(image.convert("RGB")))
    # Tiles as large as the JPEG that each holds, and what of it is not used.
    halves = [encode(image.crop((left, 0, left + 80, 128)), "JPEG") for left in (0, 80)]
    tiles = [np.frombuffer(jpeg.ljust(128 * 80, b"\0"), np.uint8).reshape(128, 80) for jpeg in halves]
    plain = written_tiff(np.concatenate(tiles, axis=1), order, tile=(128, 80))
    coding, jpeg = (struct.pack(order + "HHIH", 259, 3, 1, value) for value in (1, 7))
    assert plain.count(coding) == 1
    expected = [np.asarray(Image.open(io.BytesIO(half)).convert("RGB")) for half in halves]
    np.testing.assert_array_equal(decode(plain.replace(coding, jpeg))[1], np.concatenate(expected, axis=1))


def written_tiff(pixels: np.ndarray, order: Literal["<", ">"], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, byteorder=order, photometric="minisblack", **options)
    return file.getvalue()
