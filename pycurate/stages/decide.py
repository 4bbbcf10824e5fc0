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

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.balance.balance import balanced
from pycurate.dedup.graph import Dropped, duplicates, forget_duplicates, write_duplicates
from pycurate.dedup.leakage import write_leakage
from pycurate.dedup.pairs import check_references
from pycurate.dedup.partitions import Source, check_encoder, references_of
from pycurate.dedup.vectors import sample_numbers
from pycurate.errors import TableError
from pycurate.filters.blocklist import Blocking
from pycurate.filters.combined import fitted, with_combined
from pycurate.filters.filtering import Filtering, first_failed
from pycurate.filters.language import LANGUAGE, identified
from pycurate.filters.ranking import Top, best
from pycurate.filters.repeats import CAPTION_COUNT, counts, digests
from pycurate.filters.thresholds import score_of
from pycurate.results.criteria import Balance, Criteria, Rule, write_criteria
from pycurate.results.layout import path_of
from pycurate.results.plan import Layout, forget_plan, output_plan
from pycurate.results.reasons import BALANCED, BLOCKED, EXACT, KEPT, NEAR, REFERENCE, UNREADABLE
from pycurate.results.tables import BLOCKED as BLOCKED_TABLE
from pycurate.results.tables import DECISIONS, PLACE, write_table, written
from pycurate.results.uids import hex_digits, uid_lists, uid_numbers
from pycurate.text import shortest

COLUMNS = ["uid", "shard", "key", "status", "row", "given_uid", *PLACE]
"""Of SAMPLES: what decisions, plan and lists of uids are made of."""

_OTHERS = (KEPT, EXACT, NEAR, REFERENCE, BALANCED)
"""The reasons after those of the filters: KEPT is where `first_failed` puts a sample that fails none."""


def decide(results: Path, sources: Sequence[Source], filtering: Filtering, layout: Layout | None, dedup: bool) -> None:
    """Leave decisions.parquet, the lists of uids, plan/ and last decisions.json, what decided, in `results`.

    With `dedup`, which reads the pairs that DEDUP left, also dedup.json (how duplicates were sought, and the share of
    them that is found) and duplicates.parquet (their groups). Without a `layout` nothing is to be written: there is no
    plan, and no sample has an output shard.

    With blocklists, blocked.parquet, which only its owner can read, says what they block. Where DEDUP left leaks,
    leakage.parquet says what became of them.

    The decisions are DECISIONS with the score columns, a row per sample of those `sources` that are no references, in
    their order. Of each sample a few bytes are held, of those that have duplicates some hundred.

    Raises UsageError if a filter cannot be made or asks for a score that is not there, ModelError if one fails,
    TableError if tables are missing, do not fit, or with `dedup` are of several encoders or the pairs were found with
    other reference sets than those among the `sources`.
    """
    if dedup:
        check_encoder(sources)
    filters, tops = filtering.filters(), filtering.tops()
    blocking, balance = filtering.blocking(), filtering.balancing()
    new = [source for source in sources if not source.reference]
    concepts = filtering.concepts(new[0].concepts() if new else {})
    scored = _Scored(new, filtering, results)
    kind = np.min_scalar_type(1 + len(filters) + len(tops) + len(_OTHERS))
    # Every filter is asked once about a sample: one that draws at random would say something else the second time.
    failed = {source.number: first_failed(filters, scored.facts(source), source.label).astype(kind) for source in new}
    asked = [rule for rule in filtering.rules() if rule.top is None and not rule.lists]
    rules = [replace(rule, reason=one.reason) for rule, one in zip(asked, filters, strict=True)]
    blocked = {source.number: BLOCKED_TABLE.empty_table() for source in new}
    if blocking:
        blocked = {source.number: _blocked(source, blocking, failed[source.number]) for source in new}
        lists = tuple(one.text for one in blocking.lists)
        rules.insert(0, Rule("blocklist", BLOCKED, lists=lists, hashes=sum(map(len, blocking.hashes.values()))))
    for top in tops:
        rules.append(_choose(top, new, scored, failed, len(rules)))
    passes = {number: first == len(rules) for number, first in failed.items()}
    if dedup:
        check_references(results, references_of(sources))
    found = duplicates(results, sources, passes) if dedup else None
    dropped = found[0] if found else Dropped.none()
    if balance:
        balance, stays, dropped = _balance(balance, new, passes, dropped, scored)
        for number, chosen in stays.items():
            failed[number][passes[number] & ~chosen] = len(rules) + _OTHERS.index(BALANCED)
    del passes
    for number, reasons in failed.items():
        _drop(reasons, dropped.within(number), len(rules))

    for earlier in ("criteria", "summary", "manifest", "blocked"):  # from here on they do not say what was decided
        path_of(results, earlier).unlink(missing_ok=True)
    if blocking:
        write_table(path_of(results, "blocked"), pa.concat_tables(blocked.values()), private=True)
    if found:
        write_duplicates(results, dropped, *found[1:])
    else:
        forget_duplicates(results)
    forget_plan(results)
    names = [*(rule.reason for rule in rules), *_OTHERS]
    with ExitStack() as stack:
        decisions = stack.enter_context(written(path_of(results, "decisions")))
        uids = stack.enter_context(uid_lists(results, sum(source.count for source in new)))
        keys = _kept_keys(new, failed, len(rules))
        plan = stack.enter_context(output_plan(results, keys, layout)) if layout else None
        for source in new:
            samples, scores = source.samples(COLUMNS), scored.of(source)
            reasons = _reasons(samples, failed[source.number], names, blocked[source.number])
            part = _of_partition(source, samples, reasons, dropped.within(source.number), scores)
            part = plan.add(part, samples) if plan else part
            decisions.add(part)
            uids.add(samples, part["kept"])
    write_leakage(results, [source.name for source in new])
    references = {source.reference: str(source.results.resolve()) for source in sources if found and source.reference}
    search = found[1].facts() if found else None
    combined = tuple(scored.made)
    write_criteria(
        results, Criteria(tuple(rules), search, tuple(references.values()), layout, combined, balance, concepts)
    )


