"""What a filter is."""

from typing import Protocol

import numpy as np
import pyarrow as pa


class Filter(Protocol):
    """A question to a table of samples, answered with a mask. pycurate.filters.thresholds.Threshold is one too."""

    @property
    def reason(self) -> str:
        """The name of the filter in the decisions: lower-case words joined by underscores."""
        ...

    def passes(self, table: pa.Table) -> np.ndarray:
        """bool (n,), True where a row passes.

        `table` has a row per readable sample and the columns of SAMPLES (`width` and `height` in pixels of the upright
        image, `caption` a string or null, `format`, `size` in bytes, ...) and of the scores.
        """
        ...
