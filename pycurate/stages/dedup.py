"""DEDUP: find the duplicates among all readable samples: train, assign per partition, match per bucket of cells.

None of the three knows a filter. DECIDE applies the filters and drops duplicates.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.cells import Cells, distance_at, visits
from pycurate.dedup.graph import duplicates, write_duplicates
from pycurate.dedup.keys import keys_of
from pycurate.dedup.match import Query, match_cell
from pycurate.dedup.members import members_of
from pycurate.dedup.pairs import LIMIT, PAIRS, Search, references_metadata
from pycurate.dedup.partitions import Source, aesthetic_of, embeddings_of, references_of, sources_of
from pycurate.dedup.products import device_for, product_device, threads_for
from pycurate.dedup.rank import COLUMNS, checked_keep, order_of, scattered
from pycurate.dedup.sets import check_folder
from pycurate.dedup.settings import Settings
from pycurate.dedup.train import train
from pycurate.dedup.vectors import Embeddings, sample_numbers
from pycurate.dedup.visits import member_dtype
from pycurate.errors import UsageError
from pycurate.hardware import cores, one_blas_thread
from pycurate.results.layout import path_of
from pycurate.results.tables import SAMPLES, read_views, write_array, write_table
from pycurate.results.uids import uid_numbers

log = logging.getLogger(__name__)

PROBE_BITS = 58  # one image in 2^(64 - 58) = 64 is a probe in fast mode
ROWS = 8192  # vectors assigned at once, about
FEW_CELLS = 4  # per core, below which threads share cells, too


@one_blas_thread
def assign(source: Source, results: Path, cells: Cells) -> None:
    """Write the visits of one partition's samples to cells, sorted by cell, beneath `results`."""
    samples = source.readable(source.known(["sha256", *COLUMNS]))
    embeddings = embeddings_of([source])
    read_views(source.embeddings, samples.num_rows)  # of each of them
    views = embeddings.shape[0]
    aesthetic = aesthetic_of(source.scores(samples["uid"]), samples.num_rows)
    one = np.zeros(samples.num_rows, member_dtype(cells.centres.shape[1], cells.identity))
    one["sample"] = sample_numbers(source.number, np.arange(samples.num_rows))
    one["order"] = order_of(samples, aesthetic, checked_keep(cells.keep), cells.shards.tolist(), bool(source.reference))
    one["content"] = uid_numbers(samples["sha256"])
    if cells.reach < 1:
        one["probe"] = scattered(one["content"]) >> np.uint64(PROBE_BITS) == 0
    one = np.repeat(one, views)  # from here on a row is a vector
    one["view"] = np.tile(np.arange(views), samples.num_rows)
    chosen = np.repeat(source.chosen(samples), views)
    members = (_at_home if cells.whole else _visiting)(one, chosen, _blocks(embeddings, source.number), cells)
    write_array(path_of(results, "assigned", f"{source.number:05d}"), members)
    log.info("partition %s: %d vectors, %d visits", source.label, len(one), len(members))


Blocks = Iterator[tuple[slice, np.ndarray]]
"""Some vectors of a partition after the other: which they are, and float16 (n, dim)."""


