"""The tables that stages hand to each other: their columns, reading and writing them."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pycurate.errors import TableError
from pycurate.files import atomic
from pycurate.results.layout import numbers, path_of

SAMPLES = pa.schema(
    [
        ("uid", pa.string()),
        ("shard", pa.string()),  # path relative to the input root
        ("key", pa.string()),
        ("ext", pa.string()),  # the image's: what follows the key and its dot; empty if there is none
        ("offset", pa.int64()),  # of the image's bytes in the shard
        ("size", pa.int64()),  # of the image, bytes
        ("sha256", pa.string()),  # of the image's bytes
        ("tar_offset", pa.int64()),  # of the whole sample in the shard: headers, data and padding of all members
        ("tar_size", pa.int64()),
        ("width", pa.int32()),  # upright (after EXIF orientation); 0 if unknown
        ("height", pa.int32()),
        ("format", pa.string()),  # jpeg, png, webp, ...; what the bytes say, not the name
        ("detail", pa.float64()),  # what pycurate.images.evidence tells of a readable image, null of others: pixels
        ("loss", pa.float64()),  # bits
        ("jpeg_quality", pa.float32()),  # 1-100, null if neither header nor pixels show any
        ("caption", pa.string()),  # the .txt sidecar, or "caption" of the .json; null if there is none
        ("given_uid", pa.string()),  # "uid" of the .json if it is 32 hex digits, as in DataComp's pools; else null
        ("status", pa.string()),  # ok | error
        ("error", pa.string()),  # a short code, null if ok
        ("error_message", pa.string()),
        ("row", pa.int64()),  # into the partition's embeddings, null if none
    ]
)

DIGESTS = pa.schema(
    [
        ("md5", pa.string()),  # of the image's bytes, null if they were not read
        ("sha1", pa.string()),
        ("pdq", pa.string()),  # 64 hex digits, null if unreadable
        ("pdq_quality", pa.int16()),  # 0-100
    ]
)
"""Columns that `samples` has beside SAMPLES where they were asked for."""

BLOCKED = pa.schema(
    [
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("kind", pa.string()),  # md5 | sha1 | sha256 | pdq
        ("hash", pa.string()),  # the one on a list
        ("distance", pa.int16()),  # bits that differ from it
    ]
)

METADATA = pa.schema(
    [
        ("image_path", pa.string()),  # SHARD/KEY.EXT, the column that clip-retrieval shows
        ("caption", pa.string()),
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)

DECISIONS = pa.schema(
    [
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        # the score columns stand here, as in the scores tables; null where a sample is unreadable
        ("kept", pa.bool_()),
        ("reason", pa.string()),  # kept | unreadable | a filter's name | duplicate_exact | duplicate_near | ...
        ("duplicate_of", pa.string()),  # uid of the kept sample, null if no duplicate
        ("similarity", pa.float32()),  # cosine with it, null if no duplicate
        ("output_shard", pa.string()),  # such as 00000.tar, null if not kept
    ]
)

DUPLICATES = pa.schema(
    [
        ("group", pa.int64()),  # 0 is the largest
        ("uid", pa.string()),
        ("kept", pa.bool_()),
        ("similarity", pa.float32()),  # with the kept one, null for itself
    ]
)

PLAN = pa.schema(
    [
        ("output_shard", pa.string()),
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("tar_offset", pa.int64()),
        ("tar_size", pa.int64()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        # the score columns stand here
    ]
)

LABELS = ("language",)
"""Columns of text that may stand among the scores: pycurate.filters.language."""

TAKEN = {
    *("section", "name", "part", "place", "value", "order"),  # by the report's examples
    "dedup",  # by the thresholds in summary.json
    "caption_count",  # pycurate.filters.repeats
    *LABELS,
    "language_score",  # pycurate.filters.language
    *(name for schema in (SAMPLES, DIGESTS, DECISIONS, PLAN) for name in schema.names),
}
"""Columns of the tables that scores stand in: no score may be called so."""

PLACE = ("tar_offset", "tar_size", "offset", "size", "sha256")
"""Columns of SAMPLES in PLAN by which WRITE finds a sample and knows its image; no table of an output tar has them."""


GROUP = 1 << 17  # rows of a row group, where tables are written part by part


def write_table(path: Path, table: pa.Table, private: bool = False) -> None:
    """Write one Parquet file (zstd), whole or not at all; one that is private only its owner can read."""
    with atomic(path, 0o600 if private else 0o666) as temporary:
        pq.write_table(table, temporary, compression="zstd")


class TableWriter:
    """Writes a table that comes in parts, as `written` gives it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._parts: list[pa.Table] = []

    def add(self, part: pa.Table) -> None:
        """The next rows. Raises TableError if their columns are not those of the rows before."""
        if self._parts and self._parts[0].schema != part.schema:
            raise TableError(
                f"The partitions have different columns, {', '.join(self._parts[0].column_names)} and "
                f"{', '.join(part.column_names)}; score all of them with the same models."
            )
        self._parts.append(part)
        if sum(one.num_rows for one in self._parts) >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what came so far, as a row group."""
        if self._parts:
            table = pa.concat_tables(self._parts)
            self._writer = self._writer or pq.ParquetWriter(self._path, table.schema, compression="zstd")
            if table.num_rows:
                self._writer.write_table(table)
            self._parts = [table.schema.empty_table()]

    def close(self) -> None:
        """End the file."""
        if self._writer:
            self._writer.close()


@contextmanager
def written(path: Path) -> Iterator[TableWriter]:
    """Write one Parquet file (zstd) part by part, of one part at least, whole or not at all.

    A row group holds GROUP rows or one part, whichever is more, so that memory is that of as many rows.
    """
    with atomic(path) as temporary:
        writer = TableWriter(temporary)
        try:
            yield writer
            writer.flush()
        finally:
            writer.close()


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read one Parquet file. Raises TableError if it is missing, cut or lacks a column."""
    with opened(path) as file:  # pq.read_table does the same by way of datasets, whose import takes longer than this
        if columns is None:
            return file.read()
        check_columns(path, file, columns)
        return file.read(columns).select(columns)


