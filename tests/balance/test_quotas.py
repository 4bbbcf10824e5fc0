"""Quotas of cells are those of a capacity, and add up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pycurate.balance.quotas import capped, quotas


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12), total=st.integers(0, 200))
def test_the_quotas_are_those_of_the_capacity_that_searching_finds(sizes: list[int], total: int) -> None:
    given = capped(np.array(sizes, np.int64), total).tolist()
    assert sum(given) == min(total, sum(sizes))
    capacity = max(c for c in range(31) if sum(min(c, size) for size in sizes) <= total)
    for quota, size in zip(given, sizes, strict=True):
        assert min(capacity, size) <= quota <= min(capacity + 1, size)


@given(data=st.data(), total=st.integers(0, 300))
def test_each_level_shares_what_the_level_above_gives(data: st.DataObject, total: int) -> None:
    sizes = np.array(data.draw(st.lists(st.integers(0, 40), min_size=8, max_size=8)), np.int64)
    first = np.array(data.draw(st.permutations([0, 1, 2, 3, 0, 1, 2, 3])), np.int32)
    second = np.array([0, 1, 0, 1], np.int32)
    given = quotas(sizes, [first, second], total)
    assert given.sum() == min(total, sizes.sum()) and (given <= sizes).all()
    above = [np.bincount(second[first], sizes, 2).astype(np.int64), np.bincount(second[first], given, 2)]
    assert above[1].tolist() == capped(above[0], total).tolist()
    middle = np.bincount(first, given, 4)
    for cell in range(2):
        own = np.flatnonzero(second == cell)
        assert (
            middle[own].tolist()
            == capped(np.bincount(first, sizes, 4)[own].astype(np.int64), int(above[1][cell])).tolist()
        )
    for cell in range(4):
        own = np.flatnonzero(first == cell)
        assert given[own].tolist() == capped(sizes[own], int(middle[cell])).tolist()
