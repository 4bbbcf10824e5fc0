"""The uids of the kept and the dropped samples, as DataComp's tools list subsets.

A list is a `.npy` of dtype "u8,u8": the first and the last 16 hex digits of each uid as numbers, in ascending order.
DataComp's resharder looks samples up in it by the `uid` of their .json member, so a sample that has one goes by that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.results.buckets import Buckets, buckets
from pycurate.results.layout import path_of
from pycurate.results.tables import write_array_parts

UID = np.dtype("u8,u8")


class UidLists:
    """Takes samples part by part, as `uid_lists` gives it."""

    def __init__(self, kept: Buckets, dropped: Buckets) -> None:
        self._lists = {True: kept, False: dropped}
        self.rows = {True: 0, False: 0}

    def add(self, samples: pa.Table, kept: pa.ChunkedArray) -> None:
        """`uid` and `given_uid` of some samples, and bool (n,), which of them are kept."""
        numbers, mask = uid_numbers(pc.coalesce(samples["given_uid"], samples["uid"])), np.asarray(kept)
        for which, found in self._lists.items():
            found.add(numbers[mask == which])
            self.rows[which] += int(np.count_nonzero(mask == which))


@contextmanager
def uid_lists(results: Path, samples: int) -> Iterator[UidLists]:
    """Leave uids_kept.npy and uids_dropped.npy in `results`, of about so many samples, when the block ends well."""
    with buckets(results, 2, samples) as kept, buckets(results, 2, samples) as dropped:
        lists = UidLists(kept, dropped)
        yield lists
        for kind, found in (("uids_kept", kept), ("uids_dropped", dropped)):
            write_array_parts(path_of(results, kind), UID, lists.rows[found is kept], map(subset, found))


def subset(numbers: np.ndarray) -> np.ndarray:
    """UID (n,), sorted, of n uids as `uid_numbers` gives them."""
    return numbers[np.lexsort((numbers[:, 1], numbers[:, 0]))].view(UID).reshape(-1)


def uid_numbers(uids: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """32 (or more) hex digits each -> uint64 (n, 2), the first 128 bits, most significant half first."""
    digits = pc.utf8_slice_codeunits(uids, 0, 32)
    if not len(digits):
        return np.zeros((0, 2), np.uint64)
    digits = pa.concat_arrays(digits.chunks) if isinstance(digits, pa.ChunkedArray) else digits
    fixed = digits.cast(pa.binary()).cast(pa.binary(32))
    text = np.frombuffer(fixed.buffers()[1], "S32", len(fixed), fixed.offset * 32)
    return np.frombuffer(bytes.fromhex(text.tobytes().decode()), ">u8").astype(np.uint64).reshape(-1, 2)


def hex_digits(uids: np.ndarray) -> pa.Array:
    """uint64 (n, 2) -> strings of 32 hex digits: the reverse of `uid_numbers`."""
    text = np.frombuffer(uids.astype(">u8").tobytes().hex().encode(), "S32")
    return pa.array(text, pa.binary()).cast(pa.string())
