"""WRITE: the kept samples, byte for byte, in new tar shards.

A sample is copied as it lies in its shard: the headers, data and padding of all its members. So names, times, owners
and sidecars stay what they were, whatever they are, and the copy runs in the kernel. pycurate.shards.copy says the
rest.
"""

import logging
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import ShardError, TableError
from pycurate.files import atomic, write_json
from pycurate.results.layout import KINDS, Per, numbers, path_of, paths_of
from pycurate.results.partitions import read_all
from pycurate.results.tables import read_table, write_table
from pycurate.shards.copy import Source
from pycurate.shards.dali_index import index_path, write_index
from pycurate.shards.listing import Shard
from pycurate.shards.tar import END, RECORD

log = logging.getLogger(__name__)
TAR = re.compile(r"[0-9]+\.tar")


def write_curated(results: Path, plan_numbers: Sequence[str] = (), dali_index: bool = False) -> None:
    """Write the tars of these plans (all if none is named) to `curated/`, each with its .parquet and _stats.json.

    With `dali_index` each has an .idx, too. The stats come last: a tar that has them is whole. With all plans carried
    out, what an earlier decision left there beyond them is removed. Raises ShardError if a shard is gone or changed,
    TableError if a plan names a shard that no partition has, or an output that is none.
    """
    shards = read_all(results)
    written = set()
    for number in plan_numbers or numbers(results, "plan"):
        plan = read_table(path_of(results, "plan", number))
        for name in pc.unique(plan["output_shard"]).to_pylist():
            if not TAR.fullmatch(name or ""):
                raise TableError(f"The plan {number} names the output {name!r}, not 00000.tar or so; run DECIDE again.")
            rows = plan.filter(pc.equal(plan["output_shard"], name))
            write_tar(results, Path(name).stem, rows, shards, dali_index)
            written.add(Path(name).stem)
    if not plan_numbers:
        for kind in (kind for kind in KINDS.values() if kind.per is Per.TAR):
            for number, old in paths_of(results, kind.name).items():
                if number not in written:
                    old.unlink()


def write_tar(results: Path, number: str, rows: pa.Table, shards: dict[str, Shard], dali_index: bool = False) -> None:
    """Write one output tar from the PLAN rows of its samples, its .parquet, with `dali_index` its .idx, its stats."""
    path = path_of(results, "tars", number)
    index_path(path).unlink(missing_ok=True)  # that of an earlier tar would point into the middle of members
    columns = ("shard", "key", "tar_offset", "tar_size")
    places = zip(*(rows[column].to_pylist() for column in columns), strict=True)
    # Not "wb": a file that was cut to nothing is written to the disk by ext4 as soon as it is closed.
    with atomic(path) as temporary, open(temporary, "r+b", buffering=0) as output, ExitStack() as stack:
        opened: dict[str, Source] = {}
        for name, samples in groupby(places, lambda place: place[0]):
            if name not in opened:
                opened[name] = stack.enter_context(_open(name, shards))
            copy_samples(opened[name], output, [(key, offset, size) for _, key, offset, size in samples])
        end = output.seek(0, os.SEEK_END) + len(END)
        output.write(END + bytes(-end % RECORD))
        size = output.tell()
    write_table(path_of(results, "tar_tables", number), rows.drop_columns(["output_shard", "tar_offset", "tar_size"]))
    if dali_index:
        write_index(path)
    sources = {entry["values"]: entry["counts"] for entry in rows["shard"].value_counts().to_pylist()}
    stats = {"samples": rows.num_rows, "bytes": size, "from_shards": sources}
    write_json(path_of(results, "tar_stats", number), stats)
    log.info("%s: %d samples, %d bytes", path.name, rows.num_rows, size)


def copy_samples(source: Source, output: BinaryIO, samples: Iterable[tuple[str | None, int, int]]) -> None:
    """Copy samples, each of them (key, tar_offset, tar_size), to the end of an unbuffered file, in the kernel.

    Raises ShardError if the shard does not hold them.
    """
    start = stop = 0  # what is to be copied next: samples that lie one behind the other make one stretch
    for sample in samples:
        for piece in source.pieces(*sample):
            if isinstance(piece, bytes):
                _copy(source, output, start, stop)
                output.write(piece)
                start = stop = 0
            elif piece[0] == stop:
                stop = piece[1]
            else:
                _copy(source, output, start, stop)
                start, stop = piece
    _copy(source, output, start, stop)


def _open(name: str, shards: dict[str, Shard]) -> Source:
    if name not in shards:
        raise TableError(f"No partition names the shard {name}, from which samples are to be copied.")
    return Source(shards[name])


def _copy(source: Source, output: BinaryIO, start: int, stop: int) -> None:
    while start < stop:
        done = os.sendfile(output.fileno(), source.file.fileno(), start, stop - start)
        if done == 0:
            raise ShardError(f"Shard {source.name} ends before byte {stop}; it changed while it was read: run again.")
        start += done
