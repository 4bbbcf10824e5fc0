"""Which JPEG an image was before, told by the DCT coefficients of its pixels."""

from functools import cache

import numpy as np

from pycurate.images.jpeg import LUMINANCE, scale_of

_QUALITIES = np.arange(20, 95)
_PROBED = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))  # coefficients with enough values other than zero
_LEVELS, _STEPS = 256, 64
_FEWEST = 40  # values other than zero that tell something


def _combs() -> tuple[np.ndarray, np.ndarray]:
    """float64 (_LEVELS, _STEPS) twice: cos(2 pi c / step) for a coefficient c that does not round to 0, and 1 there."""
    level, step = np.arange(_LEVELS)[:, None], np.arange(1, _STEPS + 1)
    counts = (level >= step / 2).astype(np.float64)
    return np.cos(2 * np.pi * level / step) * counts, counts


_COMB, _COUNTED = _combs()
_TABLES = (
    np.array([scale_of(quality) * LUMINANCE / 100 + 0.5 for quality in _QUALITIES.tolist()]).astype(int).clip(1, _STEPS)
)
_PROBED_STEPS = np.stack([_TABLES[:, u, v] for u, v in _PROBED], axis=1)  # (qualities, probed)
_OF_TABLES = np.arange(len(_PROBED)), _PROBED_STEPS - 1  # where a probed coefficient's steps stand in _COMB
_COARSE = _PROBED_STEPS.min(axis=1) >= 3  # finer steps drown in the rounding of pixels

_FINEST_RECODED = 88  # the quality of a last compression above which `past_quality` needs no help
_LEAST_GAP = 6  # between the qualities of both compressions
_MULTIPLES = 20  # of a step that are told apart
_ROUNDING = 0.6  # levels by which pixels in whole levels blur a coefficient
_LEAST_GAIN = 150.0  # nats by which two compressions explain the values better than the last one alone
_LEAST_MEAN_GAIN = 0.05  # the same, per value
_STRAY = 0.05  # share of values that a model of two compressions leaves unexplained


def histograms(coefficients: np.ndarray) -> np.ndarray:
    """float32 (rows, 8, columns, 8), blocks' DCT coefficients -> int64 (5, 256): how often each magnitude occurs."""
    return np.array(
        [
            np.bincount(np.abs(np.rint(coefficients[:, u, :, v])).astype(np.int64).ravel(), minlength=_LEVELS)[:_LEVELS]
            for u, v in _PROBED
        ]
    )


def past_quality(counts: np.ndarray) -> float | None:
    """The JPEG quality whose quantisation steps the coefficients still keep to, the coarsest of several; None if none.

    Values that were multiples of a step have a peak of their spectrum at its inverse (the trace is that of Fan and de
    Queiroz, "Identification of bitmap compression history", IEEE Transactions on Image Processing 12, 2003).
    """
    match, number = counts @ _COMB, counts @ _COUNTED
    matches, numbers = match[_OF_TABLES].sum(axis=1), number[_OF_TABLES].sum(axis=1)
    likeness = np.where(_COARSE & (numbers >= _FEWEST), matches / np.maximum(numbers, 1), -1)
    fits = np.flatnonzero(likeness > max(0.2, 0.45 * likeness.max()))
    return float(_QUALITIES[fits[0]]) if len(fits) else None


def recoded_quality(counts: np.ndarray, last: float) -> float | None:
    """The quality of a coarser JPEG that was saved again at the quality `last`; None if there are no signs of one.

    Where the last steps are coarse too, multiples of the first are no longer there, but the multiples of the last that
    they were rounded to are, and others are rare (Lukas and Fridrich, "Estimation of primary quantization matrix in
    double compressed JPEG images", DFRWS 2003). Values are taken to be spread as a mixture of two Laplacians.
    """
    if not _QUALITIES[0] <= last <= _FINEST_RECODED:
        return None
    at = round(last) - int(_QUALITIES[0])
    coarser = _PROBED_STEPS[last - _LEAST_GAP > _QUALITIES]
    gain, values = np.zeros(len(coarser)), 0
    for probed, step in enumerate(_PROBED_STEPS[at].tolist()):
        own, counted = counts[probed] @ _COMB[:, step - 1], counts[probed] @ _COUNTED[:, step - 1]
        if counted < _FEWEST or own < 0.4 * counted:  # the table is another one
            continue
        multiple = (np.arange(_LEVELS) + step // 2) // step
        found = np.bincount(multiple, counts[probed])[1:_MULTIPLES]
        if not found.any():  # all are larger multiples
            continue
        mean = step * float(found @ np.arange(1, len(found) + 1)) / found.sum()
        once = _spread(step * np.arange(1, len(found) + 1), mean)
        once /= once.sum()
        twice = np.einsum(
            "qk,qkn->qn",
            _spread(coarser[:, probed, None] * np.arange(1, _MULTIPLES), mean),
            _rounded(at, probed)[: len(coarser)],
        )[:, : len(found)]
        twice /= twice.sum(axis=1, keepdims=True) + 1e-12
        gain += np.log((1 - _STRAY) * twice / once + _STRAY) @ found
        values += int(found.sum())
    enough = gain.max(initial=0) > max(_LEAST_GAIN, _LEAST_MEAN_GAIN * values)
    return float(_QUALITIES[np.argmax(gain)]) if enough else None


def _spread(levels: np.ndarray, mean: float) -> np.ndarray:
    """How frequent coefficients of these magnitudes are, but for a factor."""
    return 3 * np.exp(-3 * levels / mean) + np.exp(-levels / (1.5 * mean)) / 1.5


@cache
def _rounded(last: int, probed: int) -> np.ndarray:
    """float32 (qualities, multiples of their step, multiples of the last step): which become which.

    Both count from 1. The rounding of pixels is logistic, which is close to normal.
    """
    step = _PROBED_STEPS[last, probed]
    edges = (np.arange(1, _MULTIPLES + 1) - 0.5) * step
    levels = _PROBED_STEPS[:, probed, None, None] * np.arange(1, _MULTIPLES)[:, None]
    below = 1 / (1 + np.exp(-1.702 * (edges - levels).clip(-20, 20) / _ROUNDING))
    return np.diff(below, axis=2).astype(np.float32)
