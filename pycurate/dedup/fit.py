"""The number of cells that costs least on a sample, and whether the search is exact by default.

See `pycurate.dedup.keys` for the unit of costs.
"""

import logging
import math
from dataclasses import dataclass

import numpy as np

from pycurate.dedup.cells import distance_at, visits
from pycurate.dedup.keys import pair_cost
from pycurate.dedup.products import product_device
from pycurate.dedup.settings import Settings

log = logging.getLogger(__name__)

FAST = 0.2  # share of the exact reach within which fast mode visits
MOST_VISITS = 16.0  # per vector, of an exact search by default,
MOST_COST = 5e6  # and its cost per vector: 5 ms of a core, as decoding a photograph or two takes
SIEVE = 3.0  # of holding the product of a key and a centre against the rule of visits
VISIT = 3500.0  # of storing, reading and ranking one visit, and of comparing what it brings together


def most_cells(samples: int) -> int:
    """For so many vectors: a power of 4 near their root."""
    return min(16384, 4 ** round(math.log(max(samples, 1), 16)))


@dataclass(frozen=True)
class Size:
    """How many vectors are searched for duplicates, and how many of references that are not, but stand among them."""

    samples: int
    references: int = 0

    @property
    def all(self) -> int:
        """Vectors that are assigned to cells."""
        return self.samples + self.references

    @property
    def pairs(self) -> float:
        """Pairs that may be duplicates."""
        return self.samples * (self.samples / 2 + self.references)


@dataclass(frozen=True)
class Fit:
    """A number of cells, and what it would cost: visits per vector, products in all, and each cell's share of them."""

    cells: int
    visits: float
    pairs: float
    shares: np.ndarray

    def cost(self, size: Size, numbers: int) -> float:
        """Of a search of this size with keys of so many numbers."""
        assign = self.cells * (pair_cost(numbers) + SIEVE) + self.visits * VISIT
        return size.all * assign + self.pairs * pair_cost(numbers)


def one_cell(size: Size) -> Fit:
    """All with all."""
    return Fit(1, 1.0, size.pairs, np.ones(1))


def choose_cells(keys: np.ndarray, size: Size, settings: Settings) -> tuple[float, Fit]:
    """The reach of the search (see Cells), and the cheapest number of cells for it, or the one that was asked for.

    Args:
        keys: float32 (n, dim), of the sample, in random order.
        size: of the search.
        settings: the threshold, whether the search is exact, and the number of cells, as far as they are given.
    """
    if settings.exact is not None:
        reach = 1.0 if settings.exact else FAST
        return reach, _cheapest(keys, size, settings, reach)
    fit = _cheapest(keys, size, settings, 1.0, MOST_VISITS)
    cost = fit.cost(size, keys.shape[1])
    if fit.visits <= MOST_VISITS and cost <= MOST_COST * size.all:
        return 1.0, fit
    log.warning(
        "An exact search would take about %.0f core hours and %.0f visits per vector; using the fast search and "
        "measuring its recall.",
        *(cost / 3.6e12, fit.visits),
    )
    return FAST, _cheapest(keys, size, settings, FAST)


def _cheapest(keys: np.ndarray, size: Size, settings: Settings, reach: float, most_visits: float = math.inf) -> Fit:
    """`most_visits` per vector bound the choice, not the number of cells that was asked for."""
    if settings.cells:
        return _fit(keys, size, max(1, min(settings.cells, len(keys))), settings.threshold, reach)
    best, cells = one_cell(size), 4
    while cells <= min(most_cells(size.all), len(keys) // 4):
        fit = _fit(keys, size, cells, settings.threshold, reach)
        if fit.visits > most_visits or fit.cost(size, keys.shape[1]) >= best.cost(size, keys.shape[1]):
            break
        best, cells = fit, 4 * cells
    return best


def _fit(keys: np.ndarray, size: Size, cells: int, threshold: float, reach: float) -> Fit:
    if cells == 1:
        return one_cell(size)
    import torch  # here and below, since it takes seconds, and one cell does without

    from pycurate.dedup.kmeans import k_means

    # Visits are counted of keys that did not place the centres, which are nearer to those that did: of 400,000 vectors
    # with 1,024 cells, 8 of 14 visits were foreseen by counting those.
    points = torch.from_numpy(keys).to(product_device())
    half = len(keys) // 2
    centres, others = k_means(points[: max(half, cells)], cells, rounds=4), points[half:]
    home, visited = np.zeros(cells), np.zeros(cells)
    for block in others.split(4096):
        where, seen = visits(block, centres, reach * distance_at(threshold) / 2)
        at_home = torch.bincount(where, minlength=cells)
        home += at_home.cpu().numpy()
        visited += (seen.sum(dim=0) - at_home).cpu().numpy()
    pairs = (home * np.maximum(home - 1, 0) / 2 + home * visited) * (2 * size.pairs / len(others) ** 2)
    return Fit(cells, float((home + visited).sum() / len(others)), float(pairs.sum()), pairs)


def centres_of(keys: np.ndarray, cells: int) -> np.ndarray:
    """float32 (n, dim) -> float32 (cells, dim): the centres of cells, by k-means."""
    if cells == 1:
        return np.zeros((1, keys.shape[1]), np.float32)
    import torch

    from pycurate.dedup.kmeans import k_means

    return k_means(torch.from_numpy(keys).to(product_device()), cells).cpu().numpy()
