"""The uids of the kept and the dropped samples, as DataComp's tools list subsets.

A list is a `.npy` of dtype "u8,u8": the first and the last 16 hex digits of each uid as numbers, in ascending order.
DataComp's resharder looks samples up in it by the `uid` of their .json member, so a sample that has one goes by that.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.results.layout import path_of
from pycurate.results.tables import samples_of, write_array

UID = np.dtype("u8,u8")


def subset(uids: pa.ChunkedArray) -> np.ndarray:
    """UID (n,), sorted, of n strings of 32 hex digits."""
    numbers = uid_numbers(uids)
    return numbers[np.lexsort((numbers[:, 1], numbers[:, 0]))].view(UID).reshape(-1)


def write_uids(results: Path, decisions: pa.Table) -> None:
    """Leave uids_kept.npy and uids_dropped.npy in `results`, from the decisions and `samples/`. Raises TableError."""
    samples = samples_of(results, decisions, ["given_uid"])
    uids = pc.coalesce(samples["given_uid"], samples["uid"])
    write_array(path_of(results, "uids_kept"), subset(uids.filter(decisions["kept"])))
    write_array(path_of(results, "uids_dropped"), subset(uids.filter(pc.invert(decisions["kept"]))))


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
