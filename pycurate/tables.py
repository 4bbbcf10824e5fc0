"""The tables that stages hand to each other, and the folder that they share.

Every stage reads what it needs beneath one folder, `results`, and adds its own files to it:

    partitions/partitions_00000.tsv   PARTITION  shard name, path, bytes and time stamp, tab separated
    samples/samples_00000.parquet     EMBED      SAMPLES, one row per input sample, in the order of the shards
    measures/measures_00000.parquet   EMBED      uid of each readable sample + a float32 column per pixel scorer
    stats/stats_00000.json            EMBED      samples, readable ones, seconds, compiled
    img_emb/img_emb_00000.npy         EMBED      float16 (readable samples, dim), unit length
    metadata/metadata_00000.parquet   EMBED      METADATA, aligned with img_emb row by row
    scores/scores_00000.parquet       SCORE      uid of each readable sample + a float32 column per score
    cells/cells_00000.npz             DEDUP      pycurate.cells.Cells: what `train` decides, the only file of its kind
    assigned/assigned_00000.npy       DEDUP      pycurate.members.member_dtype: a partition's visits, sorted by cell
    pairs/pairs_00000.parquet         DEDUP      pycurate.pairs.PAIRS: duplicates, whatever the filters say
    decisions.parquet                 DECIDE     DECISIONS + the score columns, one row per input sample
    decisions.json                    DECIDE     pycurate.criteria.Criteria: what decided, written last
    uids_kept.npy, uids_dropped.npy   DECIDE     pycurate.uids: which samples, as DataComp's tools list them
    duplicates.parquet                DECIDE     groups of duplicates, largest first: group, uid, kept, similarity
    dedup.json                        DECIDE     how duplicates were sought, and the share of them that is found
    plan/plan_00000.parquet           DECIDE     PLAN: what one WRITE task copies
    curated/00000.tar                 WRITE      the kept samples, with 00000.parquet, _stats.json, maybe .idx
    times/EMBED_00000.json            each       pycurate.times.Stage: what a piece of work cost
    summary.json, report.html         REPORT

The number in a name is the partition's (in `plan`, the WRITE task's; in `pairs`, the bucket's).
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pycurate.errors import TableError
from pycurate.files import atomic

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
        ("caption", pa.string()),  # the .txt sidecar, or "caption" of the .json; null if there is none
        ("given_uid", pa.string()),  # "uid" of the .json if it is 32 hex digits, as in DataComp's pools; else null
        ("status", pa.string()),  # ok | error
        ("error", pa.string()),  # a short code, null if ok
        ("error_message", pa.string()),
        ("row", pa.int64()),  # into the partition's embeddings, null if none
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

PLAN = pa.schema(
    [
        ("output_shard", pa.string()),
        ("uid", pa.string()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("tar_offset", pa.int64()),
        ("tar_size", pa.int64()),
        # the score columns stand here
    ]
)


def sample_uid(shard: str, key: str, repeat: int = 0) -> str:
    """32 hex digits naming a sample: BLAKE2b-128 of its shard (relative to the input root) and key.

    `repeat` counts earlier samples of the same key in the same shard, so that each has a name of its own.
    """
    text = f"{shard}\0{key}" + (f"\0{repeat}" if repeat else "")
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def path_of(results: Path, kind: str, number: str) -> Path:
    """The path of a numbered file, such as `samples/samples_00000.parquet`."""
    suffix = {"img_emb": "npy", "partitions": "tsv", "cells": "npz", "assigned": "npy", "stats": "json"}.get(
        kind, "parquet"
    )
    return results / kind / f"{kind}_{number}.{suffix}"


def numbers(results: Path, kind: str) -> list[str]:
    """The numbers for which `results` holds a file of this kind, in order (shorter ones first, then by digits).

    Raises TableError if there is none.
    """
    found = {  # a plan has two files of a number
        match[1]
        for path in (results / kind).glob(f"{kind}_*")
        if (match := re.fullmatch(rf"{kind}_(\d+)\.\w+", path.name))
    }
    if not found:
        raise TableError(f"{results / kind} holds no {kind} files; run the stage that writes them first.")
    return sorted(found, key=lambda number: (len(number), number))


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file (zstd), whole or not at all."""
    with atomic(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read one Parquet file. Raises TableError if it is missing, cut or lacks a column."""
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise TableError(f"{path} cannot be read as a table ({error}); run the stage that writes it again.") from error


def read_tables(results: Path, kind: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Each numbered table of a kind, in order, with its number."""
    for number in numbers(results, kind):
        yield number, read_table(path_of(results, kind, number), columns)


def samples_of(results: Path, decisions: pa.Table, columns: list[str]) -> pa.Table:
    """These columns of `samples/`, and `uid`, a row for each of the decisions.

    Raises TableError if the decisions do not list the samples in their order.
    """
    samples = pa.concat_tables([table for _, table in read_tables(results, "samples", ["uid", *columns])])
    if not samples["uid"].equals(decisions["uid"]):
        raise TableError("The decisions do not list all samples in their order; run DECIDE again.")
    return samples


def read_summary(results: Path) -> dict[str, Any]:
    """summary.json of a run. Raises TableError if there is none, as where the run did not end well."""
    try:
        summary: dict[str, Any] = json.loads((results / "summary.json").read_text(encoding="utf-8"))
        return summary
    except (OSError, ValueError) as error:
        raise TableError(
            f"{results} holds no summary of a run ({error}); name the folder of --outdir, and see that the run ended."
        ) from error


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one `.npy` file, whole or not at all."""
    with atomic(path) as beside, open(beside, "wb") as file:
        np.save(file, array)


def read_array(path: Path) -> np.ndarray:
    """One `.npy` file, mapped: what is used of it is read. Raises TableError if it is missing, cut or no array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive")
        return array
    except (OSError, ValueError, EOFError) as error:
        raise TableError(f"{path} cannot be read as an array ({error}); run the stage that writes it again.") from error


def read_embeddings(path: Path, rows: int | None = None) -> np.ndarray:
    """float (rows, dim), mapped: the embeddings of a partition, one for each of its readable samples.

    `rows` is how many samples its tables tell of, where that is known. Raises TableError if the file is missing, cut,
    holds anything else, or another number of rows.
    """
    array = read_array(path)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise TableError(
            f"{path} holds no table of vectors but {array.dtype} {array.shape}; embed the partition again."
        )
    if rows not in (None, len(array)):
        raise TableError(f"{path} has {len(array)} rows for {rows} readable samples; embed the partition again.")
    return array
