"""The greedy walk: keep a sample unless a better one already kept is a duplicate of it."""

from array import array
from dataclasses import dataclass

import numpy as np

KEPT, GONE, UNKNOWN = 0, 1, 2
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Walk:
    """How a walk over nodes 0 (best) to n-1 ended.

    Attributes:
        state: uint8 (n,): KEPT, GONE (filtered, or a duplicate) or UNKNOWN.
        by: int64 (n,): the pair through which a node went, or -1.
        cut: int64: the pairs at which lists ended, all those of a node that ended before one could decide about it.
    """

    state: np.ndarray
    by: np.ndarray
    cut: np.ndarray


def walk(later: np.ndarray, earlier: np.ndarray, more: np.ndarray, gone: np.ndarray) -> Walk:
    """Decide about every node in the order of rank.

    Args:
        later, earlier: int64 (pairs,): duplicates; sorted by (later, earlier); earlier < later.
        more: bool (pairs,): beyond this pair, duplicates of `later` may be missing.
        gone: bool (nodes,): fails a filter, and so neither stays nor drops another.

    A node goes through the best-ranked kept node among its duplicates. Where the first duplicate that is not gone is
    unknown, so is the node; where none is left before its list was cut, it is unknown and the cut is reported, with
    those of its lists of other cells that end before one is left. The best-ranked unknown node is always one of those:
    all its known duplicates are decided.
    """
    state = bytearray(np.where(gone, GONE, KEPT).astype(np.uint8).tobytes())
    decided_by, cut = array("q"), array("q")
    cut_node = -1  # the last one that was cut, while no duplicate of it that is left has been seen
    for start in range(0, len(later), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        rows = zip(later[chunk].tolist(), earlier[chunk].tolist(), more[chunk].tolist(), strict=True)
        for pair, (node, better, ends) in enumerate(rows, start):
            if state[node] and node != cut_node:
                continue
            seen = state[better]
            if seen == GONE:
                if ends:
                    state[node], cut_node = UNKNOWN, node
                    cut.append(pair)
            elif node == cut_node:
                cut_node = -1
            elif seen == KEPT:
                state[node] = GONE
                decided_by.append(pair)
            else:
                state[node] = UNKNOWN
    by = np.full(len(gone), -1, np.int64)
    pairs = np.array(decided_by, np.int64)
    by[later[pairs]] = pairs
    return Walk(np.frombuffer(state, np.uint8), by, np.array(cut, np.int64))
