"""Orientation, in blocks of EXIF that are well-formed or not, as Pillow has it."""

import io
import random
import struct

import numpy as np
import pytest
from pictures import encode, exif, photograph
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from pycurate.images.decode import decode
from pycurate.images.exif import chosen, orientation, segment

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, of tags that make no sense


def pillows(block: bytes, xmp: bytes = b"") -> int:
    """Pillow's own reading; 1 where it raises."""
    image = Image.new("L", (1, 1))
    image.info |= {"exif": block, "xmp": xmp}
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - it raises what it likes
        return 1
    return next((number for number in range(2, 9) if value == number), 1)


def block(seed: int) -> bytes:
    """A block of a few entries, with the orientation among them as a rule, and damage at times."""
    chance = random.Random(seed)
    order, number = chance.choice("<>"), chance.randrange(1, 5)
    entries, values = b"", b""
    for _ in range(number):
        tag = chance.choice((0x0112, 0x0112, 0x010F, 0x011A, 0x8769))
        count = chance.choice((0, 1, 1, 1, 1, 2, 3, 100, 2**32 - 1))
        place = 14 + 12 * number + len(values)
        inline = chance.choice(
            (struct.pack(order + "HH", chance.randrange(10), 0), struct.pack(order + "I", chance.randrange(10)))
        )
        inline = chance.choice((inline, inline, struct.pack(order + "I", place), chance.randbytes(4)))
        entries += struct.pack(order + "HHI", tag, chance.choice((3, 3, 4, *range(19))), count) + inline
        values += chance.choice((b"", struct.pack(order + "II", chance.randrange(20), chance.randrange(3))))
        values += chance.choice((b"", struct.pack(order + "d", chance.randrange(10))))
    heads = {"<": (b"II*\0", b"II\0*"), ">": (b"MM\0*", b"MM*\0", b"MM\0+")}[order]
    head = chance.choice((heads[0], *heads)) + struct.pack(order + "IH", 8, number)
    found = bytearray(head + entries + chance.choice((b"\0" * 4, b"\0" * 4, b"")) + values)
    for _ in range(chance.choice((0, 0, 1, 3))):
        found[chance.randrange(len(found))] = chance.randrange(256)
    if chance.random() < 0.2:
        del found[chance.randrange(len(found)) :]
    return chance.choice((b"", b"Exif\0\0", b"Exif\0\0Exif\0\0")) + bytes(found)


def test_thousands_of_blocks_are_read_as_pillow_reads_them() -> None:
    seeds = range(8000)
    expected = {seed: pillows(block(seed)) for seed in seeds}
    assert {seed: orientation(block(seed)) for seed in seeds} == expected
    assert set(expected.values()) == set(range(1, 9))


def test_xmp_counts_where_exif_says_nothing() -> None:
    for packet in (b'<x tiff:Orientation="6"/>', b"<tiff:Orientation>8</tiff:Orientation>", b"nothing"):
        for found in (b"", exif(3, "<")):
            assert orientation(found, packet) == pillows(found, packet)
    assert chosen(None, b'tiff:Orientation="6"') == 6
    assert all(orientation(segment(number)[4:]) == number for number in range(1, 9))


def marked(kind: str, block: bytes, packet: bytes) -> bytes:
    """A photograph with a block of EXIF and a packet of XMP, each left out if empty."""
    texts, tags = PngInfo(), Image.Exif()
    if packet:
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    if kind == "TIFF":
        tags.load(block)
        tags.update({700: packet} if packet else {})
    options: dict[str, object] = {"exif": tags if kind == "TIFF" else block, "pnginfo": texts, "xmp": packet}
    given = {name: value for name, value in options.items() if value}
    return encode(photograph().resize((40, 30)), kind, **given)


def by_imagemagick(block: bytes) -> bytes:
    """A PNG that holds a block of EXIF as ImageMagick writes one: as text, in lines of hexadecimal digits."""
    texts, digits = PngInfo(), block.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    texts.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{lines}\n")
    return encode(photograph().resize((40, 30)), "PNG", pnginfo=texts)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_by_whatever_of_exif_and_xmp_pillow_goes_by(kind: str) -> None:
    packet = b'<x:xmpmeta><x tiff:Orientation="6"/></x:xmpmeta>'
    files = [marked(kind, *both) for both in ((b"", packet), (exif(3, "<"), packet), (exif(8, ">"), b""))]
    files += [by_imagemagick(block) for block in (exif(6, "<"), exif(7, ">")) if kind == "PNG"]
    plain = np.asarray(Image.open(io.BytesIO(marked(kind, b"", b""))).convert("RGB"))
    for data in files:
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        expected = np.asarray(turned.convert("RGB"))
        info, pixels = decode(data)
        np.testing.assert_array_equal(pixels, expected)
        assert (info.width, info.height) == turned.size
        assert not np.array_equal(expected, plain)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_broken_exif_leaves_sound_pixels(kind: str) -> None:
    """Of an AVIF the block is broken afterwards, since Pillow reads it to write one; a PNG's has a sum of its own."""
    whole, spoil = encode(photograph(), kind, exif=exif(1, "<")), (b"II*\0\x08", b"Ix*\0\x08")
    broken = encode(photograph(), kind, exif=exif(1, "<").replace(*spoil)) if kind == "PNG" else whole.replace(*spoil)
    info, pixels = decode(broken)
    assert broken != whole or kind == "AVIF"  # Pillow leaves out of an AVIF what says nothing
    assert info.error is None
    np.testing.assert_array_equal(pixels, decode(whole)[1])
