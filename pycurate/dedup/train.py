"""The train step of DEDUP: directions, cells and buckets, chosen by what they cost on a sample.

Costs are in nanoseconds of one core of a 2 GHz server, measured with benchmarks/dedup.py. Only their ratios matter:
a wrong one makes the search slower, never different.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pycurate.dedup.cells import Cells, cells_path, distance_at, keys_of, visits
from pycurate.dedup.few import FEW
from pycurate.dedup.kmeans import k_means
from pycurate.dedup.match import SLACK
from pycurate.dedup.partitions import Source, check_encoder, embeddings_of
from pycurate.dedup.rank import scattered, shard_names
from pycurate.dedup.settings import Settings
from pycurate.dedup.vectors import sample_numbers
from pycurate.hardware import default_device
from pycurate.results.uids import uid_numbers

log = logging.getLogger(__name__)

SAMPLE = 8192  # vectors that directions and cells are learnt from, at least; 16 per cell where there are many
QUERIES = 512  # of them, compared with all others to see how often keys mislead
DIRECTIONS = (15, 31, 63, 127, 255)  # numbers of them to choose from
SIEVE = 3.0  # of holding the product of a key and a centre against the rule of visits
VISIT = 1500.0  # of storing, reading and ranking one visit
COMPARE = 6.0  # of comparing two vectors in full, per dimension
MOST_VISITS = 16.0  # per vector, up to which the exact search is the default
FAST = 0.2  # share of the exact reach within which fast mode visits
VISITS_PER_BUCKET = 4_000_000  # by default: about 2 GB in a match task


def pair_cost(numbers: int) -> float:
    """Of one product of two keys of so many numbers, and of looking at it."""
    return 0.3 + 0.018 * numbers


def train(results: Path, sources: Sequence[Source], settings: Settings) -> Cells:
    """Decide on directions, cells and buckets from a sample of the embeddings; write them and return them.

    The sample follows from the uids, so it does not depend on how the set is split. Nothing is learnt from references
    among the `sources`. Raises TableError if not all were embedded by one encoder.
    """
    check_encoder(sources)
    embeddings = embeddings_of(sources)
    uids, numbers = _new_samples(sources)
    views, dim = embeddings.shape
    count = len(uids) * views
    size = max(SAMPLE, 16 * (settings.cells or most_cells(count))) // views
    sample = numbers[np.argsort(scattered(uids), kind="stable")[:size]]
    vectors = torch.from_numpy(embeddings.take(sample).reshape(-1, dim)).to(default_device())

    spread = directions_of(vectors)
    coarse = keys_of(vectors, spread[:, : DIRECTIONS[2]])
    exact = settings.exact is not False
    fit = fit_cells(coarse, count, settings, 1.0 if exact else FAST)
    if settings.exact is None and fit.visits > MOST_VISITS:
        log.warning(
            "An exact search would cost %.0f visits per vector; using the fast search and measuring its recall.",
            fit.visits,
        )
        exact, fit = False, fit_cells(coarse, count, settings, FAST)
    directions = choose_directions(vectors, spread, fit.pairs, count, settings.threshold)
    keys = keys_of(vectors, directions)
    centres = k_means(keys, fit.cells)
    cells = Cells(
        settings.threshold,
        settings.keep,
        1.0 if exact else FAST,
        directions.cpu().numpy(),
        centres.cpu().numpy(),
        _buckets(fit, settings.buckets or math.ceil(count * fit.visits / VISITS_PER_BUCKET)),
        np.array(shard_names(sources) if settings.keep == "first" else [], dtype=np.str_),
        sources[0].kind,
    )
    cells.save(cells_path(results))
    log.info(
        "%d vectors of %d numbers: keys of %d, %d cells, %d buckets; %.1f visits per vector, %s",
        *(count, dim, keys.shape[1], fit.cells, len(cells.buckets) - 1, fit.visits),
        "exact" if exact else "fast",
    )
    return cells


def most_cells(samples: int) -> int:
    """For so many vectors: a power of 4 near their root; one where fan-out would not pay."""
    return 1 if samples < FEW else min(16384, 4 ** round(math.log(samples, 16)))


def _new_samples(sources: Sequence[Source]) -> tuple[np.ndarray, np.ndarray]:
    """Of all samples that are not references: uint64 (n, 2), their uids, and int64 (n,), their numbers."""
    uids, numbers = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.int64)]
    for source in sources:
        if not source.reference:
            uids.append(uid_numbers(source.readable(["uid"])["uid"]))
            numbers.append(sample_numbers(source.number, np.arange(len(uids[-1]))))
    return np.concatenate(uids), np.concatenate(numbers)


def directions_of(vectors: torch.Tensor) -> torch.Tensor:
    """float32 (dim, dim): orthonormal columns, those along which the vectors (float16 (n, dim)) are longest first."""
    wide = vectors.double()
    return torch.linalg.eigh(wide.T @ wide).eigenvectors.flip(1).float()


def choose_directions(
    vectors: torch.Tensor, spread: torch.Tensor, pairs: float, samples: int, threshold: float
) -> torch.Tensor:
    """The first columns of `spread`, as many as are cheapest: float32 (dim, k); the identity if all are.

    More of them make each product dearer and fewer pairs pass for duplicates until they are compared in full.

    Args:
        vectors: float16 (n, dim), the sample.
        spread: float32 (dim, dim), from `directions_of`.
        pairs: products that will be made.
        samples: vectors in the whole set.
        threshold: cosine of duplicates.
    """
    dim = vectors.shape[1]
    identity = torch.eye(dim, device=vectors.device)
    queries = min(QUERIES, len(vectors) // 2)

    def share(directions: torch.Tensor) -> float:
        """Of all pairs, those whose keys look like duplicates'."""
        keys = keys_of(vectors, directions)
        close = sum(
            torch.count_nonzero(keys[:queries] @ block.T >= threshold - SLACK).item()
            for block in keys[queries:].split(8192)
        )
        return close / max(1, queries * (len(keys) - queries))

    least = share(identity)
    choices = [(pairs * pair_cost(dim), dim, identity)]
    for count in (count for count in DIRECTIONS if count + 1 < dim):
        wrong = (share(spread[:, :count]) - least) * samples**2 / 2
        choices.append((pairs * pair_cost(count + 1) + wrong * COMPARE * dim, count, spread[:, :count].contiguous()))
    return min(choices, key=lambda choice: choice[:2])[2]