class _Scored:
    """The scores of partitions: those that SCORE left, and those that are known when all samples are."""

    def __init__(self, sources: Sequence[Source], filtering: Filtering, folder: Path) -> None:
        self.shared: dict[int, np.ndarray] = {}
        self.languages: dict[int, pa.Table] = {}
        if filtering.reads_languages:
            self.languages = {source.number: identified(source.readable(["caption"])["caption"]) for source in sources}
        if filtering.counts_captions:
            parts = (digests(source.readable(["caption"])["caption"]) for source in sources)
            shared = counts(parts, folder, sum(source.count for source in sources))
            self.shared = dict(zip((source.number for source in sources), shared, strict=True))
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
            columns = {name: table[name] for table in (scores, found) for name in table.column_names}
            scores = pa.table(columns | {LANGUAGE: found[LANGUAGE].cast(pa.string())})
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
    ends = np.cumsum([0, *(len(failed[source.number]) for source in sources)]).tolist()
    every = np.full(ends[-1], np.nan, np.float32)
    for source, part in zip(sources, pairwise(ends), strict=True):
        values, passing = scored.score(source, top.column), failed[source.number] == asked
        every[slice(*part)][passing] = values[passing]

    def uids_at(places: np.ndarray) -> np.ndarray:
        found = [np.zeros((0, 2), np.uint64)]
        for source, (start, stop) in zip(sources, pairwise(ends), strict=True):
            here = slice(*np.searchsorted(places, [start, stop]).tolist())
            if len(places[here]):
                found.append(uid_numbers(source.readable(["uid"])["uid"].take(places[here] - start)))
        return np.concatenate(found)

    among = int(np.count_nonzero(~np.isnan(every)))
    chosen = best(every, uids_at, top.count(among))
    for source, part in zip(sources, pairwise(ends), strict=True):
        failed[source.number][chosen[slice(*part)]] += 1
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


def _drop(reasons: np.ndarray, dropped: Dropped, kept: int) -> None:
    """Say of the duplicates in one partition why they go. `kept` is the place of KEPT among the reasons' names."""
    exact, near, reference = (kept + _OTHERS.index(name) for name in (EXACT, NEAR, REFERENCE))
    reasons[dropped.rows] = np.where(dropped.reference, reference, np.where(dropped.exact, exact, near))


def _kept_keys(sources: Sequence[Source], reasons: dict[int, np.ndarray], kept: int) -> Iterator[str]:
    """The keys of the kept samples, in input order."""
    for source in sources:
        samples = source.samples(["key", "row"])
        stays = pa.array(reasons[source.number] == kept).take(samples["row"].combine_chunks())
        yield from samples["key"].filter(stays).to_pylist()


def _reasons(samples: pa.Table, places: np.ndarray, names: Sequence[str], blocked: pa.Table) -> pa.ChunkedArray:
    """Of each sample of a partition; `places` are those of readable ones in `names`, `blocked` is BLOCKED."""
    reasons = pc.fill_null(pa.array(names).take(pa.array(places)).take(samples["row"]), UNREADABLE)
    return pc.if_else(pc.is_in(samples["uid"], value_set=blocked["uid"]), BLOCKED, reasons)


def _of_partition(
    source: Source, samples: pa.Table, reasons: pa.ChunkedArray, here: Dropped, scores: pa.Table
) -> pa.Table:
    """DECISIONS of one partition, given COLUMNS of its samples; `here` are its duplicates."""
    if not pc.equal(samples["status"], "ok").equals(pc.is_valid(samples["row"])):
        raise TableError(f"Partition {source.name} has readable samples without an embedding; embed it again.")
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
