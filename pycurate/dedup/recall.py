"""How many of the duplicates a search finds: all, or as many as the probes of fast mode say."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.results.interval import wilson


@dataclass(frozen=True)
class Recall:
    """Share of all duplicate pairs that were found, with its 95 % interval.

    `probes` is the number of samples that have duplicates and were followed everywhere; 0 in exact mode.
    """

    recall: float
    low: float
    high: float
    probes: int


EXACT = Recall(1.0, 1.0, 1.0, 0)


def recall_of(pairs: pa.Table) -> Recall:
    """From the PAIRS of a fast search.

    The interval is Wilson's. It counts each probe once, however many pairs it has, since these depend on each other.
    """
    table = pairs.filter(pc.greater(pairs["probe"], 0))
    table = table.group_by(["later", "earlier"]).aggregate([("probe", "min")])
    found = table["probe_min"].to_numpy() == 1
    probes = max(len(np.unique(table["later"].to_numpy())), 1) if len(found) else 0
    if not probes:
        return Recall(1.0, 0.0, 1.0, 0)
    share = float(found.mean())
    return Recall(share, *wilson(share, probes), probes)
