"""Totals estimated from a random sample of shards, with their 95 % intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A number, and the bounds that it lies between with 95 % confidence; all three are equal where all was read."""

    value: float
    low: float
    high: float

    def through(self, function: Callable[[float], float]) -> "Interval":
        """The interval of a function that grows with the number."""
        return Interval(function(self.value), function(self.low), function(self.high))

    def scaled(self, factor: float) -> "Interval":
        return self.through(lambda number: number * factor)


@dataclass(frozen=True)
class Stratum:
    """A group of shards, and those of it that were read.

    Attributes:
        shards: how many the group has.
        size: bytes of them all.
        sizes: int64 (n,), bytes of each that was read; none is 0 unless all were read.
        counts: int64 (n,), what was counted in each of these.
    """

    shards: int
    size: int
    sizes: np.ndarray
    counts: np.ndarray


def total(strata: Sequence[Stratum]) -> Interval:
    """The total of the counts over all shards of the strata.

    In each stratum the shards that were read are a simple random sample without replacement, and a shard's size, which
    is known of all, tells much of its count. So the total is estimated by the ratio estimator (Cochran, Sampling
    Techniques, 3rd ed. 1977, chapter 6),

        Y = R X,    R = sum(y) / sum(x),

    y the counts and x the sizes that were read, X the size of the stratum. Its variance is the delete-one jackknife's
    (Wolter, Introduction to Variance Estimation, 2nd ed. 2007, chapter 4), with the finite population correction,

        v = (1 - n / N) (n - 1) / n * X^2 * sum((R_i - R)^2),    R_i = R without shard i.

    The half width of the interval is t sqrt(v), t the 0.975 quantile of Student's distribution with n - 1 degrees of
    freedom. Totals of independent strata add up, and so do the squares of their half widths. The jackknife was chosen
    since on skewed sizes its intervals cover more often than those of the linearised variance. No interval knows of a
    kind of shard that is too rare to be in the sample.
    """
    value = squares = 0.0
    for stratum in strata:
        counted, read, size = stratum.counts.sum(), len(stratum.counts), stratum.sizes.sum()
        if read == stratum.shards:
            value += counted
            continue
        ratio = counted / size
        without = (counted - stratum.counts) / np.maximum(size - stratum.sizes, 1)
        spread = (read - 1) / read * ((without - ratio) ** 2).sum()
        variance = (1 - read / stratum.shards) * stratum.size**2 * spread
        value += ratio * stratum.size
        squares += student(read - 1) ** 2 * variance
    half = math.sqrt(squares)
    seen = float(sum(stratum.counts.sum() for stratum in strata))
    return Interval(float(value), max(seen, float(value) - half), float(value) + half)


def student(degrees: int) -> float:
    """The 0.975 quantile of Student's t distribution, to within 1e-4 from 7 degrees of freedom on.

    The expansion in powers of 1 / degrees about the normal quantile of Abramowitz and Stegun, Handbook of Mathematical
    Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))
