"""The duplicates that meet in one cell.

A cell holds members that are at home in it and visitors. Two visitors need not be compared: they meet where one of them
is at home (see `pycurate.dedup.cells`). Nor need two vectors of mirrored or turned images: one of two is always of an
image as it is (see `pycurate.dedup.vectors`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pycurate.dedup.keys import SLACK
from pycurate.dedup.pairs import Found, copies_table, pairs_table
from pycurate.dedup.products import close_pairs
from pycurate.dedup.visits import nodes_of

BLOCK = 1024  # rows and columns of one product: 4 MiB of float32, about what a core's cache holds
TOGETHER = 2048  # candidates of a block of rows that are worth comparing in full at once


@dataclass(frozen=True)
class Query:
    """What is looked for, and how.

    Attributes:
        threshold: pairs of at least this similarity (as float32) are duplicates.
        limit: of duplicates per member and cell.
        compare: gives the similarity, float32 (n,), of samples a with samples b, both int64 (n,), by number. It is at
            least the cosine of any of their vectors that are compared here.
        device: of torch, where products are made; None: by numpy.
        each: gives the result for each of some blocks of rows, in order, as `map` does: by threads, where a cell has
            more than one.
    """

    threshold: float
    limit: int
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray]
    device: str | None
    each: Callable[[Callable[[int], Found], Iterable[int]], Iterable[Found]] = map


def match_nodes(nodes: np.ndarray, rows: np.ndarray, columns: np.ndarray, lookup: Query) -> Found:
    """Duplicates of the nodes of one cell among the better ones, by position; of two images once, by any two nodes.

    Args:
        nodes: member_dtype (n,), best first.
        rows: bool (n,): which look for duplicates; references and vectors without a direction never do.
        columns: bool (n,): which they look among.
        lookup: what counts as a duplicate.
    """
    alive = nodes["key"].any(axis=1)
    home, upright = nodes["home"], nodes["view"] == 0
    rows = rows & alive & nodes["order"]["new"]
    columns = columns & alive
    keys = nodes["key"].astype(np.float32)
    kinds = [
        (rows & resident & own, among & other)
        for resident, among in ((home, columns), (~home, columns & home))
        for own, other in ((upright, True), (~upright, upright))
    ]
    found = [neighbours(keys, nodes, np.flatnonzero(seek), np.flatnonzero(among), lookup) for seek, among in kinds]
    return Found.of(found).once(nodes["sample"])


def match_cell(members: np.ndarray, lookup: Query) -> pa.Table:
    """The duplicates that meet in one cell, as PAIRS; `members`: member_dtype (n,), all of that cell."""
    joined = nodes_of(members)
    nodes = joined.members
    extra = nodes["probe"] == 2
    found = match_nodes(nodes, ~extra, ~extra, lookup)
    tables = [pairs_table(nodes, found, nodes["probe"] == 1), copies_table(joined.copies, int(members["cell"][0]))]
    if extra.any():
        for rows, columns in ((extra, ~extra), (~extra, extra)):
            tables.append(pairs_table(nodes, match_nodes(nodes, rows, columns, lookup), 2 * extra))
    return pa.concat_tables(tables)


# The search for duplicates among ranked members of a cell, never in quadratic memory or output.
#
# Each member looks for duplicates among the better ones, from the best on, and stops after a number of them. A group of
# g near-copies so costs g times that number of pairs at most and, as its best ones stand in the first block, g times
# one block of products.
def neighbours(keys: np.ndarray, nodes: np.ndarray, rows: np.ndarray, columns: np.ndarray, lookup: Query) -> Found:
    """For each of `rows`, the first `lookup.limit` of `columns` before it that are duplicates of it.

    An image is none of its own, nor of a byte-equal one.

    Args:
        keys: float32 (n, dim), members best first, rounded to float16 (see `pycurate.dedup.keys`).
        nodes: member_dtype (n,), the same members.
        rows: int64, ascending positions of the members that look for duplicates.
        columns: int64, ascending positions of the members that they look among.
        lookup: what counts as a duplicate.

    Costs products of len(rows) * len(columns) / 2 at most, and memory for one block of them.
    """
    close = close_pairs(keys[rows], keys[columns], lookup.threshold - SLACK, lookup.device)
    samples, content = nodes["sample"], nodes["content"]

    def candidates(row_start: int, count: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Members of a block of rows and those near them by their keys, sorted; the caller keeps `count` up to date."""
        block = rows[row_start : row_start + BLOCK]
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        for start in range(0, int(np.searchsorted(columns, block[-1])), BLOCK):
            others = columns[start : start + BLOCK]
            active = np.flatnonzero((count < lookup.limit) & (block > others[0]))
            if not len(active):
                break
            near, other = close(row_start + active, slice(start, start + BLOCK))
            waiting.append((active[near], others[other]))
            if sum(len(i) for i, _ in waiting) >= TOGETHER:
                yield _sorted(waiting)
                waiting = []
        if any(len(i) for i, _ in waiting):
            yield _sorted(waiting)

    def of_block(row_start: int) -> Found:
        block = rows[row_start : row_start + BLOCK]
        count = np.zeros(len(block), np.int64)
        last = np.full(len(block), -1)
        parts = []
        for i, j in candidates(row_start, count):
            apart = (j < block[i]) & (content[j] != content[block[i]]).any(axis=1)
            i, j = i[apart], j[apart]
            again = np.zeros(len(i), bool)  # another view of the image before it
            again[1:] = (i[1:] == i[:-1]) & (samples[j[1:]] == samples[j[:-1]])
            i, j, alike = _first(i[~again], j[~again], samples, block, lookup.limit - count, lookup)
            parts.append((i, j, alike))
            count += np.bincount(i, minlength=len(block))
            last[i] = j  # in ascending order of j within each i: the last one stays
        if not parts:
            return Found.of([])
        i, j, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Found(block[i], j, alike, (count[i] >= lookup.limit) & (j == last[i]))

    return Found.of(list(lookup.each(of_block, range(0, len(rows), BLOCK))))


