"""The interval of a share is Wilson's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pycurate.results.interval import wilson


@given(st.integers(1, 10**6).flatmap(lambda among: st.tuples(st.integers(0, among), st.just(among))))
def test_it_is_that_of_scipy(counts: tuple[int, int]) -> None:
    found, among = counts
    due = binomtest(found, among).proportion_ci(0.95, method="wilson")
    assert wilson(found / among, among) == pytest.approx((due.low, due.high), abs=1e-4)


@given(st.integers(1, 10**6), st.data())
def test_it_holds_the_share(among: int, data: st.DataObject) -> None:
    """Also none and all, which the bounds are then: nothing less than all lies within rounding of it."""
    share = data.draw(st.sampled_from([0, 1, among - 1, among])) / among
    low, high = wilson(share, among)
    assert 0 <= low <= share <= high <= 1
