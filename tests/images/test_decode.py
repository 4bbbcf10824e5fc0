"""Image files of every kind, whole and broken: what is said of them and which pixels come out."""

import gc
import io
import math
from types import FrameType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import broken, claiming, encode, exif, kinds, photograph, photographs, png
from PIL import Image, ImageOps

from pycurate.images.decode import CODES, MAX_PIXELS, ImageInfo, decode, jpeg_header
from pycurate.images.formats import sniff
from pycurate.images.limits import SCANS


@pytest.mark.parametrize("kind", list(kinds()))
def test_pixels_are_those_of_pillow(kind: str) -> None:
    data = kinds()[kind]
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    info, pixels = decode(data)
    assert info == ImageInfo(expected.shape[1], expected.shape[0], kind.split()[0])
    assert pixels is not None and pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, expected)


def test_photographs_are_those_of_pillow() -> None:
    for data in photographs().values():
        pixels = decode(data)[1]
        assert pixels is not None
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_bits(kind: str) -> None:
    deep = np.arange(300 * 200, dtype=np.uint16).reshape(200, 300)
    info, pixels = decode(encode(Image.fromarray(deep), kind))
    assert info.error is None and pixels is not None
    np.testing.assert_array_equal(pixels, np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


def test_16_bit_rgb_keeps_its_upper_bits() -> None:
    deep = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3) * 36
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    pixels = decode(png(30, 20, 16, rows))[1]
    assert pixels is not None
    np.testing.assert_array_equal(pixels, deep >> 8)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_stand_upright(kind: str, orientation: int, order: str) -> None:
    data = encode(photograph(), kind, exif=exif(orientation, order))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    info, pixels = decode(data)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, expected)
    assert info == ImageInfo(expected.shape[1], expected.shape[0], kind.lower())
    wide = photograph().width > photograph().height
    assert (info.width > info.height) == (wide if orientation not in (5, 6, 7, 8) else not wide)


