"""Cells are those of exact distances, and level out what is dense."""

import numpy as np
import pytest
from dedup_sets import clustered
from hypothesis import given, settings
from hypothesis import strategies as st

from pycurate.balance.cells import cells_for, chosen, learn, nearest
from pycurate.balance.draw import drawn
from pycurate.dedup.vectors import as_compared


@settings(max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(1, 60), k=st.integers(1, 40), close=st.booleans())
def test_the_nearest_centre_is_that_of_exact_distances_whatever_is_read_with_it(
    seed: int, n: int, k: int, close: bool
) -> None:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(k, 24)) * (0.001 if close else 1) + [[1.0] * 24]
    points = as_compared(random.normal(size=(n, 24)) * (0.001 if close else 1) + 1)
    centres = (0.9 * as_compared(centres)).astype(np.float16)
    centres[k // 2 :] = centres[: k - k // 2]  # of equal ones the first
    wide = points[:, None].astype(np.longdouble) - centres.astype(np.longdouble)
    found = nearest(points, centres)
    assert found.tolist() == (wide**2).sum(axis=2).argmin(axis=1).tolist()
    assert found.tolist() == [int(nearest(points[i : i + 1], centres)[0]) for i in range(n)]


SIZES, RINGS = (20_000, 200, 1_000, 500, 8_000), ((-2.2, 2.2), (0, 2.2), (2.2, 2.2), (-1.2, -0.2), (1.2, -0.2))


def rings(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors float16 (n, 16), in rings of equal size on a small part of the sphere, and the ring of each."""
    random = np.random.default_rng(seed)
    parts = []
    for size, place in zip(SIZES, RINGS, strict=True):
        radius, angle = random.uniform(0.7, 1, size), random.uniform(0, 2 * np.pi, size)
        parts.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) + place)
    flat = np.concatenate(parts) / 10
    vectors = np.concatenate([flat, np.sqrt(1 - (flat**2).sum(axis=1, keepdims=True))], axis=1)
    turned = vectors @ np.linalg.qr(random.normal(size=(16, 16)))[0][:3]
    order = random.permutation(len(turned))
    return turned[order].astype(np.float16), np.repeat(np.arange(5), SIZES)[order]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rings_of_very_different_sizes_give_alike(seed: int) -> None:
    vectors, ring = rings(seed)
    uids = np.random.default_rng(seed).integers(0, 2**63, (len(vectors), 2)).astype(np.uint64)
    tree = learn(vectors[np.argsort(drawn(uids, 0, 1))], len(vectors))
    assert tree.numbers[0] == cells_for(len(vectors)) and len(tree.numbers) >= 3
    lots = drawn(uids)
    kept = chosen(nearest(vectors, tree.centres), tree.parents, lots, None, 1000)
    shares = np.bincount(ring[kept])
    assert kept.sum() == 1000 and shares.max() <= 2 * shares.min(), shares


def test_of_a_cell_the_best_are_kept_or_those_of_the_smallest_lots() -> None:
    random = np.random.default_rng(0)
    cells, lots = random.integers(0, 6, 300).astype(np.int32), random.integers(0, 99, 300).astype(np.uint64)
    scores = random.integers(0, 5, 300).astype(np.float32)
    scores[::7] = np.nan
    parents = (np.array([0, 0, 1, 1, 2, 2], np.int32),)
    for column in (None, scores):
        kept = chosen(cells, parents, lots, column, 60)
        assert kept.sum() == 60
        for cell in range(6):
            here = np.flatnonzero(cells == cell)
            keys = [(0 if column is None else -np.nan_to_num(column[i], nan=-1), lots[i], i) for i in here]
            best = [key[2] for key in sorted(keys)][: int(kept[here].sum())]
            assert {*best} == {*here[kept[here]]}


@pytest.mark.parametrize("n", [1, 7, 8, 100, 700])
def test_few_samples_and_equal_ones(n: int) -> None:
    for vectors in (clustered(n, 16, seed=1), np.repeat(clustered(1, 16), n, axis=0), np.zeros((n, 16), np.float16)):
        tree = learn(vectors, n)
        homes = nearest(vectors, tree.centres)
        for target in (1, n // 2, n, 2 * n):
            kept = chosen(homes, tree.parents, np.arange(n, dtype=np.uint64), None, target)
            assert kept.sum() == min(target, n)
