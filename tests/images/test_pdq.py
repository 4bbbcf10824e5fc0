"""PDQ as published, against its steps one by one; what it takes for one image, and what for another."""

import io
import tracemalloc

import numpy as np
import pytest
from pictures import encode, photograph, photographs
from PIL import Image
from scipy.fft import dctn
from tars import jpeg

from pycurate.images.loader import Loader
from pycurate.images.pdq import Pdq, pdq, samples
from pycurate.images.views import PDQ


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def hashed(pixels: np.ndarray) -> Pdq:
    return pdq(samples(pixels))


def bits(*hashes: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)).reshape(len(hashes), 256)


def distance(a: Pdq, b: Pdq) -> int:
    return int((bits(a.hash) != bits(b.hash)).sum())


def smoothed(lines: np.ndarray) -> np.ndarray:
    """A box filter along the first axis: of the pixels that a window of length / 128 holds within the image."""
    size = (len(lines) + 127) // 128
    half = (size + 2) // 2
    spans = [(max(0, at + half - size), at + half) for at in range(len(lines))]
    return np.stack([lines[start:stop].mean(axis=0) for start, stop in spans])


def by_steps(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """The bits, first to last, and the quality: the whole image smoothed, sampled, and all its frequencies."""
    image = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
    for _ in range(2):
        image = smoothed(smoothed(image.T).T)
    places = [((np.arange(64) + 0.5) * length / 64).astype(int) for length in image.shape]
    small = image[np.ix_(*places)]
    waves = dctn(small)[1:17, 1:17]
    steps = [np.abs((step * 100 / 255).astype(int)).sum() for step in (np.diff(small), np.diff(small.T))]
    return (waves > np.sort(waves.reshape(-1))[127]).reshape(-1), min(100, int(sum(steps)) // 90)


@pytest.mark.parametrize("size", [(5, 7), (63, 64), (64, 64), (128, 129), (300, 40), (511, 700), (1300, 900)])
def test_a_hash_is_that_of_the_published_steps(size: tuple[int, int]) -> None:
    pixels = np.asarray(photograph().resize(size, Image.Resampling.BICUBIC))
    expected, quality = by_steps(pixels)
    found = hashed(pixels)
    assert (bits(found.hash)[0][::-1] != expected).sum() <= 2  # two frequencies may lie about the median
    assert found.quality == pytest.approx(quality, abs=1)


def test_copies_are_near_and_other_images_are_not() -> None:
    images = list(photographs().values())
    originals = [hashed(decoded(data)) for data in images]
    assert all(bits(one.hash).sum() == 128 for one in originals)  # those above the lower median of 256
    for data, original in zip(images, originals, strict=True):
        image = Image.fromarray(decoded(data))
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        for copy in (encode(image, "JPEG", quality=60), encode(half, "JPEG", quality=90)):
            assert original.quality >= 50 and distance(hashed(decoded(copy)), original) <= 31
    others = bits(*(hashed(decoded(jpeg(seed))).hash for seed in range(1000)))
    known = bits(*(one.hash for one in originals))
    assert (known[:, None] != others).sum(axis=2).min() > 31
    assert min(distance(a, b) for at, a in enumerate(originals) for b in originals[:at]) > 31


def test_what_is_kept_of_each_length_is_little() -> None:
    lengths = range(20_000, 20_004)
    tracemalloc.start()
    try:
        for length in lengths:
            samples(np.zeros((length, 1, 3), np.uint8))
        assert tracemalloc.get_traced_memory()[0] < len(lengths) * 20_000  # hostile images choose a thousand lengths
    finally:
        tracemalloc.stop()


def test_a_plain_image_has_no_quality() -> None:
    assert hashed(np.full((90, 120, 3), 77, np.uint8)).quality == 0


def test_the_loader_hashes_whole_upright_images() -> None:
    files = list(photographs().values())[:3]
    with Loader([PDQ]) as loader:
        [batch] = loader.batches((data, data) for data in files)
    for data, planes in zip(files, batch.pixels[0].numpy(), strict=True):
        assert np.array_equal(planes, samples(decoded(data)))
