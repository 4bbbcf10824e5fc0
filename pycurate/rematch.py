"""Lists of duplicates that were cut too early, made longer: their cells are matched again, among what may be kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.graph import Graph
from pycurate.match import match_nodes
from pycurate.members import members_of, nodes_of
from pycurate.pairs import PAIRS, pairs_table
from pycurate.search import Lookup
from pycurate.training import device
from pycurate.vectors import Embeddings


def match_again(results: Path, graph: Graph, threshold: float, embeddings: Embeddings, limit: int) -> pa.Table:
    """The graph's pairs with longer lists, of live duplicates only, in place of those cut too early."""
    cut = graph.cut_lists()
    lookup = Lookup(threshold, limit, embeddings.similarity, device())
    tables = []
    for cell in np.unique(cut["cell"].to_numpy()).tolist():
        nodes = nodes_of(members_of(results, embeddings.paths, cell, cell + 1)).members
        nodes = nodes[graph.live(nodes["sample"])]
        nodes = nodes[nodes["probe"] < 2]
        rows = np.isin(nodes["sample"], cut.filter(pc.equal(cut["cell"], cell))["later"].to_numpy())
        found = match_nodes(nodes, rows, np.ones(len(nodes), bool), lookup)
        tables.append(pairs_table(nodes, found, np.zeros(len(nodes))))
    more = graph.pairs["more"].to_numpy().copy()
    more[graph.near[graph.walk.cut]] = False
    pairs = graph.pairs.set_column(PAIRS.get_field_index("more"), "more", [more])
    return pa.concat_tables([pairs, *tables])
