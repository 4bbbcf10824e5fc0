"""The pairs that are asked about to choose the duplicate threshold: images, each with the better one most like it.

An image is a duplicate at a threshold if one that ranks better is at least that similar, so an image counts once, by
the similarity of its nearest better image. Those at or above the run's threshold are all in its `pairs`; those below
are looked for here, in a random part of a large set.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.graph import Index, leaders, stand_ins
from pycurate.dedup.pairs import Search, check_pairs, read_pairs
from pycurate.dedup.partitions import REFERENCE, Source, embeddings_of, sources_of
from pycurate.dedup.rank import best_first, checked_keep
from pycurate.dedup.vectors import ROW_BITS, Embeddings, cosines, sample_numbers, unit
from pycurate.errors import TableError, UsageError
from pycurate.results.criteria import Side
from pycurate.results.layout import path_of
from pycurate.results.reasons import BALANCED, DUPLICATES, KEPT
from pycurate.results.tables import read_table
from pycurate.results.uids import hex_digits
from pycurate.review.calibration.sheet import SEED, Band, Item, Sheet, shuffled, systematic

log = logging.getLogger(__name__)

PRODUCTS = 2 * 10**9  # of two vectors, to look for pairs below the threshold: half a minute on two cores
BLOCK = 4096  # rows and columns of one product


@dataclass(frozen=True)
class Nearest:
    """Images, each with the one most like it among those that rank better.

    `image` and `other`, int64 (n,), are numbers (see `pycurate.dedup.vectors.sample_numbers`), `similarity` is float32
    (n,).
    """

    image: np.ndarray
    other: np.ndarray
    similarity: np.ndarray


@dataclass(frozen=True)
class Compared:
    """The images of a run that pass its filters, byte-equal ones once, and their duplicates.

    Attributes:
        search: that found the pairs.
        numbers: int64 (n,), of the images, ascending.
        uids: uint64 (n, 2).
        rank: int64 (n,), ascending from the best.
        listed: of the images with a better one at or above the threshold, the nearest.
        embeddings: of all images.
    """

    search: Search
    numbers: np.ndarray
    uids: np.ndarray
    rank: np.ndarray
    listed: Nearest
    embeddings: Embeddings

    @property
    def run(self) -> str:
        """What identifies these images and pairs, 64 hex digits."""
        digest = hashlib.sha256(repr(self.search.facts()).encode())
        for column in (self.uids, self.listed.image, self.listed.other, self.listed.similarity):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def pair_sheet(results: Path, count: int) -> Sheet:
    """Draw `count` pairs, about half of them below the threshold of the run.

    Raises UsageError if the run did not deduplicate or there is nothing to compare, TableError where tables do not go
    together.
    """
    found = compared_images(results)
    random = np.random.default_rng(SEED)
    alone = np.flatnonzero(~np.isin(found.numbers, found.listed.image))
    looked = min(len(alone), max(1, PRODUCTS // max(1, len(found.numbers))))
    if looked < len(alone):
        log.info("looking below the threshold for a random %d of %d images", looked, len(alone))
    below = nearest_better(found, np.sort(random.choice(alone, looked, replace=False)))
    # No threshold is 0 or less; and what is not below the run's was missed by the search, or is beyond its lists.
    close = (below.similarity > 0) & (below.similarity < np.float32(found.search.threshold))
    below = Nearest(below.image[close], below.other[close], below.similarity[close])
    bands, drawn = pair_bands(found.listed.similarity, below.similarity, looked, len(alone), count, random)
    items = [
        Item(_names(found, (part.other[place], part.image[place])), float(part.similarity[place]), band)
        for band, (part, places) in enumerate(zip((found.listed, below), drawn, strict=True))
        for place in places
    ]
    if not items:
        raise UsageError(f"{results} has no two images to compare that pass its filters; loosen them.")
    return Sheet(found.run, None, Side.AT_LEAST, found.search.threshold, bands, shuffled(items, random))


def pair_identity(results: Path) -> str:
    """What identifies the run's pairs, 64 hex digits. Raises as `pair_sheet` does."""
    return compared_images(results).run


