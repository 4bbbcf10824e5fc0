"""The partitions of a set and of its references fit together, or are named."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from dedup_sets import Samples, clustered, write_set

from pycurate.dedup.partitions import embeddings_of, sources_of
from pycurate.dedup.vectors import ROW_BITS
from pycurate.errors import TableError
from pycurate.report.nearest import nearest_pairs
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table, write_table
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
    table = read_table(path_of(tmp_path, "samples", "00001"))
    uids = table.filter(table["row"].is_valid())["uid"].to_pylist()
    with pytest.raises(TableError, match="img_emb_00001"):
        nearest_pairs(tmp_path, uids, 0.9, 3)
    write_table(path_of(tmp_path, "measures", "00001"), pa.table({"uid": uids}))
    with pytest.raises(TableError, match="img_emb_00001"):
        score_partition(tmp_path, "00001", [], [object()])  # type: ignore[list-item]
