"""What a threshold keeps."""

import pytest

from pycurate.errors import UsageError
from pycurate.filters.thresholds import MinClipScore


def test_the_clip_score_filter_passes_what_has_no_score() -> None:
    import pyarrow as pa

    table = pa.table({"clip_score": pa.array([0.1, 0.3, None, float("nan")], pa.float32())})
    assert MinClipScore(0.3).passes(table).tolist() == [False, True, True, True]
    with pytest.raises(UsageError, match="requires a CLIP score"):
        MinClipScore(0.3).passes(pa.table({"aesthetic": [0.5]}))
