"""The number of cells that costs least on a sample; see `pycurate.dedup.keys` for the unit of costs."""

import math
from dataclasses import dataclass

import numpy as np

from pycurate.dedup.cells import distance_at, visits
from pycurate.dedup.keys import pair_cost
from pycurate.dedup.settings import Settings
from pycurate.hardware import default_device

SIEVE = 3.0  # of holding the product of a key and a centre against the rule of visits
VISIT = 1500.0  # of storing, reading and ranking one visit


def most_cells(samples: int) -> int:
    """For so many vectors: a power of 4 near their root."""
    return min(16384, 4 ** round(math.log(max(samples, 1), 16)))


@dataclass(frozen=True)
class Fit:
    """A number of cells, and what it would cost: visits per vector, products in all, and each cell's share of them."""

    cells: int
    visits: float
    pairs: float
    shares: np.ndarray


def one_cell(samples: int, references: int = 0) -> Fit:
    """All with all."""
    return Fit(1, 1.0, samples * (samples / 2 + references), np.ones(1))


def fit_cells(keys: np.ndarray, samples: int, settings: Settings, reach: float) -> Fit:
    """The cheapest number of cells for so many vectors, or the one that was asked for.

    Args:
        keys: float32 (n, dim), of the sample.
        samples: vectors in the whole set.
        settings: the threshold, and the number of cells if it is given.
        reach: as in Cells.
    """
    if settings.cells:
        return _fit(keys, samples, max(1, min(settings.cells, len(keys))), settings.threshold, reach)
    best, least = None, math.inf
    cells = 1
    while cells <= most_cells(samples):
        fit = _fit(keys, samples, cells, settings.threshold, reach)
        assign = samples * cells * (pair_cost(keys.shape[1]) + SIEVE)
        cost = assign + samples * fit.visits * VISIT + fit.pairs * pair_cost(keys.shape[1])
        if cost >= least:
            break
        best, least = fit, cost
        cells *= 4
    assert best
    return best


def _fit(keys: np.ndarray, samples: int, cells: int, threshold: float, reach: float) -> Fit:
    if cells == 1:
        return one_cell(samples)
    import torch  # here and below, since it takes seconds, and one cell does without

    from pycurate.dedup.kmeans import k_means

    points = torch.from_numpy(keys).to(default_device())
    centres = k_means(points, cells, rounds=4)
    home, visited = np.zeros(cells), np.zeros(cells)
    for block in points.split(4096):
        where, seen = visits(block, centres, reach * distance_at(threshold) / 2)
        at_home = torch.bincount(where, minlength=cells)
        home += at_home.cpu().numpy()
        visited += (seen.sum(dim=0) - at_home).cpu().numpy()
    scale = samples / len(keys)
    pairs = (home * np.maximum(home - 1, 0) / 2 + home * visited) * scale**2
    return Fit(cells, float((home + visited).sum() / len(keys)), float(pairs.sum()), pairs)


def centres_of(keys: np.ndarray, cells: int) -> np.ndarray:
    """float32 (n, dim) -> float32 (cells, dim): the centres of cells, by k-means."""
    if cells == 1:
        return np.zeros((1, keys.shape[1]), np.float32)
    import torch

    from pycurate.dedup.kmeans import k_means

    return k_means(torch.from_numpy(keys).to(default_device()), cells).cpu().numpy()
