"""The duplicates that meet in one cell.

A cell holds members that are at home in it and visitors. Two visitors need not be compared: they meet where one of them
is at home (see `pycurate.cells`).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from pycurate.order import ORDER, best_first
from pycurate.search import Found, Lookup, neighbours

PAIRS = pa.schema(
    [
        ("later", pa.int64()),  # number of the worse-ranked sample (see pycurate.vectors.sample_numbers)
        ("earlier", pa.int64()),  # number of the better-ranked one
        ("similarity", pa.float32()),
        ("exact", pa.bool_()),  # byte-equal images
        ("more", pa.bool_()),  # the list of `later` in this cell is cut here: worse-ranked `earlier` may be missing
        ("cell", pa.int32()),
        ("probe", pa.int8()),  # pair of a probe: 1 found in any case, 2 found only by looking further; 0 of no probe
    ]
)


def member_dtype(dim: int) -> np.dtype:
    """One visit of a sample to a cell, with its key of `dim` numbers (see `pycurate.cells.Cells.keys`)."""
    return np.dtype(
        [
            ("cell", "<i4"),
            ("home", "?"),
            ("probe", "<i1"),  # of a probe: 1, or 2 if the visit is made to measure recall only; else 0
            ("sample", "<i8"),
            ("order", ORDER),
            ("content", "<u8", (2,)),  # the first 128 bits of the image's SHA-256
            ("key", "<f2", (dim,)),
        ]
    )


@dataclass(frozen=True)
class Nodes:
    """The different images of a cell, best first: byte-equal members stand together under the best of them."""

    members: np.ndarray  # member_dtype (n,): the best of each; `home` if any is, `probe` the least of any
    copies: np.ndarray  # int64 (c, 2): numbers of samples at home here, and of the best byte-equal one


def nodes_of(members: np.ndarray) -> Nodes:
    """Join byte-equal members of one cell."""
    members = members[best_first(members["order"])]
    content = members["content"]
    sort = np.lexsort((content[:, 1], content[:, 0]))  # stable: the best of equals stays first
    new = np.ones(len(sort), bool)
    new[1:] = (content[sort[1:]] != content[sort[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    best = sort[starts]
    leader = np.empty(len(members), np.int64)
    leader[sort] = np.repeat(best, np.diff(starts, append=len(sort)))
    copy = np.flatnonzero((leader != np.arange(len(members))) & members["home"] & members["order"]["new"])
    nodes = members[best]
    if len(starts):
        nodes["home"] = np.logical_or.reduceat(members["home"][sort], starts)
        nodes["probe"] = np.minimum.reduceat(members["probe"][sort], starts)
    sample = members["sample"]
    return Nodes(nodes[np.argsort(best)], np.stack([sample[copy], sample[leader[copy]]], axis=1))


def match_nodes(nodes: np.ndarray, rows: np.ndarray, columns: np.ndarray, lookup: Lookup) -> Found:
    """Duplicates of the nodes of one cell among the better ones, by position.

    Args:
        nodes: member_dtype (n,), best first.
        rows: bool (n,): which look for duplicates; references and vectors without a direction never do.
        columns: bool (n,): which they look among.
        lookup: what counts as a duplicate.
    """
    alive = nodes["key"].any(axis=1)
    home = nodes["home"]
    rows = rows & alive & nodes["order"]["new"]
    columns = columns & alive
    keys = torch.from_numpy(nodes["key"].astype(np.float32)).to(lookup.device)
    kinds = ((rows & home, columns), (rows & ~home, columns & home))
    return Found.of(
        [
            neighbours(keys, nodes["sample"], np.flatnonzero(seek), np.flatnonzero(among), lookup)
            for seek, among in kinds
        ]
    )


def match_cell(members: np.ndarray, lookup: Lookup) -> pa.Table:
    """The duplicates that meet in one cell, as PAIRS; `members`: member_dtype (n,), all of that cell."""
    joined = nodes_of(members)
    nodes = joined.members
    extra = nodes["probe"] == 2
    found = match_nodes(nodes, ~extra, ~extra, lookup)
    tables = [pairs_table(nodes, found, nodes["probe"] == 1), _copies_table(joined.copies, int(members["cell"][0]))]
    if extra.any():
        for rows, columns in ((extra, ~extra), (~extra, extra)):
            tables.append(pairs_table(nodes, match_nodes(nodes, rows, columns, lookup), 2 * extra))
    return pa.concat_tables(tables)


def pairs_table(nodes: np.ndarray, found: Found, probe: np.ndarray) -> pa.Table:
    """What was found in one cell, as PAIRS; `probe`, int (n,), says what the nodes are to the measuring of recall."""
    sample, count = nodes["sample"], len(found.later)
    columns = {
        "later": sample[found.later],
        "earlier": sample[found.earlier],
        "similarity": found.similarity,
        "exact": np.zeros(count, bool),
        "more": found.more,
        "cell": nodes["cell"][found.later],
        "probe": np.maximum(probe[found.later], probe[found.earlier]).astype(np.int8),
    }
    return pa.table(columns, schema=PAIRS)


def _copies_table(copies: np.ndarray, cell: int) -> pa.Table:
    count = len(copies)
    columns = {
        "later": copies[:, 0],
        "earlier": copies[:, 1],
        "similarity": np.ones(count, np.float32),
        "exact": np.ones(count, bool),
        "more": np.zeros(count, bool),
        "cell": np.full(count, cell, np.int32),
        "probe": np.zeros(count, np.int8),
    }
    return pa.table(columns, schema=PAIRS)
