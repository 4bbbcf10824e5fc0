"""The members of cells: the visits that `assign` leaves in a file for each partition, read cell by cell."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycurate.dedup.rank import RANK, best_first
from pycurate.errors import TableError
from pycurate.results.layout import path_of
from pycurate.results.tables import read_array


def member_dtype(dim: int, cells: str) -> np.dtype:
    """One visit of a sample's vector to a cell, with its key of `dim` numbers (see `pycurate.dedup.keys.keys_of`).

    `cells` is the identity of the cells, which the field `cell` has as its title, so that a file of visits states it.
    """
    return np.dtype(
        [
            ((cells, "cell"), "<i4"),
            ("home", "?"),
            ("probe", "<i1"),  # of a probe: 1, or 2 if the visit is made to measure recall only; else 0
            ("view", "u1"),  # which of the sample's vectors this is: 0 for the image as it is
            ("sample", "<i8"),
            ("order", RANK),
            ("content", "<u8", (2,)),  # the first 128 bits of the image's SHA-256
            ("key", "<f2", (dim,)),
        ]
    )


def visits_of(results: Path, partition: int, start: int, stop: int, cells: str) -> np.ndarray:
    """The visits of a partition to the cells from `start` up to `stop`, as member_dtype (n,), sorted by cell.

    Raises TableError if the partition was not assigned, or to other cells than those of this identity.
    """
    path = path_of(results, "assigned", f"{partition:05d}")
    there = read_array(path)
    if there.dtype.names != member_dtype(1, cells).names or there.ndim != 1:
        raise TableError(f"{path} does not contain visits but {there.dtype} {there.shape}; run dedup.py assign again.")
    if there.dtype != member_dtype(there.dtype["key"].shape[0], cells):
        raise TableError(f"{path} contains visits to the cells of another search; run dedup.py assign and match again.")
    # numpy's own search would read the whole column; this one touches a few of its pages.
    first, last = (bisect_left(there["cell"], cell) for cell in (start, stop))
    return there[first:last].copy()  # so that the file need not stay open


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The visits of some partitions, at least one, as member_dtype (n,), sorted by cell."""
    members = np.concatenate(parts)
    del parts
    return members[np.argsort(members["cell"], kind="stable")]


@dataclass(frozen=True)
class Nodes:
    """The different views of images in a cell, best first: the same of byte-equal ones stand as one, the best."""

    members: np.ndarray  # member_dtype (n,): the best of each; `home` if any is, `probe` the least of any
    copies: np.ndarray  # int64 (c, 2): numbers of samples at home here, and of the best byte-equal one


def nodes_of(members: np.ndarray) -> Nodes:
    """Join the same views of byte-equal members of one cell."""
    members = members[best_first(members["order"])]
    content, view = members["content"], members["view"]
    sort = np.lexsort((view, content[:, 1], content[:, 0]))  # stable: the best of equals stays first
    new = np.ones(len(sort), bool)
    new[1:] = (content[sort[1:]] != content[sort[:-1]]).any(axis=1) | (view[sort[1:]] != view[sort[:-1]])
    starts = np.flatnonzero(new)
    best = sort[starts]
    leader = np.empty(len(members), np.int64)
    leader[sort] = np.repeat(best, np.diff(starts, append=len(sort)))
    copy = (leader != np.arange(len(members))) & members["home"] & members["order"]["new"]
    copy = np.flatnonzero(copy & (view == 0))  # once is enough
    nodes = members[best]
    if len(starts):
        nodes["home"] = np.logical_or.reduceat(members["home"][sort], starts)
        nodes["probe"] = np.minimum.reduceat(members["probe"][sort], starts)
    sample = members["sample"]
    return Nodes(nodes[np.argsort(best)], np.stack([sample[copy], sample[leader[copy]]], axis=1))
