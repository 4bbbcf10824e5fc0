"""Leakage is what a comparison of everything with everything finds, and joined with what was decided."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from arrow_memory import peak
from curated import decide
from dedup_sets import Samples, clustered, viewed, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup import leakage
from pycurate.dedup.leakage import LEAKS, find_leaks, thresholds_around, write_leakage
from pycurate.dedup.partitions import Source, sources_of
from pycurate.errors import TableError
from pycurate.filters.filtering import Filtering
from pycurate.report.leakage import leakage as counted
from pycurate.results import tables
from pycurate.results.layout import path_of
from pycurate.results.tables import DECISIONS, read_table, write_table


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(2, 150),
    parts=st.integers(1, 4),
    threshold=st.sampled_from([0.5, 0.9, 0.99]),
    images=st.sampled_from([1, 7, 256]),
)
def test_matches_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, parts: int, threshold: float, images: int
) -> None:
    samples = Samples.of(clustered(n, 8, seed), seed)
    folder, first = tmp_path_factory.mktemp("set"), max(1, n // 3)
    old = write_set(folder / "old", samples, [np.arange(first)])
    results = write_set(folder / "new", samples, np.array_split(np.arange(first, n), parts))
    sets = {"small": [Source(old, "00000", 1)], "again": [Source(old, "00000", 2)]}
    before, leakage.IMAGES = leakage.IMAGES, images
    try:
        for source in sources_of(results):
            write_table(path_of(results, "leaks", source.name), find_leaks(source, sets, threshold))
    finally:
        leakage.IMAGES = before
    # Half of the matches are dropped by a filter, so that the best one is not always kept.
    decisions = decide(results, sources_of(results), Filtering(aesthetic_threshold=0.5), None, dedup=False)
    table = read_table(path_of(results, "leakage"))
    assert json.loads(table.schema.metadata[b"thresholds"]) == thresholds_around(threshold)
    rows = {(row["set"], row["image"]): row for row in table.to_pylist()}
    assert table.num_rows == len(rows) == 2 * first

    wide = samples.vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    reasons = dict(zip(decisions["uid"].to_pylist(), decisions["reason"].to_pylist(), strict=True))
    for i in range(first):
        cosines = {samples.uid(j): float(wide[i] @ wide[j]) for j in range(first, n)}
        cosines |= {samples.uid(j): 1.0 for j in range(first, n) if samples.content[i] == samples.content[j]}
        kept = [value for uid, value in cosines.items() if reasons[uid] == "kept"]
        for name in sets:
            row = rows[name, samples.uid(i)]
            assert row["similarity"] == pytest.approx(max(cosines.values()), abs=1e-6)
            assert cosines[row["match"]] == pytest.approx(row["similarity"], abs=1e-6)
            assert row["reason"] == reasons[row["match"]]
            if row["kept_match"] is None:
                assert max(kept, default=-1) < thresholds_around(threshold)[0] + 1e-6
            else:
                assert row["kept_similarity"] == pytest.approx(max(kept), abs=1e-6)
                assert reasons[row["kept_match"]] == "kept"


@pytest.mark.parametrize("threshold", [0.001, 0.2, 0.3, 0.5, 0.1234567, 0.96, 0.9999999, 1.0])
def test_counts_are_at_the_duplicate_threshold_and_around_it(threshold: float) -> None:
    looser, middle, stricter = thresholds_around(threshold)
    assert 0 < looser <= middle == threshold <= stricter <= 1


@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_an_image_without_a_direction_leaks_at_no_threshold(tmp_path: Path, threshold: float) -> None:
    vectors = np.eye(4, dtype=np.float16)
    vectors[0] = 0
    vectors[1] = np.nan
    samples = Samples.of(vectors)
    samples.content = np.arange(4)
    old = write_set(tmp_path / "old", samples, [np.array([0, 2])])
    results = write_set(tmp_path / "new", samples, [np.array([1, 3])])
    [source] = sources_of(results)
    write_table(path_of(results, "leaks", "00000"), find_leaks(source, {"a": [Source(old, "00000", 1)]}, threshold))
    decide(results, [source], Filtering(), None, dedup=False)
    table = read_table(path_of(results, "leakage"))
    assert table["similarity"].to_pylist() == [0, 0] and table["kept_match"].null_count == 2
    assert [one["leaked"] for one in counted(results)[0]["at"]] == [0, 0, 0]


@pytest.mark.parametrize(("threshold", "rows"), [(0.9, 50), (0.5, 1 + 49 * 40)])
def test_of_many_equally_like_below_all_thresholds_one_is_written(tmp_path: Path, threshold: float, rows: int) -> None:
    """Where blank images are the nearest, or an image has no direction, which is as near to all."""
    vectors = np.zeros((50 + 40, 2), np.float16)
    vectors[1:50], vectors[50:] = [0.8, 0.6], [1, 0]
    samples = Samples.of(vectors)
    samples.content = np.arange(90)
    old = write_set(tmp_path / "old", samples, [np.arange(50)])
    source = Source(write_set(tmp_path / "new", samples, [np.arange(50, 90)]), "00000")
    found = find_leaks(source, {"a": [Source(old, "00000", 1)]}, threshold)
    first = min(samples.uid(i) for i in range(50, 90))
    assert found.num_rows == rows and found["match"].to_pylist().count(first) == 50


def test_a_set_of_other_embeddings_is_refused(tmp_path: Path) -> None:
    """Though no table says by which encoder they were made."""
    old = write_set(tmp_path / "old", Samples.of(clustered(5, 16, 0)), [np.arange(5)])
    new = write_set(tmp_path / "new", Samples.of(clustered(5, 8, 0)), [np.arange(5)])
    with pytest.raises(TableError, match=r"different dimensions \(\[8, 16\]\)"):
        find_leaks(Source(new, "00000"), {"a": [Source(old, "00000", 1)]}, 0.9)


def test_leaks_of_some_partitions_of_two_thresholds_or_in_other_sets_are_refused(tmp_path: Path) -> None:
    """As where one of several tasks failed, or was not run again with the others."""
    samples = Samples.of(clustered(15, 8, 0))
    sets = {"a": [Source(write_set(tmp_path / "old", samples, [np.arange(5)]), "00000", 1)]}
    results = write_set(tmp_path / "new", samples, [np.arange(5, 10), np.arange(10, 15)])
    first, second = sources_of(results)
    write_table(path_of(results, "leaks", "00000"), find_leaks(first, sets, 0.9))
    with pytest.raises(TableError, match="not sought in 1 of 2 partitions, the first of which is 00001"):
        decide(results, [first, second], Filtering(), None, dedup=False)
    write_table(path_of(results, "leaks", "00001"), find_leaks(second, sets, 0.8))
    with pytest.raises(TableError, match="in partition 00001 at other thresholds"):
        decide(results, [first, second], Filtering(), None, dedup=False)
    other = [Source(write_set(tmp_path / "other", samples, [np.arange(5, 10)]), "00000", 1)]
    for others in ({"a": other}, {"b": sets["a"]}, sets | {"b": other}):
        write_table(path_of(results, "leaks", "00001"), find_leaks(second, others, 0.9))
        with pytest.raises(TableError, match="in partition 00001 at other thresholds or in other sets"):
            decide(results, [first, second], Filtering(), None, dedup=False)
    write_table(path_of(results, "leaks", "00001"), find_leaks(second, sets, 0.9))
    assert decide(results, [first, second], Filtering(), None, dedup=False).num_rows == 12


def test_memory_does_not_grow_with_the_views(tmp_path: Path) -> None:
    peaks = []
    for views in (2, 8):
        samples = Samples.of(np.random.default_rng(0).normal(size=(100 + 1500, views, 4)).astype(np.float16))
        old = write_set(tmp_path / f"old{views}", samples, [np.arange(100)], "dedup_emb")
        new = write_set(tmp_path / f"new{views}", samples, [np.arange(100, 1600)], "dedup_emb")
        sets = {"a": [Source(old, "00000", 1, "dedup_emb")]}
        tracemalloc.start()
        find_leaks(Source(new, "00000", kind="dedup_emb"), sets, 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("device", [None, "cpu"])  # numpy, and torch as on a GPU
def test_an_image_leaks_in_any_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | None) -> None:
    monkeypatch.setattr(leakage, "device_for", lambda *_: device)
    samples, first, threshold = Samples.of(viewed(120, 8, 3, seed=1)), 40, 0.9
    samples.content = np.arange(120)
    old = write_set(tmp_path / "old", samples, [np.arange(first)], "dedup_emb")
    new = write_set(tmp_path / "new", samples, [np.arange(first, 120)], "dedup_emb")
    sets = {"a": [Source(old, "00000", 1, "dedup_emb")]}
    table = find_leaks(Source(new, "00000", kind="dedup_emb"), sets, threshold)

    wide = samples.vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=2, keepdims=True)
    every = np.einsum("iad,jbd->ijab", wide[:first], wide[first:])
    cosines = np.maximum(every[:, :, 0].max(axis=2), every[:, :, :, 0].max(axis=2))
    lowest = thresholds_around(threshold)[0]
    due = {
        (samples.uid(i), samples.uid(first + j))
        for i, row in enumerate(cosines)
        for j in range(len(row))
        if row[j] >= lowest or row[j] == row.max()
    }
    rows = table.to_pylist()
    assert {(row["image"], row["match"]) for row in rows} == due and len(rows) == len(due) > first
    found = {row["image"]: row["similarity"] for row in sorted(rows, key=lambda row: row["similarity"])}
    assert [found[samples.uid(i)] for i in range(first)] == pytest.approx(cosines.max(axis=1), abs=1e-6)


def test_an_input_without_readable_images_leaks_none(tmp_path: Path) -> None:
    samples = Samples.of(clustered(5, 8, 0), 0)
    old = write_set(tmp_path / "old", samples, [np.arange(5)])
    results = write_set(tmp_path / "new", samples, [np.arange(0)])
    [source] = sources_of(results)
    write_table(path_of(results, "leaks", "00000"), find_leaks(source, {"a": [Source(old, "00000", 1)]}, 0.9))
    decide(results, [source], Filtering(), None, dedup=False)
    table = read_table(path_of(results, "leakage"))
    assert table.num_rows == 5 and table["match"].null_count == table["reason"].null_count == 5


def write_parts(path: Path, parts: list[pa.Table]) -> None:
    with tables.written(path) as file:
        for part in parts:
            file.add(part)


def test_memory_does_not_grow_with_the_partitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all images of the input are like all of the set, and every third of them was kept."""
    monkeypatch.setattr(leakage, "HELD", 1)
    monkeypatch.setattr(tables, "GROUP", 3000)
    images, random = 3000, np.random.default_rng(0)
    best, best_kept, peaks, decisions = np.zeros(images, np.float32), np.zeros(images, np.float32), [], []
    for partition in range(24):
        similarity = random.random(images, np.float32) / 2 + np.float32(0.5)
        kept = random.random(images) < 1 / 3
        best, best_kept = np.maximum(best, similarity), np.maximum(best_kept, similarity * kept)
        uids = [[f"{which:032x}" for which in range(start, start + images)] for start in (0, 10**6 * (1 + partition))]
        columns = [["a"] * images, uids[0], ["s"] * images, ["k"] * images, uids[1], similarity]
        table = pa.table(columns, schema=LEAKS).replace_schema_metadata({"thresholds": "[0.5, 0.9, 0.95]"})
        write_table(path_of(tmp_path, "leaks", f"{partition:05d}"), table)
        facts = {"uid": uids[1], "shard": ["t"] * images, "key": uids[1], "kept": kept}
        facts["reason"] = np.where(kept, "kept", "nsfw")
        nothing = [pa.nulls(images, field.type) for field in DECISIONS]
        decisions.append(pa.table([facts.get(name, nothing[at]) for at, name in enumerate(DECISIONS.names)], DECISIONS))
        if partition in (5, 23):
            write_parts(path_of(tmp_path, "decisions"), decisions)
            peaks.append(peak(lambda: write_leakage(tmp_path, [])))
    table = read_table(path_of(tmp_path, "leakage"))
    assert table["image"].to_pylist() == uids[0]
    assert np.array_equal(table["similarity"].to_numpy(), best)
    assert np.array_equal(table["kept_similarity"].to_numpy(), best_kept)
    assert peaks[1] < 1.5 * peaks[0]

    write_parts(path_of(tmp_path, "decisions"), decisions[:-1])
    with pytest.raises(TableError, match="3000 images that leaked from partition 00023 are in no decision"):
        write_leakage(tmp_path, [])
