"""DECIDE: filters and duplicates become one decision a sample, and the plan of the output.

**The definition.** Samples are ranked (see `pycurate.dedup.rank`); byte-equal images rank together, at the place of the
best of them. In that order a sample that passes the filters is kept unless a kept one before it is a duplicate of it;
else it is dropped and names the first such one, or the first byte-equal one if there is any. Byte-equal images (by
SHA-256) are duplicates of similarity 1, others by `pycurate.dedup.vectors.similarity`. The reason is
`duplicate_reference` if the named image belongs to a reference set, which outranks everything, else `duplicate_exact`
if it is byte-equal, else `duplicate_near`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.graph import Dropped, duplicates, forget_duplicates, write_duplicates
from pycurate.dedup.partitions import Source, check_encoder
from pycurate.errors import TableError
from pycurate.filters.filtering import Filtering, first_failed
from pycurate.results.criteria import Criteria, write_criteria
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout, forget_plan, plan_output
from pycurate.results.reasons import EXACT, KEPT, NEAR, REFERENCE, UNREADABLE
from pycurate.results.tables import DECISIONS, write_table
from pycurate.results.uids import hex_digits, write_uids


def decide(
    results: Path, sources: Sequence[Source], filtering: Filtering, layout: Layout | None, dedup: bool
) -> pa.Table:
    """Leave decisions.parquet, the lists of uids, plan/ and last decisions.json, what decided, in `results`.

    With `dedup`, which reads the pairs that DEDUP left, also dedup.json (how duplicates were sought, and the share of
    them that is found) and duplicates.parquet (their groups). Without a `layout` nothing is to be written: there is no
    plan, and no sample has an output shard.

    Returns the decisions: DECISIONS with the score columns, a row per sample of those `sources` that are no references.
    Raises UsageError if a filter cannot be made or asks for a score that is not there, ModelError if one fails,
    TableError if tables are missing, do not fit, or with `dedup` are of several encoders.
    """
    if dedup:
        check_encoder(sources)
    filters = filtering.filters()
    names = [one.reason for one in filters]
    new = [source for source in sources if not source.reference]
    # Every filter is asked once about a sample: one that draws at random would say something else the second time.
    failed = {source.number: first_failed(filters, source.facts(), source.label) for source in new}
    passes = {number: first == len(filters) for number, first in failed.items()}
    found = duplicates(results, sources, passes) if dedup else None
    dropped = found[0] if found else Dropped.none()
    decisions = pa.concat_tables([_of_partition(source, failed[source.number], names, dropped) for source in new])

    path_of(results, "criteria").unlink(missing_ok=True)  # from here on it does not say what decided
    if found:
        write_duplicates(results, *found)
    else:
        forget_duplicates(results)
    if layout:
        decisions = plan_output(results, decisions, layout.images_per_tar, layout.tars_per_task)
    else:
        forget_plan(results)
    write_uids(results, decisions)
    write_table(path_of(results, "decisions"), decisions)
    rules = tuple(replace(rule, reason=name) for rule, name in zip(filtering.rules(), names, strict=True))
    references = dict.fromkeys(str(source.results.resolve()) for source in sources if found and source.reference)
    write_criteria(results, Criteria(rules, found[1].facts() if found else None, tuple(references), layout))
    return decisions


def _of_partition(source: Source, failed: np.ndarray, filters: Sequence[str], dropped: Dropped) -> pa.Table:
    """DECISIONS of one partition: `failed` as `first_failed` gives it, `filters` their reasons."""
    here = dropped.within(source.number)
    samples = source.samples(["uid", "shard", "key", "status", "row"])
    if not pc.equal(samples["status"], "ok").equals(pc.is_valid(samples["row"])):
        raise TableError(f"Partition {source.name} has readable samples without an embedding; embed it again.")
    scores = source.scores(source.readable(["uid"])["uid"])
    names = [*filters, KEPT, EXACT, NEAR, REFERENCE]
    exact, near, reference = range(len(filters) + 1, len(names))
    reason = failed.copy()  # len(filters), where none failed, is the place of KEPT
    reason[here.rows] = np.where(here.reference, reference, np.where(here.exact, exact, near))
    reasons = pc.fill_null(pa.array(names).take(pa.array(reason)).take(samples["row"]), UNREADABLE)
    # For each sample its place in `dropped`, null if it is not there.
    place = pc.index_in(samples["row"], value_set=pa.array(here.rows, pa.int64()), skip_nulls=True)
    decided = {
        "kept": pc.equal(reasons, KEPT),
        "reason": reasons,
        "duplicate_of": hex_digits(here.of).take(place),
        "similarity": pa.array(here.similarity).take(place),
        "output_shard": pa.nulls(samples.num_rows, pa.string()),
    }
    columns = {name: samples[name] for name in ("uid", "shard", "key")}
    columns |= {name: scores[name].take(samples["row"]) for name in scores.column_names}
    return pa.table(columns | {name: decided[name].cast(DECISIONS.field(name).type) for name in decided})