def read_tables(results: Path, kind: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Each numbered table of a kind, in order, with its number."""
    for number in numbers(results, kind):
        yield number, read_table(path_of(results, kind, number), columns)


def read_summary(results: Path) -> dict[str, Any]:
    """summary.json of a run. Raises TableError if there is none, as where the run did not end well."""
    try:
        summary: dict[str, Any] = json.loads(path_of(results, "summary").read_text(encoding="utf-8"))
        return summary
    except (OSError, ValueError) as error:
        raise TableError(
            f"{results} contains no summary of a run ({error}); give the --outdir of a finished run."
        ) from error


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one `.npy` file, whole or not at all."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array)


def write_array_parts(path: Path, kind: np.dtype, rows: int, parts: Iterable[np.ndarray]) -> None:
    """Write one `.npy` file of `rows` numbers that come in parts, the same as `write_array` of all; whole or not."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (rows,)}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part).data)


DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, BadZipFile, zlib.error)
"""What reading an `.npz` file may raise that is missing, cut or damaged: one bit may say that it is encrypted."""


def read_array(path: Path) -> np.ndarray:
    """One `.npy` file, mapped: what is used of it is read. Raises TableError if it is missing, cut or no array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive")
        return array
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, "an array", error) from error


def read_embeddings(path: Path, rows: int) -> np.ndarray:
    """float (rows, dim), mapped: the embeddings of a partition, one for each of its readable samples.

    `rows` is how many samples its tables tell of. Raises TableError if the file is missing, cut, holds anything else,
    or another number of rows.
    """
    return _read_vectors(path, rows, (2,))


def read_views(path: Path, rows: int | None = None) -> np.ndarray:
    """float (rows, views, dim), mapped: the embeddings of a partition, of one or more views of each readable sample.

    The first view is the image as it is. `rows`, where it is known, and errors as in read_embeddings.
    """
    array = _read_vectors(path, rows, (2, 3))
    return array if array.ndim == 3 else array[:, np.newaxis]


def _read_vectors(path: Path, rows: int | None, dimensions: tuple[int, ...]) -> np.ndarray:
    array = read_array(path)
    if array.ndim not in dimensions or array.dtype.kind != "f":
        raise TableError(
            f"{path} does not contain a table of vectors but {array.dtype} {array.shape}; embed the partition again."
        )
    if rows not in (None, len(array)):
        raise TableError(f"{path} has {len(array)} rows for {rows} readable samples; embed the partition again.")
    return array


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read from. Raises TableError, in the block too, if it is missing or cut."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, "a table", error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> TableError:
    if isinstance(error, FileNotFoundError):
        return TableError(f"{path} is missing; run the stage that writes it.")
    return TableError(f"{path} cannot be read as {kind} ({error}); run the stage that writes it again.")


def check_columns(path: Path, file: pq.ParquetFile, columns: Sequence[str]) -> None:
    """Raise TableError if a Parquet file lacks one of these columns."""
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise TableError(f"{path} has no column {missing[0]!r}; run the stage that writes it again.")


def known_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """Those of these columns that a Parquet file has. Raises TableError if it is missing or cut."""
    with opened(path) as file:
        return [name for name in columns if name in file.schema_arrow.names]


def stream(path: Path, columns: list[str], shards: pa.ChunkedArray | None = None) -> Iterator[pa.RecordBatch]:
    """Some columns of a Parquet file, batch by batch; given some `shards`, all rows of those, and perhaps of others.

    Raises TableError if the file is missing, cut or lacks a column.
    """
    with opened(path) as file:
        check_columns(path, file, columns)
        for group in range(file.num_row_groups):  # a reader of several keeps what it read of each until it ends
            if shards is None or _may_hold(file.metadata.row_group(group), shards):
                yield from file.iter_batches(batch_size=1 << 16, row_groups=[group], columns=columns)


def _may_hold(group: pq.RowGroupMetaData, shards: pa.ChunkedArray) -> bool:
    """Whether, by its statistics, a row group may have a row of one of these shards."""
    chunks = (group.column(column) for column in range(group.num_columns))
    stated = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == "shard"), None)
    if stated is None or not stated.has_min_max:
        return True
    wanted = pc.min_max(shards).as_py()
    return bool(len(shards) and stated.min <= wanted["max"] and wanted["min"] <= stated.max)


def stream_all(results: Path, kind: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The same for every numbered table of a kind, in order."""
    for number in numbers(results, kind):
        yield from stream(path_of(results, kind, number), columns)