@pytest.mark.parametrize("kind", ["TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_upright_where_the_format_has_its_own_tag(kind: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = encode(photograph(), kind, exif=tags)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    info, pixels = decode(data)
    np.testing.assert_array_equal(pixels, expected)
    assert info == ImageInfo(expected.shape[1], expected.shape[0], kind.lower())


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [photograph().resize((80, 60)), Image.new("RGB", (80, 60), "red")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    pixels = decode(data)[1]
    assert pixels is not None
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert np.abs(pixels - np.asarray(frames[1], dtype=float)).mean() > 50


@pytest.mark.parametrize("case", list(broken()))
def test_what_cannot_be_read_gets_its_code(case: str) -> None:
    data, code = broken()[case]
    info, pixels = decode(data)
    assert pixels is None
    assert info.error == code
    assert code in CODES and info.message and "\n" not in info.message


@pytest.mark.parametrize("case", [*kinds(), *broken(), "JPEG with bytes before its end", "JPEG cut and ended"])
def test_what_was_decoded_is_gone_once_nobody_holds_it(case: str) -> None:
    # What stands in a cycle waits for Python's search for garbage, with the pixels of images that came before it.
    whole = encode(photograph(), "JPEG")
    cases = kinds() | {name: data for name, (data, _) in broken().items()}
    cases["JPEG with bytes before its end"] = whole[:-2] + bytes(200) + whole[-2:]
    cases["JPEG cut and ended"] = whole[: len(whole) // 2] + whole[-2:]
    decode(cases[case])  # what the libraries keep from then on
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        decode(cases[case])
        gc.collect()
        assert [one for one in gc.garbage if isinstance(one, (FrameType, np.ndarray, Image.Image))] == []
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()


def is_decoded(data: bytes, max_pixels: int) -> bool:
    """Whether an image gets as far as its decoding, which is spared."""

    def reserve(size: int) -> None:
        raise MemoryError

    try:
        return decode(data, max_pixels, reserve)[0].error is None
    except MemoryError:
        return True


def test_the_limit_counts_before_anything_is_decoded() -> None:
    size = photograph().width * photograph().height
    for data in kinds().values():
        limit = math.prod(Image.open(io.BytesIO(data)).size)
        assert is_decoded(data, limit) and not is_decoded(data, limit - 1)
        assert decode(data, limit)[0].error is None
        assert decode(data, limit - 1)[0].error == "too_large"
    # Both claim more than they hold; were they decoded, they would be called corrupt.
    for case in ("jpeg of 65000 x 65000", "png of 60000 x 60000"):
        info, _ = decode(broken()[case][0])
        assert info.error == "too_large" and info.width == info.height >= 60000
    assert size < MAX_PIXELS < 60000**2


def test_a_limit_above_pillows_own_is_kept() -> None:
    strip = claiming(next(iter(photographs().values())), 65000, 10000)
    white = encode(Image.new("1", (20000, 10000)), "PNG")
    for data, pixels in ((strip, 65000 * 10000), (white, 20000 * 10000)):
        assert decode(data)[0].error == "too_large"
        assert is_decoded(data, pixels) and not is_decoded(data, pixels - 1)


def test_a_whole_jpeg_damaged_inside_is_repaired_as_pillow_does() -> None:
    data = bytearray(next(iter(photographs().values())))
    data[len(data) // 2 : len(data) // 2 + 8] = b"\x12\x34\x56\x78\x9a\xbc\xde\xf0"
    info, pixels = decode(bytes(data))
    assert info.error is None
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")))


def test_bytes_behind_the_end_do_no_harm() -> None:
    data = next(iter(photographs().values()))
    np.testing.assert_array_equal(decode(data + b"\0" * 1000)[1], decode(data)[1])


def test_what_looks_like_scans_behind_the_end_is_none() -> None:
    data = encode(photograph(), "JPEG", progressive=True)
    behind = b"\xff\xda\0\x02" * (2 * SCANS)
    info, pixels = decode(data + behind)
    assert info.error is None and jpeg_header(data + behind)
    np.testing.assert_array_equal(pixels, decode(data)[1])
    # An end mark within a comment ends nothing, and restart markers and what no decoder knows hide no scan.
    for hidden in (b"\xff\xfe\0\x04\xff\xd9", b"\xff\xd3\xff\xff", b"\xff\x05\xff\xff"):
        assert decode(data[:-2] + hidden + behind + b"\xff\xd9")[0].error == "too_large"
    assert decode(data[:-2] + b"\xff\xfe\0\2" * 99999 + data[-2:] + behind)[0].error == "too_large"


@given(st.integers(0, 10**6))
def test_no_part_of_a_jpeg_passes_for_the_whole(length: int) -> None:
    data = next(iter(photographs().values()))
    cut = data[: length % (len(data) - 1)]
    assert decode(cut)[0].error == ("empty" if not cut else "not_an_image" if len(cut) < 3 else "truncated")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, on tags that make no sense
@settings(max_examples=150)
@given(st.sampled_from(list(kinds())), st.data())
def test_no_damage_raises(kind: str, draw: st.DataObject) -> None:
    data = kinds()[kind]
    at = draw.draw(st.integers(0, len(data) - 1))
    junk = draw.draw(st.binary(max_size=40))
    damaged = data[:at] + junk + data[at + draw.draw(st.integers(0, 80)) :]
    info, pixels = decode(damaged, 10**7)
    if pixels is None:
        assert info.error in CODES and info.message
    else:
        assert info.error is None and pixels.shape == (info.height, info.width, 3)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    info, pixels = decode(data)
    assert pixels is None and info.error in CODES
    assert sniff(data) == info.format


def test_what_pillow_refuses_is_corrupt_and_says_why() -> None:
    """Behind a warning an error: what libjpeg has written of the pixels by then is not all of them."""
    for progressive in (False, True):
        data = encode(photograph(), "JPEG", progressive=progressive)
        half = len(data) // 2
        for junk in (encode(photograph().resize((99, 99)), "JPEG"), bytes(range(1, 256)) * 40 + b"\xff\x63\xff\xd9"):
            spoilt = data[:half] + junk + data[half:]
            info, pixels = decode(spoilt)
            assert (info.error, pixels) == ("corrupt", None) and info.message
            with pytest.raises(OSError, match="broken data stream"):
                Image.open(io.BytesIO(spoilt)).load()
            assert "broken data stream" not in info.message
            assert jpeg_header(spoilt) is None  # never DALI's


def test_a_jpeg_that_begins_twice_says_so() -> None:
    data = encode(photograph(), "JPEG")
    info, _ = decode(data[:2] + data)
    assert info.error == "corrupt" and "SOI" in str(info.message)
