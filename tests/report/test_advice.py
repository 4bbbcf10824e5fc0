"""A threshold that drops nearly everything is named, with the true shares of others."""

import numpy as np
import pytest

from pycurate.report.advice import advice, share
from pycurate.report.summary import Histogram
from pycurate.results.criteria import Rule, Side

VALUES = np.random.default_rng(0).beta(2, 8, 5000).astype(np.float32)
EDGES = np.linspace(0, 1, 101).astype(np.float32)
SPREAD = Histogram(EDGES, np.histogram(VALUES, EDGES)[0], np.zeros(100, np.int64), 0.2, {})


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_shares_are_those_of_the_scores(threshold: float) -> None:
    assert share(SPREAD, threshold, above=True) == pytest.approx(np.greater_equal(VALUES, threshold).mean(), abs=1e-3)
    assert share(SPREAD, threshold, above=False) == pytest.approx(np.less(VALUES, threshold).mean(), abs=1e-3)


@pytest.mark.parametrize(("lost", "told"), [(4501, True), (4500, False), (10, False)])
def test_a_threshold_that_drops_nine_tenths_is_named(lost: int, told: bool) -> None:
    rules = [Rule("aesthetic_threshold", "aesthetic", "aesthetic", Side.AT_LEAST, 0.5), Rule("min_side", "min_side")]
    found = advice(5000, {"aesthetic": lost, "min_side": 499}, rules, {"aesthetic": SPREAD})
    assert bool(found) == told
    if told:
        assert "0.5 on aesthetic dropped 90 % of all" in found[0]
        assert f"0.3 keeps {100 * (VALUES >= 0.3).mean():.3g} %" in found[0]
