"""The best by a score: a selection that looks at the whole set, where a threshold looks at one sample."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from pycurate.errors import UsageError
from pycurate.results.criteria import Rule, Side

PARAMETER = "keep_top"


@dataclass(frozen=True)
class Top:
    """The best by the score `column`: so many of them (an int), or a share of those that have it (a Decimal).

    A share is a Decimal, since 0.29 of 100 samples are 29, and 28 by binary fractions.
    """

    column: str
    amount: int | Decimal

    @classmethod
    def of(cls, text: str) -> "Top":
        """What `COLUMN=SHARE` or `COLUMN=COUNT` names. Raises UsageError if it names none."""
        column, _, number = text.partition("=")
        if column and re.fullmatch(r"0*[1-9][0-9]*", number):
            return cls(column, int(number))
        if column and re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*|1\.0*", number):
            # With a digit behind the point, as which it is stated: "1" would be a count.
            return cls(column, Decimal(f"{number}0" if number.endswith(".") else number))
        raise UsageError(
            f"{text!r} does not say how many to keep; write COLUMN=SHARE with a share such as 0.3, or COLUMN=COUNT "
            "with a whole number."
        )

    def count(self, among: int) -> int:
        """How many of `among` samples are kept; a share is rounded down."""
        return min(among, self.amount if isinstance(self.amount, int) else int(self.amount * among))

    def rule(self) -> Rule:
        """The same as decisions.json states it, before it is known what it comes to."""
        amount = f"{Decimal(self.amount):f}"  # without an exponent, which `of` does not read
        return Rule(PARAMETER, f"top_{self.column}", self.column, Side.AT_LEAST, top=amount)


def best(scores: np.ndarray, uids_at: Callable[[np.ndarray], np.ndarray], count: int) -> np.ndarray:
    """bool (n,): the `count` samples of the highest scores, or all that have one if they are fewer.

    Args:
        scores: float (n,); NaN where there is none.
        uids_at: for ascending positions, int64 (m,), uint64 (m, 2); of samples with equal scores those with the
            smallest uids come first.
        count: of samples.
    """
    values = scores[~np.isnan(scores)]
    count = min(count, len(values))
    if not count:
        return np.zeros(len(scores), bool)
    at = len(values) - count
    values.partition(at)
    last = values[at]
    del values
    chosen: np.ndarray = scores > last
    tied = np.flatnonzero(scores == last)
    left = count - int(np.count_nonzero(chosen))
    if left < len(tied):
        uids = uids_at(tied)
        tied = tied[np.lexsort((uids[:, 1], uids[:, 0]))[:left]]
    chosen[tied] = True
    return chosen
