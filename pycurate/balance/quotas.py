"""How many samples each cell gives, so that all give as equally as their sizes allow."""

from collections.abc import Sequence

import numpy as np


def capped(sizes: np.ndarray, total: int) -> np.ndarray:
    """int64 (n,), sizes of cells -> int64 (n,): min(size, capacity), with the capacity that makes the sum `total`.

    If no whole number does, the cells with more than the capacity give one more each, from the first on, until the sum
    is right. If there are not more than `total` samples, all are given.
    """
    if sizes.sum() <= total:
        return sizes.copy()
    # With the k smallest cells exhausted, the others share what is left of the total.
    ordered = np.sort(sizes)
    before = np.concatenate([[0], np.cumsum(ordered)[:-1]])
    capacities = (total - before) // np.arange(len(sizes), 0, -1)
    capacity = int(capacities[np.argmax(capacities < ordered)])
    given = np.minimum(sizes, capacity)
    given[np.flatnonzero(sizes > capacity)[: total - int(given.sum())]] += 1
    return given


def quotas(sizes: np.ndarray, parents: Sequence[np.ndarray], total: int) -> np.ndarray:
    """int64 (n,): what each cell of the lowest level gives, level by level from the highest.

    Args:
        sizes: int64 (n,), samples in each cell of the lowest level.
        parents: for each level but the highest, int (cells,): the cell of the next level that each one belongs to.
        total: of all that is given.
    """
    levels = [sizes]
    for parent in parents:
        levels.append(np.bincount(parent, weights=levels[-1]).astype(np.int64))
    given = capped(levels[-1], total)
    for parent, below in zip(reversed(parents), reversed(levels[:-1]), strict=True):
        shared = np.zeros_like(below)
        order = np.argsort(parent, kind="stable")
        edges = np.searchsorted(parent[order], np.arange(len(given) + 1))
        for cell in np.flatnonzero(given):
            own = order[edges[cell] : edges[cell + 1]]
            shared[own] = capped(below[own], int(given[cell]))
        given = shared
    return given
