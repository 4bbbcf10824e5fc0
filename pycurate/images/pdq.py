"""PDQ, a hash of what an image shows: 256 bits, few of which change if it is compressed again or made smaller.

After "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019). The image is smoothed
by two box filters along each axis and sampled at 64 x 64 places. Of the cosine transform of the samples' luminance, the
16 x 16 lowest frequencies above the constant one are taken, and each gives a bit: whether it is greater than their
median. The quality, 0 to 100, measures how much there is to see: the bits of a plain surface are chance.
"""

import functools
from dataclasses import dataclass

import numpy as np

SIDE, FREQUENCIES = 64, 16
FINE = 1 << 16  # parts of a level in which samples are kept
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
COSINES = np.cos(np.pi / (2 * SIDE) * np.outer(np.arange(FREQUENCIES) + 1, 2 * np.arange(SIDE) + 1))


@dataclass(frozen=True)
class Pdq:
    """The hash of an image as it is exchanged, 64 lower-case hex digits, and its quality."""

    hash: str
    quality: int


def samples(pixels: np.ndarray) -> np.ndarray:
    """What is hashed of uint8 (height, width, 3), RGB: uint8 (3, SIDE, SIDE), the luminance of the samples.

    The three planes are the digits of one number to the base of 256, the highest first, in units of 1 / FINE.
    """
    height, width, _ = pixels.shape
    along = _sampled(pixels.reshape(height, width * 3)).reshape(SIDE, width, 3)
    luminance = _sampled(np.einsum("ijk,k->ji", along, LUMINANCE)).T
    fine = np.rint(luminance * FINE).astype(np.uint32)
    return np.stack([fine >> 16, fine >> 8 & 255, fine & 255]).astype(np.uint8)


def pdq(planes: np.ndarray) -> Pdq:
    """The hash of an image, by its `samples`."""
    luminance = (planes.astype(np.float64) * [[[FINE]], [[1 << 8]], [[1]]]).sum(axis=0) / FINE
    waves = np.einsum("ai,ij,bj->ab", COSINES, luminance, COSINES, optimize=True)
    median = np.partition(waves, waves.size // 2 - 1, axis=None)[waves.size // 2 - 1]
    return Pdq(np.packbits((waves > median).reshape(-1)[::-1]).tobytes().hex(), _quality(luminance))


def _quality(luminance: np.ndarray) -> int:
    """Of float (SIDE, SIDE): the steps between neighbours, in whole hundredths of the range, small ones as 0."""
    steps = sum(np.trunc(np.abs(np.diff(luminance, axis=axis)) * (100 / 255)).sum() for axis in (0, 1))
    return min(100, int(steps) // 90)


def _sampled(lines: np.ndarray) -> np.ndarray:
    """(n, m) -> float32 (SIDE, m): the lines smoothed, at SIDE places."""
    result = np.empty((SIDE, lines.shape[1]), np.float32)
    for place, (start, weights) in enumerate(_windows(len(lines))):
        part = lines[start : start + len(weights)].astype(np.float32)
        # Not by BLAS, whose threads would hinder those that decode.
        result[place] = np.einsum("i,ij->j", weights, part)
    return result


@functools.lru_cache(1024)
def _windows(length: int) -> list[tuple[int, np.ndarray]]:
    """Of each of SIDE places along `length` pixels, the first that counts and float32 weights from there on."""
    size = -(-length // (2 * SIDE))

    def box(place: int) -> range:
        stop = place + (size + 2) // 2
        return range(max(0, stop - size), min(length, stop))

    found = []
    kept: dict[bytes, np.ndarray] = {}  # two or three, which all places share
    for at in range(SIDE):
        middle = box(int((at + 0.5) * length / SIDE))
        start, stop = box(middle[0])[0], box(middle[-1])[-1] + 1
        weights = np.zeros(stop - start)
        for place in middle:
            inner = box(place)
            weights[inner[0] - start : inner[-1] + 1 - start] += 1 / (len(inner) * len(middle))
        rounded = weights.astype(np.float32)
        found.append((start, kept.setdefault(rounded.tobytes(), rounded)))
    return found
