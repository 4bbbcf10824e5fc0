"""DEDUP: find the duplicates among all readable samples: train, assign per partition, match per bucket of cells.

None of the three knows a filter. DECIDE applies the filters and drops duplicates.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pycurate.cells import Cells, distance_at, keys_of, visits
from pycurate.choice import cores
from pycurate.errors import UsageError
from pycurate.match import match_cell
from pycurate.members import member_dtype, members_of
from pycurate.order import checked_keep, order_of, scattered, uid_numbers
from pycurate.pairs import LIMIT, PAIRS, Search
from pycurate.search import Lookup
from pycurate.settings import Settings
from pycurate.sources import Source, aesthetic_of, embeddings_of
from pycurate.tables import path_of, read_embeddings, write_array, write_table
from pycurate.training import device, train
from pycurate.vectors import Embeddings, sample_numbers

log = logging.getLogger(__name__)

PROBE_BITS = 58  # one image in 2^(64 - 58) = 64 is a probe in fast mode
ROWS = 8192  # vectors assigned at once


def assign(source: Source, results: Path, cells: Cells) -> None:
    """Write the visits of one partition's samples to cells, sorted by cell, beneath `results`."""
    samples = source.readable(["uid", "shard", "tar_offset", "sha256", "width", "height"])
    embeddings = embeddings_of([source])
    read_embeddings(source.embeddings, samples.num_rows)  # one for each of them
    aesthetic = aesthetic_of(source.scores(samples["uid"]), samples.num_rows)
    directions, centres = (torch.from_numpy(array).to(device()) for array in (cells.directions, cells.centres))
    one = np.zeros(samples.num_rows, member_dtype(centres.shape[1]))
    one["sample"] = sample_numbers(source.number, np.arange(samples.num_rows))
    one["order"] = order_of(samples, aesthetic, checked_keep(cells.keep), cells.shards.tolist(), bool(source.reference))
    one["content"] = uid_numbers(samples["sha256"])
    if cells.reach < 1:
        one["probe"] = scattered(one["content"]) >> np.uint64(PROBE_BITS) == 0
    chosen = torch.from_numpy(source.chosen(samples["uid"])).to(device())
    distance = distance_at(cells.threshold)
    found: list[np.ndarray] = [np.zeros((0, 4), np.int64)]
    for start in range(0, samples.num_rows, ROWS):
        block = embeddings.block(source.number, start, start + ROWS)
        keys = keys_of(torch.from_numpy(block).to(device()), directions)
        home, seen = visits(keys, centres, cells.reach * distance / 2)
        if cells.reach < 1:
            probes = torch.from_numpy(one["probe"][start : start + ROWS] > 0).to(device())
            extra = visits(keys, centres, distance)[1] & probes[:, None] & ~seen
            seen |= extra
        else:
            extra = torch.zeros_like(seen)
        seen &= chosen[start : start + ROWS, None]
        row, cell = torch.nonzero(seen, as_tuple=True)
        one["key"][start : start + ROWS] = keys.cpu().numpy()
        found.append(torch.stack([row + start, cell, home[row] == cell, extra[row, cell]], dim=1).cpu().numpy())
    row, cell, at_home, extra_visit = np.concatenate(found).T
    sort = np.argsort(cell, kind="stable")
    members = one[row[sort]]
    members["cell"], members["home"] = cell[sort], at_home[sort]
    members["probe"] += extra_visit[sort].astype(np.int8)
    write_array(path_of(results, "assigned", f"{source.number:05d}"), members)
    log.info("partition %s: %d vectors, %d visits", source.label, len(one), len(members))


def match(results: Path, bucket: int, cells: Cells, embeddings: Embeddings) -> None:
    """Write the duplicates that meet in one bucket of cells.

    Raises UsageError if there is no such bucket.
    """
    buckets = len(cells.buckets) - 1
    if not 0 <= bucket < buckets:
        raise UsageError(f"There is no bucket {bucket}: train made {buckets}, from 0 on.")
    members = members_of(results, embeddings.paths, *cells.buckets[bucket : bucket + 2].tolist())
    lookup = Lookup(cells.threshold, LIMIT, embeddings.similarity, device())
    starts = np.flatnonzero(np.diff(members["cell"], prepend=-1))
    each = np.split(members, starts[1:]) if len(members) else []
    # One thread per cell: the products are too small for several threads to share one.
    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        tables = [PAIRS.empty_table(), *pool.map(lambda one: match_cell(one, lookup), each)]
    search = Search(cells.threshold, cells.keep, cells.reach, buckets)
    table = pa.concat_tables(tables).combine_chunks().replace_schema_metadata(search.to_metadata())
    write_table(path_of(results, "pairs", f"{bucket:05d}"), table)
    log.info("bucket %d: %d visits, %d pairs", bucket, len(members), table.num_rows)


def find_pairs(results: Path, sources: Sequence[Source], settings: Settings) -> None:
    """Train, assign and match in this process; leaves cells, assigned and pairs."""
    cells = train(results, sources, settings)
    for source in sources:
        assign(source, results, cells)
    embeddings = embeddings_of(sources)
    for bucket in range(len(cells.buckets) - 1):
        match(results, bucket, cells, embeddings)
