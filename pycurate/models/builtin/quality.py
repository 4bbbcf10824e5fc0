"""The quality score of the `light` preset: how well an image is made technically, not how beautiful it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycurate.hardware import start_in_turn
from pycurate.images.decode import ImageInfo
from pycurate.images.views import View

if TYPE_CHECKING:  # SCORE needs no more than `calibrate`
    import torch


@dataclass(frozen=True)
class QualityParams:
    """The numbers of the formula. All is measured on the view, which is smaller than nearly all images, so that what
    counts is the picture and not the size at which a data set keeps it; of an image with a plain border, on what lies
    within. Y is the luminance, 0-255 (ITU-R BT.601).

    raw = product of part ** weight over the seven parts, a weighted geometric mean: one bad part is not made up for by
    the others. Each part lies between `least` and 1:

        sharpness       1 - blur, blur as in Crete et al., "The blur effect" (SPIE 6492, 2007): how little the
                        differences of neighbouring pixels shrink when the image is blurred by a box of nine pixels
        cleanness       1 / (1 + (noise / noise_half)^2); noise is the standard deviation by the mask of Immerkaer,
                        "Fast noise variance estimation" (CVIU 64, 1996), in the flattest thirty-second of all
                        blocks of 16 x 16 pixels, so that texture does not count as noise
        contrast        std(Y) / 255 / contrast_full, at most 1: RMS contrast (Peli, JOSA A 7, 1990)
        exposure        the mean over the pixels of exp(-(Y / 255 - 0.5)^2 / (2 * 0.2^2)): the measure of "well
                        exposed" of Mertens et al., "Exposure fusion" (Pacific Graphics 2007)
        colourfulness   colourless + (1 - colourless) * M / colour_full, at most 1; M of Hasler and Süsstrunk,
                        "Measuring colorfulness in natural images" (SPIE 5007, 2003), where 45 is an average image;
                        `colourless` is high, as a good black-and-white photograph is not a bad one
        resolution      log(side / side_none) / log(side_full / side_none), at most 1, side the square root of the
                        number of pixels within the border
        continuity      what is left where 1 is taken for each unit of g by which the next is smaller, over the sum of
                        g, the mean difference of two neighbouring columns or rows: low for a grid of squares

    Within a border the picture is shown smaller, and looks a little softer and noisier: raw is divided by the share
    that it has of the view, to the power of `shrunk`.

    calibrated = linear between the pairs (raw, 0-1) of `calibration`, which were fitted on 1,100 photographs of
    ImageNet and COCO as they are, so that of ordinary photographs 0.3 keeps three quarters, 0.5 a little less than
    half, 0.7 a fifth and 0.9 a few in a hundred.
    """

    sharpness_weight: float = 0.345
    cleanness_weight: float = 0.138
    contrast_weight: float = 0.138
    exposure_weight: float = 0.069
    colourfulness_weight: float = 0.034
    resolution_weight: float = 0.069
    continuity_weight: float = 0.207

    noise_half: float = 2.5  # levels of 255
    contrast_full: float = 0.2
    colourless: float = 0.8
    colour_full: float = 45.0
    side_none: float = 32.0  # pixels
    side_full: float = 180.0
    continuity_full: float = 0.7
    shrunk: float = 0.017
    least: float = 0.02

    calibration: tuple[tuple[float, float], ...] = (
        (0.0, 0.0),
        (0.7143, 0.1),
        (0.8079, 0.3),
        (0.8366, 0.5),
        (0.8559, 0.7),
        (0.8787, 0.9),
        (1.0, 1.0),
    )


PARAMS = QualityParams()

PLAIN = 8  # levels between the darkest and the brightest pixel of a row that belongs to a plain border
EDGE = 2  # rows between a border and what is measured
LEAST_CONTENT = 36  # rows or columns, so that a block for noise fits

# of a luminance 0-255, see QualityParams
WELL_EXPOSED = np.exp(-((np.arange(256) / 255 - 0.5) ** 2) / (2 * 0.2**2)).astype(np.float32)


@dataclass(frozen=True)
class Measures:
    """What is measured on one image: the quantities of QualityParams before they become parts."""

    blur: float  # 0-1
    noise: float  # standard deviation, levels of 255
    contrast: float  # RMS, 0-0.5
    exposure: float  # 0-1
    colourfulness: float  # M, 0 to about 110
    continuity: float = 1.0  # 0-1
    content: float = 1.0  # share of the pixels within a plain border


class Quality:
    """Technical quality, from sharpness to resolution; see QualityParams.

    It knows nothing of what is in the image, and of JPEG's blocks only what they do to sharpness.
    """

    name = "aesthetic"
    view = View(224, 224)
    batch = None  # it takes any number, see pycurate.models.protocols

    def __init__(self, model_dir: Path, device: str) -> None:
        """Needs neither weights nor a GPU."""

    def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
        """uint8 (n, 3, 224, 224), RGB, and the images' upright sizes -> float32 (n,), raw, in 0-1."""
        measured = start_in_turn(measure, pixels.cpu().numpy())
        raw = [combine(m, i.width * i.height) for m, i in zip(measured, images, strict=True)]
        return np.array(raw, dtype=np.float32)

    @staticmethod
    def calibrate(raw: np.ndarray) -> np.ndarray:
        """float32 (n,) raw -> float32 (n,), 0-1."""
        known, scores = zip(*PARAMS.calibration, strict=True)
        return np.interp(raw, known, scores).astype(np.float32)


