"""Which of two duplicates is the better one: a total order over samples."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import UsageError

Keep = Literal["best", "first", "largest"]

# Ascending in these fields, in their order, is best first. False is first: references come before new samples.
ORDER = np.dtype([("new", "?"), ("first", "<f8"), ("second", "<f8"), ("uid", "<u8", (2,))])


def checked_keep(keep: str) -> Keep:
    """`keep` if it names a policy, else UsageError."""
    if keep not in get_args(Keep):
        raise UsageError(
            f"There is no policy {keep!r} to keep one of several duplicates; choose best, first or largest."
        )
    return keep  # type: ignore[return-value]


def uid_numbers(uids: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """32 (or more) hex digits each -> uint64 (n, 2), the first 128 bits, most significant half first."""
    digits = pc.utf8_slice_codeunits(uids, 0, 32)
    raw = bytes.fromhex("".join(digits.to_pylist()))
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)


def order_of(
    samples: pa.Table, aesthetic: np.ndarray, keep: Keep, shards: Mapping[str, int], reference: bool
) -> np.ndarray:
    """The rank of each sample, as ORDER (n,).

    Args:
        samples: uid, width and height of each sample; shard and tar_offset too for `first`.
        aesthetic: float (n,); NaN, and so last, where there is none.
        keep: `best` ranks by aesthetic score, then pixels; `largest` by pixels, then aesthetic score; `first` by the
            shard's name, then the place in it. The smaller uid breaks the ties that remain.
        shards: the place of each shard in the order of names, for `first`.
        reference: whether these samples belong to a reference set, which outranks everything.
    """
    result = np.zeros(samples.num_rows, ORDER)
    result["new"] = not reference
    result["uid"] = uid_numbers(samples["uid"])
    if keep == "first":
        result["first"] = [shards[name] for name in samples["shard"].to_pylist()]
        result["second"] = samples["tar_offset"].to_numpy()
        return result
    score = np.where(np.isnan(aesthetic), np.inf, -aesthetic.astype(np.float64))
    pixels = -(samples["width"].to_numpy().astype(np.float64) * samples["height"].to_numpy())
    result["first"], result["second"] = (score, pixels) if keep == "best" else (pixels, score)
    return result


def best_first(order: np.ndarray) -> np.ndarray:
    """int64 (n,): the positions that sort an ORDER array, the best sample first."""
    uid = order["uid"]
    return np.lexsort((uid[:, 1], uid[:, 0], order["second"], order["first"], order["new"]))