def pair_bands(
    above: np.ndarray, below: np.ndarray, compared: int, of: int, count: int, random: np.random.Generator
) -> tuple[tuple[Band, ...], list[np.ndarray]]:
    """The bands at or above the threshold and below it, and the positions drawn from each.

    Args:
        above: float (n,), the similarity of each image that has a better one at or above the threshold.
        below: float (m,), of those others that were looked at.
        compared, of: how many others were looked at, and how many there are.
        count: of pairs to draw.
        random: draws them.

    The lower band reaches as far down as there are about as many images in it as in the upper one: were all of them
    different pictures, precision would be halved there.
    """
    room = min(len(below), count // 2)
    upper = min(len(above), count - room)
    found = round(len(above) * compared / of) if of else 0
    found = min(len(below), max(found, 2 * (count - upper)))
    nearest = np.argsort(-below, kind="stable")[:found]
    drawn = [systematic(above, upper, random), nearest[systematic(below[nearest], count - upper, random)]]
    return (Band(len(above), len(above), len(above)), Band(of, compared, found)), drawn


def compared_images(results: Path) -> Compared:
    """The images and pairs of a run. Raises UsageError if it did not deduplicate, TableError."""
    check_pairs(results)
    search, pairs = read_pairs(results)
    sources = sources_of(results)
    passes = _passes(results, sources)
    index = Index(sources, passes, checked_keep(search.keep))
    # Images of a reference set are left out, as their shards are elsewhere, and pairs that the search did not find.
    own = pc.less(pairs["earlier"], REFERENCE << ROW_BITS)
    pairs = pairs.filter(pc.and_(own, pc.less(pairs["probe"], 2)))
    masks = [(source.number, np.flatnonzero(passes[source.number])) for source in sources]
    numbers = np.concatenate([np.zeros(0, np.int64), *(sample_numbers(number, rows) for number, rows in masks)])
    later, earlier, similarity, exact = (pairs[name].to_numpy() for name in ("later", "earlier", "similarity", "exact"))
    every = np.unique(np.concatenate([numbers, later, earlier]))
    later, earlier = np.searchsorted(every, later), np.searchsorted(every, earlier)
    places = index.places(every)
    order = index.order[places]
    rank = np.empty(len(order), np.int64)
    rank[best_first(order)] = np.arange(len(order))
    leader = leaders(len(every), later[exact], earlier[exact])
    passing = np.searchsorted(every, numbers)
    # As in DECIDE, the best copy that passes stands for all of them, at the rank of the best of all.
    stand_in = stand_ins(passing[np.argsort(rank[passing])], leader)[leader]
    compared = np.unique(stand_in[stand_in >= 0])
    image, other = stand_in[later[~exact]], stand_in[earlier[~exact]]
    both = (image >= 0) & (other >= 0)
    listed = _nearest(every[image[both]], every[other[both]], similarity[~exact][both])
    numbers, uids, ranks = every[compared], order["uid"][compared], rank[leader[compared]]
    return Compared(search, numbers, uids, ranks, listed, embeddings_of(sources))


def nearest_better(found: Compared, places: np.ndarray) -> Nearest:
    """The most similar better image of each of these images, by position; of those that have one.

    Costs a product of two vectors for each of them and each image, with k views of each image 2k - 1.
    """
    best = np.full(len(places), -2, np.float32)
    other = np.zeros(len(places), np.int64)
    for start in range(0, len(found.numbers), BLOCK):
        columns = unit(found.embeddings.take(found.numbers[start : start + BLOCK]))
        for first in range(0, len(places), BLOCK):
            rows = places[first : first + BLOCK]
            products = cosines(unit(found.embeddings.take(found.numbers[rows])), columns)
            products[found.rank[rows][:, None] <= found.rank[None, start : start + BLOCK]] = -2
            nearest = products.argmax(axis=1)
            value = products[np.arange(len(rows)), nearest]
            better = value > best[first : first + BLOCK]
            best[first : first + BLOCK][better] = value[better]
            other[first : first + BLOCK][better] = found.numbers[start + nearest[better]]
    there = best > -2
    image, other = found.numbers[places[there]], other[there]
    return Nearest(image, other, found.embeddings.similarity(image, other))


def _nearest(image: np.ndarray, other: np.ndarray, similarity: np.ndarray) -> Nearest:
    """Of each image its nearest better one, by all these pairs."""
    by = np.lexsort((other, -similarity, image))
    first = by[np.unique(image[by], return_index=True)[1]]
    return Nearest(image[first], other[first], similarity[first])


def _passes(results: Path, sources: Sequence[Source]) -> dict[int, np.ndarray]:
    """By the number of a source, bool (readable samples,): which pass the filters of the run."""
    decisions = read_table(path_of(results, "decisions"), ["uid", "reason"])
    passing = decisions.filter(pc.is_in(decisions["reason"], pa.array([KEPT, *DUPLICATES, BALANCED])))["uid"]
    known = {source.number: pc.is_in(source.readable(["uid"])["uid"], passing).to_numpy() for source in sources}
    if sum(int(mask.sum()) for mask in known.values()) != len(passing):
        raise TableError(f"The decisions of {results} do not match its samples; run the workflow again.")
    return known


def _names(found: Compared, numbers: Sequence[int]) -> tuple[str, ...]:
    places = np.searchsorted(found.numbers, np.array(numbers))
    return tuple(hex_digits(found.uids[places]).to_pylist())
