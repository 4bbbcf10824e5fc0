"""A choice that is spread over what the images show: levels of k-means cells, and a capacity for each.

After Vo et al. 2024, "Automatic Data Curation for Self-Supervised Learning: A Clustering-Based Approach". The lowest
level are k-means cells of the embeddings. Each higher level are cells of the centres of the level below it, a third
as many. Centres lie less densely than what they are the centres of, where that is dense, so that from level to level
cells take up ever more equal parts of what there is. Above the lowest level, k-means starts as k-means++ does, and is
repeated ROUNDS times on the NEAR points nearest to each centre of the time before, which levels out further.

What is learnt follows from the uids of the samples, and centres are rounded to float16: a product of two such numbers,
and a sum of such products, is exact in float64 (see pycurate.dedup.vectors). So which centre is nearest does not depend
on the order of summation, and the cell of a sample not on those that are read with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch

from pycurate.balance.quotas import quotas
from pycurate.dedup.kmeans import k_means

LEARN = 32768  # samples that the lowest level is learnt from, at least; 16 per cell where there are many
MOST_CELLS = 16384
FEWEST = 24  # cells of the highest level, at least
NARROWING = 3  # times as many cells has the level below another
ROUNDS = 10
NEAR = 2
LLOYD = 10  # steps of each k-means above the lowest level
PRODUCTS = 1 << 24  # that are held at a time
PAIRS = 1 << 15  # of a point and a centre that are compared exactly at a time


@dataclass(frozen=True)
class Cells:
    """The levels.

    Attributes:
        centres: float16 (cells, dim), those of the lowest level.
        parents: for each level but the highest, int32 (cells,): the cell of the next level that each one belongs to.
    """

    centres: np.ndarray
    parents: tuple[np.ndarray, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """How many cells each level has, the lowest first."""
        return (len(self.centres), *(int(parent.max()) + 1 for parent in self.parents))


def cells_for(samples: int) -> int:
    """How many cells the lowest level has for so many samples."""
    return max(1, min(MOST_CELLS, 4 * isqrt(samples), samples // 8))


def learnt_from(samples: int) -> int:
    """Of how many samples the lowest level is learnt."""
    return min(samples, max(LEARN, 16 * cells_for(samples)))


def learn(vectors: np.ndarray, samples: int) -> Cells:
    """The levels for so many samples, learnt from some: float16 (n, dim), as pycurate.dedup.vectors gives them."""
    count = min(cells_for(samples), len(vectors))
    centres = _rounded(k_means(torch.from_numpy(vectors.astype(np.float32)), count))
    lowest, parents = centres, []
    while len(centres) >= NARROWING * FEWEST:
        upper = _above(centres, len(centres) // NARROWING)
        found, parent = np.unique(nearest(centres, upper), return_inverse=True)
        parents.append(parent.reshape(-1).astype(np.int32))
        centres = upper[found]
    return Cells(lowest, tuple(parents))


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int32 (n,): the nearest centre of each point, the first of several; both float16 (n, dim), 1.01 long at most."""
    wide, exact = centres.astype(np.float32), centres.astype(np.float64)
    half = np.einsum("ij,ij->i", exact, exact) / 2
    slack = 4 * centres.shape[1] * 2.0**-24  # twice what float32 sums can be off
    result = np.empty(len(points), np.int32)
    step = max(1, PRODUCTS // len(centres))
    for start in range(0, len(points), step):
        block = points[start : start + step]
        score = block.astype(np.float32) @ wide.T - half.astype(np.float32)
        rows, cells = np.nonzero(score >= score.max(axis=1, keepdims=True) - np.float32(slack))
        value = np.empty(len(rows))
        for pair in range(0, len(rows), PAIRS):
            a, b = rows[pair : pair + PAIRS], cells[pair : pair + PAIRS]
            value[pair : pair + PAIRS] = np.einsum("ij,ij->i", block[a].astype(np.float64), exact[b]) - half[b]
        order = np.lexsort((cells, -value, rows))
        first = np.searchsorted(rows[order], np.arange(len(block)))
        result[start : start + step] = cells[order[first]]
    return result


def chosen(
    cells: np.ndarray, parents: Sequence[np.ndarray], lots: np.ndarray, scores: np.ndarray | None, target: int
) -> np.ndarray:
    """bool (n,): `target` of n samples, or all if they are fewer.

    Args:
        cells: int32 (n,), of each sample, in the lowest level.
        parents: as in Cells.
        lots: uint64 (n,); of a cell those of the smallest come first.
        scores: float32 (n,), NaN where there is none; if given, those of the highest come before that.
        target: how many.
    """
    count = len(parents[0]) if parents else int(cells.max(initial=0)) + 1
    given = quotas(np.bincount(cells, minlength=count), parents, target)
    keys = [lots] if scores is None else [lots, np.where(np.isnan(scores), np.inf, -scores)]
    order = np.lexsort((*keys, cells))
    ordered = cells[order]
    place = np.arange(len(cells)) - np.searchsorted(ordered, np.arange(count))[ordered]
    result = np.zeros(len(cells), bool)
    result[order] = place < given[ordered]
    return result


def _above(points: np.ndarray, count: int) -> np.ndarray:
    """float16 (count, dim): the centres of a level above these points."""
    centres = _clustered(points, count)
    for _ in range(ROUNDS):
        home = nearest(points, centres)
        away = np.linalg.norm(points.astype(np.float64) - centres[home], axis=1)
        order = np.lexsort((np.arange(len(points)), away, home))
        place = np.arange(len(points)) - np.searchsorted(home[order], np.arange(count))[home[order]]
        near = np.sort(order[place < NEAR])
        if len(near) <= count:
            break
        centres = _clustered(points[near], count)
    return centres


def _clustered(points: np.ndarray, count: int) -> np.ndarray:
    first = _spread(points.astype(np.float32), count)
    order = np.concatenate([first, np.setdiff1d(np.arange(len(points)), first)])
    return _rounded(k_means(torch.from_numpy(points[order].astype(np.float32)), count, LLOYD))


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """int64 (count,): points to begin with, each drawn by its squared distance from those before (k-means++)."""
    random = np.random.default_rng(0)
    found = np.zeros(count, np.int64)
    away = np.full(len(points), np.inf)
    for at in range(count - 1):
        difference = points - points[found[at]]
        away = np.minimum(away, np.einsum("ij,ij->i", difference, difference, dtype=np.float64))
        away[found[at]] = 0
        reached = np.cumsum(away)
        if reached[-1] > 0:
            found[at + 1] = np.searchsorted(reached, random.random() * reached[-1], side="right")
        else:  # the others are the same as those
            found[at + 1] = np.setdiff1d(np.arange(len(points)), found[: at + 1])[0]
    return found


def _rounded(centres: torch.Tensor) -> np.ndarray:
    return np.asarray(centres.cpu().numpy().astype(np.float16))
