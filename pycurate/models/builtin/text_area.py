"""The share of an image that text covers, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pycurate.errors import ModelError
from pycurate.hardware import on_all_cores
from pycurate.images.decode import ImageInfo
from pycurate.images.regions import Rectangle, inside, regions
from pycurate.images.views import View
from pycurate.models.builtin.onnx_session import published_session, run_one

if TYPE_CHECKING:
    import torch

DETECTOR = ("ch_PP-OCRv4_det_mobile.onnx", "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9")
READER = ("ch_PP-OCRv4_rec_mobile.onnx", "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b")

MEAN, STD = np.array([0.406, 0.456, 0.485]) * 255, np.array([0.225, 0.224, 0.229]) * 255  # of ImageNet, BGR
STEP = 32  # the detector takes sides of a multiple of this
TEXT = 0.3  # the probability from which on a pixel is text
SURE = 0.6  # the mean of it over a region that is text
LEAST = 3  # pixels of the shorter side of a region
UNCLIP = 1.5  # of the DB paper: regions are text shrunk by about as much

TALL = 32  # pixels of the shorter side of a box from which on it must be readable
LINE, LONGEST, SHORTEST = 48, 640, 320  # the reader's line: its height, and its width at most and at least
READABLE = 0.5  # mean probability of the characters
READABLE_ALONE = 0.95  # of one character, for which many an object is taken
SQUARE = 1.5  # sides of a box up to this ratio do not tell the direction of its text


class TextArea:
    """The share of an image's pixels that lie in boxes of text, 0 to 1, by the detector of PP-OCRv4 (mobile).

    The detector is a DB network (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI
    2020): a probability for each pixel. A connected region of text gets the smallest rectangle around it, each side of
    which is moved outwards by UNCLIP * area / perimeter, as in the paper. It takes large round objects for characters,
    so a box that is TALL must be readable, too, by the reader of the same package. Text of unknown scripts is, with
    other letters.

    The weights, Apache-2.0, are those of the package `rapidocr`. They run on the CPU whatever the device, since they
    exist for ONNX Runtime only. Raises ModelError where they are not the published ones.
    """

    name = "text_area"
    view = View(640, 640, resize="longest", interpolation="bilinear")
    batch = None  # it takes any number, see pycurate.models.protocols

    def __init__(self, model_dir: Path, device: str) -> None:
        self._detector, self._reader = _session(*DETECTOR), _session(*READER)

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 640, 640), RGB, and the images' upright sizes -> float32 (n,), the share in 0-1."""
        return areas(self.boxes(pixels, images))

    def boxes(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> list[np.ndarray]:
        """The same -> of each image float64 (k, 4, 2): the corners of boxes of text, as shares of width and height."""
        return on_all_cores(self._find, list(zip(pixels.cpu().numpy(), images, strict=True)))

    def _find(self, one: tuple[np.ndarray, ImageInfo]) -> np.ndarray:
        from pycurate.images.render import place  # here, since it brings torch, and SCORE needs the class's name only

        view, info = np.ascontiguousarray(one[0].transpose(1, 2, 0)), one[1]
        at = place(self.view, info.height, info.width)
        picture = view[-at.top : at.height - at.top, -at.left : at.width - at.left]
        found = [box for box in self._detect(picture) if min(box.sides) < TALL or self._readable(picture, box)]
        return np.array([box.corners() for box in found]).reshape(-1, 4, 2) / (at.width, at.height)

    def _detect(self, picture: np.ndarray) -> list[Rectangle]:
        """uint8 (h, w, 3), RGB -> boxes, in its pixels."""
        height, width = picture.shape[:2]
        whole = np.zeros((3, -height % STEP + height, -width % STEP + width), np.float32)
        whole[:, :height, :width] = ((picture[:, :, ::-1] - MEAN) / STD).transpose(2, 0, 1)
        likely = run_one(self._detector, whole)[0, :height, :width]
        found = []
        for region in regions(likely > TEXT):
            box = Rectangle.around(region.corners())
            if min(box.sides) >= LEAST and region.mean(likely) >= SURE:
                found.append(box.grown(UNCLIP * box.sides[0] * box.sides[1] / (2 * sum(box.sides))))
        return found

    def _readable(self, picture: np.ndarray, box: Rectangle) -> bool:
        """Whether there are characters in a box of uint8 (h, w, 3), upright or not."""
        image = Image.fromarray(picture)
        for turn in range(4):
            corners = np.roll(box.corners(), turn, axis=0)
            along, across = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
            if along * SQUARE < across:
                continue
            size = (int(np.clip(LINE * along / across, LINE, LONGEST)), LINE)
            quad = tuple(corners[[0, 3, 2, 1]].ravel().tolist())  # the order that Pillow wants
            line = image.transform(size, Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
            padded = np.zeros((3, LINE, max(SHORTEST, size[0])), np.float32)
            padded[:, :, : size[0]] = np.asarray(line)[:, :, ::-1].transpose(2, 0, 1) / np.float32(127.5) - 1
            if _is_text(run_one(self._reader, padded)):
                return True
        return False


def areas(found: Sequence[np.ndarray]) -> np.ndarray:
    """What `TextArea.boxes` gives -> float32 (n,), the share of each image."""
    return np.array([covered(boxes) for boxes in found], np.float32)


def covered(boxes: np.ndarray, side: int = 640) -> float:
    """float64 (k, 4, 2), corners as shares of width and height -> the share that they cover, sampled on a grid."""
    mask = np.zeros((side, side), bool)
    for corners in boxes * side:
        mask |= inside(corners, side, side)
    return float(mask.mean())


def _is_text(steps: np.ndarray) -> bool:
    """float32 (t, characters), what the reader gives for a line, blank first -> whether it is one of text."""
    best, how_likely = steps.argmax(axis=1), steps.max(axis=1)
    written = (best > 0) & np.append(True, best[1:] != best[:-1])  # a character may last for some steps
    count = int(written.sum())
    return count > 0 and float(how_likely[written].mean()) >= (READABLE if count > 1 else READABLE_ALONE)


def _session(file: str, sha256: str) -> Any:
    spec = find_spec("rapidocr")  # which is not imported: what it requires is not installed
    if spec is None or spec.origin is None:
        raise ModelError("The package rapidocr is missing, which holds the detector of text; run make setup again.")
    path = Path(spec.origin).parent / "models" / file
    return published_session(path, sha256, "rapidocr")