def _sorted(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) of `parts`, sorted."""
    i, j = (np.concatenate(side) for side in zip(*parts, strict=True))
    sort = np.lexsort((j, i))
    return i[sort], j[sort]


def _first(
    i: np.ndarray, j: np.ndarray, samples: np.ndarray, block: np.ndarray, room: np.ndarray, lookup: Query
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first room[i] duplicates of block[i] among candidates (i, j), sorted; not many more are compared than needed.

    Each time twice as many as before: where none of a thousand is a duplicate, they are best compared together.
    """
    number = np.bincount(i, minlength=len(room))
    start = np.cumsum(number) - number
    room, done, ahead = room.copy(), np.zeros_like(number), 1
    parts = []
    while (take := np.where(room > 0, np.minimum(number - done, ahead * room), 0)).any():
        of = np.repeat(np.arange(len(take)), take)
        place = np.arange(len(of)) - np.repeat(np.cumsum(take) - take, take)
        chosen = (start + done)[of] + place
        alike = lookup.compare(samples[block[i[chosen]]], samples[j[chosen]])
        good = np.flatnonzero(alike >= np.float32(lookup.threshold))
        of, chosen, alike = of[good], chosen[good], alike[good]
        confirmed = np.bincount(of, minlength=len(room))
        nth = np.arange(len(of)) - np.repeat(np.cumsum(confirmed) - confirmed, confirmed)
        wanted = nth < room[of]
        parts.append((i[chosen[wanted]], j[chosen[wanted]], alike[wanted]))
        room -= np.minimum(confirmed, room)
        done += take
        ahead *= 2
    if not parts:
        return i[:0], j[:0], np.zeros(0, np.float32)
    i, j, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
    sort = np.lexsort((j, i))
    return i[sort], j[sort], alike[sort]
