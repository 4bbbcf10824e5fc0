"""The train step of DEDUP: directions, cells and buckets, chosen by what they cost on a sample."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pycurate.dedup.cells import Cells
from pycurate.dedup.fit import Fit, Size, centres_of, choose_cells, most_cells, one_cell
from pycurate.dedup.keys import LEARN, choose_directions, directions_of, keys_of, pair_cost
from pycurate.dedup.partitions import Source, check_encoder, embeddings_of
from pycurate.dedup.products import torch_pays
from pycurate.dedup.rank import scattered, shard_names
from pycurate.dedup.settings import Settings
from pycurate.dedup.vectors import Smallest, sample_numbers
from pycurate.hardware import one_blas_thread
from pycurate.results.layout import path_of, paths_of
from pycurate.results.uids import uid_numbers

log = logging.getLogger(__name__)

SAMPLE = 8192  # vectors that directions and cells are learnt from, at least; 16 per cell where there are many
VISITS_PER_BUCKET = 4_000_000  # by default: about 2 GB in a match task


@one_blas_thread
def train(results: Path, sources: Sequence[Source], settings: Settings) -> Cells:
    """Decide on directions, cells and buckets from a sample of the embeddings; write them and return them.

    What `assign` and `match` left of an earlier search is removed, since it does not fit these cells. The sample
    follows from the uids, so it does not depend on how the set is split. Nothing is learnt from references among the
    `sources`. Raises TableError if not all were embedded by one encoder.
    """
    check_encoder(sources)
    embeddings = embeddings_of(sources)
    views, dim = embeddings.shape
    count, references = (
        views * sum(embeddings.rows(source.number) for source in sources if bool(source.reference) == which)
        for which in (False, True)
    )
    size = Size(count, references)
    fit, reach = one_cell(size), 1.0
    single = settings.exact is not False and settings.cells in (None, 1)
    directions, centres = np.eye(dim, dtype=np.float32), np.zeros((1, dim), np.float32)
    if not single or fit.pairs * pair_cost(dim) >= LEARN:
        learnt = max(SAMPLE, 16 * (settings.cells or most_cells(size.all))) // views
        vectors = embeddings.take(_sample_of(sources, learnt)).reshape(-1, dim)
        spread = directions_of(vectors)
        directions, cost = choose_directions(vectors, spread, fit.pairs, size.pairs, settings.threshold)
        if not single or (settings.cells is None and torch_pays(cost)):
            reach, fit = choose_cells(keys_of(vectors, directions), size, settings)
            directions, _ = choose_directions(vectors, spread, fit.pairs, size.pairs, settings.threshold)
        centres = centres_of(keys_of(vectors, directions), fit.cells)
    cells = Cells(
        settings.threshold,
        settings.keep,
        reach,
        directions,
        centres,
        _buckets(fit, settings.buckets or math.ceil(size.all * fit.visits / VISITS_PER_BUCKET)),
        np.array(shard_names(sources) if settings.keep == "first" else [], dtype=np.str_),
        sources[0].kind,
    )
    _forget_search(results)
    cells.save(path_of(results, "cells"))
    log.info(
        "%d vectors of %d numbers: keys of %d, %d cells, %d buckets; %.1f visits per vector, %s",
        *(count, dim, centres.shape[1], fit.cells, len(cells.buckets) - 1, fit.visits),
        "exact" if reach == 1 else "fast",
    )
    return cells


def _forget_search(results: Path) -> None:
    """Remove the visits and pairs of an earlier search, so that none of them passes for one of this."""
    for kind in ("pairs", "assigned"):
        for path in paths_of(results, kind).values():
            path.unlink()


def _sample_of(sources: Sequence[Source], size: int) -> np.ndarray:
    """int64 (size,): the numbers of some samples that are no references, scattered."""
    smallest = Smallest(size)
    for source in sources:
        if not source.reference:
            uids = uid_numbers(source.readable(["uid"])["uid"])
            smallest.add(scattered(uids), sample_numbers(source.number, np.arange(len(uids))))
    return smallest.numbers()


def _buckets(fit: Fit, buckets: int) -> np.ndarray:
    """int64 (buckets + 1,): runs of cells of about equal work, none empty."""
    buckets = max(1, min(buckets, fit.cells))
    work = np.cumsum(fit.shares + fit.shares.mean() / 100)
    edges = np.searchsorted(work, np.linspace(0, work[-1], buckets + 1)[1:-1])
    edges = np.concatenate([[0], edges, [fit.cells]])
    for bucket in range(1, buckets):
        edges[bucket] = min(max(edges[bucket], edges[bucket - 1] + 1), fit.cells - buckets + bucket)
    return edges.astype(np.int64)
