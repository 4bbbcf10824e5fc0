"""An independent check of the decisions about duplicates: everything compared with everything, no cells, no keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pycurate.dedup.partitions import Source, embeddings_of
from pycurate.dedup.products import product_device
from pycurate.dedup.vectors import sample_numbers
from pycurate.errors import LedgerError
from pycurate.results.reasons import EXACT, REFERENCE

BLOCK = 4096
ROUNDING = 1e-4  # of float32 products, generously; what is near the threshold is compared exactly


@dataclass(frozen=True)
class Checked:
    """How much was looked at: kept samples, pairs of them, and dropped duplicates."""

    kept: int
    pairs: int
    duplicates: int


def check_decisions(sources: Sequence[Source], decisions: pa.Table, threshold: float) -> Checked:
    """Check that no two kept samples are duplicates, and that each duplicate names a kept one that it duplicates.

    Compares all kept samples with each other, and with the searched samples of reference sets.

    Raises LedgerError with the number of faults and the first of them.
    """
    uids, numbers, contents, owner = _samples(sources)
    reference = owner > 0
    embeddings = embeddings_of(sources)
    own = np.flatnonzero(~reference)
    kept = np.zeros(len(uids), bool)
    kept[own] = pc.is_in(uids.take(own), value_set=decisions.filter(decisions["kept"])["uid"]).to_numpy()
    stays = np.flatnonzero(kept | reference)

    faults = []
    dropped = decisions.filter(pc.is_valid(decisions["duplicate_of"]))
    names = dropped["reason"].to_numpy()
    stated = dropped["similarity"].to_numpy()
    place = _places(dropped["uid"], uids.take(own))
    if (place < 0).any():
        raise LedgerError("The decisions contain samples that are not in the tables; run DECIDE again.")
    this = own[place]
    true = np.zeros(len(this), bool)
    for which in np.unique(owner):  # each set numbers its samples by itself, so that a uid may stand in several
        there = np.flatnonzero(owner == which)
        place = _places(dropped["duplicate_of"], uids.take(there))
        rows = np.flatnonzero((place >= 0) & ((names == REFERENCE) == bool(which)))
        a, b = this[rows], there[place[rows]]
        equal = contents[a] == contents[b]
        alike = np.where(equal, np.float32(1), embeddings.similarity(numbers[a], numbers[b]))
        good = (kept | reference)[b] & ~kept[a] & (alike == stated[rows])
        good &= equal | (alike >= np.float32(threshold))
        good &= equal | (names[rows] != EXACT)
        true[rows] |= good
    wrong = dropped.filter(pa.array(~true))
    pairs = zip(wrong["uid"].to_pylist(), wrong["duplicate_of"].to_pylist(), strict=True)
    faults += [f"{a} does not match its decision relative to {b}" for a, b in pairs]

    values, count = np.unique(contents[stays], return_counts=True)
    twice = np.isin(contents, values[count > 1]) & kept
    faults += [f"{uids[int(i)]} is kept, as is a byte-equal image" for i in np.flatnonzero(twice)]
    both: set[tuple[int, int]] = set()
    for i, j in _alike(embeddings.take(numbers[stays]), threshold):
        i, j = stays[i], stays[j]
        close = embeddings.similarity(numbers[i], numbers[j]) >= np.float32(threshold)
        close &= ~(reference[i] & reference[j])
        both.update(zip(i[close].tolist(), j[close].tolist(), strict=True))
    faults += [f"{uids[a]} and {uids[b]} are both kept" for a, b in sorted(both)]
    if faults:
        raise LedgerError(f"{len(faults)} decisions about duplicates are wrong; the first: {faults[0]}.")
    return Checked(int(kept.sum()), len(stays) * (len(stays) - 1) // 2, dropped.num_rows)


def _places(uids: pa.ChunkedArray, among: pa.ChunkedArray) -> np.ndarray:
    """int64: where each of `uids` stands in `among`, -1 where it does not."""
    return pc.fill_null(pc.index_in(uids, value_set=among), -1).to_numpy().astype(np.int64)


def _samples(sources: Sequence[Source]) -> tuple[pa.ChunkedArray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all searched samples: uid, number, SHA-256 (as numpy strings), and of which set: 0, or that of a reference."""
    uids, numbers, contents, owner = [], [np.zeros(0, np.int64)], [np.zeros(0, "S64")], [np.zeros(0, np.int64)]
    for source in sources:
        table = source.readable(["uid", "shard", "sha256"])
        chosen = source.chosen(table)
        table = table.filter(pa.array(chosen))
        uids += table["uid"].chunks
        numbers.append(sample_numbers(source.number, np.flatnonzero(chosen)))
        contents.append(table["sha256"].to_numpy().astype("S64"))
        owner.append(np.full(table.num_rows, source.reference))
    return (
        pa.chunked_array(uids, pa.string()),
        np.concatenate(numbers),
        np.concatenate(contents),
        np.concatenate(owner),
    )


def _alike(vectors: np.ndarray, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs i < j of float16 (n, views, dim) of which a float32 product is about the threshold or above."""
    wide = torch.nn.functional.normalize(torch.from_numpy(vectors).to(product_device()).float(), dim=2)
    for view in range(wide.shape[1]):
        for start in range(0, len(wide), BLOCK):
            rows = wide[start : start + BLOCK, 0]
            for other in range(0 if view else start, len(wide), BLOCK):
                products = rows @ wide[other : other + BLOCK, view].T
                places = torch.nonzero(products >= threshold - ROUNDING).cpu().numpy()
                i, j = places[:, 0] + start, places[:, 1] + other
                different = i != j if view else i < j
                yield np.minimum(i, j)[different], np.maximum(i, j)[different]
