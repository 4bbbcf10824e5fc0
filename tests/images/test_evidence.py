"""Of an image and its copies the evidence points at the image: on real photographs, with copies made by Pillow."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from graphics import graphics
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded import members
from pictures import encode, photograph, photographs
from PIL import Image, ImageFilter, ImageOps

from pycurate.images.decode import ImageInfo, decode
from pycurate.images.evidence import Evidence, Seen, evidence, look
from pycurate.images.loader import Loader
from pycurate.images.render import render
from pycurate.images.views import TILES


def measured(data: bytes) -> tuple[Evidence, ImageInfo]:
    info, pixels = decode(data)
    assert pixels is not None
    return evidence((render(pixels, TILES).numpy(), info)), info


def evidence_of(data: bytes) -> Evidence:
    return measured(data)[0]


def rank(data: bytes) -> tuple[float, ...]:
    """The keys of `--dedup_keep best` that come from the file itself."""
    found, info = measured(data)
    return -found.detail, found.loss, -info.width * info.height, len(data)


def resized(times: float) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        size = round(image.width * times), round(image.height * times)
        return image.resize(size, Image.Resampling.BICUBIC)

    return change


def thumbnail(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((160, 160))
    return small


def cropped(image: Image.Image) -> Image.Image:
    return ImageOps.crop(image, round(min(image.size) / 20))


def bordered(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, min(image.size) // 10, "white")


def as_webp(image: Image.Image) -> bytes:
    return encode(image, "WEBP", quality=80)


def as_avif(image: Image.Image) -> bytes:
    return encode(image, "AVIF")


def as_gif(image: Image.Image) -> bytes:
    return encode(image, "GIF")


def dithered(image: Image.Image) -> bytes:
    return encode(image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG), "PNG")


COPIES: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "twice the size": (resized(2), 90),
    "half as large again": (resized(1.5), 90),
    "larger by a third": (resized(4 / 3), 95),
    "larger by a quarter": (resized(1.25), 90),
    "three times the size": (resized(3), 90),
    "half the size": (resized(0.5), 90),
    "thumbnail": (thumbnail, 90),
    "quality 85": (Image.Image.copy, 85),
    "quality 60": (Image.Image.copy, 60),
    "quality 30": (Image.Image.copy, 30),
    "sharpened": (lambda image: image.filter(ImageFilter.UnsharpMask()), 90),
    "blurred": (lambda image: image.filter(ImageFilter.GaussianBlur(1)), 90),
    "cropped": (cropped, 90),
    "bordered": (bordered, 90),
    "grey": (lambda image: image.convert("L"), 90),
}
FORMATS = {"as WebP": as_webp, "as AVIF": as_avif, "as GIF": as_gif, "as PNG of 256 colours": dithered}
# How many of 40 originals rank first, as docs/dedup.md has it.
KEPT = dict.fromkeys([*COPIES, *FORMATS], 38) | {"three times the size": 37, "quality 85": 35}


def copies(image: Image.Image) -> dict[str, bytes]:
    edited = {name: encode(change(image), "JPEG", quality=quality) for name, (change, quality) in COPIES.items()}
    return edited | {name: encoded(image) for name, encoded in FORMATS.items()}


@pytest.fixture(scope="module")
def ranks(shared_images: Path) -> list[dict[str, tuple[float, ...]]]:
    """Of 40 photographs: their rank, and that of each copy."""
    found = []
    for data in members(shared_images, ".jpg")[::2][:40]:
        made = copies(Image.open(io.BytesIO(data)).convert("RGB"))
        found.append({name: rank(file) for name, file in {"original": data, **made}.items()})
    return found


@pytest.mark.parametrize("copy", KEPT)
def test_an_original_ranks_before_a_copy(ranks: list[dict[str, tuple[float, ...]]], copy: str) -> None:
    assert sum(one["original"] < one[copy] for one in ranks) >= KEPT[copy]


def test_an_original_ranks_before_several_copies(ranks: list[dict[str, tuple[float, ...]]]) -> None:
    group = ("half the size", "quality 60", "twice the size")
    assert sum(one["original"] < min(one[name] for name in group) for one in ranks) >= 38


def test_a_table_s_quality_is_what_pillow_was_asked_for() -> None:
    for quality in range(15, 101):
        found = decode(encode(photograph(), "JPEG", quality=quality))[0].quality
        assert found is not None and abs(found - quality) < 2.5
    assert decode(encode(photograph(), "PNG"))[0].quality is None


def test_the_quality_is_that_of_the_table_to_which_luminance_refers() -> None:
    data = encode(photograph(), "JPEG", quality=30)
    first, second, frame = (data.find(marker) for marker in (b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\1", b"\xff\xc0"))
    ends = [first + 69, second + 69]
    luma, chroma = data[first + 4 : ends[0]], data[second + 4 : ends[1]]
    turned = data[:first] + b"\xff\xdb\0\x84" + chroma + luma + data[ends[1] :]
    numbered = bytearray(data)
    numbered[first + 4], numbered[second + 4] = 1, 0
    numbered[frame + 12], numbered[frame + 15], numbered[frame + 18] = 1, 0, 0
    deep = (
        data[:first] + b"\xff\xdb\0\x83\x10" + np.frombuffer(luma, "u1")[1:].astype(">u2").tobytes() + data[ends[0] :]
    )
    for other in (turned, bytes(numbered), deep):
        (info, pixels), (expected, shown) = decode(other), decode(data)
        np.testing.assert_array_equal(pixels, shown)
        assert info.quality == expected.quality


def test_pixels_show_the_jpeg_they_were() -> None:
    source = Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png").convert("RGB")
    assert evidence_of(encode(source, "PNG")).jpeg_quality is None
    for quality in (30, 50, 70, 80):
        jpeg = Image.open(io.BytesIO(encode(source, "JPEG", quality=quality)))
        for again in (encode(jpeg, "PNG"), encode(jpeg, "JPEG", quality=95)):
            found = evidence_of(again)
            assert found.jpeg_quality is not None and abs(found.jpeg_quality - quality) <= 3
            assert rank(encode(source, "JPEG", quality=quality)) < rank(again)


def test_a_lossless_file_ranks_before_its_jpeg_and_a_small_one_before_an_equal_large_one() -> None:
    source = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("RGB")
    png, large = (encode(source, "PNG", compress_level=level) for level in (6, 1))
    assert len(png) < len(large)
    assert rank(png) < rank(large) < rank(encode(source, "JPEG", quality=90))
    assert rank(png)[:3] == rank(encode(source, "BMP"))[:3] == rank(encode(source, "TIFF"))[:3]


def test_a_coarse_jpeg_ranks_before_what_was_made_of_it() -> None:
    for name in ("chelsea", "coffee", "motorcycle_left"):
        first = encode(Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png"), "JPEG", quality=62)
        image = Image.open(io.BytesIO(first))
        for again in (encode(image, "JPEG", quality=75), encode(image, "JPEG", quality=90), as_webp(image)):
            assert rank(first) < rank(again)


def test_the_dither_of_a_soft_photograph_is_no_detail_and_a_drawing_needs_few_colours() -> None:
    source = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("RGB")
    soft = source.filter(ImageFilter.GaussianBlur(2))
    for few in (as_gif(soft), dithered(soft)):
        assert rank(encode(soft, "PNG")) < rank(few)
    grey, drawn = source.convert("L"), graphics()["bar chart"][0]
    for image in (grey, drawn):  # nothing is lost
        assert rank(encode(image, "PNG"))[:3] == rank(as_gif(image))[:3]


@pytest.mark.parametrize("size", [(400, 320), (50, 60), (300, 40)])
@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_plain_border_on_any_side_counts_for_nothing(size: tuple[int, int], colour: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(80, 140, (*size[::-1], 3), np.uint8))

    def seen(image: Image.Image) -> Seen:
        return look((render(np.asarray(image), TILES).numpy(), ImageInfo(*image.size, "png")))

    width, height = (side * 2 // 5 for side in size)
    for border in ((width, 0, 0, 0), (0, height, 0, 0), (0, 0, width, 0), (0, 0, 0, height), (width, height) * 2):
        image = ImageOps.expand(noise, border, colour)
        found, area = seen(image), image.width * image.height
        assert math.prod(size) - 0.4 * area < found.pixels <= math.prod(size)
        np.testing.assert_allclose(found.levels, seen(noise).levels, atol=0.5)


@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_tiles_are_the_decoded_pixels_on_both_backends(backend: str) -> None:
    small = [Image.effect_noise(size, 60).convert("RGB") for size in ((30, 20), (64, 64), (65, 300), (700, 63), (1, 1))]
    files = [*photographs().values(), *(encode(image, "JPEG") for image in small)]
    with Loader([TILES], backend) as loader:  # type: ignore[arg-type]
        (batch,) = loader.batches(enumerate(files))
    for data, tiles in zip(files, batch.pixels[0].numpy(), strict=True):
        whole = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        corners = [[at * max(side - 64, 0) // 3 // 8 * 8 for at in range(4)] for side in whole.shape[:2]]
        for down, top in enumerate(corners[0]):
            for across, left in enumerate(corners[1]):
                expected = np.zeros((64, 64, 3), np.uint8)
                part = whole[top : top + 64, left : left + 64]
                expected[: part.shape[0], : part.shape[1]] = part
                tile = tiles[:, down * 64 : down * 64 + 64, across * 64 : across * 64 + 64].transpose(1, 2, 0)
                np.testing.assert_array_equal(tile, expected)


@settings(max_examples=50)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 255), st.integers(0, 60), st.sampled_from(["jpeg", "webp"])
)
def test_any_image_has_evidence(width: int, height: int, mean: int, spread: int, format: str) -> None:
    noise = np.random.default_rng(width).normal(mean, spread, (height, width, 3)).clip(0, 255).astype(np.uint8)
    found = evidence((render(noise, TILES).numpy(), ImageInfo(width, height, format)))
    assert 0 < found.detail <= width * height and np.isfinite(found.loss)
