"""Deduplication decides as brute force does, whatever the vectors and however the work is split."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from curated import decide
from dedup_sets import Decision, Samples, brute_force, chains, clustered, decided, giant, run, stars, viewed, write_set
from edits import EDITS
from graphics import graphics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loaded import load
from pictures import encode, photographs
from PIL import Image

from pycurate.dedup import products
from pycurate.dedup.brute_force import check_decisions
from pycurate.dedup.cells import Cells
from pycurate.dedup.pairs import read_pairs
from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train
from pycurate.errors import LedgerError, TableError
from pycurate.filters.filtering import Filtering
from pycurate.models.builtin.light_copy import LightCopy
from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, read_table, write_array, write_table
from pycurate.stages import dedup


def test_the_memory_of_train_does_not_grow_with_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycurate.dedup.train.SAMPLE", 64)
    count, random, peaks = 2000, np.random.default_rng(0), []
    for partition in range(20):
        number = f"{partition:05d}"
        uids = [f"{which:032x}" for which in range(partition * count, (partition + 1) * count)]
        columns = {"uid": pa.array(uids), "row": pa.array(np.arange(count))}
        samples = [columns.get(field.name, pa.nulls(count, field.type)) for field in SAMPLES]
        write_table(path_of(tmp_path, "samples", number), pa.table(samples, schema=SAMPLES))
        write_array(path_of(tmp_path, "img_emb", number), random.normal(size=(count, 4)).astype(np.float16))
        if partition in (0, 1, 19):  # the first time it imports
            tracemalloc.start()
            train(tmp_path, sources_of(tmp_path), Settings(0.9, cells=2))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < 3 * peaks[1]


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


@pytest.mark.parametrize("keep", ["best", "aesthetic", "largest", "first"])
def test_keep_and_filters(tmp_path: Path, keep: str) -> None:
    samples = Samples.of(clustered(600, 64, seed=3))
    choice = Settings(0.9, keep, cells=4, exact=True)  # type: ignore[arg-type]
    assert run(tmp_path, samples, choice, aesthetic=0.3, nsfw=0.6) == brute_force(samples, 0.9, keep, 0.3, 0.6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 250),
    dim=st.sampled_from([2, 5, 40]),
    threshold=st.sampled_from([0.8, 0.9, 0.99, 0.999, 1.0]),
    keep=st.sampled_from(["best", "aesthetic", "largest", "first"]),
    cells=st.sampled_from([1, 3, 8, 64]),
    buckets=st.sampled_from([1, 3]),
    parts=st.integers(1, 4),
    limits=st.tuples(st.sampled_from([0.0, 0.4]), st.sampled_from([2.0, 0.5])),
    numpy=st.booleans(),
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
    numpy: bool,
) -> None:
    samples = Samples.of(kind(n, dim, seed), seed)  # type: ignore[operator]
    lost = np.arange(0, n, n // 7 + 1)
    samples.vectors[lost] = 0  # some have no direction
    samples.content[lost] = n + lost
    choice = Settings(threshold, keep, True, cells, buckets)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        if not numpy:
            patch.setattr(products, "IMPORT", 0)
        got = run(tmp_path_factory.mktemp("set"), samples, choice, parts, *limits)
    assert got == brute_force(samples, threshold, keep, *limits)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 150),
    views=st.sampled_from([2, 8]),
    dim=st.sampled_from([2, 5, 40]),
    threshold=st.sampled_from([0.8, 0.9, 0.99, 1.0]),
    cells=st.sampled_from([1, 3, 8, 64]),
    buckets=st.sampled_from([1, 3]),
    parts=st.integers(1, 4),
    limits=st.tuples(st.sampled_from([0.0, 0.4]), st.sampled_from([2.0, 0.5])),
)
def test_any_mixture_of_mirrored_and_turned_ones(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    n: int,
    views: int,
    dim: int,
    threshold: float,
    cells: int,
    buckets: int,
    parts: int,
    limits: tuple[float, float],
) -> None:
    samples = Samples.of(viewed(n, dim, views, seed), seed)
    lost = np.arange(0, n, n // 7 + 1)
    samples.vectors[lost, :: 1 + seed % 2] = 0  # some have no direction, in some or all of their views
    samples.content[lost] = n + lost
    folder = tmp_path_factory.mktemp("set")
    got = run(folder, samples, Settings(threshold, "best", True, cells, buckets), parts, *limits)
    assert got == brute_force(samples, threshold, "best", *limits)
    sources = sources_of(folder)
    check_decisions(sources, read_table(folder / "decisions.parquet"), threshold)


@pytest.mark.parametrize("nsfw", [2.0, 0.9, 0.01])
def test_a_giant_group_that_looks_alike_in_every_view(tmp_path: Path, nsfw: float) -> None:
    samples = giant(400, views=8)
    samples.nsfw[samples.aesthetic > 0.9] = 1
    got = run(tmp_path, samples, Settings(0.99, cells=2, exact=True), nsfw=nsfw)
    assert got == brute_force(samples, 0.99, nsfw=nsfw)
    assert read_pairs(tmp_path)[1].num_rows < 400 * 100  # of the 80,000 pairs; and none stands there once for each view


@pytest.fixture(scope="module")
def described() -> Samples:
    """light-copy's vectors of photographs, each with a copy by every edit, and of graphics."""
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in list(photographs().values())[:6]]
    files = [encode(drawn, "PNG") for kind in graphics(each=5).values() for drawn in kind]
    for name, image in zip(photographs(), images, strict=False):
        files += [encode(image, "PNG"), *(edit.file(image, name, images) for edit in EDITS.values())]
    encoder = LightCopy(Path("/nonexistent"), "cpu")
    vectors = np.concatenate(
        [encoder.encode(load(files[at : at + 20], encoder.view)[0]) for at in range(0, len(files), 20)]
    )
    return Samples.of(vectors.astype(np.float16))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize(
    ("keep", "cells", "buckets", "parts", "limits", "numpy"),
    [
        pytest.param("best", 1, 1, 1, (0.0, 2.0), True, id="one cell"),
        pytest.param("first", 8, 3, 4, (0.0, 2.0), True, id="split"),
        pytest.param("largest", 32, 3, 2, (0.4, 0.5), True, id="filtered"),
        pytest.param("aesthetic", 8, 3, 2, (0.3, 0.6), False, id="torch"),
    ],
)
def test_copies_and_lookalikes_by_the_duplicate_descriptor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    described: Samples,
    threshold: float,
    keep: str,
    cells: int,
    buckets: int,
    parts: int,
    limits: tuple[float, float],
    numpy: bool,
) -> None:
    if not numpy:
        monkeypatch.setattr(products, "IMPORT", 0)
    choice = Settings(threshold, keep, True, cells, buckets)  # type: ignore[arg-type]
    assert run(tmp_path, described, choice, parts, *limits) == brute_force(described, threshold, keep, *limits)


