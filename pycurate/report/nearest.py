"""The pairs of kept images that come nearest to being duplicates: what a lower threshold would drop first."""

import functools
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.results.layout import compared, path_of
from pycurate.results.tables import read_tables, read_views

BLOCK = 1024  # rows of one product


def nearest_pairs(results: Path, uids: Collection[str], threshold: float, count: int) -> list[tuple[str, str, float]]:
    """The `count` most similar pairs below `threshold` among the samples `uids`: (uid, uid, cosine), nearest first.

    Compares all with all, so give it thousands, not millions. Each image stands in one pair at most: one odd image is
    not to fill the list. Reads `samples/` and the embeddings that duplicates were sought among; raises TableError where
    these do not go together.
    """
    names, vectors = _vectors(results, uids)
    candidates = []  # the nearest partners of each image
    for start in range(0, len(names) - 1, BLOCK):
        rows, others = vectors[start : start + BLOCK], vectors[start:]
        products = [rows[:, 0] @ others[:, view].T for view in range(vectors.shape[1])]
        products += [rows[:, view] @ others[:, 0].T for view in range(1, vectors.shape[1])]
        cosines = functools.reduce(np.maximum, products)
        cosines[np.tril_indices(len(cosines), m=len(vectors) - start)] = -2  # each pair once, and none with itself
        cosines[cosines >= threshold] = -2  # a search that is allowed to miss some leaves such pairs
        most = min(2 * count - 1, cosines.shape[1])  # one of which is in none of the pairs before
        partners = np.argpartition(cosines, -most)[:, -most:]
        nearest = np.take_along_axis(cosines, partners, axis=1)
        candidates += [
            (-cosine, names[start + row], names[start + partner])
            for row, those in enumerate(zip(nearest.tolist(), partners.tolist(), strict=True))
            for cosine, partner in zip(*those, strict=True)
            if cosine > -2
        ]
    pairs: list[tuple[str, str, float]] = []
    used: set[str] = set()
    for cosine, one, other in sorted(candidates):
        if len(pairs) < count and not used & {one, other}:
            pairs.append((one, other, -cosine))
            used |= {one, other}
    return pairs


def _vectors(results: Path, uids: Collection[str]) -> tuple[list[str], np.ndarray]:
    """The uids in ascending order, so that the split of the set does not show; float32 (n, views, dim), of unit length.

    A vector without a direction stays zero.
    """
    wanted = pa.array(list(uids), pa.string())
    names: list[str] = []
    parts: list[np.ndarray] = []
    for number, table in read_tables(results, "samples", ["uid", "row"]):
        table = table.filter(pc.is_valid(table["row"]))
        embeddings = read_views(path_of(results, compared(results), number), table.num_rows)
        if parts and parts[0].shape[1:] != embeddings.shape[1:]:
            here, before = (" x ".join(map(str, one.shape[1:])) for one in (embeddings, parts[0]))
            raise TableError(
                f"Partition {number} has embeddings of {here} numbers, and those before it {before}; embed all with "
                "one model."
            )
        table = table.filter(pc.is_in(table["uid"], wanted))
        try:
            parts.append(embeddings[table["row"].to_numpy()].astype(np.float32))
        except IndexError as error:
            raise TableError(
                f"The samples of partition {number} do not refer to rows of its embeddings ({error}); embed it again."
            ) from error
        names += table["uid"].to_pylist()
    order = np.argsort(np.array(names, "U32"), kind="stable")
    vectors = np.concatenate(parts)[order]
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    return [names[place] for place in order], vectors / np.where(lengths > 0, lengths, 1)
