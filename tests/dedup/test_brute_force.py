"""Deduplication decides as brute force does, whatever the vectors and however the work is split."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dedup_sets import Decision, Samples, brute_force, chains, clustered, decided, giant, run, stars, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.cells import Cells, cells_path
from pycurate.dedup.pairs import LIMIT
from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train
from pycurate.dedup.vectors import Embeddings, as_compared, similarity
from pycurate.errors import LedgerError, TableError, UsageError
from pycurate.filters.filtering import Filtering
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
from pycurate.stages import dedup
from pycurate.stages.decide import decide


@pytest.mark.parametrize("dim", [512, 1280])
@pytest.mark.parametrize("threshold", [0.999, 0.99, 0.95, 0.9, 0.8])
def test_decides_as_brute_force(tmp_path: Path, dim: int, threshold: float) -> None:
    samples = Samples.of(clustered(600, dim, seed=dim))
    assert run(tmp_path, samples, Settings(threshold, cells=8, exact=True)) == brute_force(samples, threshold)


@pytest.mark.parametrize(
    "vectors",
    [
        pytest.param(chains(300, 16), id="chains"),
        pytest.param(stars(300, 16), id="stars"),
        pytest.param(np.ones((300, 16), np.float16), id="all equal"),
        pytest.param(np.eye(300, dtype=np.float16), id="no duplicates"),
        pytest.param(np.zeros((5, 16), np.float16), id="no directions"),
        pytest.param(np.ones((1, 16), np.float16), id="one"),
        pytest.param(np.zeros((0, 16), np.float16), id="none"),
    ],
)
@pytest.mark.parametrize("cells", [1, 8])
def test_shapes_of_groups(tmp_path: Path, vectors: np.ndarray, cells: int) -> None:
    samples = Samples.of(vectors)
    assert run(tmp_path, samples, Settings(0.9, cells=cells, exact=True)) == brute_force(samples, 0.9)


@pytest.mark.parametrize("keep", ["best", "first", "largest"])
def test_keep_and_filters(tmp_path: Path, keep: str) -> None:
    samples = Samples.of(clustered(600, 64, seed=3))
    choice = Settings(0.9, keep, cells=4, exact=True)  # type: ignore[arg-type]
    assert run(tmp_path, samples, choice, aesthetic=0.3, nsfw=0.6) == brute_force(samples, 0.9, keep, 0.3, 0.6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 250),
    dim=st.sampled_from([2, 5, 40]),
    threshold=st.sampled_from([0.8, 0.9, 0.99, 0.999, 1.0]),
    keep=st.sampled_from(["best", "first", "largest"]),
    cells=st.sampled_from([1, 3, 8, 64]),
    buckets=st.sampled_from([1, 3]),
    parts=st.integers(1, 4),
    limits=st.tuples(st.sampled_from([0.0, 0.4]), st.sampled_from([2.0, 0.5])),
)
def test_any_mixture(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    kind: object,
    n: int,
    dim: int,
    threshold: float,
    keep: str,
    cells: int,
    buckets: int,
    parts: int,
    limits: tuple[float, float],
) -> None:
    samples = Samples.of(kind(n, dim, seed), seed)  # type: ignore[operator]
    lost = np.arange(0, n, n // 7 + 1)
    samples.vectors[lost] = 0  # some have no direction
    samples.content[lost] = n + lost
    choice = Settings(threshold, keep, True, cells, buckets)  # type: ignore[arg-type]
    got = run(tmp_path_factory.mktemp("set"), samples, choice, parts, *limits)
    assert got == brute_force(samples, threshold, keep, *limits)


@pytest.fixture(scope="module")
def split_set() -> tuple[Samples, dict[str, Decision]]:
    samples = Samples.of(clustered(1200, 48, seed=9))
    return samples, brute_force(samples, 0.9)


@pytest.mark.parametrize(
    ("parts", "cells", "buckets"), [(1, 1, 1), (3, 8, 7), (16, 64, 7), (3, 512, 1), (16, 512, 7), (1, 64, 1)]
)
def test_equal_however_split(
    tmp_path: Path, split_set: tuple[Samples, dict[str, Decision]], parts: int, cells: int, buckets: int
) -> None:
    samples, expected = split_set
    assert run(tmp_path, samples, Settings(0.9, "best", True, cells, buckets), parts) == expected


def test_equal_for_shuffled_shards_and_repeated_tasks(
    tmp_path: Path, split_set: tuple[Samples, dict[str, Decision]]
) -> None:
    samples, expected = split_set
    write_set(tmp_path, samples, np.array_split(np.random.default_rng(0).permutation(len(samples)), 3))
    sources = sources_of(tmp_path)
    cells = train(tmp_path, sources, Settings(0.9, "best", True, 8, 3))
    embeddings = embeddings_of(sources)
    for source in [*sources, sources[1]]:  # a task is retried
        dedup.assign(source, tmp_path, cells)
    for bucket in (2, 0, 1, 2):
        before = path_of(tmp_path, "pairs", f"{bucket:05d}")
        bytes_before = before.read_bytes() if before.exists() else None
        dedup.match(tmp_path, bucket, cells, embeddings)
        assert bytes_before in (None, before.read_bytes())
    assert decided(decide(tmp_path, sources, Filtering(), None, dedup=True)) == expected


def test_a_missing_task_is_not_overlooked(tmp_path: Path) -> None:
    samples = Samples.of(clustered(100, 16, seed=1))
    run(tmp_path, samples, Settings(0.9, "best", True, 8, 3))
    sources = sources_of(tmp_path)
    path_of(tmp_path, "pairs", "00002").unlink()
    with pytest.raises(TableError, match="pairs_00002"):
        decide(tmp_path, sources, Filtering(), None, dedup=True)
    path_of(tmp_path, "assigned", "00001").unlink()
    with pytest.raises(TableError, match="assigned_00001"):
        dedup.match(tmp_path, 0, Cells.load(cells_path(tmp_path)), embeddings_of(sources))


@pytest.mark.parametrize("nsfw", [0.9, 0.01, 0.002])
def test_giant_group_whose_best_are_filtered(tmp_path: Path, nsfw: float) -> None:
    samples = giant(3000)
    samples.nsfw[samples.aesthetic > 0.9] = 1  # none of those listed as duplicates of the others passes
    got = run(tmp_path, samples, Settings(0.99, cells=2, exact=True), nsfw=nsfw)
    assert got == brute_force(samples, 0.99, nsfw=nsfw)
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1


def test_giant_group_has_few_pairs(tmp_path: Path) -> None:
    samples = giant(50_000)
    got = run(tmp_path, samples, Settings(0.99, cells=4, exact=True))
    assert sum(reason == "kept" for reason, _, _ in got.values()) == 1
    visits = sum(len(np.load(path_of(tmp_path, "assigned", f"{i:05d}"), mmap_mode="r")) for i in range(3))
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows <= LIMIT * visits


def test_byte_equal_images_are_compared_once(tmp_path: Path) -> None:
    samples = Samples.of(np.ones((2000, 8), np.float16))
    got = run(tmp_path, samples, Settings(0.99, exact=True))
    assert sorted({reason for reason, _, _ in got.values()}) == ["duplicate_exact", "kept"]
    assert read_table(path_of(tmp_path, "pairs", "00000")).num_rows == len(samples) - 1


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


def test_rank_without_scores(tmp_path: Path) -> None:
    samples = Samples.of(clustered(200, 16, seed=2))
    write_set(tmp_path, samples, [np.arange(200)])
    shutil.rmtree(tmp_path / "scores")
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    samples.aesthetic[:] = 0
    assert decided(decide(tmp_path, sources, Filtering(), None, dedup=True)) == brute_force(samples, 0.9)


def test_groups_lists_the_largest_first(tmp_path: Path) -> None:
    samples = Samples.of(np.repeat(np.eye(3, dtype=np.float16), [2, 5, 1], axis=0))
    write_set(tmp_path, samples, [np.arange(8)])
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    decide(tmp_path, sources, Filtering(), None, dedup=True)
    table = read_table(tmp_path / "duplicates.parquet")
    assert table["group"].to_pylist() == [0] * 5 + [1] * 2
    assert table["kept"].to_pylist() == [True] + [False] * 4 + [True, False]
    assert table["similarity"].to_pylist() == [None] + [1.0] * 4 + [None, 1.0]


def test_check_passes_what_is_right_and_finds_each_kind_of_fault(tmp_path: Path) -> None:
    samples = Samples.of(clustered(300, 32, seed=4))
    write_set(tmp_path, samples, np.array_split(np.arange(300), 2))
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    decisions = decide(tmp_path, sources, Filtering(), None, dedup=True)
    done = check_decisions(sources, decisions, 0.9)
    assert done.kept + done.duplicates == 300 and done.pairs == done.kept * (done.kept - 1) // 2

    rows = decisions.to_pylist()
    near = next(i for i, row in enumerate(rows) if row["reason"] == "duplicate_near")
    alone = next(i for i, row in enumerate(rows) if row["kept"] and row["uid"] != rows[near]["duplicate_of"])
    for change in (
        {near: {"kept": True, "duplicate_of": None, "reason": "kept"}},
        {near: {"duplicate_of": rows[alone]["uid"]}},
        {near: {"duplicate_of": rows[near]["uid"]}},
        {near: {"similarity": 0.95123}},
        {near: {"reason": "duplicate_exact"}},
    ):
        wrong = [row | change.get(i, {}) for i, row in enumerate(rows)]
        with pytest.raises(LedgerError, match="wrong"):
            check_decisions(sources, pa.Table.from_pylist(wrong, decisions.schema), 0.9)


def test_similarity_is_exact_in_any_order() -> None:
    random = np.random.default_rng(0)
    a, b = (as_compared(random.normal(size=(500, 1280))) for _ in range(2))
    shuffled = random.permutation(1280)
    assert np.array_equal(similarity(a, b), similarity(a[:, shuffled], b[:, shuffled]))
    assert np.array_equal(similarity(a, b), similarity(b, a))
    assert (similarity(a, a) == 1).all()


def test_vectors_of_any_kind_get_unit_length() -> None:
    tiny, huge = np.float16(6e-8), np.float16(65504)
    odd = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 0], [tiny, 0], [huge, huge], [0.6, 0.8]], np.float16)
    half = np.sqrt(0.5)
    expected = np.array([[0.6, 0.8], [0, 0], [0, 0], [0, 0], [1, 0], [half, half], [0.6, 0.8]], np.float16)
    assert np.array_equal(as_compared(odd), expected)
    assert np.array_equal(as_compared(odd.astype(np.float64) * 1e30)[0], expected[0])
    assert similarity(as_compared(odd), as_compared(odd)).tolist() == [1, 0, 0, 0, 1, 1, 1]


def test_no_two_threads_open_embeddings_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Python 3.11 says now and then `AST constructor recursion depth mismatch`: np.load parses its header."""
    paths = {number: tmp_path / f"{number}.npy" for number in range(8)}
    for path in paths.values():
        np.save(path, np.ones((3, 4), np.float16))
    load, alone = np.load, Lock()

    def watched(*words: Any, **options: Any) -> np.ndarray:
        assert alone.acquire(blocking=False), "two threads load at once"
        time.sleep(0.001)
        alone.release()
        return load(*words, **options)

    monkeypatch.setattr(np, "load", watched)
    embeddings = Embeddings(paths)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: embeddings.dim, range(8))) == [4] * 8


@pytest.mark.parametrize("threshold", [0.0, -1, 1.01, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="cosine"):
        Settings(threshold)
