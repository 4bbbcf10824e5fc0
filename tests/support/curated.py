"""Finished tables without models, for tests of what comes after."""

from pathlib import Path

import pyarrow as pa

from pycurate.images.decode import ImageInfo
from pycurate.images.evidence import Evidence
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.tables import DECISIONS, write_table
from pycurate.shards.listing import find_shards
from pycurate.shards.samples import read_samples
from pycurate.stages.embed import samples_table
from pycurate.stages.partition import partition


def finished(root: Path | str, results: Path, keep: set[tuple[str, str]]) -> pa.Table:
    """Leave partitions and samples as EMBED does, and return decisions that keep these (shard, key)."""
    shards, info = find_shards(str(root)), ImageInfo(64, 48, "jpeg")
    write_partitions(results, partition(shards, 1))
    decisions = []
    for number, shard in enumerate(shards):
        samples = list(read_samples(shard.path, shard.name))
        write_table(
            path_of(results, "samples", f"{number:05}"),
            samples_table(samples, [info] * len(samples), [Evidence(64 * 48, 0.0, 90.0)] * len(samples)),
        )
        decisions += [
            {"uid": s.uid, "shard": s.shard, "key": s.key, "kept": (s.shard, s.key) in keep, "aesthetic": 0.5}
            for s in samples
        ]
    return pa.Table.from_pylist(decisions, schema=DECISIONS.append(pa.field("aesthetic", pa.float32())))
