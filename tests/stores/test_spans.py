"""Which bytes are fetched: all that are wanted, in few requests, and not much else."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pycurate.stores.spans import Span, joined

SPANS = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 300_000)), max_size=40).map(
    lambda some: [(start, start + size) for start, size in some]
)


def union(spans: list[Span]) -> int:
    """Bytes in at least one of the spans."""
    total = end = 0
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


@given(SPANS)
def test_every_wanted_byte_is_in_one_span_and_little_else(spans: list[Span]) -> None:
    found = joined(spans)
    assert all(any(a <= start and stop <= b for a, b in found) for start, stop in spans if start < stop)
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(found))
    assert union(found) <= 1.4 * union(spans)


@given(SPANS, st.integers(0, 100_000))
def test_neighbours_that_lie_apart_stay_apart(spans: list[Span], apart: int) -> None:
    found = joined(spans, apart, waste=1e9)
    wanted = joined(spans, 0)
    assert found == joined(wanted, apart, waste=1e9)
    assert all(start - stop >= apart for (_, stop), (start, _) in itertools.pairwise(found))


def test_most_of_a_file_comes_as_a_whole() -> None:
    assert joined((at, at + 800) for at in range(0, 100_000, 1000)) == [(0, 99_800)]
