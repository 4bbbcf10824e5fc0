"""A decoded image as a model wants it: open_clip's own resizing and cropping, on uint8.

Follows `open_clip.transform.image_transform(..., is_train=False)` without its normalisation, for each resize mode,
interpolation and size, to the pixel that torchvision rounds to.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from pycurate.images.pdq import samples
from pycurate.images.views import TILE, View, corners

# A shorter side brought to the view's size leaves the longer one as long as the aspect ratio makes it, and a strip of
# 1 x 65535 pixels would become gigabytes, of which the crop keeps little. Beyond this many times the view's area only
# the part that is kept gets computed.
LONG = 8


class Placement(NamedTuple):
    """The size to which the whole image is resized, and where the view's corner lies in it.

    The view may reach beyond the image, at a negative `top` or `left` and on the far side; it is padded there.
    """

    height: int
    width: int
    top: int
    left: int


def place(view: View, height: int, width: int) -> Placement:
    """Where a view lies in an upright image of this size. An image too thin to keep a pixel keeps one."""
    if view.resize == "squash":
        return Placement(view.height, view.width, 0, 0)
    if view.resize == "longest":
        ratio = max(height / view.height, width / view.width)
        new_height, new_width = max(1, round(height / ratio)), max(1, round(width / ratio))
        return Placement(new_height, new_width, -((view.height - new_height) // 2), -((view.width - new_width) // 2))
    if view.height == view.width:  # torchvision's Resize(int) rounds down, timm's ResizeKeepRatio to the nearest
        short, side = min(height, width), view.height
        new_height, new_width = (
            (side, int(side * width / short)) if height <= width else (int(side * height / short), side)
        )
    else:
        ratio = min(height / view.height, width / view.width)
        new_height, new_width = round(height / ratio), round(width / ratio)
    return Placement(new_height, new_width, round((new_height - view.height) / 2), round((new_width - view.width) / 2))


def interpolation(view: View) -> str:
    """`bicubic` or `bilinear`: what open_clip takes, which for `shortest` and a non-square size is always bicubic."""
    return "bicubic" if view.resize == "shortest" and view.height != view.width else view.interpolation


def render(pixels: np.ndarray, view: View) -> torch.Tensor:
    """uint8 (height, width, 3) -> uint8 (3, view.height, view.width), contiguous; resized with antialias."""
    if view.resize == "tiles":
        return torch.from_numpy(_tiles(pixels, view))
    if view.resize == "samples":
        return torch.from_numpy(samples(pixels))
    at = place(view, *pixels.shape[:2])
    if at.height * at.width > LONG * view.height * view.width:
        return _window(pixels, view, at)
    # Permuted, not copied: torch has a fast path for interleaved uint8, which releases the GIL and starts no threads.
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = interpolate(image, size=(at.height, at.width), mode=interpolation(view), antialias=True)[0]
    # From here on numpy copies: torch would wake its threads for each small copy, which costs more than the copy.
    planes = resized.numpy()
    if at.height >= at.top + view.height and at.width >= at.left + view.width and min(at.top, at.left) >= 0:
        view_planes = planes[:, at.top : at.top + view.height, at.left : at.left + view.width]
        return torch.from_numpy(np.ascontiguousarray(view_planes))
    padded = np.full((3, view.height, view.width), view.fill, dtype=np.uint8)
    padded[:, -at.top : at.height - at.top, -at.left : at.width - at.left] = planes
    return torch.from_numpy(padded)


def _tiles(pixels: np.ndarray, view: View) -> np.ndarray:
    """The tiles of an image, side by side: uint8 (3, view.height, view.width)."""
    tiles = np.zeros((view.height, view.width, 3), np.uint8)
    height, width = min(TILE, pixels.shape[0]), min(TILE, pixels.shape[1])
    columns = list(enumerate(corners(pixels.shape[1])))
    for down, top in enumerate(corners(pixels.shape[0])):
        for across, left in columns:
            tile = pixels[top : top + height, left : left + width]
            tiles[down * TILE : down * TILE + height, across * TILE : across * TILE + width] = tile
    return np.ascontiguousarray(tiles.transpose(2, 0, 1))


def _window(pixels: np.ndarray, view: View, at: Placement) -> torch.Tensor:
    """The same picture by Pillow, which can compute one window of a resized image alone."""
    down, across = pixels.shape[0] / at.height, pixels.shape[1] / at.width
    box = (at.left * across, at.top * down, (at.left + view.width) * across, (at.top + view.height) * down)
    kind = Image.Resampling.BICUBIC if interpolation(view) == "bicubic" else Image.Resampling.BILINEAR
    window = Image.fromarray(pixels).resize((view.width, view.height), kind, box=box)
    return torch.from_numpy(np.ascontiguousarray(np.asarray(window).transpose(2, 0, 1)))


def normalise(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 3, h, w) -> float32 (n, 3, h, w): (pixels / 255 - mean) / std by channel.

    `mean` and `std`: float32 (3,), on the device of `pixels`.
    """
    shape = (1, 3, 1, 1)
    return pixels.float().div_(255).sub_(mean.view(shape)).div_(std.view(shape))