def _blocks(embeddings: Embeddings, partition: int) -> Blocks:
    views, dim = embeddings.shape
    images = max(1, ROWS // views)
    for first in range(0, embeddings.rows(partition), images):
        block = embeddings.block(partition, first, first + images)
        yield slice(first * views, (first + images) * views), block.reshape(-1, dim)


def _at_home(one: np.ndarray, chosen: np.ndarray, blocks: Blocks, cells: Cells) -> np.ndarray:
    """The chosen ones of member_dtype (n,), at home in the one cell."""
    one["home"] = True
    for here, block in blocks:
        one["key"][here] = keys_of(block, cells.directions)
    return one[chosen]


def _visiting(one: np.ndarray, chosen: np.ndarray, blocks: Blocks, cells: Cells) -> np.ndarray:
    """The visits of the chosen ones of member_dtype (n,), sorted by cell."""
    import torch  # here and below, since it takes seconds, and one cell does not need it

    device = product_device()
    centres = torch.from_numpy(cells.centres).to(device)
    searched = torch.from_numpy(chosen).to(device)
    distance = distance_at(cells.threshold)
    found: list[np.ndarray] = [np.zeros((0, 4), np.int64)]
    for here, block in blocks:
        keys = torch.from_numpy(keys_of(block, cells.directions)).to(device)
        home, seen = visits(keys, centres, cells.reach * distance / 2)
        if cells.reach < 1:
            probes = torch.from_numpy(one["probe"][here] > 0).to(device)
            extra = visits(keys, centres, distance)[1] & probes[:, None] & ~seen
            seen |= extra
        else:
            extra = torch.zeros_like(seen)
        seen &= searched[here, None]
        row, cell = torch.nonzero(seen, as_tuple=True)
        one["key"][here] = keys.cpu().numpy()
        visit = torch.stack([row + here.start, cell, home[row] == cell, extra[row, cell]], dim=1)
        found.append(visit.cpu().numpy())
    row, cell, at_home, extra_visit = np.concatenate(found).T
    sort = np.argsort(cell, kind="stable")
    members = one[row[sort]]
    members["cell"], members["home"] = cell[sort], at_home[sort]
    members["probe"] += extra_visit[sort].astype(np.int8)
    return members


@one_blas_thread
def match(results: Path, bucket: int, cells: Cells, embeddings: Embeddings, references: Sequence[str]) -> None:
    """Write the duplicates that meet in one bucket of cells.

    `references` are those among which is searched, too, as `references_of` tells them; the pairs record them.

    Raises UsageError if there is no such bucket.
    """
    buckets = len(cells.buckets) - 1
    if not 0 <= bucket < buckets:
        raise UsageError(f"There is no bucket {bucket}: there are {buckets}, numbered from 0.")
    start, stop = cells.buckets[bucket : bucket + 2].tolist()
    members = members_of(results, embeddings.paths, start, stop, cells.threshold, cells.identity)
    starts = np.flatnonzero(np.diff(members["cell"], prepend=-1))
    each = np.split(members, starts[1:]) if len(members) else []
    device = device_for(sum(len(cell) ** 2 for cell in each) / 2, cells.centres.shape[1])
    lookup = Query(cells.threshold, LIMIT, embeddings.similarity, device)
    tables = [PAIRS.empty_table(), *_match_in_threads(each, lookup)]
    search = Search(cells.threshold, cells.keep, cells.reach, buckets, cells.identity)
    metadata = search.to_metadata() | references_metadata(references)
    table = pa.concat_tables(tables).combine_chunks().replace_schema_metadata(metadata)
    write_table(path_of(results, "pairs", f"{bucket:05d}"), table)
    log.info("bucket %d: %d visits, %d pairs", bucket, len(members), table.num_rows)


def _match_in_threads(each: Sequence[np.ndarray], lookup: Query) -> list[pa.Table]:
    """One thread per cell, since products are too small for threads to share one.

    Where there are few cells, of which one may be much larger than the others, one per block of their rows, too.
    """
    with threads_for(lookup.device) as pool, ThreadPoolExecutor(cores()) as waiting:
        if len(each) < FEW_CELLS * cores():
            in_blocks = replace(lookup, each=pool.map)
            return list(waiting.map(lambda members: match_cell(members, in_blocks), each))
        return list(pool.map(lambda members: match_cell(members, lookup), each))


def find_pairs(results: Path, sources: Sequence[Source], settings: Settings) -> None:
    """Train, assign and match in this process; leaves cells, assigned and pairs."""
    cells = train(results, sources, settings)
    for source in sources:
        assign(source, results, cells)
    embeddings, references = embeddings_of(sources), references_of(sources)
    for bucket in range(len(cells.buckets) - 1):
        match(results, bucket, cells, embeddings, references)


# Duplicates among the vectors of an embedding folder that clip-retrieval or a like tool left: no tables, no scores.
def dedup_embeddings(folder: Path, settings: Settings, out: Path) -> None:
    """Write out/decisions.parquet: row, kept, duplicate_of (a row) and similarity of each vector, in order.

    `folder` holds img_emb/*.npy, read in the order of their names; of two duplicates the earlier row is kept.
    Also leaves out/dedup.json and out/duplicates.parquet (see `pycurate.dedup.graph`), whose uids are the rows in hex.

    Raises UsageError if there are no such files, TableError if some are missing as far as their names tell.
    """
    files = sorted((folder / "img_emb").glob("*.npy"))
    if not files:
        raise UsageError(f"{folder / 'img_emb'} contains no .npy files; give the folder that contains img_emb.")
    check_folder(folder)
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
    write_table(path_of(out, "decisions"), pa.table(columns))


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
