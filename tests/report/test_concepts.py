"""The report shows what became of each concept, and whether it was shifted."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from curated import decide
from dedup_sets import Samples, clustered, set_columns, write_set

from pycurate.dedup.partitions import sources_of
from pycurate.errors import UsageError
from pycurate.filters.filtering import Filtering
from pycurate.report.concepts import Share, concept_shares
from pycurate.report.examples import select_examples
from pycurate.results.comparisons import concepts_metadata
from pycurate.results.criteria import read_criteria
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
from pycurate.stages.report import Setup, write_report


def test_a_concept_that_a_filter_shifts_is_seen(tmp_path: Path) -> None:
    samples = Samples.of(clustered(100, 16, seed=2, copies=0))
    samples.aesthetic = np.arange(100) / 128
    write_set(tmp_path, samples, [np.arange(100)])
    set_columns(path_of(tmp_path, "samples", "00000"), offset=[0] * 101)
    uids = read_table(path_of(tmp_path, "scores", "00000"))["uid"]
    low, even = np.arange(100) < 40, np.arange(100) % 2 == 0
    columns = {"concept_low": np.where(low, 0.7, 0.2), "concept_even": np.where(even, 0.5, 0.4)}
    columns |= {"concept_none": np.zeros(100)}
    compared = pa.table({"uid": uids} | {name: pa.array(values, pa.float32()) for name, values in columns.items()})
    stated = concepts_metadata({"concept_low": 0.6, "concept_even": 0.5, "concept_none": 0.5})
    write_table(path_of(tmp_path, "comparisons", "00000"), compared.replace_schema_metadata(stated))
    decide(tmp_path, sources_of(tmp_path), Filtering(30 / 128), None, dedup=False)
    thresholds = read_criteria(tmp_path).concepts
    assert thresholds == {"concept_low": 0.6, "concept_even": 0.5, "concept_none": 0.5}
    second, first, third = concept_shares(tmp_path, thresholds)
    assert (first.name, first.members, first.kept, first.others, first.others_kept) == ("low", 40, 10, 60, 60)
    assert first.low == pytest.approx(0.1419, abs=1e-3) and first.high == pytest.approx(0.4019, abs=1e-3)
    assert first.shifted and (second.members, second.kept, second.shifted) == (50, 35, False)
    assert third == Share("none", 0.5, 0, 0, 100, 70)
    select_examples(tmp_path)
    facts = write_report(tmp_path, Setup())
    assert [one["kept"] for one in facts["concepts"]] == [35, 10, 0]
    run = read_criteria(tmp_path)
    again = replace(Filtering.of_criteria(run), concept_threshold=("low=0.1", "even=0.45"))
    decide(tmp_path, sources_of(tmp_path), again, None, dedup=False)
    assert read_criteria(tmp_path).concepts == {"concept_low": 0.1, "concept_even": 0.45, "concept_none": 0.5}
    for text in ("dogs=1", "low", "low=x"):
        with pytest.raises(UsageError, match=r"dogs=1.*low, even, none|'low.*NUMBER"):
            decide(tmp_path, sources_of(tmp_path), replace(again, concept_threshold=(text,)), None, dedup=False)
    page = (tmp_path / "report.html").read_text()
    assert "14.2 % to 40.2 %" in page and "At the threshold of 0.234375 and just above" in page
    assert {*re.findall(r'<section id="(\w+)"', page)} == {*re.findall(r'<a href="#(\w+)"', page)} - {"main"}


@pytest.mark.parametrize("kept", [0, 1])
def test_where_all_or_none_are_kept_no_concept_is_shifted(kept: int) -> None:
    for members in range(1, 300):
        counts = np.array([[0, 0], [0, 0]])
        counts[:, kept] = 1000, members
        assert not Share.of("a", 0.5, counts).shifted