@dataclass(frozen=True)
class Fit:
    """A number of cells, and what it would cost: visits per vector, products in all, and each cell's share of them."""

    cells: int
    visits: float
    pairs: float
    shares: np.ndarray


def fit_cells(keys: torch.Tensor, samples: int, settings: Settings, reach: float) -> Fit:
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


def _fit(keys: torch.Tensor, samples: int, cells: int, threshold: float, reach: float) -> Fit:
    if cells == 1:
        return Fit(1, 1.0, samples**2 / 2, np.ones(1))
    centres = k_means(keys, cells, rounds=4)
    home, visited = np.zeros(cells), np.zeros(cells)
    for block in keys.split(4096):
        where, seen = visits(block, centres, reach * distance_at(threshold) / 2)
        at_home = torch.bincount(where, minlength=cells)
        home += at_home.cpu().numpy()
        visited += (seen.sum(dim=0) - at_home).cpu().numpy()
    scale = samples / len(keys)
    pairs = (home * np.maximum(home - 1, 0) / 2 + home * visited) * scale**2
    return Fit(cells, float((home + visited).sum() / len(keys)), float(pairs.sum()), pairs)


def _buckets(fit: Fit, buckets: int) -> np.ndarray:
    """int64 (buckets + 1,): runs of cells of about equal work, none empty."""
    buckets = max(1, min(buckets, fit.cells))
    work = np.cumsum(fit.shares + fit.shares.mean() / 100)
    edges = np.searchsorted(work, np.linspace(0, work[-1], buckets + 1)[1:-1])
    edges = np.concatenate([[0], edges, [fit.cells]])
    for bucket in range(1, buckets):
        edges[bucket] = min(max(edges[bucket], edges[bucket - 1] + 1), fit.cells - buckets + bucket)
    return edges.astype(np.int64)
