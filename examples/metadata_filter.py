"""A filter of your own, on what is known of a sample beside its pixels.

    bin/decide.py --filter examples/metadata_filter.py:Poster ...        at least 600 pixels
    bin/decide.py --filter examples/metadata_filter.py:Poster=1000 ...   at least 1000

The same works for the built-in ones: --filter pycurate.filters.metadata:MinSide=200.
"""

import numpy as np
import pyarrow as pa


class Poster:
    """Pass upright images, no slimmer than 1 to 2, with enough pixels. Implements pycurate.filters.protocol.Filter."""

    reason = "poster"  # under which the decisions count what it drops

    def __init__(self, min_side: float = 600) -> None:
        self._min_side = min_side

    def passes(self, table: pa.Table) -> np.ndarray:
        """A row per readable sample, columns of SAMPLES and scores -> bool (n,)."""
        width, height = table["width"].to_numpy(), table["height"].to_numpy()
        return (width >= self._min_side) & (height >= width) & (height <= 2 * width)
