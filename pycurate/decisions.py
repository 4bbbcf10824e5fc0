"""The end of DEDUP: decide about every sample, and plan what WRITE copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pycurate.metadata_filters import Filter
from pycurate.resolve import resolve
from pycurate.sources import Source
from pycurate.tables import write_table
from pycurate.uids import write_uids
from pycurate.write import forget_plan, plan_output


@dataclass(frozen=True)
class Layout:
    """How the kept samples are laid out."""

    images_per_tar: int = 100
    tars_per_task: int = 200  # of a WRITE task


def decide(
    results: Path, sources: Sequence[Source], filters: Sequence[Filter], layout: Layout | None, dedup: bool
) -> pa.Table:
    """Leave decisions.parquet, the lists of uids and plan/ in `results`, with `dedup` also what `resolve` leaves.

    Without a `layout` nothing is to be written: there is no plan, and no sample has an output shard. Returns the
    decisions. Raises what `resolve` raises.
    """
    decisions = resolve(results, sources, filters, dedup)
    if layout:
        decisions = plan_output(results, decisions, layout.images_per_tar, layout.tars_per_task)
    else:
        forget_plan(results)
    write_uids(results, decisions)
    write_table(results / "decisions.parquet", decisions)
    return decisions
