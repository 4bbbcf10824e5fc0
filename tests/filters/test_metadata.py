"""Filters on metadata keep what they say, row by row."""

import numpy as np
import pyarrow as pa
import pytest

from pycurate.filters.filtering import load_filter
from pycurate.filters.metadata import CaptionCharacters, CaptionWords, HasCaption, MaxAspect, MinSide

TABLE = pa.table(
    {
        "width": pa.array([200, 199, 600, 601, 5000], pa.int32()),
        "height": pa.array([200, 1000, 200, 200, 5000], pa.int32()),
        "caption": pa.array(["one two three", "one  two", None, " \n", " ab cd \t ef "], pa.string()),
    }
)


@pytest.mark.parametrize(
    ("spec", "reason", "passed"),
    [
        ("MinSide", "min_side", [True, False, True, True, True]),
        ("MinSide=201", "min_side", [False, False, False, False, True]),
        ("MaxAspect", "max_aspect", [True, False, True, False, True]),
        ("MaxAspect=1", "max_aspect", [True, False, False, False, True]),
        ("CaptionWords", "caption_words", [True, False, False, False, True]),
        ("CaptionWords=0", "caption_words", [True, True, False, False, True]),
        ("CaptionCharacters", "caption_characters", [True, True, False, False, True]),
        ("CaptionCharacters=10", "caption_characters", [True, False, False, False, False]),
        ("HasCaption", "missing_caption", [True, True, False, False, True]),
    ],
)
def test_metadata_filters(spec: str, reason: str, passed: list[bool]) -> None:
    one = load_filter(f"pycurate.filters.metadata:{spec}")
    assert one.reason == reason
    mask = one.passes(TABLE)
    assert mask.dtype == np.bool_
    assert mask.tolist() == passed


def test_a_side_of_just_the_ratio_passes() -> None:
    """113 to 100 are 1.13, whatever binary fractions make of it; so for each ratio of two decimals."""
    sides = np.arange(100, 1000, dtype=np.int32)
    for width, height in ((sides, np.full_like(sides, 100)), (np.full_like(sides, 100), sides)):
        table = pa.table({"width": width, "height": height})
        for side in sides.tolist():
            ratio = f"{side // 100}.{side % 100:02}"
            passed = load_filter(f"pycurate.filters.metadata:MaxAspect={ratio}").passes(table)
            assert passed.tolist() == (sides <= side).tolist(), ratio


def test_metadata_filters_of_no_rows() -> None:
    for one in (MinSide(), MaxAspect(), CaptionWords(), CaptionCharacters(), HasCaption()):
        assert one.passes(TABLE.slice(0, 0)).tolist() == []
