"""The duplicates that meet in one cell.

A cell holds members that are at home in it and visitors. Two visitors need not be compared: they meet where one of them
is at home (see `pycurate.cells`).
"""

import numpy as np
import pyarrow as pa
import torch

from pycurate.members import nodes_of
from pycurate.pairs import Found, copies_table, pairs_table
from pycurate.search import Lookup, neighbours


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
    tables = [pairs_table(nodes, found, nodes["probe"] == 1), copies_table(joined.copies, int(members["cell"][0]))]
    if extra.any():
        for rows, columns in ((extra, ~extra), (~extra, extra)):
            tables.append(pairs_table(nodes, match_nodes(nodes, rows, columns, lookup), 2 * extra))
    return pa.concat_tables(tables)
