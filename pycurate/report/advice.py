"""A warning where one threshold drops nearly everything, with what others would keep."""

from collections.abc import Mapping, Sequence

import numpy as np

from pycurate.report.summary import Histogram
from pycurate.results.criteria import Rule
from pycurate.text import exactly, shortest

MOST = 0.9  # of all samples, from which on a threshold is worth a word
USUAL = (0.1, 0.3, 0.5, 0.7, 0.9)  # thresholds that people try, on a scale from 0 to 1


def advice(
    inputs: int, dropped: Mapping[str, int], rules: Sequence[Rule], spread: Mapping[str, Histogram]
) -> list[str]:
    """A sentence for each threshold on a score that drops more than MOST of the samples.

    Args:
        inputs: samples.
        dropped: {reason: samples}.
        rules: that decided.
        spread: the histogram of each score.
    """
    found = []
    for rule in rules:
        lost = dropped.get(rule.reason, 0)
        if rule.column and rule.keeps and not rule.top and rule.column in spread and lost > MOST * inputs:
            shares = {at: share(spread[rule.column], at, rule.keeps.above) for at in _others(spread[rule.column])}
            others = ", ".join(
                f"{exactly(at)} keeps {100 * kept:.3g} %" for at, kept in shares.items() if at != rule.threshold
            )
            found.append(
                f"The threshold {rule.threshold:g} on {rule.column} dropped {100 * lost / inputs:.3g} % of all "
                f"samples; of those that have the score {others}."
            )
    return found


def _others(histogram: Histogram) -> list[float]:
    """Thresholds to name, ascending, all of them edges: the usual ones, or on another scale than 0-1 what keeps such
    shares.
    """
    edges = histogram.edges
    if edges[0] == 0 and edges[-1] == 1:
        return list(USUAL)
    above = histogram.scored[::-1].cumsum()[::-1] / max(1, histogram.scored.sum())  # of each edge but the last
    return sorted({shortest(edges[np.abs(above - part).argmin()]) for part in USUAL})


def share(histogram: Histogram, threshold: float, above: bool) -> float:
    """Of the samples that have the score, those at or above a threshold, which is an edge, or below it."""
    at = np.abs(histogram.edges[:-1] - np.float32(threshold)).argmin()
    upper = histogram.scored[at:].sum() / max(1, histogram.scored.sum())
    return float(upper if above else 1 - upper)
