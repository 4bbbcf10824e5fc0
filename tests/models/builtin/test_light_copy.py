"""light-copy: unit vectors that copies share and different pictures do not, whatever the batch."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from edits import EDITS
from graphics import graphics
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loaded import load, members
from pictures import encode, photographs
from PIL import Image, ImageOps

from pycurate.models.builtin.efficientnet import Lite0
from pycurate.models.builtin.light_copy import STAGES, LightCopy, inner, squared

THRESHOLD = 0.50
NOWHERE = Path("/nonexistent")  # the weights are an installed package's


@pytest.fixture(scope="module")
def encoder() -> LightCopy:
    return LightCopy(NOWHERE, "cpu")


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return load(list(photographs().values()), LightCopy.view)[0]


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]


def described(encoder: LightCopy, files: list[bytes]) -> np.ndarray:
    """As they are stored: float16."""
    return encoder.encode(load(files, encoder.view)[0]).numpy().astype(np.float16).astype(np.float32)


def test_rows_are_of_unit_length(encoder: LightCopy, pixels: torch.Tensor) -> None:
    rows = encoder.encode(pixels)
    assert rows.dtype == torch.float32
    assert rows.shape == (len(pixels), encoder.dim)
    np.testing.assert_allclose(rows.norm(dim=1), 1, atol=1e-5)


@settings(max_examples=15)
@given(order=st.lists(st.integers(0, 7), min_size=1, max_size=9))
def test_a_row_does_not_depend_on_the_batch(encoder: LightCopy, pixels: torch.Tensor, order: list[int]) -> None:
    alone = torch.cat([encoder.encode(pixels[at : at + 1]) for at in order])
    np.testing.assert_array_equal(encoder.encode(pixels[order]), alone)


def test_no_images_give_no_rows(encoder: LightCopy, pixels: torch.Tensor) -> None:
    assert encoder.encode(pixels[:0]).shape == (0, encoder.dim)


@pytest.mark.parametrize("name", [name for name, edit in EDITS.items() if edit.group != "heavy"])
def test_a_copy_is_found(encoder: LightCopy, images: list[Image.Image], name: str) -> None:
    originals = described(encoder, [encode(image, "PNG") for image in images])
    copies = described(encoder, [EDITS[name].file(image, str(at)) for at, image in enumerate(images)])
    found = (originals * copies).sum(1) >= THRESHOLD
    assert found.sum() >= len(images) - (EDITS[name].group == "framing")


def test_different_photographs_are_none(encoder: LightCopy, shared_images: Path) -> None:
    rows = described(encoder, members(shared_images, ".jpg"))
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    assert cosines.max() < THRESHOLD


def test_different_graphics_are_none(encoder: LightCopy) -> None:
    drawn = [image for images in graphics(each=6, seed=3).values() for image in images]
    rows = described(encoder, [encode(image, "PNG") for image in drawn])
    dropped = (np.tril(rows @ rows.T, -1) >= THRESHOLD).any(axis=1)
    assert dropped.sum() <= 1


@settings(max_examples=30)
@given(
    border=st.tuples(*[st.integers(0, 40)] * 4),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
    seed=st.integers(0, 1000),
)
def test_a_border_is_cut_off(border: tuple[int, int, int, int], colour: tuple[int, int, int], seed: int) -> None:
    content = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    framed = np.asarray(ImageOps.expand(Image.fromarray(content), border, colour))
    np.testing.assert_array_equal(inner(framed.transpose(2, 0, 1)), content.transpose(2, 0, 1))


@settings(max_examples=20)
@given(width=st.integers(150, 600), height=st.integers(150, 600), border=st.integers(0, 30), seed=st.integers(0, 1000))
def test_what_is_left_of_a_view_has_the_shape_of_what_the_image_shows(
    width: int, height: int, border: int, seed: int
) -> None:
    assume(max(width, height) < 4 * min(width, height))
    content = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    framed = ImageOps.expand(Image.fromarray(content), border, (255, 255, 255))
    pixels = load([encode(framed, "PNG")], LightCopy.view)[0][0].numpy()
    scale = 224 / max(framed.size)
    _, high, wide = inner(pixels).shape
    assert abs(high - height * scale) <= 3 and abs(wide - width * scale) <= 3


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (300, 300), (70, 50)])
def test_half_of_what_is_too_long_is_cropped(size: tuple[int, int]) -> None:
    """A slope is squeezed by the square root of the shape, and loses as much at both ends."""
    width, height = size
    longer = np.linspace(0, 255, max(size))
    slope = np.broadcast_to(longer[None] if width >= height else longer[:, None], (height, width)).astype(np.uint8)
    seen = squared(np.stack([slope] * 3))[0].astype(float)
    lost = 255 * (1 - (min(size) / max(size)) ** 0.5) / 2
    assert abs(seen.min() - lost) <= 0.06 * 255 and abs(seen.max() - (255 - lost)) <= 0.06 * 255


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
def test_a_plain_image_stays_whole(colour: tuple[int, int, int]) -> None:
    plain = np.asarray(Image.new("RGB", (50, 40), colour)).transpose(2, 0, 1)
    assert inner(plain).shape == plain.shape


def test_the_network_is_that_of_torch(encoder: LightCopy, pixels: torch.Tensor) -> None:
    views = np.stack([squared(image) for image in pixels.numpy()])
    ours = np.stack([encoder.maps(image) for image in pixels.numpy()])
    with torch.inference_mode():
        np.testing.assert_allclose(ours, Lite0().eval().middle(torch.from_numpy(views), STAGES), atol=1e-3)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_rows(encoder: LightCopy, pixels: torch.Tensor) -> None:
    on_gpu = LightCopy(NOWHERE, "cuda").encode(pixels.cuda())
    assert (on_gpu * encoder.encode(pixels)).sum(1).min() > 0.999
