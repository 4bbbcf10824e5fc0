"""What only the whole set tells is said in words: in the summary and on the page, beside the usual thresholds."""

from pathlib import Path

import numpy as np
import pytest
from curated import decide
from dedup_sets import Samples, clustered, set_columns, write_set

from pycurate.dedup.partitions import sources_of
from pycurate.filters.filtering import Filtering
from pycurate.report.examples import select_examples
from pycurate.report.selection import selection
from pycurate.results.criteria import Combination, Criteria
from pycurate.results.layout import path_of
from pycurate.stages.report import Setup, write_report


@pytest.mark.parametrize("least", [None, 0.25], ids=["by rank alone", "beside a threshold"])
def test_the_threshold_that_the_best_came_to_is_stated(tmp_path: Path, least: float | None) -> None:
    samples = Samples.of(clustered(60, 16, seed=2, copies=0))
    samples.aesthetic = np.arange(60) / 64
    write_set(tmp_path, samples, [np.arange(60)])
    set_columns(path_of(tmp_path, "samples", "00000"), offset=[0] * 61)
    filtering = Filtering(least, score=("mix=z(aesthetic)-z(nsfw)",), keep_top=("aesthetic=0.5", "mix=7"))
    decide(tmp_path, sources_of(tmp_path), filtering, None, dedup=False)
    select_examples(tmp_path)
    facts = write_report(tmp_path, Setup())
    passed = 60 if least is None else 44
    lowest = (60 - passed // 2) / 64
    made, by_aesthetic, by_mix = facts["selection"]
    assert made.startswith("mix = z(aesthetic)-z(nsfw); aesthetic has mean 0.460938, deviation 0.270595; ")
    assert by_aesthetic == (
        f"The threshold came to {lowest} on aesthetic: it keeps the top 0.5, {passed // 2} of {passed} samples."
    )
    assert by_mix.endswith(f": it keeps the top 7, 7 of {passed // 2} samples.")
    assert facts["dropped"]["top_mix"] == passed // 2 - 7 and facts["kept"] == 7
    assert facts["thresholds"]["aesthetic"] == (lowest if least is None else least)
    assert facts["advice"] == []  # that a rank drops much is what was asked for
    page = (tmp_path / "report.html").read_text()
    assert all(sentence in page for sentence in (by_aesthetic, by_mix))
    assert f"At the threshold of {facts['thresholds']['mix']} and just above" in page
    # The slider stands where the run's own threshold is, not at what a rank came to.
    assert ("this run: 0.25" in page) == (least is not None) and f"this run: {lowest}" not in page


def test_what_is_said_of_nothing() -> None:
    assert selection(Criteria()) == []
    (rule,) = Filtering(keep_top=("a=3",)).rules()
    criteria = Criteria((rule,), scores=(Combination("mix", "2*a"),))
    assert selection(criteria) == ["mix = 2*a."]
