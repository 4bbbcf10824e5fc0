"""DECIDE: filters and duplicates become one decision a sample, and the plan of the output.

**The definition.** What a blocklist names is dropped before anything else is asked, whether its image can be read or
not. A sample passes if each filter passes it, and then each rule of `keep_top`, one after the other, has
it among the best of what is left. Samples are ranked (see `pycurate.dedup.rank`); byte-equal images rank together, at
the place of the best of them. In that order a sample that passes is kept unless a kept one before it is a duplicate of
it; else it is dropped and names the first such one, or the first byte-equal one if there is any. Byte-equal images (by
SHA-256) are duplicates of similarity 1, others by `pycurate.dedup.vectors.similarity`. The reason is
`duplicate_reference` if the named image belongs to a reference set, which outranks everything, else `duplicate_exact`
if it is byte-equal, else `duplicate_near`.

Where the set is to be balanced, what would be kept by that are the candidates, and `pycurate.balance` chooses among
them. The others are dropped as `balanced`, and with each of them the samples that would be dropped for it: they name
nobody, since what they duplicate is not kept. So no two kept samples are duplicates, and what a duplicate names is kept
or belongs to a reference set.

The best are chosen before duplicates are dropped: so their lowest score is a threshold that tells of every sample, and
of copies with captions of their own one stays whose caption is among the best.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.balance.balance import balanced
from pycurate.dedup.graph import Dropped, duplicates, forget_duplicates, write_duplicates
from pycurate.dedup.leakage import write_leakage
from pycurate.dedup.partitions import Source, check_encoder
from pycurate.dedup.vectors import sample_numbers
from pycurate.errors import TableError
from pycurate.filters.blocklist import Blocking
from pycurate.filters.combined import fitted, with_combined
from pycurate.filters.filtering import Filtering, first_failed
from pycurate.filters.language import LANGUAGE, identified
from pycurate.filters.ranking import Top, best, shortest
from pycurate.filters.repeats import CAPTION_COUNT, counts, digests
from pycurate.filters.thresholds import score_of
from pycurate.results.criteria import Balance, Criteria, Rule, write_criteria
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout, forget_plan, plan_output
from pycurate.results.reasons import BALANCED, BLOCKED, EXACT, KEPT, NEAR, REFERENCE, UNREADABLE
from pycurate.results.tables import BLOCKED as BLOCKED_TABLE
from pycurate.results.tables import DECISIONS, write_table
from pycurate.results.uids import hex_digits, uid_numbers, write_uids


def decide(
    results: Path, sources: Sequence[Source], filtering: Filtering, layout: Layout | None, dedup: bool
) -> pa.Table:
    """Leave decisions.parquet, the lists of uids, plan/ and last decisions.json, what decided, in `results`.

    With `dedup`, which reads the pairs that DEDUP left, also dedup.json (how duplicates were sought, and the share of
    them that is found) and duplicates.parquet (their groups). Without a `layout` nothing is to be written: there is no
    plan, and no sample has an output shard.

    With blocklists, blocked.parquet, which only its owner can read, says what they block. Where DEDUP left leaks,
    leakage.parquet says what became of them.

    Returns the decisions: DECISIONS with the score columns, a row per sample of those `sources` that are no references.
    Raises UsageError if a filter cannot be made or asks for a score that is not there, ModelError if one fails,
    TableError if tables are missing, do not fit, or with `dedup` are of several encoders.
    """
    if dedup:
        check_encoder(sources)
    filters, tops = filtering.filters(), filtering.tops()
    blocking, balance = filtering.blocking(), filtering.balancing()
    new = [source for source in sources if not source.reference]
    concepts = filtering.concepts(new[0].concepts() if new else {})
    scored = _Scored(new, filtering)
    # Every filter is asked once about a sample: one that draws at random would say something else the second time.
    failed = {source.number: first_failed(filters, scored.facts(source), source.label) for source in new}
    asked = [rule for rule in filtering.rules() if rule.top is None and not rule.lists]
    rules = [replace(rule, reason=one.reason) for rule, one in zip(asked, filters, strict=True)]
    blocked = {source.number: BLOCKED_TABLE.empty_table() for source in new}
    if blocking:
        blocked = {source.number: _blocked(source, blocking, failed[source.number]) for source in new}
        lists = tuple(one.text for one in blocking.lists)
        rules.insert(0, Rule("blocklist", BLOCKED, lists=lists, hashes=sum(map(len, blocking.hashes.values()))))
    for top in tops:
        rules.append(_choose(top, new, scored, failed, len(rules)))
    names = [rule.reason for rule in rules]
    passes = {number: first == len(rules) for number, first in failed.items()}
    found = duplicates(results, sources, passes) if dedup else None
    dropped = found[0] if found else Dropped.none()
    stays = passes  # but for duplicates
    if balance:
        balance, stays, dropped = _balance(balance, new, passes, dropped, scored)
    decisions = pa.concat_tables(
        [
            _of_partition(
                source,
                failed[source.number],
                names,
                stays[source.number],
                dropped,
                scored.of(source),
                blocked[source.number],
            )
            for source in new
        ]
    )

    path_of(results, "criteria").unlink(missing_ok=True)  # from here on it does not say what decided
    path_of(results, "blocked").unlink(missing_ok=True)
    if blocking:
        write_table(path_of(results, "blocked"), pa.concat_tables(blocked.values()), private=True)
    if found:
        write_duplicates(results, dropped, *found[1:])
    else:
        forget_duplicates(results)
    if layout:
        decisions = plan_output(results, decisions, layout.images_per_tar, layout.tars_per_task)
    else:
        forget_plan(results)
    write_uids(results, decisions)
    write_table(path_of(results, "decisions"), decisions)
    write_leakage(results, decisions)
    references = dict.fromkeys(str(source.results.resolve()) for source in sources if found and source.reference)
    search = found[1].facts() if found else None
    combined = tuple(scored.made)
    write_criteria(results, Criteria(tuple(rules), search, tuple(references), layout, combined, balance, concepts))
    return decisions


class _Scored:
    """The scores of partitions: those that SCORE left, and those that are known when all samples are."""

    def __init__(self, sources: Sequence[Source], filtering: Filtering) -> None:
        self.shared: dict[int, np.ndarray] = {}
        self.languages: dict[int, pa.Table] = {}
        if filtering.reads_languages:
            self.languages = {source.number: identified(source.readable(["caption"])["caption"]) for source in sources}
        if filtering.counts_captions:
            parts = [digests(source.readable(["caption"])["caption"]) for source in sources]
            self.shared = dict(zip((source.number for source in sources), counts(parts), strict=True))
        self.made = fitted(filtering.combinations(), lambda: map(self._counted, sources))

    def of(self, source: Source) -> pa.Table:
        """A row per readable sample, without its uid."""
        return with_combined(self._counted(source), self.made)

    def score(self, source: Source, column: str) -> np.ndarray:
        """float32 (n,): one of the scores, NaN where there is none. Raises UsageError if it is not there."""
        return score_of(self.of(source), column).astype(np.float32)

    def facts(self, source: Source) -> pa.Table:
        """What filters may ask for, a row per readable sample."""
        facts, scores = source.facts(), self.of(source)
        return pa.table({name: table[name] for table in (facts, scores) for name in table.column_names})

    def _counted(self, source: Source) -> pa.Table:
        scores = source.scores(source.readable(["uid"])["uid"])
        if source.number in self.shared:
            scores = scores.append_column(CAPTION_COUNT, pa.array(self.shared[source.number]))
        if source.number in self.languages:
            found = self.languages[source.number]
            columns = {name: scores[name] for name in scores.column_names}
            columns |= {name: found[name] for name in found.column_names} | {
                LANGUAGE: found[LANGUAGE].cast(pa.string())
            }
            scores = pa.table(columns)
        return scores


def _blocked(source: Source, blocking: Blocking, failed: np.ndarray) -> pa.Table:
    """BLOCKED of a partition. In `failed`, as `first_failed` gives it, what is blocked is at 0, and all else behind."""
    found = blocking.matches(source.samples(source.known(["uid", "shard", "key", *blocking.columns])))
    failed += 1
    failed[pc.is_in(source.readable(["uid"])["uid"], value_set=found["uid"]).to_numpy()] = 0
    return found


def _choose(top: Top, sources: Sequence[Source], scored: _Scored, failed: dict[int, np.ndarray], asked: int) -> Rule:
    """Choose the best of the samples that pass what was `asked` before; the rule, with what it came to.

    In `failed`, as `first_failed` gives it, the others get the next position, and the chosen ones the one after it.
    """
    scores, uids = [np.zeros(0)], [np.zeros((0, 2), np.uint64)]
    for source in sources:
        values = scored.score(source, top.column)
        scores.append(np.where(failed[source.number] == asked, values, np.float32(np.nan)))
        uids.append(uid_numbers(source.readable(["uid"])["uid"]))
    every = np.concatenate(scores[1:] or scores)
    among = int(np.count_nonzero(~np.isnan(every)))
    chosen = best(every, np.concatenate(uids), top.count(among))
    start = 0
    for source in sources:
        here = failed[source.number]
        here[chosen[start : start + len(here)]] += 1
        start += len(here)
    threshold = shortest(every[chosen].min()) if chosen.any() else None
    return replace(top.rule(), threshold=threshold, among=among, chosen=int(chosen.sum()))


def _balance(
    balance: Balance, sources: Sequence[Source], passes: dict[int, np.ndarray], dropped: Dropped, scored: _Scored
) -> tuple[Balance, dict[int, np.ndarray], Dropped]:
    """Choose among the samples that pass and are not dropped.

    Returns what it came to, bool (readable samples,) of each source: which are chosen, and those that are dropped for
    samples that are chosen, or for a reference.
    """
    candidates, stays, away = {}, {}, [np.zeros(0, np.int64)]
    for source in sources:
        left = passes[source.number].copy()
        left[dropped.within(source.number).rows] = False
        candidates[source.number] = np.flatnonzero(left)
    balance, kept = balanced(balance, sources, candidates, scored.score)
    for number, rows in candidates.items():
        stays[number] = np.zeros(len(passes[number]), bool)
        stays[number][rows[kept[number]]] = True
        away.append(sample_numbers(number, rows[~kept[number]]))
    return balance, stays, dropped.without(np.concatenate(away))


def _of_partition(
    source: Source,
    failed: np.ndarray,
    filters: Sequence[str],
    stays: np.ndarray,
    dropped: Dropped,
    scores: pa.Table,
    blocked: pa.Table,
) -> pa.Table:
    """DECISIONS of one partition: `failed` as `first_failed` gives it, `filters` their reasons; `stays` is bool (n,),
    what of the samples that pass and are not `dropped` is kept; `blocked` is BLOCKED.
    """
    here = dropped.within(source.number)
    samples = source.samples(["uid", "shard", "key", "status", "row"])
    if not pc.equal(samples["status"], "ok").equals(pc.is_valid(samples["row"])):
        raise TableError(f"Partition {source.name} has readable samples without an embedding; embed it again.")
    names = [*filters, KEPT, EXACT, NEAR, REFERENCE, BALANCED]
    exact, near, reference, away = range(len(filters) + 1, len(names))
    reason = failed.copy()  # len(filters), where none failed, is the place of KEPT
    reason[(failed == len(filters)) & ~stays] = away
    reason[here.rows] = np.where(here.reference, reference, np.where(here.exact, exact, near))
    reasons = pc.fill_null(pa.array(names).take(pa.array(reason)).take(samples["row"]), UNREADABLE)
    reasons = pc.if_else(pc.is_in(samples["uid"], value_set=blocked["uid"]), BLOCKED, reasons)
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
