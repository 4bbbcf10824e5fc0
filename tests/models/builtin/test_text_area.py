"""The share of text: rendered words of known area, photographs, whatever the size, the split and the batch."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lettering import lettered
from loaded import load, members
from pictures import encode, photographs
from PIL import Image, ImageDraw, ImageFont

from pycurate.errors import ModelError
from pycurate.images.decode import ImageInfo
from pycurate.models.builtin import text_area
from pycurate.models.builtin.text_area import TextArea, covered

WITH_TEXT = {29, 40, 43, 44, 48, 51, 54, 59, 62, 79, 80, 84, 90, 92}
"""Of the 100 photographs beside the project, in their order: those on which text covers more than 1 %, as one sees."""


@pytest.fixture(scope="module")
def scorer() -> TextArea:
    return TextArea(Path(), "cpu")


@pytest.fixture(scope="module")
def plain(scorer: TextArea) -> list[Image.Image]:
    """Photographs without text."""
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in photographs().values()]
    return [image for image, area in zip(images, scored(scorer, images), strict=True) if area == 0]


def scored(scorer: TextArea, images: list[Image.Image]) -> np.ndarray:
    return scorer.score(*load([encode(image, "PNG") for image in images], scorer.view))


@pytest.mark.parametrize("height", [0.08, 0.12, 0.2])
def test_rendered_words_have_their_area(scorer: TextArea, plain: list[Image.Image], height: float) -> None:
    """Within 20 % of it over all images, and in nine of ten by themselves."""
    made = [lettered(image, height, seed) for seed, image in enumerate(plain * 2)]
    made = [(image, area) for image, area in made if area]
    areas, due = scored(scorer, [image for image, _ in made]), np.array([area for _, area in made])
    assert len(made) >= 10
    assert abs(areas.sum() / due.sum() - 1) <= 0.2
    assert np.mean(np.abs(areas / due - 1) <= 0.2) >= 0.9, np.round(areas / due, 2)


def test_photographs_are_not_taken_for_text(scorer: TextArea, shared_images: Path) -> None:
    areas = scorer.score(*load(members(shared_images, ".jpg"), scorer.view))
    assert areas.dtype == np.float32 and len(areas) == 100
    text = np.isin(np.arange(100), list(WITH_TEXT))
    assert areas[~text].max() < 0.02
    assert areas[text].min() > 0.01


def test_large_words_are_read_at_any_angle(scorer: TextArea) -> None:
    for words in ("Welcome home", "Größe", "34"):
        for turn in (0, 90, 180, 200, 315):
            image = Image.new("RGB", (900, 900), "white")
            font = ImageFont.load_default(90)
            left, top, right, bottom = ImageDraw.Draw(image).textbbox((150, 400), words, font)
            ImageDraw.Draw(image).text((150, 400), words, "black", font)
            due = (right - left) * (bottom - top) / 900**2
            (area,) = scored(scorer, [image.rotate(turn, fillcolor="white")])
            assert due / 2 < area < due * 2, (words, turn)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (7, 5), (2000, 40), (640, 640)])
def test_images_of_any_size_have_an_area(scorer: TextArea, size: tuple[int, int]) -> None:
    (area,) = scored(scorer, [Image.new("RGB", size, "white")])
    assert 0 <= area <= 1


def test_the_area_is_that_of_the_image_and_not_of_its_square_view(scorer: TextArea) -> None:
    text, _ = lettered(Image.new("RGB", (1200, 300), "white"), 0.3, 1)
    whole = Image.new("RGB", (1200, 1200), "white")
    whole.paste(text)
    small, large = scored(scorer, [whole, text])
    assert small > 0 and large == pytest.approx(4 * small, rel=0.1)


@settings(max_examples=4, deadline=None)
@given(order=st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_an_area_does_not_depend_on_the_batch(scorer: TextArea, order: list[int]) -> None:
    pixels, images = load(list(photographs().values())[:6], scorer.view)
    alone = np.concatenate([scorer.score(pixels[at : at + 1], [images[at]]) for at in order])
    np.testing.assert_array_equal(scorer.score(pixels[order], [images[at] for at in order]), alone)


def test_boxes_that_overlap_count_once() -> None:
    box = np.array([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)])
    assert covered(np.stack([box, box])) == covered(box[None]) == 0.25
    assert covered(np.stack([box, box + 0.25])) == pytest.approx(0.25 + 0.25 - 0.0625, abs=0.005)
    assert covered(np.zeros((0, 4, 2))) == 0


def test_no_images_give_no_scores(scorer: TextArea) -> None:
    assert scorer.score(torch.zeros(0, 3, 640, 640, dtype=torch.uint8), []).shape == (0,)
    (none,) = scorer.boxes(torch.zeros(1, 3, 640, 640, dtype=torch.uint8), [ImageInfo(640, 640, "jpeg")])
    assert none.shape == (0, 4, 2)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("rapidocr")
    assert spec and spec.origin
    folder = Path(spec.origin).parent / "models"
    (tmp_path / "models").mkdir()
    for file, _ in (text_area.DETECTOR, text_area.READER):
        (tmp_path / "models" / file).write_bytes((folder / file).read_bytes()[:-1])
    spec.origin = str(tmp_path / "__init__.py")
    for found, message in ((spec, "reinstall rapidocr"), (None, "run make setup again")):
        monkeypatch.setattr(text_area, "find_spec", lambda name, found=found: found)
        with pytest.raises(ModelError, match=message):
            TextArea(Path(), "cpu")
