"""Which samples are dropped as duplicates: by the pairs of all buckets, a mask of who may stay, and the greedy walk."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.match import Query, match_nodes
from pycurate.dedup.members import members_of
from pycurate.dedup.pairs import LIMIT, PAIRS, Search, pairs_table, read_pairs
from pycurate.dedup.partitions import REFERENCE, Source, aesthetic_of, embeddings_of
from pycurate.dedup.products import device_for
from pycurate.dedup.rank import COLUMNS, RANK, Keep, best_first, checked_keep, order_of, shard_names
from pycurate.dedup.recall import EXACT, Recall, recall_of
from pycurate.dedup.vectors import ROW_BITS, Embeddings, sample_numbers
from pycurate.dedup.visits import nodes_of
from pycurate.dedup.walk import GONE, walk
from pycurate.errors import TableError
from pycurate.files import write_json
from pycurate.hardware import one_blas_thread
from pycurate.results.layout import path_of
from pycurate.results.tables import DUPLICATES, GROUP, written
from pycurate.results.uids import hex_digits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dropped:
    """The duplicates among the samples that may stay.

    Attributes:
        sample: int64 (n,), their numbers, ascending.
        uid: uint64 (n, 2), theirs.
        of: uint64 (n, 2), the uid of the kept sample that each duplicates.
        original: int64 (n,), its number.
        similarity: float32 (n,), with it.
        exact: bool (n,), it is byte-equal.
        reference: bool (n,), it belongs to a reference set.
    """

    sample: np.ndarray
    uid: np.ndarray
    of: np.ndarray
    original: np.ndarray
    similarity: np.ndarray
    exact: np.ndarray
    reference: np.ndarray

    @classmethod
    def none(cls) -> "Dropped":
        """No duplicates."""
        numbers, uids, flags = np.zeros(0, np.int64), np.zeros((0, 2), np.uint64), np.zeros(0, bool)
        return cls(numbers, uids, uids, numbers, np.zeros(0, np.float32), flags, flags)

    def without(self, samples: np.ndarray) -> "Dropped":
        """Those that duplicate none of these samples, int64 (n,) by number."""
        stay = ~np.isin(self.original, samples)
        return Dropped(*(column[stay] for column in vars(self).values()))

    def within(self, partition: int) -> "Dropped":
        """Those of one partition."""
        here = slice(*np.searchsorted(self.sample, np.array([partition, partition + 1]) << ROW_BITS).tolist())
        return Dropped(*(column[here] for column in vars(self).values()))

    @property
    def rows(self) -> np.ndarray:
        """int64 (n,): their rows in the embeddings of their partitions."""
        return self.sample & ((1 << ROW_BITS) - 1)

    def groups(self) -> Iterator[pa.Table]:
        """The groups of duplicates, largest first, in parts of GROUP rows, one at least: DUPLICATES.

        The kept one of a group stands first in it, also where it belongs to a reference set; the similarity is that to
        the kept one, and null for itself.
        """
        # Each set numbers its samples by itself: kept images of two references, or of one and the input, may have one
        # uid.
        owner = (self.original >> ROW_BITS) // REFERENCE
        order = np.lexsort((owner, self.of[:, 1], self.of[:, 0]))
        new = np.ones(len(order), bool)
        new[1:] = (self.of[order[1:]] != self.of[order[:-1]]).any(axis=1)
        new[1:] |= owner[order[1:]] != owner[order[:-1]]
        starts = np.flatnonzero(new)
        sizes = np.diff(starts, append=len(order))
        largest = np.argsort(-sizes, kind="stable")
        number = np.empty(len(starts), np.int64)
        number[largest] = np.arange(len(starts))
        group = np.repeat(number, sizes)
        own = self.uid[order]
        sort = np.lexsort((own[:, 1], own[:, 0], -self.similarity[order], group))
        members = order[sort]
        heads = np.cumsum(sizes[largest] + 1) - sizes[largest] - 1  # rows of the table
        rows = len(members) + len(heads)
        kept = np.zeros(rows, bool)
        kept[heads] = True
        uids, similarity = np.empty((rows, 2), np.uint64), np.zeros(rows, np.float32)
        uids[kept], uids[~kept] = self.of[order[starts[largest]]], self.uid[members]
        similarity[~kept] = self.similarity[members]
        numbers = np.cumsum(kept) - 1
        for start in range(0, max(1, rows), GROUP):
            here = slice(start, start + GROUP)
            alike = pa.array(similarity[here], mask=kept[here])
            columns = [numbers[here], hex_digits(uids[here]), kept[here], alike]
            yield pa.table(columns, schema=DUPLICATES)


def write_duplicates(results: Path, dropped: Dropped, search: Search, recall: Recall) -> None:
    """Leave duplicates.parquet (the groups) and dedup.json (how they were sought, how many are found) in `results`."""
    if search.reach < 1 and not recall.probes:
        log.warning("How many duplicate pairs the fast search found is not known: none of its probes has a duplicate.")
    elif search.reach < 1:
        log.warning(
            "The fast search found %.2f %% of the duplicate pairs (95 %% interval %.2f to %.2f, from %d images).",
            *(100 * recall.recall, 100 * recall.low, 100 * recall.high, recall.probes),
        )
    write_json(path_of(results, "dedup"), search.stated() | vars(recall))
    with written(path_of(results, "duplicates")) as table:
        for part in dropped.groups():
            table.add(part)


def forget_duplicates(results: Path) -> None:
    """Remove what `write_duplicates` left of an earlier decision."""
    for kind in ("dedup", "duplicates"):
        path_of(results, kind).unlink(missing_ok=True)


class Index:
    """Readable samples of all sources by number: which may stay, and of those that were asked for their rank."""

    def __init__(self, sources: Sequence[Source], passes: Mapping[int, np.ndarray], keep: Keep) -> None:
        self._sources = {source.number: source for source in sources}
        self._passes, self._keep = passes, keep
        self._shards = shard_names(sources) if keep == "first" else []
        self._known = np.zeros(0, np.int64)
        self.order = np.zeros(0, RANK)

    def places(self, samples: np.ndarray) -> np.ndarray:
        """Positions in `order` of these samples, int64 (n,), and reads the ranks of those that are not there yet.

        That may move the others. Raises TableError if there is no such sample.
        """
        new = np.setdiff1d(samples, self._known)
        if len(new):
            known = np.union1d(self._known, new)
            order = np.empty(len(known), RANK)
            order[np.searchsorted(known, self._known)] = self.order
            for number, rows in _by_source(new):
                order[np.searchsorted(known, sample_numbers(number, rows))] = self._ranks(number, rows)
            self._known, self.order = known, order
        return np.searchsorted(self._known, samples)

    def passing(self, samples: np.ndarray) -> np.ndarray:
        """bool (n,): which samples, int64 (n,) by number, may stay."""
        sort = np.argsort(samples, kind="stable")
        result = np.ones(len(samples), bool)
        parts = [
            self._passes[number][rows] if number in self._passes else np.ones(len(rows), bool)
            for number, rows in _by_source(samples[sort])
        ]
        result[sort] = np.concatenate([np.zeros(0, bool), *parts])
        return result

    def _ranks(self, number: int, rows: np.ndarray) -> np.ndarray:
        source = self._sources.get(number)
        samples = source.readable(source.known(COLUMNS)) if source else None
        if source is None or samples is None or rows[-1] >= samples.num_rows:
            raise TableError("The pairs contain samples that are not in the tables; run dedup.py match again.")
        aesthetic = aesthetic_of(source.scores(samples["uid"]), samples.num_rows)[rows]
        return order_of(samples.take(rows), aesthetic, self._keep, self._shards, bool(source.reference))


def _by_source(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The number of each source, and the rows in it, of samples by number, int64 (n,), ascending."""
    numbers, starts = np.unique(samples >> ROW_BITS, return_index=True)
    for number, (start, stop) in zip(numbers.tolist(), pairwise([*starts.tolist(), len(samples)]), strict=True):
        yield number, samples[start:stop] & ((1 << ROW_BITS) - 1)


