"""Finished tables without models, for tests of what comes after."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pycurate.dedup.partitions import Source
from pycurate.filters.filtering import Filtering
from pycurate.images.decode import ImageInfo
from pycurate.images.evidence import Evidence
from pycurate.results.layout import path_of
from pycurate.results.partitions import write_partitions
from pycurate.results.plan import Layout, output_plan
from pycurate.results.tables import DECISIONS, PLACE, read_table, read_tables, write_table
from pycurate.results.uids import uid_lists
from pycurate.shards.listing import find_shards
from pycurate.shards.samples import read_samples
from pycurate.stages import decide as stage
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


def decide(
    results: Path, sources: Sequence[Source], filtering: Filtering, layout: Layout | None, dedup: bool
) -> pa.Table:
    """What DECIDE decides."""
    stage.decide(results, sources, filtering, layout, dedup)
    return read_table(path_of(results, "decisions"))


def plan_output(results: Path, decisions: pa.Table, images_per_tar: int, tars_per_task: int) -> pa.Table:
    """Leave the plan of what these decisions keep; returns them with `output_shard` filled."""
    keys = decisions.filter(decisions["kept"])["key"].to_pylist()
    with output_plan(results, keys, Layout(images_per_tar, tars_per_task)) as plan:
        return plan.add(decisions, _samples(results, decisions, PLACE))


def write_uids(results: Path, decisions: pa.Table) -> None:
    """Leave the lists of uids that these decisions keep and drop."""
    with uid_lists(results, decisions.num_rows) as lists:
        lists.add(_samples(results, decisions, ["uid", "given_uid"]), decisions["kept"])


def _samples(results: Path, decisions: pa.Table, columns: Sequence[str]) -> pa.Table:
    samples = pa.concat_tables([table for _, table in read_tables(results, "samples")])
    assert samples["uid"].equals(decisions["uid"])
    return samples.select(list(columns))
