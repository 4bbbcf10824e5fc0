"""Which of two duplicates is the better one: a total order over samples."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.partitions import Source
from pycurate.errors import TableError, UsageError
from pycurate.results.uids import uid_numbers

Keep = Literal["best", "aesthetic", "largest", "first"]

KEYS = 5  # of a policy, at most
COLUMNS = ["uid", "shard", "tar_offset", "size", "width", "height", "detail", "loss"]
"""Of SAMPLES: what policies rank by."""

# Ascending in these fields, in their order, is best first. False is first: references come before new samples.
RANK = np.dtype([("new", "?"), ("keys", "<f8", (KEYS,)), ("uid", "<u8", (2,))])


def checked_keep(keep: str) -> Keep:
    """`keep` if it names a policy, else UsageError."""
    if keep not in get_args(Keep):
        raise UsageError(f"There is no keep policy {keep!r}; choose {', '.join(get_args(Keep))}.")
    return keep  # type: ignore[return-value]


def scattered(numbers: np.ndarray) -> np.ndarray:
    """uint64 (n, 2), uids or the like -> uint64 (n,), spread evenly even if the numbers are consecutive."""
    return (numbers[:, 0] + numbers[:, 1]) * np.uint64(0x9E3779B97F4A7C15)


def shard_names(sources: Sequence[Source]) -> list[str]:
    """The shards of all sources that are no references, in the order of their names."""
    new = [source for source in sources if not source.reference]
    return sorted({name for source in new for name in source.samples(["shard"])["shard"].unique().to_pylist()})


def order_of(
    samples: pa.Table, aesthetic: np.ndarray, keep: Keep, shards: Sequence[str], reference: bool
) -> np.ndarray:
    """The rank of each sample, as RANK (n,).

    Args:
        samples: COLUMNS of each sample.
        aesthetic: float (n,); NaN, and so last, where there is none.
        keep: `best` ranks by what copies lose (`pycurate.images.evidence`): most real detail, least loss of it, most
            pixels, fewest bytes (of the same pixels), aesthetic score. `aesthetic` ranks by aesthetic score, then
            pixels; `largest` by pixels, then aesthetic score; `first` by the shard's name, then the place in it. The
            smaller uid breaks the ties that remain. Without `detail`, which earlier versions did not measure, `best`
            is `aesthetic`, as it was for them.
        shards: the names of all shards in order, for `first`.
        reference: whether these samples belong to a reference set, which outranks everything.
    """
    result = np.zeros(samples.num_rows, RANK)
    result["new"] = not reference
    result["uid"] = uid_numbers(samples["uid"])
    for at, key in enumerate(_keys(samples, aesthetic, keep, shards, reference)):
        result["keys"][:, at] = key
    return result


def _keys(
    samples: pa.Table, aesthetic: np.ndarray, keep: Keep, shards: Sequence[str], reference: bool
) -> list[np.ndarray]:
    """What a policy goes by, float (n,) each, ascending from the best."""
    if keep == "first":
        if reference:  # whose shards lie in another folder: the uid alone decides
            return []
        place = pc.index_in(samples["shard"], value_set=pa.array(shards, pa.string()))
        if place.null_count:
            raise TableError("A shard was added after the cells were computed; run dedup.py train again.")
        return [place.to_numpy(), samples["tar_offset"].to_numpy()]
    score = np.where(np.isnan(aesthetic), np.inf, -aesthetic.astype(np.float64))
    pixels = -(samples["width"].to_numpy().astype(np.float64) * samples["height"].to_numpy())
    if keep == "largest":
        return [pixels, score]
    if keep == "aesthetic" or "detail" not in samples.column_names:
        return [score, pixels]
    detail, loss, size = (pc.fill_null(samples[name], 0).to_numpy() for name in ("detail", "loss", "size"))
    return [-detail, loss, pixels, size, score]


def best_first(order: np.ndarray) -> np.ndarray:
    """int64 (n,): the positions that sort a RANK array, the best sample first."""
    uid = order["uid"]
    keys = order["keys"][:, ::-1].T
    return np.lexsort((uid[:, 1], uid[:, 0], *keys, order["new"]))
