"""Keys are never less alike than their vectors, whatever directions they are made of."""

import numpy as np
from dedup_sets import clustered
from hypothesis import given
from hypothesis import strategies as st

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
    found = [choose_directions(vectors, spread, 2e10, 200_000, threshold) for threshold in (0.7, 0.8, 0.9, 0.95)]
    numbers, costs = [directions.shape[1] for directions, _ in found], [cost for _, cost in found]
    assert numbers == sorted(numbers, reverse=True) and numbers[0] > numbers[-1]
    assert costs == sorted(costs, reverse=True) and costs[0] < 2e10 * pair_cost(300)
