"""The coarseness of a WebP as its header tells it: against what Pillow was asked for, and against what was lost."""

import io
import itertools
import random
import struct
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode, photograph
from PIL import Image

from pycurate.images.decode import decode
from pycurate.images.vp8 import _STEPS, webp_quality, webp_step


def steps(**options: object) -> list[float]:
    found = [webp_step(encode(photograph(), "WEBP", quality=quality, **options)) for quality in range(0, 101, 5)]
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("options", [{}, {"method": 0}, {"method": 6}, {"exif": b"Exif\0\0MM"}])
def test_a_higher_quality_has_finer_steps_however_it_is_encoded(options: dict[str, object]) -> None:
    found = steps(**options)
    assert all(finer < coarser for coarser, finer in itertools.pairwise(found))
    assert found[-1] == 4 and found[0] > 100  # the finest step that VP8 has, and one of its coarsest


@pytest.mark.parametrize(("quality", "step"), [(0, 284), (50, 42), (75, 30), (100, 4)])
def test_a_frame_without_segments_has_the_one_step_of_its_index(quality: int, step: int) -> None:
    """So few pixels get none from libwebp, whose index here is 127, 38, 26 and 0 (RFC 6386, section 14.1)."""
    image = Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    assert webp_step(encode(image, "WEBP", quality=quality)) == pytest.approx(step)


def coded(bits: Iterable[int]) -> bytes:
    """What the boolean decoder reads these bits from, each as likely set as not (section 7.3)."""
    low, reach, length = 0, 255, 8
    for bit in bits:
        split = 1 + ((reach - 1) * 128 >> 8)
        low, reach = (low + split, reach - split) if bit else (low, split)
        while reach < 128:
            low, reach, length = low << 1, reach << 1, length + 1
    return (low << -length % 8).to_bytes(-(-length // 8), "big")


@settings(max_examples=50)
@given(st.integers(0, 10**9))
def test_a_header_as_any_encoder_writes_it_is_read(seed: int) -> None:
    """With segments or without, their steps absolute or not, and changes of the loop filter, which libwebp has none of
    (RFC 6386, sections 9.3 to 9.6 and 19.2)."""
    chance = random.Random(seed)
    bits: list[int] = []

    def put(value: int, size: int) -> int:
        bits.extend(value >> at & 1 for at in reversed(range(size)))
        return value

    def given(size: int, signed: bool, otherwise: int) -> int:
        """Perhaps a number."""
        if not put(chance.randrange(2), 1):
            return otherwise
        value = put(chance.randrange(1 << size), size)
        return -value if signed and put(chance.randrange(2), 1) else value

    put(chance.randrange(4), 2)
    own, absolute, tree = [0] * 4, 0, [255, 255, 0]  # all macroblocks are of the first segment
    if put(chance.randrange(2), 1):
        mapped, updated = put(chance.randrange(2), 1), put(chance.randrange(2), 1)
        if updated:
            absolute = put(chance.randrange(2), 1)
            own = [given(7, True, 0) for _ in range(4)]
            for _ in range(4):
                given(6, True, 0)
        tree = [given(8, False, 255) for _ in range(3)] if mapped else tree
    put(chance.randrange(1 << 10), 10)
    if put(chance.randrange(2), 1) and put(chance.randrange(2), 1):
        for _ in range(8):
            given(6, True, 0)
    put(chance.randrange(4), 2)
    index = put(chance.randrange(128), 7)
    left, first, third = (share / 255 for share in tree)
    shares = (left * first, left * (1 - first), (1 - left) * third, (1 - left) * (1 - third))
    indices = [min(max(number + (0 if absolute else index), 0), 127) for number in own]
    expected = sum(share * np.log2(_STEPS[at]) for share, at in zip(shares, indices, strict=True))
    frame = bytes(3) + b"\x9d\x01\x2a" + bytes(4) + coded(bits)
    found = webp_step(b"RIFF\0\0\0\0WEBPVP8 " + struct.pack("<I", len(frame)) + frame)
    assert found is not None and np.log2(found) == pytest.approx(expected)


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
