"""What a threshold keeps."""

import pyarrow as pa
import pytest

from pycurate.errors import UsageError
from pycurate.filters.thresholds import MinClipScore, minimum_of, score_of


def test_the_clip_score_filter_passes_what_has_no_score() -> None:
    table = pa.table({"clip_score": pa.array([0.1, 0.3, None, float("nan")], pa.float32())})
    assert MinClipScore(0.3).passes(table).tolist() == [False, True, True, True]
    with pytest.raises(UsageError, match=r"requires a CLIP score; .* --clip_score_threshold .* --clip-score first"):
        MinClipScore(0.3).passes(pa.table({"aesthetic": [0.5]}))


@pytest.mark.parametrize(
    ("column", "remedy"), [("text_area", "--text_area true .* --text-area"), ("beauty", "add a scorer")]
)
def test_a_score_that_is_not_there_is_named_with_what_gives_it(column: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=f"no score {column}, only aesthetic; leave out its threshold, or .*{remedy}"):
        score_of(pa.table({"uid": ["a"], "aesthetic": [0.5]}), column)


@pytest.mark.parametrize(
    "text", ["probe", "=1", "probe=", "probe=x", "probe=nan", "probe=inf", "probe=-Infinity", "probe=1e39"]
)
def test_a_minimum_is_a_number_that_a_score_may_have(text: str) -> None:
    assert minimum_of("probe=-1e38").threshold == -1e38
    with pytest.raises(UsageError, match="is not a minimum score; write COLUMN=NUMBER"):
        minimum_of(text)
