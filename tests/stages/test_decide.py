"""What DECIDE promises: each filter is asked once about a sample, and what decided is written down."""

import json
from collections import Counter
from operator import ge, gt, le, lt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from coin import Coin
from dedup_sets import Samples, chains, clustered, decided, stars, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.partitions import sources_of
from pycurate.dedup.settings import Settings
from pycurate.errors import TableError, UsageError
from pycurate.filters.filtering import FILTERS, Filtering
from pycurate.results.criteria import Criteria, Side, read_criteria
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout
from pycurate.results.tables import read_table, write_table
from pycurate.stages.decide import decide
from pycurate.stages.dedup import find_pairs


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 200),
    share=st.sampled_from([0.05, 0.5, 0.9]),
    parts=st.integers(1, 3),
    referred=st.sampled_from([0, 0.3]),
)
def test_a_filter_that_draws_at_random_loses_no_image(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: object, n: int, share: float, parts: int, referred: float
) -> None:
    samples = Samples.of(kind(n, 8, seed), seed)  # type: ignore[operator]
    folder, first = tmp_path_factory.mktemp("set"), int(referred * n)
    references = [write_set(folder / "old", samples, [np.arange(first)])] if first else []
    results = write_set(folder / "new", samples, np.array_split(np.arange(first, n), parts))
    sources = sources_of(results, references)
    find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
    Coin.asked.clear()
    decisions = decide(results, sources, Filtering(filter=[f"coin:Coin={share}"]), Layout(), dedup=True)
    assert Coin.asked == Counter(samples.uid(i) for i in range(first, n))
    check_decisions(sources, decisions, 0.9)  # no two kept ones are duplicates, each dropped one names one that is kept
    kept = set(decisions.filter(decisions["kept"])["uid"].to_pylist())
    groups = read_table(results / "duplicates.parquet").to_pylist()
    named = {row["uid"] for row in groups if row["kept"]}
    assert named <= kept | {samples.uid(i) for i in range(first)}
    assert {row["uid"] for row in groups if not row["kept"]}.isdisjoint(kept)


ALL = Filtering(
    aesthetic_threshold=0.25,
    nsfw_threshold=0.75,
    min_score=("nsfw=0.01", "aesthetic=0.125"),
    missing_caption="keep",
    min_side=1,
    max_aspect=300.0,
    filter=("coin:Coin=0.875", "coin:Coin"),
)


