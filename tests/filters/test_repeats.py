"""How many samples share a caption is what counting them says."""

import re
import time
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.filters.repeats import MaxCaptionCount, counts, digests, normalised
from pycurate.results.buckets import ROWS

CAPTIONS = st.one_of(
    st.none(), st.text(max_size=6), st.sampled_from(["A dog", " a  DOG\n", "ａ dog", "STRASSE", "straße"])
)


def plain(caption: str | None) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", caption or "").casefold()).strip()


@given(
    captions=st.lists(CAPTIONS, max_size=40), cuts=st.lists(st.integers(0, 40), max_size=4), buckets=st.integers(0, 3)
)
def test_equal_captions_are_counted_in_all_parts_together(
    tmp_path_factory: pytest.TempPathFactory, captions: list[str | None], cuts: list[int], buckets: int
) -> None:
    captions = captions * 2
    ends = sorted(min(cut, len(captions)) for cut in cuts)
    parts = [captions[a:b] for a, b in zip([0, *ends], [*ends, len(captions)], strict=True)]
    digested = [digests(pa.chunked_array([pa.array(part, pa.string())])) for part in parts]
    got = counts(digested, tmp_path_factory.mktemp("digests"), buckets * ROWS)
    assert [len(part) for part in got] == [len(part) for part in parts]
    number = Counter(map(plain, captions))
    expected = [float(number[plain(caption)]) if plain(caption) else np.nan for caption in captions]
    assert np.array_equal(np.concatenate(got), expected, equal_nan=True)


@given(caption=st.text(st.sampled_from("aé e\u0301\u0323\u0345\u0f71ﷺ각ᄀ\u1161\u0e33Å\n´"), min_size=60, max_size=90))
def test_a_long_caption_is_compared_as_a_short_one(caption: str) -> None:
    assert normalised(caption * 20) == plain(caption * 20)


def test_marks_in_any_order_hold_nobody_up() -> None:
    def took(*marks: str) -> float:
        began = time.process_time()
        assert len(normalised("a" + "".join(mark * (1 << 14) for mark in marks))) == 1 << 15
        return time.process_time() - began

    in_order = took("\u0323", "\u0301")
    assert took("\u0301", "\u0323") < 20 * in_order  # as Python has it, some hundred times as long


def test_a_caption_of_more_than_so_many_samples_is_dropped() -> None:
    table = pa.table({"caption_count": pa.array([1, 3, 4, np.nan], pa.float32())})
    assert MaxCaptionCount(3).passes(table).tolist() == [True, True, False, True]


def test_no_partition_at_all(tmp_path: Path) -> None:
    assert counts([], tmp_path, 0) == []
