"""Which of the candidates, the samples that nothing else drops, are kept where the set is to be balanced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pycurate.balance.draw import drawn
from pycurate.balance.words import read_words
from pycurate.dedup.partitions import Source
from pycurate.dedup.vectors import Embeddings, Smallest, sample_numbers
from pycurate.errors import TableError
from pycurate.results.criteria import Balance
from pycurate.results.layout import path_of
from pycurate.results.uids import uid_numbers

BLOCK = 8192  # samples whose embeddings are read at a time

Candidates = Mapping[int, np.ndarray]
"""{number of a source: int64 (n,), rows of its readable samples, ascending}."""

Scores = Callable[[Source, str], np.ndarray]
"""The score of this name of each readable sample of a source: float32 (n,), NaN where there is none."""


def balanced(
    balance: Balance, sources: Sequence[Source], candidates: Candidates, score: Scores
) -> tuple[Balance, dict[int, np.ndarray]]:
    """The balance with what it came to, and bool (n,) of each source's candidates: which of them are kept.

    The same for any split of the samples into sources. Reads embeddings and captions partition by partition. Raises
    UsageError for a list of words or a score that is not there, TableError.
    """
    among = sum(map(len, candidates.values()))
    if balance.by == "cells":
        numbers, parts = _by_cells(balance, sources, candidates, among, score)
        balance = replace(balance, levels=numbers)
    else:
        parts = _by_captions(balance, sources, candidates)
    chosen = sum(int(part.sum()) for part in parts)
    return replace(balance, among=among, chosen=chosen), dict(
        zip((source.number for source in sources), parts, strict=True)
    )


def _by_cells(
    balance: Balance, sources: Sequence[Source], candidates: Candidates, among: int, score: Scores
) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """How many cells each level has, and the choice."""
    if not among:
        return (), [np.zeros(0, bool) for _ in sources]
    from pycurate.balance import cells as levels  # here, since torch takes time that most calls need not take

    # Those that are searched for duplicates may be of another encoder, which knows copies, not subjects.
    embeddings = Embeddings({source.number: path_of(source.results, "img_emb", source.name) for source in sources})
    lots, own = [], []
    sample = Smallest(levels.learnt_from(among))
    for source in sources:
        rows = candidates[source.number]
        if embeddings.rows(source.number) <= rows.max(initial=-1):
            raise TableError(
                f"{embeddings.paths[source.number]} has fewer rows than readable samples; embed the partition again."
            )
        uids = uid_numbers(source.readable(["uid"])["uid"])[rows]
        lots.append(drawn(uids, balance.seed or 0))
        sample.add(drawn(uids, 0, 1), sample_numbers(source.number, rows))
        if balance.column:
            own.append(score(source, balance.column)[rows])
    tree = levels.learn(embeddings.take(sample.numbers())[:, 0], among)
    homes = []
    for source in sources:
        rows = candidates[source.number]
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            block = embeddings.block(source.number, int(part[0]), int(part[-1]) + 1)
            homes.append(levels.nearest(block[part - part[0], 0], tree.centres))
    column = np.concatenate(own) if own else None
    kept = levels.chosen(np.concatenate(homes), tree.parents, np.concatenate(lots), column, balance.target or 0)
    edges = np.cumsum([len(candidates[source.number]) for source in sources])[:-1]
    return tree.numbers, np.split(kept, edges)


def _by_captions(balance: Balance, sources: Sequence[Source], candidates: Candidates) -> list[np.ndarray]:
    words = read_words(Path(balance.words or ""))
    counts = np.zeros(len(words), np.int64)
    for source in sources:
        counts += words.counts(_captions(source, candidates[source.number]))
    parts = []
    for source in sources:
        rows = candidates[source.number]
        uids = uid_numbers(source.readable(["uid"])["uid"])[rows]
        parts.append(words.taken(_captions(source, rows), uids, counts, balance.cap or 0, balance.seed or 0))
    return parts


def _captions(source: Source, rows: np.ndarray) -> list[str | None]:
    """The captions of these rows, which ascend."""
    captions = source.readable(["caption"])["caption"]
    wanted = np.zeros(len(captions), bool)
    wanted[rows] = True
    found: list[str | None] = captions.filter(pa.array(wanted)).to_pylist()  # to take them ends at 2 GiB
    return found
