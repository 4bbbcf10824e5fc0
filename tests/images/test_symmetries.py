"""Mirrored and turned pixels are what Pillow makes of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from pycurate.errors import UsageError
from pycurate.images.symmetries import VIEWS, check_views, transformed
from pycurate.images.views import View

TURN = Image.Transpose.ROTATE_90


def pillow(image: Image.Image, view: int) -> Image.Image:
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view % 2 else image
    for _ in range(view // 2):
        image = image.transpose(TURN)
    return image


@pytest.mark.parametrize("view", range(VIEWS["dihedral"]))
def test_views_are_those_of_pillow(view: int) -> None:
    pixels = np.random.default_rng(view).integers(0, 256, (2, 5, 7, 3), np.uint8)
    found = transformed(torch.from_numpy(pixels.transpose(0, 3, 1, 2)), view)
    expected = [np.asarray(pillow(Image.fromarray(one), view)) for one in pixels]
    assert np.array_equal(found.numpy().transpose(0, 2, 3, 1), expected)


def test_views_are_a_group_that_begins_with_the_image_as_it_is() -> None:
    square = torch.arange(27).reshape(1, 3, 3, 3)
    for count in VIEWS.values():
        all_views = [transformed(square, view) for view in range(count)]
        assert torch.equal(all_views[0], square)
        for one in all_views:
            again = {tuple(transformed(one, view).flatten().tolist()) for view in range(count)}
            assert again == {tuple(each.flatten().tolist()) for each in all_views} and len(again) == count


def test_an_encoder_of_a_view_that_is_not_square_is_not_turned() -> None:
    check_views(VIEWS["mirror"], View(2, 4), "own:Wide")
    check_views(VIEWS["dihedral"], View(4, 4), "own:Square")
    with pytest.raises(UsageError, match=r"own:Wide takes images of 4 x 2 pixels.*use --dedup_views mirror"):
        check_views(VIEWS["dihedral"], View(2, 4), "own:Wide")
