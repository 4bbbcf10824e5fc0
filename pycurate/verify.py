"""An independent check of the decisions about duplicates: everything compared with everything, no cells, no keys."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pycurate.errors import LedgerError
from pycurate.sources import Source, embeddings_of
from pycurate.training import device
from pycurate.vectors import sample_numbers

log = logging.getLogger(__name__)

BLOCK = 4096
ROUNDING = 1e-4  # of float32 products, generously; what is near the threshold is compared exactly


@dataclass(frozen=True)
class Checked:
    """How much was looked at: kept samples, pairs of them, and dropped duplicates."""

    kept: int
    pairs: int
    duplicates: int


def verify(sources: Sequence[Source], decisions: pa.Table, threshold: float) -> Checked:
    """Check that no two kept samples are duplicates, and that each duplicate names a kept one that it duplicates.

    Compares all kept samples with each other, and with the searched samples of reference sets.

    Raises LedgerError with the number of faults and the first of them.
    """
    uids, numbers, contents, reference = _samples(sources)
    embeddings = embeddings_of(sources)
    kept = pc.is_in(uids, value_set=decisions.filter(decisions["kept"])["uid"]).to_numpy(zero_copy_only=False)
    stays = np.flatnonzero(kept | reference)

    faults = []
    dropped = decisions.filter(pc.is_valid(decisions["duplicate_of"]))
    this, of = (pc.index_in(dropped[name], value_set=uids) for name in ("uid", "duplicate_of"))
    if this.null_count or of.null_count:
        raise LedgerError("Decisions name samples that the tables do not have; run DEDUP again.")
    this, of = this.to_numpy(), of.to_numpy()
    alike = embeddings.similarity(numbers[this], numbers[of])
    equal = contents[this] == contents[of]
    named = np.where(equal, np.float32(1), alike)
    names = dropped["reason"].to_numpy(zero_copy_only=False)
    wrong = ~(kept | reference)[of] | kept[this] | (named != dropped["similarity"].to_numpy())
    wrong |= ~equal & (alike < np.float32(threshold)) | ((names == "duplicate_exact") & ~equal)
    wrong |= (names == "duplicate_reference") != reference[of]
    faults += [
        f"{uids[int(this[i])]} is not what its decision says it is of {uids[int(of[i])]}" for i in np.flatnonzero(wrong)
    ]

    values, count = np.unique(contents[stays], return_counts=True)
    twice = np.isin(contents, values[count > 1]) & kept
    faults += [f"{uids[int(i)]} is kept and so is a byte-equal image" for i in np.flatnonzero(twice)]
    for i, j in _alike(embeddings.take(numbers[stays]), threshold):
        i, j = stays[i], stays[j]
        close = embeddings.similarity(numbers[i], numbers[j]) >= np.float32(threshold)
        close &= ~(reference[i] & reference[j])
        faults += [f"{uids[int(a)]} and {uids[int(b)]} are both kept" for a, b in zip(i[close], j[close], strict=True)]
    if faults:
        raise LedgerError(f"{len(faults)} decisions about duplicates are wrong; the first: {faults[0]}.")
    return Checked(int(kept.sum()), len(stays) * (len(stays) - 1) // 2, dropped.num_rows)


def _samples(sources: Sequence[Source]) -> tuple[pa.ChunkedArray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all searched samples: uid, number, SHA-256 (as numpy strings), and whether it belongs to a reference set."""
    uids, numbers, contents, reference = [], [np.zeros(0, np.int64)], [np.zeros(0, "S64")], [np.zeros(0, bool)]
    for source in sources:
        table = source.readable(["uid", "sha256"])
        chosen = source.chosen(table["uid"])
        table = table.filter(pa.array(chosen))
        uids += table["uid"].chunks
        numbers.append(sample_numbers(source.number, np.flatnonzero(chosen)))
        contents.append(table["sha256"].to_numpy().astype("S64"))
        reference.append(np.full(table.num_rows, bool(source.reference)))
    return (
        pa.chunked_array(uids, pa.string()),
        np.concatenate(numbers),
        np.concatenate(contents),
        np.concatenate(reference),
    )


def _alike(vectors: np.ndarray, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs i < j whose float32 product is about the threshold or above."""
    wide = torch.nn.functional.normalize(torch.from_numpy(vectors).to(device()).float(), dim=1)
    for start in range(0, len(wide), BLOCK):
        rows = wide[start : start + BLOCK]
        for other in range(start, len(wide), BLOCK):
            products = rows @ wide[other : other + BLOCK].T
            places = torch.nonzero(products >= threshold - ROUNDING).cpu().numpy()
            i, j = places[:, 0] + start, places[:, 1] + other
            yield i[i < j], j[i < j]