@pytest.fixture(scope="module", params=["clusters at 0.9", "light-copy at 0.5"])
def split_set(request: pytest.FixtureRequest, described: Samples) -> tuple[Samples, float, dict[str, Decision]]:
    """Samples, a threshold and what is decided by it."""
    threshold = float(request.param.split()[-1])
    samples = described if "light-copy" in request.param else Samples.of(clustered(1200, 48, seed=9))
    return samples, threshold, brute_force(samples, threshold)


@pytest.mark.parametrize(
    ("parts", "cells", "buckets"), [(1, 1, 1), (3, 8, 7), (16, 64, 7), (3, 512, 1), (16, 512, 7), (1, 64, 1)]
)
def test_equal_however_split(
    tmp_path: Path, split_set: tuple[Samples, float, dict[str, Decision]], parts: int, cells: int, buckets: int
) -> None:
    samples, threshold, expected = split_set
    assert run(tmp_path, samples, Settings(threshold, "best", True, cells, buckets), parts) == expected


def test_equal_for_shuffled_shards_and_repeated_tasks(
    tmp_path: Path, split_set: tuple[Samples, float, dict[str, Decision]]
) -> None:
    samples, threshold, expected = split_set
    write_set(tmp_path, samples, np.array_split(np.random.default_rng(0).permutation(len(samples)), 3))
    sources = sources_of(tmp_path)
    cells = train(tmp_path, sources, Settings(threshold, "best", True, 8, 3))
    embeddings = embeddings_of(sources)
    for source in [*sources, sources[1]]:  # a task is retried
        dedup.assign(source, tmp_path, cells)
    for bucket in (2, 0, 1, 2):
        before = path_of(tmp_path, "pairs", f"{bucket:05d}")
        bytes_before = before.read_bytes() if before.exists() else None
        dedup.match(tmp_path, bucket, cells, embeddings, ())
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
        dedup.match(tmp_path, 0, Cells.load(path_of(tmp_path, "cells")), embeddings_of(sources), ())


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


def test_results_of_an_earlier_version_rank_as_they_did(tmp_path: Path) -> None:
    samples = Samples.of(clustered(200, 16, seed=5))
    write_set(tmp_path, samples, [np.arange(200)])
    path = path_of(tmp_path, "samples", "00000")
    write_table(path, read_table(path).drop_columns(["detail", "loss", "jpeg_quality"]))
    sources = sources_of(tmp_path)
    dedup.find_pairs(tmp_path, sources, Settings(0.9))
    assert decided(decide(tmp_path, sources, Filtering(0.3), None, dedup=True)) == brute_force(
        samples, 0.9, "aesthetic", 0.3
    )
