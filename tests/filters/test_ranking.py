"""The best by a score are those that sorting finds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pycurate.errors import UsageError
from pycurate.filters.ranking import Top, best


def sorted_best(scores: np.ndarray, uids: np.ndarray, count: int) -> np.ndarray:
    """The same by sorting all: best first, ties by uid, without a score never."""
    order = np.lexsort((uids[:, 1], uids[:, 0], -scores.astype(np.float64)))
    order = order[~np.isnan(scores[order])][:count]
    return np.isin(np.arange(len(scores)), order)


def test_a_million_scores_with_ties_and_without_a_score() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 1000, 10**6).astype(np.float32) / 1000
    scores[random.random(10**6) < 0.1] = np.nan
    uids = random.integers(0, 2**63, (10**6, 2)).astype(np.uint64)
    count = Top.of("x=0.3").count(int((~np.isnan(scores)).sum()))
    chosen = best(scores, uids.__getitem__, count)
    assert chosen.sum() == count and np.array_equal(chosen, sorted_best(scores, uids, count))
    last = scores[chosen].min()
    assert (scores == last).sum() > (scores[chosen] == last).sum() > 0  # some of the tied ones are chosen


@given(
    scores=arrays(
        np.float32, st.integers(0, 40), elements=st.sampled_from([np.nan, -np.inf, -1, -0.0, 0, 0.5, np.inf])
    ),
    count=st.integers(0, 50),
    seed=st.integers(0, 99),
)
def test_any_scores(scores: np.ndarray, count: int, seed: int) -> None:
    uids = np.random.default_rng(seed).permutation(2 * len(scores))[: len(scores)]
    pairs = np.stack([uids // 3, uids % 3], axis=1).astype(np.uint64)
    assert np.array_equal(best(scores, pairs.__getitem__, count), sorted_best(scores, pairs, count))


@given(share=st.integers(1, 999), among=st.integers(0, 10**10))
def test_a_share_is_rounded_down_from_its_decimal_digits(share: int, among: int) -> None:
    assert Top.of(f"x=0.{share:03}").count(among) == Fraction(share, 1000) * among // 1


def test_how_many_are_kept() -> None:
    wanted = {"0.3": 30, ".29": 29, "1.0": 100, "1.": 100, "1": 1, "7": 7, "007": 7, "1000": 100, "0.001": 0}
    assert {text: Top.of(f"a={text}").count(100) for text in wanted} == wanted


@pytest.mark.parametrize("amount", ["0.3", "1.0", "1.", "7", "1000000000", "0.0000005"])
def test_decisions_state_how_many_as_it_is_read(amount: str) -> None:
    top = Top.of(f"a={amount}")
    again = Top.of(f"a={top.rule().top}")
    assert again == top and again.count(10**12) == top.count(10**12)  # 1 and 1.0 are equal


@pytest.mark.parametrize(
    "text", ["a", "a=", "=3", "=0.3", "a=0", "a=0.0", "a=1.5", "a=-1", "a=30%", "a=1e3", "a=nan", "a=١"]
)
def test_what_says_not_how_many(text: str) -> None:
    with pytest.raises(UsageError, match="does not say how many to keep"):
        Top.of(text)
