"""Precision by threshold, with its interval, from the answers to a sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pycurate.review.calibration.sheet import SEED, Band, Sheet

DRAWS = 20_000  # of the Monte Carlo: the level of a bound is off by a thousandth
ROUNDING = 1e-9  # by which the mean of equal shares may be less than these, generously
ROWS = 10  # thresholds spread evenly over the values, and as many that each take in as many items


@dataclass(frozen=True)
class Point:
    """What the answers tell of one threshold.

    Attributes:
        threshold: a similarity or score.
        images: on its side, counted or estimated.
        answered: questions about images on its side that have an answer.
        agreed: how many of these were answered with yes.
        precision: the estimated share of yes among all `images`; NaN where nothing is answered.
        low, high: its 95 % interval.
    """

    threshold: float
    images: float
    answered: int
    agreed: int
    precision: float
    low: float
    high: float


def curve(sheet: Sheet, answers: np.ndarray, thresholds: Sequence[float]) -> list[Point]:
    """A point for each threshold. `answers`, float (items,), has 1 for yes, 0 for no, NaN where there is none.

    Within a band the answered items count alike: they are a random part of it, as long as what is left unanswered does
    not depend on the answer. The share of a single band has the interval of Clopper and Pearson (Biometrika 26, 1934).
    Those of several bands are combined by their confidence distributions (Fay, Proschan and Brittain, Biometrics 71,
    2015): the lower bound is a quantile of the weighted sum of draws from Beta(yes, no + 1), the upper one of draws
    from Beta(yes + 1, no). A weight that is an estimate is drawn from its posterior under Jeffreys' prior. In theory
    and in simulation the interval is rather too wide than too narrow.
    """
    return [_point(sheet, answers, threshold) for threshold in thresholds]


def loosest(points: Sequence[Point], precision: float, certain: bool = False) -> Point | None:
    """The point with the most images whose precision, or if `certain` its lower bound, is at least this."""
    least = precision - ROUNDING
    good = [point for point in points if (point.low if certain else point.precision) >= least]
    return max(good, key=lambda point: point.images, default=None)


def thresholds_of(sheet: Sheet) -> list[float]:
    """Round numbers, ascending, some evenly spread and some closest where most items are, and the run's own threshold.

    None of them reaches beyond the items: of images further down nothing was asked.
    """
    values = np.sort(sheet.values.astype(np.float64))
    rounded = _rounded(values, np.ceil if sheet.keeps.above else np.floor)
    by_count = np.linspace(0, len(rounded) - 1, ROWS).round().astype(int)
    by_value = np.searchsorted(rounded, np.linspace(rounded[0], rounded[-1], ROWS))
    own = [] if sheet.threshold is None else [sheet.threshold]
    every = sorted({*rounded[by_count].tolist(), *rounded[by_value].tolist(), *own})
    return [threshold for threshold in every if sheet.inside(threshold).any()]


def _rounded(values: np.ndarray, stricter: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Round numbers for float64 (n,), ascending and of float32: the nearest where it is the same in float32, else the
    next that is `stricter`.

    They make ten steps at least between the lowest and the highest, and are 0 for none but 0: of some scores, such as
    probabilities, most are less than a thousandth of the highest.
    """
    spread = max(values[-1] - values[0], 1e-9)
    sizes = np.abs(np.where(values, values, 1))
    scale = 10 ** np.ceil(-np.log10(sizes)).clip(min=max(2, math.ceil(1 - math.log10(spread))))
    nearest = np.rint(values * scale) / scale
    same = nearest.astype(np.float32) == values.astype(np.float32)
    return np.where(same, nearest, stricter(values * scale) / scale)


def _point(sheet: Sheet, answers: np.ndarray, threshold: float) -> Point:
    random = np.random.default_rng(SEED)
    inside, band = sheet.inside(threshold), np.array([item.band for item in sheet.items])
    known = inside & ~np.isnan(answers)
    images, weights, lows, highs, estimates = 0.0, [], [], [], []
    for number, one in enumerate(sheet.bands):
        share = float(inside[band == number].mean()) if (band == number).any() else 0.0
        if not share:
            continue
        given = answers[known & (band == number)]
        yes, no = int(given.sum()), int((1 - given).sum())
        images += one.images * share
        weights.append(_weight(one, share, random))
        lows.append(random.beta(yes, no + 1, DRAWS) if yes else np.zeros(DRAWS))
        highs.append(random.beta(yes + 1, no, DRAWS) if no else np.ones(DRAWS))
        if len(given):
            estimates.append((one.images * share, yes / len(given)))
    if not estimates:
        return Point(threshold, images, 0, 0, float("nan"), 0.0, 1.0)
    low, high = (np.average(draws, axis=0, weights=weights) for draws in (lows, highs))
    sizes, shares = zip(*estimates, strict=True)
    precision = float(np.average(shares, weights=sizes))
    answered, agreed = int(known.sum()), int(answers[known].sum())
    bounds = float(np.quantile(low, 0.025)), float(np.quantile(high, 0.975))
    return Point(threshold, images, answered, agreed, precision, *bounds)


def _weight(band: Band, share: float, random: np.random.Generator) -> np.ndarray:
    """float (DRAWS,): how many images of the band are on the side in question, as far as it is known."""
    if band.compared == band.of:
        return np.full(DRAWS, band.images * share)
    found = band.found * share
    return band.of * random.beta(found + 0.5, band.compared - found + 0.5, DRAWS)
