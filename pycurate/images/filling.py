"""Boxes of an image painted over."""

import numpy as np

from pycurate.images.regions import Rectangle, inside
from pycurate.images.render import Placement

BORDER = 2  # pixels around a box


def filled(pixels: np.ndarray, boxes: np.ndarray, at: Placement) -> np.ndarray:
    """A view with each box in the mean colour of its border, as T-MARS fills text (arXiv:2307.03132).

    `pixels`: uint8 (3, h, w), in which the image lies as `at` says. `boxes`: float64 (k, 4, 2), their corners as shares
    of the image's width and height. The border are the pixels of the image up to BORDER pixels around the box that lie
    in no other; if there are none, all pixels of the image in no box; if there are none either, all of the image.
    """
    height, width = pixels.shape[1:]
    corners = boxes * (at.width, at.height) - (at.left, at.top)
    shown = np.zeros((height, width), bool)
    shown[max(0, -at.top) : at.height - at.top, max(0, -at.left) : at.width - at.left] = True
    free = shown.copy()
    for box in corners:  # each mask anew where it is needed, since an image may have thousands of boxes
        free &= ~inside(box, height, width)
    result = pixels.copy()
    for box in corners:
        border = free & inside(Rectangle.around(box).grown(BORDER).corners(), height, width)
        source = next(part for part in (border, free, shown) if part.any())
        result[:, inside(box, height, width)] = np.rint(pixels[:, source].mean(axis=1, keepdims=True))
    return result
