"""What a search is told is in its range."""

import pytest

from pycurate.dedup.settings import Settings
from pycurate.errors import UsageError


@pytest.mark.parametrize("threshold", [0.0, -1, 1.01, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="cosine"):
        Settings(threshold)
