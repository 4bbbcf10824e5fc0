"""The members of cells among which duplicates are looked for.

References may outnumber the new images a thousand times. They are read some at a time, and only those stay in memory
that are near a new image of their cell, or byte-equal to one: no others can be part of a pair.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pycurate.dedup.keys import SLACK
from pycurate.dedup.match import BLOCK
from pycurate.dedup.partitions import REFERENCE
from pycurate.dedup.products import close_pairs, device_for, threads_for
from pycurate.dedup.visits import joined, visits_of

AT_ONCE = 1 << 20  # visits of references that are looked through at a time, at least: some 150 MB
RUN = 1 << 14  # of them that one thread looks through at a time


def members_of(
    results: Path, partitions: Iterable[int], start: int, stop: int, threshold: float, cells: str
) -> np.ndarray:
    """The members of the cells from `start` up to `stop`, as member_dtype (n,), sorted by cell.

    Without the references that are no duplicate, at this threshold, of any new image in their cell.

    Raises TableError if a partition was not assigned, or to other cells than those of the identity `cells`.
    """
    numbers = sorted(partitions)
    new = joined([visits_of(results, number, start, stop, cells) for number in numbers if number < REFERENCE])
    references = (visits_of(results, number, start, stop, cells) for number in numbers if number >= REFERENCE)
    near = [some[_near(some, new, threshold)] for some in _together(references)]
    return joined([new, *near]) if near else new


def _together(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Some of the parts after the other, joined, of AT_ONCE visits or more but for the last."""
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= AT_ONCE:
            yield joined(waiting)
            waiting = []
    if waiting:
        yield joined(waiting)


def _near(references: np.ndarray, new: np.ndarray, threshold: float) -> np.ndarray:
    """bool (n,): which of member_dtype (n,) may be a duplicate of one of `new`, both sorted by cell."""
    near = np.isin(references["content"][:, 0], new["content"][:, 0])
    cells, firsts, counts = np.unique(references["cell"], return_index=True, return_counts=True)
    begins, ends = (np.searchsorted(new["cell"], cells, side) for side in ("left", "right"))
    device = device_for(float((counts * (ends - begins)).sum()), new["key"].shape[1])
    keys = [new["key"][begin:end].astype(np.float32) for begin, end in zip(begins, ends, strict=True)]
    runs = [
        (rows, slice(begin, min(begin + RUN, first + count)))
        for rows, first, count in zip(keys, firsts.tolist(), counts.tolist(), strict=True)
        if len(rows)
        for begin in range(first, first + count, RUN)
    ]

    def look(run: tuple[np.ndarray, slice]) -> None:
        rows, there = run
        columns = references["key"][there].astype(np.float32)
        close = close_pairs(rows, columns, threshold - SLACK, device)
        for row in range(0, len(rows), BLOCK):
            for column in range(0, len(columns), BLOCK):
                block = np.arange(row, min(row + BLOCK, len(rows)))
                _, found = close(block, slice(column, column + BLOCK))
                near[there.start + column + found] = True

    with threads_for(device) as pool:
        list(pool.map(look, runs))
    return near
