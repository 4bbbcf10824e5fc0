"""The views of an image by which `--dedup_views` finds mirrored and turned copies: the symmetries of the square.

They are numbered, so that those of `mirror` are the first of `dihedral`, and 0 is the image as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycurate.errors import UsageError
from pycurate.images.views import View

if TYPE_CHECKING:  # it takes seconds to import, and what is computed here needs a tensor's methods only
    import torch

VIEWS = {"none": 1, "mirror": 2, "dihedral": 8}
"""How many views each value of `--dedup_views` stands for."""


def transformed(pixels: torch.Tensor, view: int) -> torch.Tensor:
    """(n, 3, h, w) -> the same, mirrored left to right if `view` is odd, then turned left by view // 2 quarters.

    An odd number of quarters makes of it (n, 3, w, h).
    """
    if view == 0:
        return pixels
    return (pixels.flip(-1) if view % 2 else pixels).rot90(view // 2, (-2, -1)).contiguous()


def check_views(views: int, view: View, encoder: str) -> None:
    """Raise UsageError if an image is to be turned whose encoder, named so, takes pixels in another shape then."""
    if views > VIEWS["mirror"] and view.height != view.width:
        raise UsageError(
            f"{encoder} takes images of {view.width} x {view.height} pixels, which do not fit it when turned; use "
            "--dedup_views mirror."
        )
