"""An example filter on a sample's metadata and scores.

    bin/decide.py --filter examples/metadata_filter.py:Poster ...        at least 600 pixels
    bin/decide.py --filter examples/metadata_filter.py:Poster=1000 ...   at least 1000

Built-in filters are used in the same way: --filter pycurate.filters.metadata:MinSide=200.
"""

import numpy as np
import pyarrow as pa


class Poster:
    """Pass portrait images up to 1:2 with enough pixels. Implements pycurate.filters.protocol.Filter."""

    reason = "poster"  # in the decisions, of the samples that it drops

    def __init__(self, min_side: float = 600) -> None:
        self._min_side = min_side

    def passes(self, table: pa.Table) -> np.ndarray:
        """One row per readable sample, with the columns of SAMPLES and the scores -> bool (n,)."""
        width, height = table["width"].to_numpy(), table["height"].to_numpy()
        return (width >= self._min_side) & (height >= width) & (height <= 2 * width)
