"""Technical quality: the scale means what it says, and every fault that it names lowers it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import load, members
from pictures import encode
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from pycurate.images.decode import ImageInfo
from pycurate.models.builtin.quality import PARAMS, Measures, Quality, combine, measure

ORDINARY = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


@pytest.fixture(scope="module")
def scorer() -> Quality:
    return Quality(Path(), "cpu")


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Ordinary photographs that come with scikit-image; nothing was fitted to them."""
    folder = Path(skimage.__file__).parent / "data"
    return [Image.open(folder / name).convert("RGB") for name in ORDINARY]


def scores(scorer: Quality, images: list[Image.Image]) -> np.ndarray:
    """Calibrated scores of images kept without loss."""
    files = [encode(image, "BMP") for image in images]
    return scorer.calibrate(scorer.score(*load(files, scorer.view)))


def noisy(image: Image.Image, spread: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(0).normal(0, spread, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def smaller(image: Image.Image, times: float) -> Image.Image:
    return image.resize((round(image.width / times), round(image.height / times)), Image.Resampling.BICUBIC)


FAULTS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "blur": lambda image, much: image.filter(ImageFilter.GaussianBlur(2 * much)),
    "noise": lambda image, much: noisy(image, 20 * much),
    "dark": lambda image, much: ImageEnhance.Brightness(image).enhance(0.5**much),
    "flat": lambda image, much: ImageEnhance.Contrast(image).enhance(0.5**much),
    "small": lambda image, much: smaller(image, 8 * much),
}


def test_thresholds_keep_what_the_design_says_of_ordinary_photographs(scorer: Quality, shared_images: Path) -> None:
    raw = scorer.score(*load(members(shared_images, ".jpg"), scorer.view))
    kept = {threshold: (scorer.calibrate(raw) >= threshold).mean() for threshold in (0.3, 0.5, 0.7, 0.9)}
    assert 0.70 <= kept[0.3] <= 0.80
    assert 0.40 <= kept[0.5] <= 0.50
    assert 0.15 <= kept[0.7] <= 0.25
    assert 0.01 <= kept[0.9] <= 0.06


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_lowers_the_score_and_more_of_it_lowers_it_more(
    scorer: Quality, photographs: list[Image.Image], fault: str
) -> None:
    some, much = (scores(scorer, [FAULTS[fault](image, degree) for image in photographs]) for degree in (1, 2))
    assert (some < scores(scorer, photographs)).all()
    assert (much < some).all()
    assert (much < 0.3).all()


def test_over_exposure_lowers_the_score_of_what_was_not_dark(scorer: Quality, photographs: list[Image.Image]) -> None:
    bright = [image for image in photographs if np.asarray(image.convert("L")).mean() > 90]
    assert len(bright) == len(photographs) - 1
    over = scores(scorer, [ImageEnhance.Brightness(image).enhance(2.5) for image in bright])
    assert (over < scores(scorer, bright)).all()
    far_over = scores(scorer, [ImageEnhance.Brightness(image).enhance(6) for image in bright])
    assert (far_over < 0.45).all()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_lowers_nearly_every_score_of_other_photographs(
    scorer: Quality, shared_images: Path, fault: str
) -> None:
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in members(shared_images, ".jpg")[::4]]
    before, after = scores(scorer, images), scores(scorer, [FAULTS[fault](image, 2) for image in images])
    assert (after < before).mean() >= 0.9
    assert (after < 0.3).mean() >= 0.9


def test_a_black_and_white_photograph_is_not_a_bad_one(scorer: Quality, photographs: list[Image.Image]) -> None:
    grey = scores(scorer, [image.convert("L").convert("RGB") for image in photographs])
    assert (scores(scorer, photographs) - grey).max() < 0.1


def shorter(image: Image.Image, side: int) -> Image.Image:
    return smaller(image, min(image.size) / side)


def on_square(image: Image.Image, side: int) -> Image.Image:
    """As img2dataset's resize mode `border` leaves it."""
    square = Image.new("RGB", (side, side), "white")
    small = smaller(image, max(image.size) / side)
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return square


def in_centre(image: Image.Image, side: int) -> Image.Image:
    small = shorter(image, side)
    left, top = (small.width - side) // 2, (small.height - side) // 2
    return small.crop((left, top, left + side, top + side))


@pytest.fixture(scope="module")
def as_they_are(shared_images: Path) -> list[Image.Image]:
    opened = (Image.open(io.BytesIO(data)).convert("RGB") for data in members(shared_images, ".jpg"))
    return [image for image in opened if min(image.size) >= 256]


@pytest.mark.parametrize("side", [256, 384])
@pytest.mark.parametrize("how", [shorter, in_centre, on_square])
def test_photographs_keep_alike_at_the_sizes_of_data_sets(
    scorer: Quality, as_they_are: list[Image.Image], how: Callable[[Image.Image, int], Image.Image], side: int
) -> None:
    before, after = scores(scorer, as_they_are), scores(scorer, [how(image, side) for image in as_they_are])
    for threshold in (0.3, 0.5, 0.7):
        assert abs((after >= threshold).mean() - (before >= threshold).mean()) <= 0.08


