"""The uids of the kept and the dropped samples, as DataComp's tools list subsets.

A list is a `.npy` of dtype "u8,u8": the first and the last 16 hex digits of each uid as numbers, in ascending order.
DataComp's resharder looks samples up in it by the `uid` of their .json member, so a sample that has one goes by that.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.order import uid_numbers
from pycurate.tables import samples_of, write_array

UID = np.dtype("u8,u8")


def subset(uids: pa.ChunkedArray) -> np.ndarray:
    """UID (n,), sorted, of n strings of 32 hex digits."""
    numbers = uid_numbers(uids)
    return numbers[np.lexsort((numbers[:, 1], numbers[:, 0]))].view(UID).reshape(-1)


def write_uids(results: Path, decisions: pa.Table) -> None:
    """Leave uids_kept.npy and uids_dropped.npy in `results`, from the decisions and `samples/`. Raises TableError."""
    samples = samples_of(results, decisions, ["given_uid"])
    uids = pc.coalesce(samples["given_uid"], samples["uid"])
    write_array(results / "uids_kept.npy", subset(uids.filter(decisions["kept"])))
    write_array(results / "uids_dropped.npy", subset(uids.filter(pc.invert(decisions["kept"]))))