def side_by_side(
    first: Iterator[pa.RecordBatch], second: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch | None, pa.RecordBatch | None]]:
    """The same rows of two streams, whose batches may be cut elsewhere; None at the end where one has fewer."""
    one = other = None
    while True:
        one = one if one is not None and one.num_rows else next((b for b in first if b.num_rows), None)
        other = other if other is not None and other.num_rows else next((b for b in second if b.num_rows), None)
        if one is None or other is None:
            break
        rows = min(one.num_rows, other.num_rows)
        yield one.slice(0, rows), other.slice(0, rows)
        one, other = one.slice(rows), other.slice(rows)
    if one is not None or other is not None:
        yield one, other


def decided(folder: Path) -> dict[str, int]:
    """{reason: samples} of the decisions in a folder."""
    counts: dict[str, int] = {}
    for batch in stream(path_of(folder, "decisions"), ["reason"]):
        for entry in batch["reason"].value_counts().to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return counts


def uids_dropped(folder: Path, reason: str) -> pa.Array:
    """The uids, strings, of the samples that the decisions in a folder drop for this reason."""
    found = [pa.array([], pa.string())]
    for batch in stream(path_of(folder, "decisions"), ["uid", "reason"]):
        found.append(batch["uid"].filter(pc.equal(batch["reason"], reason)))
    return pa.concat_arrays(found)


def score_columns(results: Path) -> list[str]:
    """The names of the score columns of the decisions, which are numbers."""
    with opened(path_of(results, "decisions")) as file:
        return [name for name in file.schema_arrow.names if name not in (*DECISIONS.names, *LABELS)]
