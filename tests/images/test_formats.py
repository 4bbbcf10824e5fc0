"""The table of formats against Pillow, which has one of its own."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import photograph
from PIL import Image

from pycurate.images import decode
from pycurate.images.formats import DECODED, EXTENSIONS, FORMATS, sniff

PILLOWS = {"jpeg": "JPEG", "jp2": "JPEG2000"}  # where the names differ by more than their case


def test_what_is_to_be_decoded_has_a_reader() -> None:
    assert set(decode._READERS) == DECODED


@pytest.mark.parametrize("name", sorted(DECODED))
def test_what_pillow_writes_is_told_by_its_bytes(name: str) -> None:
    file = io.BytesIO()
    photograph().save(file, PILLOWS.get(name, name.upper()))
    assert sniff(file.getvalue()) == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "avif"),
        (b"\0\0\0\x10ftypavis\0\0\0\0", "avif"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmp41", "heic"),
        (b"\0\0\0\x10ftypisom\0\0\0\0avif", ""),  # what stands behind the box is no brand
        (b"\xff\x4f\xff\x51\0\x2f", "jp2"),
        (b"\xff\x0a", "jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
        (b"II+\0", "bigtiff"),
        (b"MM\0+", "bigtiff"),
        (b"\0\0\1\0", "ico"),
        (b"8BPS", "psd"),
        (b"v/1\1", "exr"),
        (b"#?RADIANCE", "hdr"),
        (b"%PDF-1.7", "pdf"),
        (b"%!PS-Adobe", "eps"),
        (b"\xef\xbb\xbf\n<svg/>", "svg"),
        (b"<!-- drawn --><svg/>", "svg"),
        (b"<!-- drawn --><html/>", ""),
    ],
)
def test_formats_are_told_by_their_published_signs(data: bytes, name: str) -> None:
    assert sniff(data) == name


def test_extensions_mean_what_they_mean_to_pillow() -> None:
    Image.init()
    known = Image.registered_extensions() | {".dib": "BMP"}  # a BMP without its first header, by Pillow's name
    for extension, name in EXTENSIONS.items():
        assert known.get(f".{extension}", name.upper()) == PILLOWS.get(name, name.upper())
    assert set(EXTENSIONS.values()) > DECODED


@given(st.binary(max_size=40))
def test_any_bytes_have_a_known_format_or_none(data: bytes) -> None:
    assert sniff(data) in {"", *FORMATS}