@one_blas_thread
def duplicates(
    results: Path, sources: Sequence[Source], passes: Mapping[int, np.ndarray]
) -> tuple[Dropped, Search, Recall]:
    """The duplicates to drop among the samples that may stay; how they were sought, and how many were found.

    `passes` says who may stay: of a source's number, bool (readable samples,) in the order of their embeddings. Every
    sample of a source that is not named there may.

    Reads pairs; assigned and the embeddings that are compared only where a list of duplicates was cut too early.
    """
    search, pairs = read_pairs(results)
    recall = EXACT if search.reach == 1 else recall_of(pairs)
    if search.reach < 1:
        pairs = pairs.filter(pc.less(pairs["probe"], 2))
    index = Index(sources, passes, checked_keep(search.keep))
    limit = LIMIT
    while True:
        graph = Graph(pairs, index)
        if not len(graph.walk.cut):
            return graph.dropped(), search, recall
        log.info("%d lists of duplicates were cut too early, at %d or fewer", len(graph.walk.cut), limit)
        limit = min(2 * limit, 1 << ROW_BITS)  # so that the longest takes few rounds; no cell has more members
        pairs = match_again(results, graph, search, embeddings_of(sources), limit)


class Graph:
    """The samples that have duplicates, numbered by rank from 0, the best, and the walk over them.

    Raises TableError if the pairs contradict the rank, having been found under another one.
    """

    def __init__(self, pairs: pa.Table, index: Index) -> None:
        self.pairs, self.index = pairs, index
        numbers = [pairs[name].to_numpy() for name in ("later", "earlier")]
        self._sorted = np.unique(np.concatenate(numbers))
        place = index.places(self._sorted)
        by_rank = best_first(index.order[place])
        self.samples, self.places = self._sorted[by_rank], place[by_rank]  # by node
        self.passes = index.passing(self.samples)
        kind = np.min_scalar_type(-len(by_rank) - 1)  # of the numbers of nodes
        self._node = np.empty(len(by_rank), kind)
        self._node[by_rank] = np.arange(len(by_rank))
        del place, by_rank
        earlier, later = (self._node[np.searchsorted(self._sorted, numbers.pop())] for _ in range(2))
        if (earlier >= later).any():
            raise TableError(
                "The pairs do not match the ranks of the samples, whose scores changed; run dedup.py train again."
            )
        exact = pairs["exact"].to_numpy()
        self.leader = leaders(len(self.samples), later[exact], earlier[exact])
        self.stand_in = stand_ins(np.flatnonzero(self.passes), self.leader)
        near = np.flatnonzero(~exact)
        later, earlier = self.leader[later[near]], self.leader[earlier[near]]
        sort = np.lexsort((earlier, later))
        self.near, self.later, self.earlier = near[sort], later[sort], earlier[sort]
        self.walk = walk(self.later, self.earlier, pairs["more"].to_numpy()[self.near], self.stand_in < 0)

    def dropped(self) -> Dropped:
        """Who is dropped for whom, once nothing is cut."""
        passing = np.flatnonzero(self.passes & self.index.order["new"][self.places])
        node = self.leader[passing]
        through = self.walk.by[node]
        near = through >= 0
        named = np.where(near, self.earlier[through] if len(self.earlier) else 0, node)
        of = self.stand_in[named]
        alike = np.ones(len(passing), np.float32)
        alike[near] = self.pairs["similarity"].to_numpy()[self.near[through[near]]]
        gone = of != passing
        chosen, of = passing[gone], of[gone]
        sort = np.argsort(self.samples[chosen])
        uid, new = self.index.order["uid"], self.index.order["new"]
        own, named = self.places[chosen], self.places[of]
        pair = self.samples[chosen], uid[own], uid[named], self.samples[of]
        columns = (*pair, alike[gone], ~near[gone], ~new[named])
        return Dropped(*(column[sort] for column in columns))

    def cut_lists(self) -> pa.Table:
        """The pairs at which lists were cut too early."""
        return self.pairs.take(self.near[self.walk.cut])

    def may_be_kept(self, samples: np.ndarray) -> np.ndarray:
        """bool (n,): which samples, by number and each the best of its copies, may be kept."""
        result = self.index.passing(samples)
        place = np.minimum(np.searchsorted(self._sorted, samples), len(self._sorted) - 1)
        known = self._sorted[place] == samples
        result[known] = self.walk.state[self._node[place[known]]] != GONE
        return result


