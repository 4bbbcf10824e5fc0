"""WRITE: the kept samples, byte for byte, in new tar shards.

A sample is copied as it lies in its shard: the headers, data and padding of all its members. So names, times, owners
and sidecars stay what they were, whatever they are. pycurate.shards.copy says the rest.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.files import atomic, write_json
from pycurate.results.layout import KINDS, Per, numbers, path_of, paths_of
from pycurate.results.manifest import Entry, entry_of, left
from pycurate.results.partitions import read_all
from pycurate.results.tables import PLACE, read_table, write_table
from pycurate.shards.copy import Source
from pycurate.shards.dali_index import index_path, write_index
from pycurate.shards.intact import ImagePlace
from pycurate.shards.listing import Shard, touched
from pycurate.shards.output import Output
from pycurate.shards.tar import END, RECORD
from pycurate.stores.spans import Span
from pycurate.text import count_of

log = logging.getLogger(__name__)
TAR = re.compile(r"[0-9]+\.tar")
OUTPUT = [kind.name for kind in KINDS.values() if kind.per is Per.TAR]  # the files of an output shard


def write_curated(results: Path, plan_numbers: Sequence[str] = (), dali_index: bool = False) -> list[Entry]:
    """Write the tars of these plans (all if none is named) to `curated/`, each with its .parquet and _stats.json.

    With `dali_index` each has an .idx, too. The stats come last: a tar that has them is whole. With all plans carried
    out, what an earlier decision left there beyond them is removed. Returns what was written. Raises ShardError if a
    shard is gone or changed, TableError if a plan names a shard that no partition has, or an output that is none.
    """
    shards = read_all(results)
    written: list[Entry] = []
    outputs = {number: _outputs(results, number) for number in plan_numbers or numbers(results, "plan")}
    for tar in chain.from_iterable(outputs.values()):  # by its stats one of an earlier plan would pass for whole
        path_of(results, "tar_stats", tar).unlink(missing_ok=True)
    for number, tars in outputs.items():
        plan = read_table(path_of(results, "plan", number))
        _warn_of_touched(shards[name] for name in pc.unique(plan["shard"]).to_pylist() if name in shards)
        for tar in tars:
            rows = plan.filter(pc.equal(plan["output_shard"], path_of(results, "tars", tar).name))
            sha256 = write_tar(results, tar, rows, shards, dali_index)
            written.append(entry_of(results, path_of(results, "tars", tar), sha256))
            written.extend(left(results, [kind for kind in OUTPUT if kind != "tars"], tar))
    if not plan_numbers:
        names = {entry.name for entry in written}
        for old in (path for kind in OUTPUT for path in paths_of(results, kind).values()):
            if old.relative_to(results).as_posix() not in names:
                old.unlink()
    return written


def _outputs(results: Path, number: str) -> list[str]:
    """The numbers of the tars of a plan. Raises TableError if it names an output that is none."""
    names = pc.unique(read_table(path_of(results, "plan", number), ["output_shard"])["output_shard"]).to_pylist()
    for name in names:
        if not TAR.fullmatch(name or ""):
            raise TableError(
                f"The plan {number} has the output {name!r} instead of one such as 00000.tar; run DECIDE again."
            )
    return [Path(name).stem for name in names]


def write_tar(results: Path, number: str, rows: pa.Table, shards: dict[str, Shard], dali_index: bool = False) -> str:
    """Write one output tar from the PLAN rows of its samples, its .parquet, with `dali_index` its .idx, its stats.

    Returns the tar's SHA-256.
    """
    path = path_of(results, "tars", number)
    index_path(path).unlink(missing_ok=True)  # that of an earlier tar would point into the middle of members
    columns = ("shard", "key", *PLACE)
    places = list(zip(*(rows[column].to_pylist() for column in columns), strict=True))
    wanted = defaultdict[str, list[Span]](list)
    for shard, _, start, size, *_ in places:
        wanted[shard].append((start, start + size))
    # Not "wb": a file that was cut to nothing is written to the disk by ext4 as soon as it is closed.
    with atomic(path) as temporary, open(temporary, "r+b", buffering=0) as file, Output(file) as output:
        for name, samples in groupby(places, lambda place: place[0]):
            due = [(start, size, ImagePlace(key, *image)) for _, key, start, size, *image in samples]
            with _open(name, shards, wanted[name]) as source:
                copy_samples(source, output, due)
        output.write(END + bytes(-(output.size + len(END)) % RECORD))
        size, sha256 = output.size, output.sha256()
    write_table(path_of(results, "tar_tables", number), rows.drop_columns(["output_shard", *PLACE]))
    if dali_index:
        write_index(path)
    sources = {entry["values"]: entry["counts"] for entry in rows["shard"].value_counts().to_pylist()}
    stats = {"samples": rows.num_rows, "bytes": size, "sha256": sha256, "from_shards": sources}
    write_json(path_of(results, "tar_stats", number), stats)
    log.info("%s: %d samples, %d bytes", path.name, rows.num_rows, size)
    return sha256


def copy_samples(source: Source, output: Output, samples: Iterable[tuple[int, int, ImagePlace | None]]) -> None:
    """Copy samples, each of them tar_offset, tar_size and, where it is known, its image, to the end of the output.

    Raises ShardError if the shard does not hold them, or other images.
    """
    start = stop = 0  # what is to be copied next: samples that lie one behind the other make one stretch
    for sample in samples:
        for piece in source.pieces(*sample):
            if isinstance(piece, bytes):
                output.copy(source, start, stop)
                output.write(piece)
                start = stop = 0
            elif piece[0] == stop:
                stop = piece[1]
            else:
                output.copy(source, start, stop)
                start, stop = piece
    output.copy(source, start, stop)
    source.images.check_all()


def _warn_of_touched(shards: Iterable[Shard]) -> None:
    if names := [shard.name for shard in shards if touched(shard)]:
        log.warning(
            "Modified after the images had been embedded: %s, such as %s; each image is compared with the one that was "
            "embedded, and sidecars are copied as they are now.",
            *(count_of(len(names), "shard"), names[0]),
        )


def _open(name: str, shards: dict[str, Shard], wanted: Iterable[Span]) -> Source:
    if name not in shards:
        raise TableError(f"No partition contains the shard {name}, from which samples are to be copied.")
    return Source(shards[name], wanted)
