"""RESOLVE, the last step of DEDUP: the filters and the duplicates become decisions.

**The definition.** Samples are ranked (see `pycurate.order`); byte-equal images rank together, at the place of the best
of them. In that order a sample that passes the filters is kept unless a kept one before it is a duplicate of it; else
it is dropped and names the first such one, or the first byte-equal one if there is any. Byte-equal images (by SHA-256)
are duplicates of similarity 1, others by `pycurate.vectors.similarity`. The reason is `duplicate_reference` if the
named image belongs to a reference set, which outranks everything, else `duplicate_exact` if it is byte-equal, else
`duplicate_near`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.files import write_json
from pycurate.filters import OWN_REASONS, first_failed
from pycurate.graph import Dropped, duplicates
from pycurate.metadata_filters import Filter
from pycurate.order import hex_digits
from pycurate.sources import Source
from pycurate.tables import DECISIONS, write_table
from pycurate.vectors import ROW_BITS

log = logging.getLogger(__name__)


def resolve(results: Path, sources: Sequence[Source], filters: Sequence[Filter], dedup: bool) -> pa.Table:
    """DECISIONS with the score columns, one row per sample of the new `sources`; `output_shard` is still null.

    With `dedup`, also leaves dedup.json (how duplicates were sought and how many are found) and duplicates.parquet
    (see `groups`) in `results`. Raises UsageError if a filter asks for a score that is not there, TableError if tables
    are missing or do not fit.
    """
    new = [source for source in sources if not source.reference]
    if not dedup:
        return pa.concat_tables([_decide(source, filters, Dropped.none()) for source in new])
    dropped, search, recall = duplicates(results, sources, filters)
    decisions = pa.concat_tables([_decide(source, filters, dropped) for source in new])
    if search.reach < 1:
        log.warning(
            "The fast search found %.2f %% of the duplicate pairs (95 %% interval %.2f to %.2f, from %d images).",
            *(100 * recall.recall, 100 * recall.low, 100 * recall.high, recall.probes),
        )
    write_json(results / "dedup.json", vars(search) | vars(recall))
    write_table(results / "duplicates.parquet", groups(decisions))
    return decisions


def groups(decisions: pa.Table) -> pa.Table:
    """The groups of duplicates, largest first: group (int64), uid, kept, similarity to the kept one (null for itself).

    The kept one of a group stands first in it, also where it belongs to a reference set.
    """
    dropped = decisions.filter(pc.is_valid(decisions["duplicate_of"]))
    # A reference set numbers its samples by itself: one of its kept images may have the uid of one that is kept here.
    mark = pc.if_else(pc.equal(dropped["reason"], "duplicate_reference"), "r", "")
    of = pc.binary_join_element_wise(dropped["duplicate_of"], mark, "")
    sizes = pa.table({"of": of}).group_by("of").aggregate([([], "count_all")])
    sizes = sizes.sort_by([("count_all", "descending"), ("of", "ascending")])
    kept = pc.utf8_slice_codeunits(sizes["of"], 0, 32)
    count = dropped.num_rows
    heads = [np.arange(len(kept)), kept, np.ones(len(kept), bool), pa.nulls(len(kept), pa.float32())]
    group = pc.index_in(of, value_set=sizes["of"]).cast(pa.int64())
    members = [group, dropped["uid"], np.zeros(count, bool), dropped["similarity"]]
    names = ["group", "uid", "kept", "similarity"]
    table = pa.concat_tables([pa.table(columns, names=names) for columns in (heads, members)])
    order = [("group", "ascending"), ("kept", "descending"), ("similarity", "descending"), ("uid", "ascending")]
    return table.sort_by(order)


def _decide(source: Source, filters: Sequence[Filter], dropped: Dropped) -> pa.Table:
    samples = source.samples(["uid", "shard", "key", "status", "row"])
    if not pc.equal(samples["status"], "ok").equals(pc.is_valid(samples["row"])):
        raise TableError(f"Partition {source.name} has samples that are ok without an embedding; embed it again.")
    scores = source.scores(source.readable(["uid"])["uid"])
    failed = first_failed(filters, source.facts(), source.label)
    reason = np.where(failed < len(filters), len(OWN_REASONS) + failed, OWN_REASONS.index("kept"))

    here = slice(*np.searchsorted(dropped.sample, np.array([source.number, source.number + 1]) << ROW_BITS).tolist())
    rows = dropped.sample[here] & ((1 << ROW_BITS) - 1)
    kind = np.where(dropped.exact[here], OWN_REASONS.index("duplicate_exact"), OWN_REASONS.index("duplicate_near"))
    reason[rows] = np.where(dropped.reference[here], OWN_REASONS.index("duplicate_reference"), kind)

    names = pa.array([*OWN_REASONS, *(one.reason for one in filters)])
    reasons = pc.fill_null(names.take(pa.array(reason)).take(samples["row"]), "unreadable")
    # For each sample its place in `dropped`, null if it is not there.
    place = pc.index_in(samples["row"], value_set=pa.array(rows, pa.int64()), skip_nulls=True)
    decided = {
        "kept": pc.equal(reasons, "kept"),
        "reason": reasons,
        "duplicate_of": hex_digits(dropped.uid[here]).take(place),
        "similarity": pa.array(dropped.similarity[here]).take(place),
        "output_shard": pa.nulls(samples.num_rows, pa.string()),
    }
    columns = {name: samples[name] for name in ("uid", "shard", "key")}
    columns |= {name: scores[name].take(samples["row"]) for name in scores.column_names}
    return pa.table(columns | {name: decided[name].cast(DECISIONS.field(name).type) for name in decided})
