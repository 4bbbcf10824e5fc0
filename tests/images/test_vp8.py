"""The coarseness of a WebP as its header tells it: against what Pillow was asked for, and against what was lost."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode, photograph
from PIL import Image

from pycurate.images.decode import decode
from pycurate.images.vp8 import webp_quality, webp_step


def steps(**options: object) -> list[float]:
    found = [webp_step(encode(photograph(), "WEBP", quality=quality, **options)) for quality in range(0, 101, 5)]
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("options", [{}, {"method": 0}, {"method": 6}, {"exif": b"Exif\0\0MM"}])
def test_a_higher_quality_has_finer_steps_however_it_is_encoded(options: dict[str, object]) -> None:
    found = steps(**options)
    assert all(finer < coarser for coarser, finer in itertools.pairwise(found))
    assert found[-1] == 4 and found[0] > 100  # the finest step that VP8 has, and one of its coarsest


def test_the_first_frame_of_an_animation_counts_and_alpha_does_not() -> None:
    image = photograph()
    plain = webp_step(encode(image, "WEBP", quality=40))
    assert plain is not None
    animated = encode(image, "WEBP", quality=40, save_all=True, append_images=[image.rotate(90)])
    transparent = image.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    for data in (animated, encode(transparent, "WEBP", quality=40)):
        found = webp_step(data)
        assert found is not None and abs(np.log2(found / plain)) < 0.3


def test_a_lossless_file_has_no_quality() -> None:
    lossless, lossy = encode(photograph(), "WEBP", lossless=True), encode(photograph(), "WEBP", quality=40)
    assert decode(lossless)[0].quality is None
    assert webp_step(lossless + lossy[12:]) is None  # the first frame counts


def test_a_jpeg_of_the_same_quality_loses_as_much() -> None:
    image = photograph()

    def lost(data: bytes) -> float:
        """Bits of the mean square error of luminance."""
        difference = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float) - np.asarray(image.convert("L"))
        return float(np.log2(np.square(difference).mean()))

    for quality in (30, 60, 80):
        data = encode(image, "WEBP", quality=quality)
        told = decode(data)[0].quality
        assert told is not None
        assert abs(lost(data) - lost(encode(image, "JPEG", quality=round(told)))) < 1


@settings(max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_have_a_quality_or_none(data: bytes, at: int, byte: int) -> None:
    real = bytearray(encode(Image.new("RGB", (16, 16), "red"), "WEBP"))
    real[at % len(real)] = byte
    for broken in (data, b"RIFF\0\0\0\0WEBP" + data, bytes(real), bytes(real)[:at]):
        found = webp_quality(broken)
        assert found is None or 1 <= found <= 100