def test_what_decided_is_written_down(tmp_path: Path) -> None:
    samples = Samples.of(clustered(120, 16, seed=5))
    reference = write_set(tmp_path / "old", samples, [np.arange(30)])
    results = write_set(tmp_path / "new", samples, [np.arange(30, 120)])
    sources = sources_of(results, [reference])
    find_pairs(results, sources, Settings(0.9, "largest", cells=4, exact=False, buckets=2))
    decide(results, sources, ALL, Layout(7, 3), dedup=True)
    said = json.loads((results / "decisions.json").read_text())
    asked = [
        (rule["reason"], rule["column"], rule["keeps"], rule["threshold"], rule["filter"]) for rule in said["filters"]
    ]
    assert asked == [
        ("aesthetic", "aesthetic", "at least", 0.25, None),
        ("nsfw", "nsfw", "below", 0.75, None),
        ("nsfw", "nsfw", "at least", 0.01, None),
        ("aesthetic", "aesthetic", "at least", 0.125, None),
        ("min_side", None, "at least", 1, None),
        ("max_aspect", None, "at most", 300.0, None),
        ("coin", None, None, None, "coin:Coin=0.875"),
        ("coin", None, None, None, "coin:Coin"),
    ]
    assert said["search"].items() >= {"threshold": 0.9, "keep": "largest", "recall": "fast"}.items()
    assert said["references"] == [str(reference)] and said["layout"] == {"images_per_tar": 7, "tars_per_task": 3}
    found = read_criteria(results)
    assert Filtering.of_criteria(found) == ALL
    assert found.thresholds() == {"aesthetic": 0.25, "nsfw": 0.75, "dedup": 0.9}

    # A call that is refused changes nothing; without duplicates nothing is left of the search.
    left = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for wrong in (Filtering(min_score=["beauty=1"]), Filtering(filter=["coin:Nickel"])):
        with pytest.raises(UsageError):
            decide(results, sources, wrong, Layout(), dedup=True)
        assert left == {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    decide(results, sources, Filtering(), None, dedup=False)
    assert read_criteria(results) == Criteria()
    assert not (results / "dedup.json").exists() and not (results / "duplicates.parquet").exists()


@pytest.mark.parametrize("name", FILTERS)
def test_the_side_that_stays_is_that_of_the_table(name: str) -> None:
    score, captions = pa.array([0.1, 1.0, 2.0, 3.0, 3.5], pa.float32()), ["", "a", "a b", "a b c", "a b c d"]
    table = pa.table(
        {
            "aesthetic": score,
            "nsfw": score,
            "clip_score": score,
            "width": [1, 2, 4, 6, 8],
            "height": [2, 2, 2, 2, 2],
            "caption": captions,
        }
    )
    measured: dict[str, list[float]] = {
        "min_side": [1, 2, 2, 2, 2],
        "max_aspect": [2, 1, 2, 3, 4],
        "caption_words": [0, 1, 2, 3, 4],
        "caption_characters": [len(text) for text in captions],
    }
    values = measured.get(name, score.to_pylist())
    holds = {Side.AT_LEAST: ge, Side.MORE_THAN: gt, Side.AT_MOST: le, Side.BELOW: lt}[FILTERS[name].keeps]
    for threshold in sorted(set(values)):
        (one,) = Filtering(**{name: threshold}).filters()
        assert one.passes(table).tolist() == [bool(holds(value, np.float32(threshold))) for value in values]
        (rule,) = Filtering(**{name: threshold}).rules()
        assert (rule.reason, rule.keeps, rule.threshold) == (one.reason, FILTERS[name].keeps, threshold)


def test_decisions_keep_the_order_and_the_scores_of_the_samples(tmp_path: Path) -> None:
    samples = Samples.of(clustered(50, 16, seed=5))
    write_set(tmp_path, samples, np.array_split(np.arange(50), 3))
    decisions = decide(tmp_path, sources_of(tmp_path), Filtering(nsfw_threshold=0.5), None, dedup=False)
    inputs = pa.concat_tables([read_table(path_of(tmp_path, "samples", f"{i:05d}")) for i in range(3)])
    for name in ("uid", "shard", "key"):
        assert decisions[name].equals(inputs[name])
    assert decisions["aesthetic"].null_count == 3  # the unreadable ones
    assert decisions["reason"].to_pylist().count("unreadable") == 3
    values = decisions["nsfw"].drop_null().to_numpy()
    assert ((values < 0.5) == decisions.filter(decisions["nsfw"].is_valid())["kept"].to_numpy()).all()


def test_scores_that_are_missing(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(4, dtype=np.float16))
    samples.aesthetic[:] = [0.2, np.nan, 0.7, 0.9]
    write_set(tmp_path, samples, [np.arange(4)])
    sources = sources_of(tmp_path)
    got = decided(decide(tmp_path, sources, Filtering(0.7), None, dedup=False))
    reasons = [got[samples.uid(i)][0] for i in range(4)]
    assert reasons == ["aesthetic", "aesthetic", "kept", "kept"]  # 0.7 passes 0.7, though float32
    with pytest.raises(UsageError, match="no score beauty"):
        decide(tmp_path, sources, Filtering(min_score=["beauty=0.5"]), None, dedup=False)
    path = path_of(tmp_path, "scores", "00000")
    write_table(path, read_table(path).slice(1))
    with pytest.raises(TableError, match="lacks 1 of the readable samples"):
        decide(tmp_path, sources, Filtering(), None, dedup=False)
