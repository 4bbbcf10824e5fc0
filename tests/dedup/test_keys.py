"""Keys are never less alike than their vectors, whatever directions they are made of."""

import numpy as np
import pytest
from dedup_sets import clustered
from hypothesis import given
from hypothesis import strategies as st

from pycurate.dedup.cells import distance_at
from pycurate.dedup.keys import DIRECTIONS, choose_directions, directions_of, keys_of, pair_cost
from pycurate.dedup.vectors import as_compared, similarity


@given(seed=st.integers(0, 2**16), dim=st.sampled_from([2, 17, 64, 300]), numbers=st.integers(1, 40))
def test_no_pair_of_keys_is_less_alike_than_its_vectors(seed: int, dim: int, numbers: int) -> None:
    vectors = as_compared(clustered(60, dim, seed))
    vectors[::13] = 0  # without a direction
    keys = keys_of(vectors, directions_of(vectors)[:, :numbers])
    lengths = np.linalg.norm(keys, axis=1)
    assert (lengths[::13] == 0).all() and not keys[::13].any()
    assert np.abs(np.delete(lengths, np.s_[::13]) - 1).max() < 1e-4
    assert (keys @ keys.T >= similarity(vectors[:, None], vectors[None]) - 1e-5)[lengths > 0].all()


@pytest.mark.parametrize("dim", [300, 1280])
@pytest.mark.parametrize("numbers", [15, 127])
def test_keys_of_parallel_vectors_are_as_near_as_cells_ask(dim: int, numbers: int) -> None:
    """Of numbers that are all about alike, whose sums round the same way every time, and of lengths that differ."""
    random = np.random.default_rng(1)
    some = np.where(random.random((200, dim)) < random.random((200, 1)), 1 + 2.0**-9, 1)
    some[:100] = 1
    vectors = as_compared((some * random.uniform(0.991, 1.009, (200, 1)) / np.sqrt(dim)).astype(np.float16))
    keys = keys_of(vectors, directions_of(vectors)[:, :numbers]).astype(np.float64)
    apart = np.array([np.linalg.norm(keys - key, axis=1) for key in keys])
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    cosines = (wide @ wide.T / np.outer(lengths, lengths)).astype(np.float32)
    assert (cosines == 1).any(axis=1).all() and np.array_equal(cosines[0], similarity(vectors[:1], vectors))
    assert (apart <= np.vectorize(distance_at)(np.minimum(cosines, 1).astype(np.float64))).all()


@given(seed=st.integers(0, 2**16), dim=st.sampled_from([3, 40, 300]), count=st.integers(1, 200))
def test_directions_are_orthonormal_and_those_of_greatest_spread(seed: int, dim: int, count: int) -> None:
    random = np.random.default_rng(seed)
    vectors = as_compared(random.normal(size=(count, dim)) * np.arange(1, dim + 1) ** -1.0 + 0.1)
    found = directions_of(vectors)
    assert found.shape == (dim, min(dim, DIRECTIONS[-1]))
    np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-5)
    wide = vectors.astype(np.float64)
    best = np.linalg.svd(wide, compute_uv=False)[:8]
    reached = np.linalg.norm(wide @ found, axis=0)[: len(best)]
    np.testing.assert_allclose((reached**2).sum(), (best**2).sum(), rtol=1e-3)


def test_the_higher_the_threshold_the_fewer_directions_are_chosen() -> None:
    vectors = as_compared(np.random.default_rng(0).normal(size=(2000, 300)) * np.arange(1, 301) ** -0.5)
    spread = directions_of(vectors)
    found = [choose_directions(vectors, spread, 2e10, 2e10, threshold) for threshold in (0.7, 0.8, 0.9, 0.95)]
    numbers, costs = [directions.shape[1] for directions, _ in found], [cost for _, cost in found]
    assert numbers == sorted(numbers, reverse=True) and numbers[0] > numbers[-1]
    assert costs == sorted(costs, reverse=True) and costs[0] < 2e10 * pair_cost(300)
