"""An example scorer on pixels: the brightness of an image.

    bin/embed.py --scorer examples/pixel_scorer.py:Brightness ...
    bin/score.py --scorer examples/pixel_scorer.py:Brightness ...

It runs in EMBED, on the images that are decoded for the encoder; SCORE adds its results to the other scores.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pycurate.images.decode import ImageInfo
from pycurate.images.views import View


class Brightness:
    """Mean luminance. Implements pycurate.models.protocols.PixelScorer: its `view` defines the size of the images."""

    name = "brightness"  # of the score column
    view = View(64, 64, resize="squash", interpolation="bilinear")

    def __init__(self, model_dir: Path, device: str) -> None:
        """This scorer needs neither weights nor a device."""

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 64, 64), RGB -> float32 (n,), 0-255: Rec. 601 luma of the mean colour."""
        red, green, blue = pixels.float().mean(dim=(2, 3)).unbind(dim=1)
        return (0.299 * red + 0.587 * green + 0.114 * blue).cpu().numpy()

    @staticmethod
    def calibrate(raw: np.ndarray) -> np.ndarray:
        """float32 (n,), 0-255 -> float32 (n,), 0-1."""
        return raw / np.float32(255)