def combine(measures: Measures, pixels: int) -> float:
    """The raw score of an image with these measures and this number of pixels in the file."""
    p, m = PARAMS, measures
    side = max(pixels * m.content, 1) ** 0.5
    parts = (
        (p.sharpness_weight, 1 - m.blur),
        (p.cleanness_weight, 1 / (1 + (m.noise / p.noise_half) ** 2)),
        (p.contrast_weight, m.contrast / p.contrast_full),
        (p.exposure_weight, m.exposure),
        (p.colourfulness_weight, p.colourless + (1 - p.colourless) * min(m.colourfulness / p.colour_full, 1)),
        (p.resolution_weight, np.log(side / p.side_none) / np.log(p.side_full / p.side_none)),
        (p.continuity_weight, m.continuity / p.continuity_full),
    )
    product = np.prod([np.clip(part, p.least, 1) ** weight for weight, part in parts])
    return float(min(1, product * max(m.content, 0.5) ** -p.shrunk))


def measure(pixels: np.ndarray) -> Measures:
    """uint8 (3, h, w), RGB -> the measures. In integers as far as can be, for speed and equal results everywhere."""
    red, green, blue = pixels.astype(np.uint16)
    whole = ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.int16)
    inner = _content(whole), _content(whole.T)
    luminance = whole[inner]
    sharp = [np.abs(lines[:, 1:] - lines[:, :-1]) for lines in (luminance, luminance.T)]
    return Measures(
        blur=max(_blur(luminance), _blur(luminance.T)),
        noise=_noise(luminance),
        contrast=float(luminance.std(dtype=np.float32)) / 255,
        exposure=float(WELL_EXPOSED[luminance].mean()),
        colourfulness=_colourfulness(pixels[:, inner[0], inner[1]][:, ::2, ::2].astype(np.int16)),
        continuity=min(map(_continuity, sharp)),
        content=luminance.size / whole.size,
    )


def _content(luminance: np.ndarray) -> slice:
    """int16 (h, w) -> the rows within a plain border, with a margin for its edge; all where too few are left."""
    rich = luminance.max(axis=1) - luminance.min(axis=1) > PLAIN
    if rich[0] and rich[-1]:
        return slice(0, len(rich))
    rows = np.flatnonzero(rich)
    if not len(rows):
        return slice(0, len(rich))
    start, stop = rows[0] + EDGE * (not rich[0]), rows[-1] + 1 - EDGE * (not rich[-1])
    return slice(int(start), int(stop)) if stop - start >= LEAST_CONTENT else slice(0, len(rich))


def _continuity(differences: np.ndarray) -> float:
    """int16 (h, w), of neighbours within rows -> how like its neighbours' each column's sum is, 0 to 1."""
    sums = differences.sum(axis=0, dtype=np.int64)
    total = int(sums.sum())
    return 1 - int(np.maximum(sums[:-1] - sums[1:], 0).sum()) / total if total else 1.0


def _blur(luminance: np.ndarray) -> float:
    """int16 (h, w) -> Crete's blur along the rows, 0 (sharp) to 1; 1 for an even area.

    Two neighbouring means over nine pixels differ by a ninth of the pixel that enters less the one that leaves,
    so the blurred image itself is not needed.
    """
    sharp = 9 * np.abs(luminance[:, 5:-4] - luminance[:, 4:-5])
    blurred = np.abs(luminance[:, 9:] - luminance[:, :-9])
    total = int(sharp.sum(dtype=np.int64))
    return 1 - int(np.maximum(sharp - blurred, 0).sum(dtype=np.int64)) / total if total else 1.0


def _noise(luminance: np.ndarray) -> float:
    """int16 (h, w) -> the standard deviation of Gaussian noise by Immerkaer's mask, in the flattest blocks."""
    rows = luminance[2:] - 2 * luminance[1:-1] + luminance[:-2]
    mask = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    high, wide = (length // 16 for length in mask.shape)
    blocks = mask[: high * 16, : wide * 16].reshape(high, 16, wide, 16).sum(axis=(1, 3), dtype=np.int32)
    flat = np.partition(blocks.ravel(), blocks.size // 32)[blocks.size // 32]
    return float(np.sqrt(np.pi / 2) / 6 * flat / 256)


def _colourfulness(pixels: np.ndarray) -> float:
    """int16 (3, h, w), RGB -> M of Hasler and Süsstrunk."""
    red, green, blue = pixels
    red_green = red - green
    yellow_blue = (red + green - 2 * blue) / np.float32(2)
    spread = np.hypot(red_green.std(dtype=np.float32), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