def test_enlarging_gains_nothing(scorer: Quality, as_they_are: list[Image.Image]) -> None:
    before, after = scores(scorer, as_they_are), scores(scorer, [smaller(image, 0.5) for image in as_they_are])
    for threshold in (0.3, 0.5, 0.7):
        assert (after >= threshold).mean() <= (before >= threshold).mean() + 0.03


def test_a_picture_of_squares_is_a_bad_one(scorer: Quality, photographs: list[Image.Image]) -> None:
    squares = [smaller(image, 8).resize(image.size, Image.Resampling.NEAREST) for image in photographs]
    assert (scores(scorer, squares) < 0.3).all()


def test_a_margin_does_not_count(scorer: Quality, photographs: list[Image.Image]) -> None:
    margins = [ImageOps.expand(image, min(image.size) // 8, "white") for image in photographs]
    assert np.abs(scores(scorer, margins) - scores(scorer, photographs)).mean() < 0.1


def test_nothing_at_all_scores_next_to_nothing(scorer: Quality) -> None:
    even = [Image.new("RGB", (500, 400), colour) for colour in ("black", "white", "grey", "red")]
    assert scores(scorer, even).max() < 0.1


def test_measures_are_the_published_ones() -> None:
    """Against the formulas written out, on noise of a known standard deviation."""
    random = np.random.default_rng(0)
    pixels = random.normal(128, 10, (1, 320, 320)).clip(0, 255).round().astype(np.uint8).repeat(3, axis=0)
    measured = measure(pixels)
    assert measured.contrast == pytest.approx(10 / 255, rel=0.01)
    assert 7 < measured.noise < 10  # the flattest block has less than the whole
    assert measured.colourfulness == 0
    exposed = np.exp(-((pixels[0] / 255 - 0.5) ** 2) / (2 * 0.2**2)).mean()
    assert measured.exposure == pytest.approx(exposed, rel=1e-4)


def test_blur_is_crete_s_on_a_photograph(photographs: list[Image.Image]) -> None:
    luminance = np.asarray(photographs[0].convert("L").crop((0, 0, 320, 320)))
    expected = max(_crete(luminance.astype(float)), _crete(luminance.T.astype(float)))
    assert measure(luminance[np.newaxis].repeat(3, axis=0)).blur == pytest.approx(expected, abs=0.002)


def _crete(luminance: np.ndarray) -> float:
    """Written out: blur by a box of nine, compare the differences of neighbours where the box fits."""
    blurred = np.stack([np.convolve(row, np.ones(9) / 9, mode="same") for row in luminance])
    sharp, soft = np.abs(np.diff(luminance))[:, 4:-4], np.abs(np.diff(blurred))[:, 4:-4]
    return 1 - np.maximum(sharp - soft, 0).sum() / sharp.sum()


def test_colourfulness_is_hasler_and_suesstrunk_s(photographs: list[Image.Image]) -> None:
    pixels = np.asarray(photographs[0].crop((0, 0, 320, 320)), np.float64).transpose(2, 0, 1)
    red_green, yellow_blue = pixels[0] - pixels[1], (pixels[0] + pixels[1]) / 2 - pixels[2]
    expected = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    assert measure(pixels.astype(np.uint8)).colourfulness == pytest.approx(expected, rel=0.01)


unit = st.floats(0, 1)


@given(st.builds(Measures, unit, st.floats(0, 200), st.floats(0, 0.5), unit, st.floats(0, 200)), st.integers(0, 10**10))
def test_raw_scores_stay_in_their_range(measures: Measures, pixels: int) -> None:
    assert PARAMS.least - 1e-9 <= combine(measures, pixels) <= 1


@given(st.lists(unit, min_size=2))
def test_calibration_keeps_order_and_range(raw: list[float]) -> None:
    calibrated = Quality.calibrate(np.sort(np.array(raw, np.float32)))
    assert calibrated.dtype == np.float32
    assert (np.diff(calibrated) >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


def test_calibration_spans_0_to_1() -> None:
    np.testing.assert_array_equal(Quality.calibrate(np.array([0, 1], np.float32)), [0, 1])


@settings(max_examples=25)
@given(order=st.lists(st.integers(0, len(ORDINARY) - 1), min_size=1, max_size=12))
def test_a_score_does_not_depend_on_the_batch(
    scorer: Quality, photographs: list[Image.Image], order: list[int]
) -> None:
    images = [ImageInfo(image.width, image.height, "png") for image in photographs]
    pixels = torch.from_numpy(np.stack([np.asarray(image.resize((224, 224))) for image in photographs]))
    pixels = pixels.permute(0, 3, 1, 2)
    alone = np.concatenate([scorer.score(pixels[at : at + 1], images[at : at + 1]) for at in order])
    np.testing.assert_array_equal(scorer.score(pixels[order], [images[at] for at in order]), alone)


def test_no_images_give_no_scores(scorer: Quality) -> None:
    assert scorer.score(torch.empty(0, 3, 224, 224, dtype=torch.uint8), []).shape == (0,)
