"""The partitions of a set and of its references fit together, or are named."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_memory import peak
from dedup_sets import Samples, clustered, set_columns, write_set

from pycurate.dedup.partitions import Source, embeddings_of, references_of, sources_of
from pycurate.dedup.vectors import ROW_BITS
from pycurate.errors import TableError
from pycurate.report.nearest import nearest_pairs
from pycurate.results import tables
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table, written
from pycurate.stages.score import score_partition
from scripts import said


def test_numbers_of_samples_are_unique_over_references(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(4, dtype=np.float16))
    for name in ("new", "old", "older"):
        write_set(tmp_path / name, samples, [np.arange(4)])
    sources = sources_of(tmp_path / "new", [tmp_path / "old", tmp_path / "older"])
    numbers = [source.number for source in sources]
    assert len(set(numbers)) == 3 and max(numbers) < 1 << (63 - ROW_BITS)
    assert embeddings_of(sources).shape == (1, 4)


def test_as_many_references_as_the_numbers_of_samples_tell_apart(tmp_path: Path) -> None:
    samples = Samples.of(np.eye(3, dtype=np.float16)[[0, 1, 1, 2]])
    new = write_set(tmp_path / "new", samples, [np.array([0, 2])])
    other, last = (write_set(tmp_path / name, samples, [np.array([at])]) for name, at in (("other", 3), ("last", 1)))
    before = [word for folder in [other] * 126 + [last] for word in ("--reference", folder)]
    said("dedup", "pairs", "--results", new, "--dedup-threshold", "0.9", *before)
    said("decide", "--results", new, "--aesthetic-threshold", "0", *before)
    rows = read_table(new / "decisions.parquet").to_pylist()
    found = {row["uid"]: (row["reason"], row["duplicate_of"]) for row in rows if row["reason"] != "unreadable"}
    assert found == {samples.uid(0): ("kept", None), samples.uid(2): ("duplicate_reference", samples.uid(1))}
    most = [word for folder in [other] * 128 for word in ("--reference", folder)]
    assert "give at most 127" in said("dedup", "pairs", "--results", new, "--dedup-threshold", "0.9", *most, code=2)


def test_types_that_other_tools_write_for_those_of_samples(tmp_path: Path) -> None:
    """Polars writes large strings and categories as dictionaries, pandas numbers of which some are null as float."""
    samples = Samples.of(clustered(60, 16, seed=3, copies=0.7))
    write_set(tmp_path, samples, [np.arange(30), np.arange(30, 60)])
    said("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9")
    said("decide", "--results", tmp_path)
    expected = read_table(tmp_path / "decisions.parquet")
    types = {"uid": pa.dictionary(pa.int32(), pa.string()), "shard": pa.large_string(), "row": pa.float64()}
    for kind in ("samples", "scores"):
        path = path_of(tmp_path, kind, "00001")
        table = read_table(path)
        pq.write_table(table.cast(pa.schema([(f.name, types.get(f.name, f.type)) for f in table.schema])), path)
    said("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9")
    said("decide", "--results", tmp_path)
    assert read_table(tmp_path / "decisions.parquet").equals(expected)
    set_columns(path_of(tmp_path, "samples", "00001"), row=(np.arange(31) / 2).tolist())
    assert "has a column of another type" in said("decide", "--results", tmp_path, code=1)


def test_a_reference_set_is_told_from_others_wherever_it_lies(tmp_path: Path) -> None:
    samples = Samples.of(clustered(60, 16, seed=3))
    new = write_set(tmp_path / "new", samples, [np.arange(60)])
    parts = {"old": [40, 20], "split": [20, 40], "less": [40, 19], "other": [40, 20]}
    for name, (first, second) in parts.items():
        write_set(tmp_path / name, samples, [np.arange(first), np.arange(first, first + second)])
    changed = read_table(path_of(tmp_path / "other", "samples", "00001"))
    images = [f"{at:064x}"[::-1] for at in range(100, 100 + changed.num_rows)]  # of the same names
    set_columns(path_of(tmp_path / "other", "samples", "00001"), sha256=images)
    found = references_of(sources_of(new, [tmp_path / name for name in parts]))
    assert len(set(found)) == 4 and references_of(sources_of(new)) == ()
    shutil.copytree(tmp_path / "old", tmp_path / "references" / "2")
    assert references_of(sources_of(new, [tmp_path / "split", tmp_path / "references" / "2"])) == (found[1], found[0])


BAD = {
    "too few rows": lambda rows: rows[:-1],
    "too many rows": lambda rows: np.concatenate([rows, rows[:1]]),
    "whole numbers": lambda rows: (rows * 100).astype(np.int32),
    "one dimension": lambda rows: rows[:, 0],
    "objects": lambda rows: rows.astype(object),
}


@pytest.mark.parametrize("kind", BAD)
def test_embeddings_that_do_not_fit_their_samples_are_named(kind: str, tmp_path: Path) -> None:
    samples = Samples.of(clustered(60, 16, seed=3))
    write_set(tmp_path, samples, np.array_split(np.arange(60), 2))
    path = path_of(tmp_path, "img_emb", "00001")
    with open(path, "r+b") as file:
        rows = np.load(file)
        file.seek(0)
        file.truncate()
        np.save(file, BAD[kind](rows), allow_pickle=True)
    told = said("dedup", "pairs", "--results", tmp_path, "--dedup-threshold", "0.9", code=1)
    assert str(path) in told and "Traceback" not in told
    other = write_set(tmp_path / "other", samples, [np.arange(60)])
    for results, named in ((tmp_path, other), (other, tmp_path)):
        told = said("dedup", "leakage", "--results", results, "--leakage", f"a={named}", code=1)
        assert str(path) in told and "Traceback" not in told
    table = read_table(path_of(tmp_path, "samples", "00001"))
    uids = table.filter(table["row"].is_valid())["uid"].to_pylist()
    with pytest.raises(TableError, match="img_emb_00001"):
        nearest_pairs(tmp_path, uids, 0.9, 3)
    write_table(path_of(tmp_path, "measures", "00001"), pa.table({"uid": uids}))
    with pytest.raises(TableError, match="img_emb_00001"):
        score_partition(tmp_path, "00001", [], [object()])  # type: ignore[list-item]


@pytest.mark.parametrize("rows", [[0, 2, 2], [1, 2, 3], [0, 1, 3]])
def test_samples_that_do_not_refer_to_each_embedding_once_are_refused(tmp_path: Path, rows: list[int]) -> None:
    write_set(tmp_path, Samples.of(np.eye(3, dtype=np.float16)), [np.arange(3)])
    set_columns(path_of(tmp_path, "samples", "00000"), row=[None, *rows])
    with pytest.raises(TableError, match="do not refer to each embedding once; embed it again"):
        Source(tmp_path, "00000").readable(["uid"])


def test_a_score_and_a_comparison_of_one_name_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, Samples.of(np.eye(3, dtype=np.float16)), [np.arange(3)])
    scores = read_table(path_of(tmp_path, "scores", "00000"))
    source = Source(tmp_path, "00000")
    write_table(path_of(tmp_path, "comparisons", "00000"), scores.rename_columns(["uid", "fit", "similar"]))
    found = source.scores(scores["uid"])
    assert found.column_names == ["aesthetic", "nsfw", "fit", "similar"]
    write_table(path_of(tmp_path, "comparisons", "00000"), scores.select(["uid", "nsfw"]))
    with pytest.raises(TableError, match="has a score nsfw, as others have"):
        source.scores(scores["uid"])


def write_decisions(folder: Path, samples: pa.Table, kept: np.ndarray, others: int, shard: str) -> None:
    """The decisions about these samples, then about 5,000 in each of so many other partitions."""
    with written(path_of(folder, "decisions")) as decisions:
        decisions.add(samples.append_column("kept", pa.array(kept)))
        for other in range(others):
            uids = [f"{which:032x}" for which in range(10**6 + 5000 * other, 10**6 + 5000 * (other + 1))]
            shards = [shard.format(other)] * 5000
            decisions.add(pa.table({"uid": uids, "shard": shards, "kept": [True] * 5000}))


def test_samples_in_order_are_not_sorted(tmp_path: Path) -> None:
    """Which would copy them once more, and end the run where their captions take more than 2 GiB."""
    write_set(tmp_path, Samples.of(np.eye(200, dtype=np.float16)), [np.arange(200)])
    path, captions = path_of(tmp_path, "samples", "00000"), [None, *(f"{i:050000}" for i in range(200))]
    set_columns(path, caption=captions)
    source = Source(tmp_path, "00000")

    def took(work: Callable[[], pa.Table]) -> int:
        before = pa.default_memory_pool().total_bytes_allocated()
        work()
        return pa.default_memory_pool().total_bytes_allocated() - before

    read, readable = partial(source.samples, ["caption", "row"]), partial(source.readable, ["caption"])
    assert took(readable) - took(read) < 2.5 * 200 * 50_000  # 2 to leave out what is unreadable
    write_table(path, read_table(path).take(np.random.default_rng(0).permutation(201)))
    assert readable()["caption"].to_pylist() == captions[1:]


def test_what_a_reference_kept_is_not_read_at_once(tmp_path: Path) -> None:
    own = pa.table({"uid": [f"{which:032x}" for which in range(100)], "shard": ["a.tar"] * 100})
    kept = np.arange(100) % 3 == 0
    peaks = []
    for others in (10, 100):
        write_decisions(tmp_path, own, kept, others, "a.tar")
        source = Source(tmp_path, "00000", reference=1)
        assert np.array_equal(source.chosen(own), kept)
        peaks.append(peak(partial(source.chosen, own)))
    assert peaks[1] < 3 * peaks[0]


@pytest.mark.parametrize("statistics", [True, False])
def test_of_the_decisions_about_a_reference_only_those_of_its_shards_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statistics: bool
) -> None:
    monkeypatch.setattr(tables, "GROUP", 5000)
    own = pa.table({"uid": [f"{which:032x}" for which in range(100)], "shard": ["é 1.tar"] * 50 + ["f.tar"] * 50})
    kept = np.arange(100) % 3 == 0
    write_decisions(tmp_path, own, kept, 60, "é {:02}.tar")
    path = path_of(tmp_path, "decisions")
    if not statistics:
        pq.write_table(pq.read_table(path), path, row_group_size=5000, write_statistics=False)
    assert np.array_equal(Source(tmp_path, "00000", reference=1).chosen(own), kept)
    batches = sum(1 for _ in tables.stream(path, ["uid"], own["shard"]))
    assert batches == (10 if statistics else 61)  # "f.tar" to "é 1.tar", with "é 00.tar" to "é 09.tar" between them
