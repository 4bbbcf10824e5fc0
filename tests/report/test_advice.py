"""A threshold that drops nearly everything is named, with the true shares of others."""

import re

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


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
def test_of_a_score_on_another_scale_the_shares_are_true_too(scale: float) -> None:
    values = np.random.default_rng(0).normal(0.25, 0.05, 100_000)  # as cosines are, some below 0
    values = (scale * values).astype(np.float32)
    edges = np.union1d(np.linspace(values.min(), values.max(), 101).astype(np.float32), np.float32(0.33 * scale))
    spread = Histogram(edges, np.histogram(values, edges)[0], np.zeros(len(edges) - 1, np.int64), 0.25, {})
    for keeps, threshold in ((Side.AT_LEAST, 0.33 * scale), (Side.BELOW, 0.15 * scale)):
        rule = Rule("min_score", "clip_score", "clip_score", keeps, threshold)
        (said,) = advice(100_000, {"clip_score": 95_000}, [rule], {"clip_score": spread})
        told = [(float(at), float(kept)) for at, kept in re.findall(r"(\S+) keeps (\S+) %", said)]
        assert len(told) == 5 and {round(kept, -1) for _, kept in told} == {10, 30, 50, 70, 90}
        for at, kept in told:
            there = values >= np.float32(at) if keeps.above else values < np.float32(at)
            assert kept == pytest.approx(100 * there.mean(), abs=0.0501)  # three digits are told
