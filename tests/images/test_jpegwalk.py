"""Which JPEGs every decoder reads to their end, so that DALI may have them."""

import re
from functools import cache

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import broken, encode, kinds, photograph, photographs
from PIL import ImageFile

from pycurate.images.decode import decode, jpeg_header
from pycurate.images.jpeg import read_header


def test_plain_jpegs_are_told_from_others() -> None:
    assert all(jpeg_header(data) for data in photographs().values())
    assert [kind for kind, data in kinds().items() if jpeg_header(data)] == [
        kind for kind in kinds() if kind.startswith("jpeg") and kind != "jpeg cmyk"
    ]
    assert not any(jpeg_header(data) for data, code in broken().values() if code not in ("too_large", "corrupt"))


@settings(max_examples=100)
@given(
    st.sampled_from(["L", "RGB"]),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.fixed_dictionaries(
        {"progressive": st.booleans(), "optimize": st.booleans(), "quality": st.integers(1, 100)},
        optional={
            "subsampling": st.integers(0, 2),
            "restart_marker_blocks": st.integers(1, 9),
            "qtables": st.sampled_from(["web_low", "web_high", [[9] * 64]]),
            "comment": st.binary(max_size=9),
            "icc_profile": st.just(bytes(70000)),
        },
    ),
)
def test_sound_jpegs_go_to_dali_however_they_are_encoded(mode: str, size: tuple[int, int], options: dict) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile, "MAXBLOCK", 1 << 20)  # else Pillow fails on some small images
        data = encode(photograph().resize(size).convert(mode), "JPEG", **options)
    assert jpeg_header(data)


def test_a_frame_of_motion_jpeg_needs_no_huffman_tables() -> None:
    data = kinds()["jpeg"]
    assert jpeg_header(without(b"\xff\xc4", data)) and not jpeg_header(without(b"\xff\xdb", data))
    np.testing.assert_array_equal(decode(without(b"\xff\xc4", data))[1], decode(data)[1])
    assert not jpeg_header(without(b"\xff\xc4", kinds()["jpeg progressive"]))


def without(marker: bytes, data: bytes) -> bytes:
    """A JPEG without such segments before its first scan."""
    parts = [data[part] for part in read_header(data).parts]
    return data[:2] + b"".join(part for part in parts if not part.startswith(marker))


@cache
def table_changed(place: int, value: int) -> bytes:
    """A JPEG with another byte in its first Huffman table: 0 is its class and number, then come sixteen counts."""
    data = bytearray(kinds()["jpeg"])
    data[data.find(b"\xff\xc4") + 4 + place] = value
    return bytes(data)


@settings(max_examples=300)
@given(st.integers(0, 28), st.integers(0, 255))
def test_no_huffman_table_that_libjpeg_refuses_goes_to_dali(place: int, value: int) -> None:
    data = table_changed(place, value)
    try:
        simplejpeg.decode_jpeg_header(data)  # which reads the tables, too
    except ValueError:
        assert jpeg_header(data) is None


def test_libjpeg_refuses_some_huffman_tables_and_takes_some() -> None:
    taken = [jpeg_header(table_changed(place, value)) is not None for place in (1, 2, 9) for value in range(0, 256, 5)]
    assert 0 < sum(taken) < len(taken)


def test_no_scan_that_libjpeg_refuses_goes_to_dali() -> None:
    """Of each scan the first and the last coefficient, and how far they are shifted."""
    data = encode(photograph().resize((24, 24)), "JPEG", progressive=True)
    taken = []
    for scan in re.finditer(rb"\xff\xda", data):
        end = scan.end() + int.from_bytes(data[scan.end() : scan.end() + 2], "big")
        for place in (end - 3, end - 2, end - 1):
            for value in (0, 1, 2, 5, 6, 13, 14, 16, 32, 33, 48, 50, 63, 64, 65, 237, 254, 255):
                changed = data[:place] + bytes((value,)) + data[place + 1 :]
                taken.append(jpeg_header(changed) is not None)
                assert not taken[-1] or decode(changed)[0].error is None, (place, value)
    assert 0 < sum(taken) < len(taken)
