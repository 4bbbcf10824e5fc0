"""Buckets hold what came, in order of its first number, and leave nothing behind."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pycurate.results.buckets import ROWS, buckets

NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 2**63, 2**64 - 1]))


@given(
    parts=st.lists(arrays(np.uint64, st.tuples(st.integers(0, 20), st.just(2)), elements=NUMBERS), max_size=4),
    count=st.integers(0, 5),
)
def test_what_came_in_order_of_the_first_number(
    tmp_path_factory: pytest.TempPathFactory, parts: list[np.ndarray], count: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("buckets")
    with buckets(folder, 2, count * ROWS) as divided:
        for part in parts:
            divided.add(part)
        assert not list(folder.iterdir())  # what is killed here leaves nothing
        found = list(divided)
    assert len(found) == count + 1 and not list(folder.iterdir())
    rows = [row for part in parts for row in part.tolist()]
    assert [row for part in found for row in sorted(part.tolist())] == sorted(rows)
    for part in found:
        for first in {row[0] for row in part.tolist()}:
            assert [row for row in part.tolist() if row[0] == first] == [row for row in rows if row[0] == first]
