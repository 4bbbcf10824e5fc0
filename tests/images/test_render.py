"""Views of an image are those of open_clip's own transform."""

import io
from typing import Literal

import numpy as np
import open_clip
import pytest
import torch
from loading import BACKENDS, SMALL, difference, load, open_clips
from pictures import encode, photograph, photographs
from PIL import Image

from pycurate.images.render import normalise, place, render
from pycurate.images.views import View


@pytest.mark.parametrize("backend", BACKENDS)
def test_strips_need_little_memory_and_look_as_open_clip_makes_them(backend: Literal["cpu", "dali"]) -> None:
    """Resized as a whole, the last ones would take 10 GB each."""
    stretched = photograph().resize((5000, 2))
    files = [encode(image, "PNG") for image in (stretched, stretched.transpose(Image.Transpose.ROTATE_90))]
    files += [encode(Image.new("RGB", size, "teal"), "JPEG") for size in ((60000, 1), (1, 60000))]
    views = [View(64, 64), View(64, 64, "squash"), View(64, 64, "longest", "bilinear", fill=9)]
    images, pixels = load(files, backend, views)
    assert [info.error for info in images] == [None] * 4
    for at in (0, 1):
        for view, tensor in zip(views[:2], pixels[at], strict=False):
            assert difference(tensor, open_clips(view, files[at])) <= 0.5
    for at in (2, 3):
        assert pixels[at][0].float().std(dim=(1, 2)).max() == 0
    assert place(views[2], 60000, 1) == (64, 1, 0, -31)


def test_an_odd_view_of_open_clip_is_kept() -> None:
    """For a size that is not square open_clip's `shortest` ignores the interpolation; its models were measured so."""
    image = np.array(photograph())
    assert torch.equal(render(image, View(64, 96, "shortest", "bilinear")), render(image, View(64, 96)))
    assert not torch.equal(render(image, View(64, 64, "shortest", "bilinear")), render(image, View(64, 64)))


def test_pixels_normalise_as_open_clip_does() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    transform = open_clip.image_transform(64, is_train=False, mean=mean, std=std)
    data = next(iter(photographs().values()))
    pixels = torch.from_numpy(open_clips(SMALL[0], data).copy()).permute(2, 0, 1)[None]
    expected = transform(Image.open(io.BytesIO(data)))[None]
    tensors = torch.tensor(mean), torch.tensor(std)
    torch.testing.assert_close(normalise(pixels, *tensors), expected, rtol=0, atol=1e-6)