def leaders(count: int, copies: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """int64 (count,): for each node the best of those that it is byte-equal to, through any number of steps."""
    leader = np.arange(count, dtype=np.min_scalar_type(-count - 1))
    leader[copies] = originals
    while not np.array_equal(further := leader[leader], leader):
        leader = further
    return leader


def stand_ins(passing: np.ndarray, leader: np.ndarray) -> np.ndarray:
    """Of byte-equal nodes the one that comes first in `passing`, at the place of their leader; -1 elsewhere.

    `passing` are the nodes that pass, the best first; `leader` is as `leaders` gives it, and so is the result's type.
    """
    found = np.full_like(leader, -1)
    found[leader[passing][::-1]] = passing[::-1]
    return found


# Lists of duplicates that were cut too early, made longer: their cells are matched again, among what may be kept.
def match_again(results: Path, graph: Graph, search: Search, embeddings: Embeddings, limit: int) -> pa.Table:
    """The graph's pairs with longer lists, of duplicates that may be kept only, in place of those cut too early."""
    cut = graph.cut_lists()
    tables = []
    for cell in np.unique(cut["cell"].to_numpy()).tolist():
        members = members_of(results, embeddings.paths, cell, cell + 1, search.threshold, search.cells)
        nodes = nodes_of(members).members
        nodes = nodes[graph.may_be_kept(nodes["sample"])]
        nodes = nodes[nodes["probe"] < 2]
        rows = np.isin(nodes["sample"], cut.filter(pc.equal(cut["cell"], cell))["later"].to_numpy())
        device = device_for(rows.sum() * len(nodes), nodes["key"].shape[1])
        lookup = Query(search.threshold, limit, embeddings.similarity, device)
        found = match_nodes(nodes, rows, np.ones(len(nodes), bool), lookup)
        tables.append(pairs_table(nodes, found, np.zeros(len(nodes))))
    more = graph.pairs["more"].to_numpy().copy()
    more[graph.near[graph.walk.cut]] = False
    pairs = graph.pairs.set_column(PAIRS.get_field_index("more"), "more", [more])
    return pa.concat_tables([pairs, *tables])
