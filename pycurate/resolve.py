"""RESOLVE, the last step of DEDUP: the filters and the duplicates become decisions.

**The definition.** Samples are ranked (see `pycurate.order`); byte-equal images rank together, at the place of the best
of them. In that order a sample that passes the filters is kept unless a kept one before it is a duplicate of it; else
it is dropped and names the first such one, or the first byte-equal one if there is any. Byte-equal images (by SHA-256)
are duplicates of similarity 1, others by `pycurate.vectors.similarity`. The reason is `duplicate_reference` if the
named image belongs to a reference set, which outranks everything, else `duplicate_exact` if it is byte-equal, else
`duplicate_near`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.filters import OWN_REASONS, first_failed
from pycurate.graph import Dropped, duplicates, write_duplicates
from pycurate.metadata_filters import Filter
from pycurate.order import hex_digits
from pycurate.sources import Source
from pycurate.tables import DECISIONS


def resolve(results: Path, sources: Sequence[Source], filters: Sequence[Filter], dedup: bool) -> pa.Table:
    """DECISIONS with the score columns, one row per sample of the new `sources`; `output_shard` is still null.

    With `dedup`, also leaves dedup.json (how duplicates were sought and how many are found) and duplicates.parquet
    (see `Dropped.groups`) in `results`. Raises UsageError if a filter asks for a score that is not there, TableError if
    tables are missing or do not fit.
    """
    new = [source for source in sources if not source.reference]
    # Every filter is asked once about a sample: one that draws at random would say something else the second time.
    failed = {source.number: first_failed(filters, source.facts(), source.label) for source in new}
    names = [one.reason for one in filters]
    if not dedup:
        return pa.concat_tables([_decide(source, failed[source.number], names, Dropped.none()) for source in new])
    passes = {number: first == len(filters) for number, first in failed.items()}
    dropped, search, recall = duplicates(results, sources, passes)
    decisions = pa.concat_tables([_decide(source, failed[source.number], names, dropped) for source in new])
    write_duplicates(results, dropped, search, recall)
    return decisions


def _decide(source: Source, failed: np.ndarray, filters: Sequence[str], dropped: Dropped) -> pa.Table:
    """DECISIONS of one partition: `failed` as `first_failed` gives it, `filters` their reasons."""
    samples = source.samples(["uid", "shard", "key", "status", "row"])
    if not pc.equal(samples["status"], "ok").equals(pc.is_valid(samples["row"])):
        raise TableError(f"Partition {source.name} has samples that are ok without an embedding; embed it again.")
    scores = source.scores(source.readable(["uid"])["uid"])
    reason = np.where(failed < len(filters), len(OWN_REASONS) + failed, OWN_REASONS.index("kept"))
    here = dropped.within(source.number)
    kind = np.where(here.exact, OWN_REASONS.index("duplicate_exact"), OWN_REASONS.index("duplicate_near"))
    reason[here.rows] = np.where(here.reference, OWN_REASONS.index("duplicate_reference"), kind)
    names = pa.array([*OWN_REASONS, *filters])
    reasons = pc.fill_null(names.take(pa.array(reason)).take(samples["row"]), "unreadable")
    # For each sample its place in `dropped`, null if it is not there.
    place = pc.index_in(samples["row"], value_set=pa.array(here.rows, pa.int64()), skip_nulls=True)
    decided = {
        "kept": pc.equal(reasons, "kept"),
        "reason": reasons,
        "duplicate_of": hex_digits(here.of).take(place),
        "similarity": pa.array(here.similarity).take(place),
        "output_shard": pa.nulls(samples.num_rows, pa.string()),
    }
    columns = {name: samples[name] for name in ("uid", "shard", "key")}
    columns |= {name: scores[name].take(samples["row"]) for name in scores.column_names}
    return pa.table(columns | {name: decided[name].cast(DECISIONS.field(name).type) for name in decided})
