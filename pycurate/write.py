"""WRITE: the kept samples, byte for byte, in new tar shards.

A sample is copied as it lies in its shard: the headers, data and padding of all its members. So names, times, owners
and sidecars stay what they were, whatever they are, and the copy runs in the kernel. pycurate.tarcopy says the rest.
"""

import logging
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dali_index import index_path, write_index
from pycurate.errors import ShardError, TableError
from pycurate.files import atomic, write_json
from pycurate.partition import Shard, read_all
from pycurate.tables import DECISIONS, PLAN, numbers, path_of, read_table, samples_of, write_table
from pycurate.tarcopy import Source
from pycurate.tarheader import BLOCK

log = logging.getLogger(__name__)

RECORD = 10240  # tar pads an archive to a multiple of this
END = bytes(2 * BLOCK)  # two empty blocks end an archive
TAR = re.compile(r"[0-9]+\.tar")
OUTPUT = re.compile(r"(\d+)(\.tar|\.parquet|\.idx|_stats\.json)")  # the files of an output shard


def assign_tars(keys: Iterable[str], images_per_tar: int) -> np.ndarray:
    """int64 (n,): the output tar of each kept sample, given their keys in input order.

    A tar takes `images_per_tar` samples and is closed early where the next key is in it already: two samples of one
    key in a tar would be merged or refused by its readers, and another key would not be the sample's own.
    """
    tars = []
    tar, held = 0, set[str]()
    for key in keys:
        if len(held) == images_per_tar or key in held:
            tar, held = tar + 1, set()
        held.add(key)
        tars.append(tar)
    return np.array(tars, dtype=np.int64)


def tar_name(tar: int, tars: int) -> str:
    """The file name of an output tar; all names of a set are equally long, so a brace range can name them."""
    return f"{tar:0{max(5, len(str(tars - 1)))}}.tar"


def plan_output(results: Path, decisions: pa.Table, images_per_tar: int, tars_per_task: int) -> pa.Table:
    """Give each kept sample its output tar, and leave plan/plan_00000.parquet and .tsv for each WRITE task.

    `decisions` has one row per input sample in input order, as `samples/` has. Returns it with `output_shard` filled.
    The .tsv lists the names of the shards that the task reads, one a line.
    """
    kept = decisions["kept"].to_numpy()
    tars = assign_tars(decisions.filter(decisions["kept"])["key"].to_pylist(), images_per_tar)
    count = int(tars[-1]) + 1 if len(tars) else 0
    names = np.array([tar_name(tar, count) for tar in range(count)], dtype=object)
    output = np.full(len(kept), None, dtype=object)
    output[kept] = names[tars] if count else None
    decisions = decisions.set_column(
        decisions.schema.get_field_index("output_shard"), "output_shard", pa.array(output, pa.string())
    )

    places = samples_of(results, decisions, ["tar_offset", "tar_size"])
    columns = [name for name in PLAN.names if name in DECISIONS.names]
    scores = [name for name in decisions.column_names if name not in DECISIONS.names]
    plan = decisions.select(columns + scores)
    for name in ("tar_offset", "tar_size"):
        plan = plan.append_column(name, places[name])
    plan = plan.select([*PLAN.names, *scores]).filter(decisions["kept"])
    forget_plan(results)
    tasks = tars // tars_per_task
    count_tasks = int(tasks[-1]) + 1 if count else 1  # a plan for nothing, too, is a plan
    width = max(5, len(str(count_tasks - 1)))
    for task, (start, stop) in enumerate(pairwise(np.searchsorted(tasks, np.arange(count_tasks + 1)).tolist())):
        part = plan.slice(start, stop - start)
        path = path_of(results, "plan", f"{task:0{width}}")
        write_table(path, part)
        with atomic(path.with_suffix(".tsv")) as beside:
            beside.write_text("".join(f"{name}\n" for name in pc.unique(part["shard"]).to_pylist()), encoding="utf-8")
    return decisions


def forget_plan(results: Path) -> None:
    """Remove the plan of an earlier decision."""
    for old in (results / "plan").glob("plan_*"):
        old.unlink()


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
                raise TableError(f"The plan {number} names the output {name!r}, not 00000.tar or so; run DEDUP again.")
            rows = plan.filter(pc.equal(plan["output_shard"], name))
            write_tar(results / "curated" / name, rows, shards, dali_index)
            written.add(Path(name).stem)
    if not plan_numbers:
        for old in (results / "curated").glob("[0-9]*"):
            if (match := OUTPUT.fullmatch(old.name)) and match[1] not in written:
                old.unlink()


def write_tar(path: Path, rows: pa.Table, shards: dict[str, Shard], dali_index: bool = False) -> None:
    """Write one output tar from the PLAN rows of its samples, its .parquet, with `dali_index` its .idx, its stats."""
    index_path(path).unlink(missing_ok=True)  # that of an earlier tar would point into the middle of members
    columns = ("shard", "key", "tar_offset", "tar_size")
    places = zip(*(rows[column].to_pylist() for column in columns), strict=True)
    with atomic(path) as beside, open(beside, "wb", buffering=0) as output, ExitStack() as stack:
        opened: dict[str, Source] = {}
        for name, samples in groupby(places, lambda place: place[0]):
            if name not in opened:
                opened[name] = stack.enter_context(_open(name, shards))
            copy_samples(opened[name], output, [(key, offset, size) for _, key, offset, size in samples])
        end = output.seek(0, os.SEEK_END) + len(END)
        output.write(END + bytes(-end % RECORD))
        size = output.tell()
    write_table(path.with_suffix(".parquet"), rows.drop_columns(["output_shard", "tar_offset", "tar_size"]))
    if dali_index:
        write_index(path)
    sources = {entry["values"]: entry["counts"] for entry in rows["shard"].value_counts().to_pylist()}
    write_json(
        path.with_name(f"{path.stem}_stats.json"), {"samples": rows.num_rows, "bytes": size, "from_shards": sources}
    )
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
