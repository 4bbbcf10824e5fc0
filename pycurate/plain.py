"""Duplicates among the vectors of an embedding folder that clip-retrieval or a like tool left: no tables, no scores."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup import find_pairs
from pycurate.errors import UsageError
from pycurate.graph import duplicates, write_duplicates
from pycurate.settings import Settings
from pycurate.sources import sources_of
from pycurate.tables import SAMPLES, path_of, write_table
from pycurate.vectors import Embeddings


def dedup_embeddings(folder: Path, settings: Settings, out: Path) -> None:
    """Write out/decisions.parquet: row, kept, duplicate_of (a row) and similarity of each vector, in order.

    `folder` holds img_emb/*.npy, read in the order of their names; of two duplicates the earlier row is kept.
    Also leaves out/dedup.json and out/duplicates.parquet (see `pycurate.graph`), whose uids are the rows in hex.

    Raises UsageError if there are no such files.
    """
    files = sorted((folder / "img_emb").glob("*.npy"))
    if not files:
        raise UsageError(f"{folder / 'img_emb'} holds no .npy files; give the folder above the one with embeddings.")
    embeddings = Embeddings(dict(enumerate(files)))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".dedup-", dir=out) as name:
        work, start = Path(name), 0
        for number, file in enumerate(files):
            link = path_of(work, "img_emb", f"{number:05d}")
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(file.resolve())
            stop = start + embeddings.rows(number)
            write_table(path_of(work, "samples", f"{number:05d}"), _samples(start, stop))
            start = stop
        sources = sources_of(work)
        find_pairs(work, sources, settings)
        dropped, search, recall = duplicates(work, sources, {})
    write_duplicates(out, dropped, search, recall)
    place = pc.index_in(pa.array(np.arange(start)), value_set=pa.array(_row(dropped.uid)))
    columns = {
        "row": np.arange(start),
        "kept": pc.is_null(place),
        "duplicate_of": pa.array(_row(dropped.of)).take(place),
        "similarity": pa.array(dropped.similarity).take(place),
    }
    write_table(out / "decisions.parquet", pa.table(columns))


def _samples(start: int, stop: int) -> pa.Table:
    """SAMPLES for vectors of which nothing is known but their place: the uid is the row."""
    count = stop - start
    rows = np.arange(start, stop)
    digits = pa.array([f"{row:032x}" for row in range(start, stop)], pa.string())
    known = {
        "uid": digits,
        "shard": pa.repeat("", count),
        "key": digits,
        "tar_offset": rows,
        "sha256": pc.binary_join_element_wise(digits, digits, ""),
        "width": np.zeros(count, np.int32),
        "height": np.zeros(count, np.int32),
        "status": pa.repeat("ok", count),
        "row": rows - start,
    }
    columns = [pa.array(known[f.name], f.type) if f.name in known else pa.nulls(count, f.type) for f in SAMPLES]
    return pa.table(columns, schema=SAMPLES)


def _row(uids: np.ndarray) -> np.ndarray:
    """uint64 (n, 2), uids of `_samples` -> int64 (n,): the rows."""
    return uids[:, 1].astype(np.int64)
