"""The loader's backends, and what they make of a few files."""

import io
import itertools
from typing import Literal

import numpy as np
import open_clip
import torch
from pictures import broken, encode, exif, photograph, photographs, transparent
from PIL import Image, ImageOps

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


def open_clips(view: View, data: bytes) -> np.ndarray:
    """uint8 (h, w, 3): an upright image by open_clip's transform, short of its conversion to a normalised tensor."""
    transform = open_clip.image_transform(
        (view.height, view.width),
        is_train=False,
        resize_mode=view.resize,
        interpolation=view.interpolation,
        fill_color=view.fill,
    )
    transform.transforms = transform.transforms[:-2]
    return np.asarray(transform(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))


def difference(pixels: torch.Tensor, expected: np.ndarray) -> float:
    """Mean absolute difference, of 255, between (3, h, w) and (h, w, 3)."""
    return float(np.abs(pixels.numpy().transpose(1, 2, 0).astype(float) - expected).mean())


def mixture() -> list[bytes]:
    """Photographs, images that DALI does not get, and every kind of broken file, in turn."""
    odd = [
        *(encode(photograph(), "JPEG", exif=exif(turn, ">")) for turn in range(1, 9)),
        *(encode(photograph(), kind) for kind in ("PNG", "WEBP", "GIF", "AVIF", "BMP")),
        encode(photograph().convert("CMYK"), "JPEG"),
        encode(photograph().convert("L"), "JPEG"),
        encode(transparent(), "PNG"),
        encode(Image.new("RGB", (1, 1), "green"), "JPEG"),
        encode(photograph().resize((5000, 1)), "JPEG"),
    ]
    rows = itertools.zip_longest(photographs().values(), odd, [data for data, _ in broken().values()])
    return [data for row in rows for data in row if data is not None]
