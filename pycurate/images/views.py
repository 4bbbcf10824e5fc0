"""How a model wants its pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pycurate.errors import UsageError
from pycurate.images import pdq

TILE, TILES_ACROSS = 64, 4  # pixels of a tile's side; tiles beside each other


@dataclass(frozen=True)
class View:
    """How a decoded, upright RGB image becomes a model's input: resized with antialias, then cropped in the centre.

    `resize` is one of open_clip's modes: `shortest` brings the shorter side to the size and crops, `squash`
    ignores the aspect ratio, `longest` brings the longer side to the size and pads with `fill` (0-255). `tiles`
    resizes nothing, `samples` gives no picture at all; only TILES and PDQ have them.

    Raises UsageError for a mode or an interpolation that is none of these, and for a size or a fill that is no such
    number.
    """

    height: int
    width: int
    resize: Literal["shortest", "squash", "longest", "tiles", "samples"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("resize", self.resize, ("shortest", "squash", "longest", "tiles", "samples")),
            ("interpolation", self.interpolation, ("bicubic", "bilinear")),
        ):
            if value not in known:
                raise UsageError(f"A View has the {name} {value!r}; it is one of {', '.join(known)}.")
        for name, side in (("height", self.height), ("width", self.width)):
            if type(side) is not int or side < 1:
                raise UsageError(f"A View has the {name} {side!r}; it is a number of pixels, 1 or more.")
        if type(self.fill) is not int or not 0 <= self.fill <= 255:
            raise UsageError(f"A View has the fill {self.fill!r}; it is 0 to 255.")
        if self.resize == "tiles" and not self.height == self.width == TILE * TILES_ACROSS:
            raise UsageError(f"A View of tiles has {TILE * TILES_ACROSS} x {TILE * TILES_ACROSS} pixels.")


TILES = View(256, 256, "tiles")
"""4 x 4 tiles of 64 x 64 pixels as they were decoded, evenly spread over the image; black beyond a smaller one.

They stand where JPEG has its blocks, at multiples of 8 pixels.
"""

PDQ = View(pdq.SIDE, pdq.SIDE, "samples")
"""What pycurate.images.pdq hashes. Only the `cpu` backend computes it."""


def corners(length: int) -> np.ndarray:
    """int64 (TILES_ACROSS,): where the tiles of an image that is `length` pixels wide or high begin."""
    return np.arange(TILES_ACROSS) * max(length - TILE, 0) // (TILES_ACROSS - 1) // 8 * 8
