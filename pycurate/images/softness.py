"""How much of an image's pixels enlarging or blurring made up, judged by the spectrum of what was decoded.

Its signs are added up with weights that benchmarks/fit_softness.py learned from photographs and their copies.
"""

from statistics import median

import numpy as np

from pycurate.images.views import TILE, TILES_ACROSS

FLOOR = 0.2  # energy of a coefficient, in levels squared, that rounding and fine compression may have left

_BAND = np.maximum.outer(np.arange(8), np.arange(8)).ravel()  # 0 to 7, the band of each DCT coefficient
_SIZES = np.bincount(_BAND)[1:]

# Enlarging mixes neighbours by turns. Of the spectrum of the second differences along a row (Gallagher, "Detection of
# linear and cubic interpolation in JPEG compressed images", CRV 2005) every seventh place is that of JPEG's blocks.
_SPAN = 56
_WINDOW = np.hanning(_SPAN)
_PLACES = [9, 10, 11, 12, 16, 17, 18, 19, 23, 24, 25, 26]

WEIGHTS = np.concatenate(
    [
        [0.351, -0.127, 2.760, 1.617, 0.396, 0.636],  # of the steps from band to band
        [-0.514, -0.476],  # of the lowest and the highest band
        [-0.596, -0.365, 0.100, 0.315, -0.221, -0.315],  # of the same along rows or columns, whichever have less
        [1.064, -0.262, -2.744],  # of the compression
        [1.360, 3.236, 0.698, -0.690],  # of the highest peak, and of those of periods of 3, 5 and 2.5 pixels
        [-0.317, 1.502, -0.466],  # of the peaks of JPEG's blocks, and what those of periods 4 and 2 have above them
    ]
)
"""What each of `signs` counts."""
BIAS = -0.850

STEPS = np.array([1.3, 0.8, 0.8, 0.8, 0.8])
"""Bits of detail that are gone once the sum is at least 0, 1, 2, 3 and 4. Steps keep copies of equal detail equal."""

_DEEPEST_FALL = 6.5  # bits from band 1 to band 3: what is blurred more has nothing left above that could fall


def bands(energy: np.ndarray) -> np.ndarray:
    """float (8, 8), the mean energy of each DCT coefficient -> float64 (7,): log2 of that of each band, and of FLOOR.

    A band holds the coefficients whose larger index is the same; that of the mean is left out.
    """
    return np.log2(np.bincount(_BAND, energy.ravel())[1:] / _SIZES + FLOOR)


def signs(
    energy: np.ndarray, levels: np.ndarray, luminance: np.ndarray, compression: tuple[float, float, float]
) -> np.ndarray:
    """float64 (len(WEIGHTS),): what enlarging and blurring change, and how it was compressed, which changes it as well.

    Args:
        energy: float (8, 8), in levels squared.
        levels: `bands` of it.
        luminance: uint8 (256, 256), of the view TILES.
        compression: coarseness of the coarsest JPEG and of the last one, in bits; 1 if pixels show an earlier one.
    """
    narrower = np.log2(np.minimum(energy[0], energy[:, 0]) + FLOOR)[1:]  # of rows and columns, that with less
    spectrum = _spectrum(luminance).tolist()
    blocks = max(spectrum[7], spectrum[21])
    periods = [max(spectrum[at] for at in _PLACES), *(max(spectrum[at : at + 2]) for at in (18, 11, 22))]
    peaks = [min(max(height - 2, 0), 5) for height in periods]
    peaks += [min(max(blocks, -1), 7), *(min(max(spectrum[at] - blocks, -3), 5) for at in (14, 28))]
    steps, narrow = levels[:-1] - levels[1:], narrower[:-1] - narrower[1:]
    return np.concatenate((steps, levels[[0, -1]], narrow, compression, peaks))


def least_sum(levels: np.ndarray) -> float:
    """What the sum is at least, by `bands` alone: of an image so blurred that nothing is left that could fall."""
    return 4.0 if levels[1] < 0 else 2 * float(levels[0] - levels[2] - _DEEPEST_FALL)


def softened(levels: np.ndarray, found: np.ndarray) -> float:
    """The bits of detail per pixel that are gone, by an image's `bands` and `signs`: 0 for a sound one."""
    total = max(float(found @ WEIGHTS) + BIAS, least_sum(levels))
    return float(STEPS[: max(0, int(np.floor(total)) + 1)].sum())


def _spectrum(luminance: np.ndarray) -> np.ndarray:
    """float64 (29,): the second differences' power at each frequency, in bits above the median of _PLACES."""
    rows, columns = luminance[::2].astype(np.int16), luminance[:, ::2].astype(np.int16)  # every other one is enough
    across, down = np.diff(rows, 2, axis=1), np.diff(columns, 2, axis=0)
    # Sums of 128 numbers of at most 510 fit into 16 bits.
    sums = [np.abs(bends).sum(axis=axis, dtype=np.uint16) for axis, bends in enumerate((across, down))]
    along = np.log(np.stack(sums) / len(rows) + 1.0)
    along = np.concatenate((along[:, :1], along, along[:, -1:]), axis=1).reshape(2, TILES_ACROSS, TILE)
    along = along[:, :, 4 : 4 + _SPAN]
    transformed = np.fft.rfft((along - along.mean(axis=2, keepdims=True)) * _WINDOW)
    power = (transformed.real**2 + transformed.imag**2).sum(axis=1).sum(axis=0) + 1e-6
    return np.log2(power / median(power[_PLACES].tolist()))
