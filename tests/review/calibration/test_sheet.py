"""A systematic sample gives every value the same chance, and the sorted values their due."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pycurate.review.calibration.sheet import systematic


@given(st.integers(0, 300), st.integers(1, 120), st.integers(0, 10**6))
def test_a_systematic_sample_is_spread_evenly(size: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 50, size) / 50
    drawn = systematic(values, count, random)
    assert len(drawn) == len(set(drawn.tolist())) == min(size, count)
    if size:  # of each stretch of sorted values, its share, to within one
        rank = np.empty(size, int)
        rank[np.argsort(values, kind="stable")] = np.arange(size)
        held = np.bincount(rank[drawn], minlength=size).cumsum()
        due = len(drawn) * np.arange(1, size + 1) / size
        assert np.abs(held - due).max() <= 1 + 1e-9


def test_every_value_has_the_same_chance() -> None:
    values, hits, rounds = np.arange(37.0), np.zeros(37), 4000
    for seed in range(rounds):
        hits[systematic(values, 24, np.random.default_rng(seed))] += 1
    assert np.abs(hits / rounds - 24 / 37).max() < 0.04  # five standard deviations
