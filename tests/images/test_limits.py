"""No file holds a thread for long, and no crowd of large ones takes all memory."""

import struct
import zlib

import numpy as np
import pytest
from pictures import encode, photograph
from PIL import Image

from pycurate.images.decode import decode, inspect, jpeg_header
from pycurate.images.formats import FORMATS
from pycurate.images.limits import LONGEST_SIDE, LZMA_BYTES, PARTS, SCANS, STRIPS
from pycurate.images.render import render
from pycurate.images.views import PDQ, TILES, View


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def asking() -> dict[str, tuple[bytes, str, str]]:
    """Files that ask for too much, with the code and a word of the message."""
    image = photograph().resize((60, 40))
    photo, progressive = encode(image, "JPEG"), encode(image, "JPEG", progressive=True)
    png, gif = encode(image, "PNG"), encode(image, "GIF")
    table = 13 + (3 << (gif[10] & 7) + 1)
    scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    header = struct.pack("<IH", 8, 2) + struct.pack("<HHIIHHII", 256, 4, 1, 9, 324, 4, STRIPS + 1, 8) + b"\0" * 4
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
        "strips of a TIFF": (b"II*\0" + header, "unsupported", "324"),
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
    info, pixels = decode(data)
    assert (info.error, pixels) == (code, None) and word in str(info.message)
    assert case == "text of a PNG" or inspect(data) == info


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
    info = inspect(data + bytes(LZMA_BYTES))
    assert info.error == "too_large" and "LZMA" in str(info.message)


def test_no_backend_reads_a_jpeg_of_too_many_bytes() -> None:
    data = encode(photograph().resize((60, 40)), "JPEG")
    longer = data.ljust((FORMATS["jpeg"].most_bytes or 0) - 1, b"\0") + b"\xff\xd9"
    assert jpeg_header(data) and jpeg_header(longer) is None
    assert inspect(longer).error == "too_large"


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
