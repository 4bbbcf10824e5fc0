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


def test_extensions_mean_what_they_mean_to_pillow() -> None:
    Image.init()
    known = Image.registered_extensions() | {".dib": "BMP"}  # a BMP without its first header, by Pillow's name
    for extension, name in EXTENSIONS.items():
        assert known.get(f".{extension}", name.upper()) == PILLOWS.get(name, name.upper())
    assert set(EXTENSIONS.values()) > DECODED


@given(st.binary(max_size=40))
def test_any_bytes_have_a_known_format_or_none(data: bytes) -> None:
    assert sniff(data) in {"", *FORMATS}
