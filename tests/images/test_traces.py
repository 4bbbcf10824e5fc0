"""Earlier JPEGs that pixels show, on a photograph that Pillow compressed once, twice or never."""

import io
from pathlib import Path

import numpy as np
import pytest
import skimage
from pictures import encode
from PIL import Image

from pycurate.images.decode import decode
from pycurate.images.evidence import BLOCK
from pycurate.images.traces import histograms, past_quality, recoded_quality

_cosines = np.cos(np.pi * (2 * np.arange(BLOCK) + 1) * np.arange(BLOCK)[:, None] / (2 * BLOCK))
BASIS = _cosines * np.where(np.arange(BLOCK)[:, None], 0.5, np.sqrt(1 / 8))


def source(name: str) -> Image.Image:
    return Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png").convert("RGB")


def counts_of(data: bytes) -> np.ndarray:
    """The histograms of all whole blocks of luminance."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)
    down, across = (side // BLOCK for side in pixels.shape)
    blocks = pixels[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
    return histograms(np.einsum("ui,aibj,vj->aubv", BASIS, blocks, BASIS))


def again(data: bytes, quality: int) -> bytes:
    return encode(Image.open(io.BytesIO(data)), "JPEG", quality=quality)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "motorcycle_left"])
@pytest.mark.parametrize("first, last", [(62, 75), (70, 80), (50, 65), (72, 85)])
def test_a_jpeg_saved_at_a_higher_quality_shows_the_lower_one(name: str, first: int, last: int) -> None:
    once = encode(source(name), "JPEG", quality=first)
    counts, told = counts_of(again(once, last)), decode(again(once, last))[0].quality
    assert told is not None
    found = {past_quality(counts), recoded_quality(counts, told)}
    assert any(quality is not None and abs(quality - first) <= 3 for quality in found)
    assert recoded_quality(counts_of(once), first) is None


@pytest.mark.parametrize("name", ["chelsea", "coffee", "motorcycle_left"])
def test_what_was_compressed_once_or_never_shows_no_other(name: str) -> None:
    assert past_quality(counts_of(encode(source(name), "PNG"))) is None
    for quality in range(30, 90, 5):
        data = encode(source(name), "JPEG", quality=quality)
        assert recoded_quality(counts_of(data), decode(data)[0].quality or 0) is None


def test_a_table_that_is_not_the_one_of_the_pixels_leads_nowhere() -> None:
    counts = counts_of(encode(source("coffee"), "JPEG", quality=60))
    for told in (10.0, 70.0, 80.0, 85.0, 95.0):
        found = recoded_quality(counts, told)
        assert found is None or abs(found - 60) <= 3  # which is what they keep to


@pytest.mark.filterwarnings("error")
def test_what_is_told_of_few_values_or_coarse_tables_is_nothing() -> None:
    counts = counts_of(encode(source("coffee"), "JPEG", quality=60))
    assert recoded_quality(counts, 24.0) is None and recoded_quality(counts, 26.0) is None
    large = np.zeros_like(counts)
    large[:, 240] = 1000
    assert recoded_quality(large, 80.0) is None
