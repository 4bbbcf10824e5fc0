"""The loader's backends, and what they make of a few files."""

from typing import Literal

import torch

from pycurate.images.decode import ImageInfo
from pycurate.images.loader import Loader
from pycurate.images.views import View

BACKENDS: tuple[Literal["cpu", "dali"], ...] = ("cpu", "dali")
SMALL = [View(64, 64), View(48, 80, "squash", "bilinear"), View(96, 96, "longest", fill=255)]


def load(
    files: list[bytes], backend: Literal["cpu", "dali"], views: list[View] = SMALL, batch_size: int = 7
) -> tuple[list[ImageInfo], dict[int, list[torch.Tensor]]]:
    """What the loader says of each file, and the pixels, per view, of each that it can read."""
    images: list[ImageInfo] = []
    pixels: dict[int, list[torch.Tensor]] = {}
    with Loader(views, backend, batch_size=batch_size, workers=2) as loader:
        for batch in loader.batches(enumerate(files)):
            assert len(batch.items) == len(batch.images) <= batch_size
            images += batch.images
            readable = [item for item, info in zip(batch.items, batch.images, strict=True) if info.error is None]
            for view, tensor in zip(views, batch.pixels, strict=True):
                assert tensor.dtype == torch.uint8 and tensor.is_contiguous()
                assert tensor.shape == (len(readable), 3, view.height, view.width)
            pixels |= {item: [tensor[row] for tensor in batch.pixels] for row, item in enumerate(readable)}
    assert len(images) == len(files)
    return images, pixels
