"""What a vector is to the search for duplicates, and how alike two images are: one definition for every path.

**Vectors.** A vector is used as it is stored, in float16, if its length is within 1 % of 1. Any other (unnormalised,
or stored in another type) is brought to unit length in float64 and rounded to float16. One that has no direction, being
zero or holding a NaN or an infinity, becomes zero and is like no other vector, not even its own copy.

**Similarity** of a and b is the cosine a.b / sqrt(|a|^2 |b|^2), computed in float64 and rounded to float32. Two images
are duplicates when theirs is at least the threshold rounded to float32.

**Views.** An image has a vector of itself, the first, and may have others, of how it looks mirrored or turned
(pycurate.images.symmetries). The similarity of two images is the greatest of the first vector of either with any of the
other: as one of them is, and the other mirrored or turned. It is symmetric by definition, and exact as its parts are.

**Why every path and machine agrees to the last bit.** float16 numbers of at most 1.01 are whole multiples of 2^-24, so
each product of two is a multiple of 2^-48, and by Cauchy-Schwarz no partial sum of products exceeds 1.03. Every such
number fits in the 53 bits of a float64. So the three dot products are exact in whatever order they are summed, and
IEEE 754 leaves no choice in the product, root and quotient that follow.
"""

import resource
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial, reduce
from pathlib import Path
from threading import Lock

import numpy as np

from pycurate.errors import TableError
from pycurate.results.tables import read_views

# A sample's number: that of its partition, then its row in the partition's embeddings.
ROW_BITS = 32

AT_ONCE = 8192  # pairs of vectors that are compared at a time
CROWD = 1 << 17  # pairs among which vectors that recur are looked for
SPARSE = 8  # products per pair up to which those of all with all cost less than reading two vectors for each pair

MAPPED = 1 << 15  # files at most that are mapped at a time; Linux lets a process map 65,530 (vm.max_map_count)


def sample_numbers(partition: int, rows: np.ndarray) -> np.ndarray:
    """int64 (n,): the numbers of the samples with these embedding rows of a partition."""
    return (partition << ROW_BITS) + rows.astype(np.int64)


class Smallest:
    """The samples of the smallest hashes, `most` of them, of those that come part by part."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._hashes, self._numbers = np.zeros(0, np.uint64), np.zeros(0, np.int64)

    def add(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        """Take in some samples: their hashes, uint64 (n,), and their numbers, int64 (n,)."""
        hashes, numbers = np.concatenate([self._hashes, hashes]), np.concatenate([self._numbers, numbers])
        order = np.argsort(hashes, kind="stable")[: self.most]
        self._hashes, self._numbers = hashes[order], numbers[order]

    def numbers(self) -> np.ndarray:
        """int64 (n,): sample numbers, the one of the smallest hash first."""
        return self._numbers


def as_compared(vectors: np.ndarray) -> np.ndarray:
    """float (n, dim) -> float16 (n, dim): unit length, or zero where a vector has no direction (see the module)."""
    with np.errstate(over="ignore"):
        result = vectors.astype(np.float16)
    square = np.einsum("ij,ij->i", result, result, dtype=np.float64)
    exact = vectors.dtype == np.float16
    odd = np.flatnonzero(~(np.abs(np.sqrt(square) - 1) <= 0.01) if exact else np.ones(len(vectors), bool))
    if len(odd):
        wide = vectors[odd].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
            good = np.isfinite(largest) & (largest > 0)
            wide = np.where(good, wide, 0) / np.where(good, largest, 1)  # no square of it overflows or vanishes
        length = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
        result[odd] = wide / np.where(length > 0, length, 1)
    return result


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Twice float16 (..., dim), of `as_compared`, broadcast -> float32 (...): cosines; 0 without a direction."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    dot, xx, yy = (np.einsum("...j,...j->...", *two) for two in ((x, y), (x, x), (y, y)))
    scale = np.sqrt(xx * yy)
    return np.divide(dot, scale, out=np.zeros_like(dot), where=scale > 0).astype(np.float32)


def similarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float16 (n, dim), (m, dim) -> float32 (n, m): `similarity` of all with all, to the last bit, by one product."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    xx, yy = (np.einsum("ij,ij->i", one, one) for one in (x, y))
    dot, scale = x @ y.T, np.sqrt(xx[:, None] * yy)
    return np.divide(dot, scale, out=np.zeros_like(dot), where=scale > 0).astype(np.float32)


def views_compared(a: int, b: int) -> list[tuple[int, int]]:
    """Which of an image's `a` views are compared with which of another's `b`: one of the two is as it is."""
    return [(0, view) for view in range(b)] + [(view, 0) for view in range(1, a)]


def unit(vectors: np.ndarray) -> np.ndarray:
    """float16 (n, views, dim) -> float32 (n, views, dim), of unit length or zero."""
    wide = vectors.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=2, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 (n, m) of unit vectors (n, views, dim) and (m, views, dim), as `similarity` but for rounding."""
    views = views_compared(a.shape[1], b.shape[1])
    return reduce(np.maximum, (a[:, one] @ b[:, other].T for one, other in views))  # a few at a time, not all


class Embeddings:
    """The embeddings of several partitions, read where they lie.

    `paths` names each partition's `.npy` file: float (rows, dim) or (rows, views, dim). Raises TableError if one cannot
    be read.
    """

    def __init__(self, paths: Mapping[int, Path]) -> None:
        self.paths = dict(sorted(paths.items()))
        # What is mapped counts as an open file, of which others need some, too.
        most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, MAPPED)
        # By a function that knows nothing of these embeddings, so that its files are closed as soon as they are gone.
        self._open = lru_cache(most)(partial(_mapped, self.paths, Lock()))

    def rows(self, partition: int) -> int:
        """How many samples a partition has vectors of."""
        return len(self._open(partition))

    @cached_property
    def shape(self) -> tuple[int, int]:
        """How many vectors an image has, and their dimension. Raises TableError if the partitions differ in them."""
        views, dims = (sorted({self._open(each).shape[axis] for each in self.paths}) for axis in (1, 2))
        if len(dims) != 1:
            raise TableError(
                f"The embeddings have different dimensions ({dims}); embed all partitions with the same model."
            )
        if len(views) != 1:
            raise TableError(
                f"The partitions have different numbers of embeddings per image ({views}); embed all with the same "
                "--dedup_views."
            )
        return views[0], dims[0]

    def block(self, partition: int, start: int, stop: int) -> np.ndarray:
        """float16 (stop - start, views, dim): these rows of a partition, as `as_compared` gives their vectors."""
        return _compared(self._open(partition)[start:stop])

    def take(self, samples: np.ndarray) -> np.ndarray:
        """float16 (n, views, dim): vectors of samples by number (see `sample_numbers`), as `as_compared` gives them."""
        result = np.empty((len(samples), *self.shape), np.float16)
        partitions = samples >> ROW_BITS
        rows = samples & ((1 << ROW_BITS) - 1)
        for partition in set(partitions.tolist()):
            here = partitions == partition
            try:
                result[here] = _compared(self._open(partition)[rows[here]])
            except IndexError as error:
                raise TableError(
                    f"{self.paths[partition]} has fewer rows than readable samples ({error}); embed it again."
                ) from error
        return result

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """float32 (n,): the similarity of samples a with samples b, by their numbers."""
        result = np.empty(len(a), np.float32)
        for start in range(0, len(a), CROWD):
            part = slice(start, start + CROWD)
            result[part] = self._similarity(a[part], b[part])
        return result

    def _similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The same, of some pairs: where few vectors recur in many, as in a crowd of near-copies, each is read once."""
        (rows, i), (columns, j) = (np.unique(one, return_inverse=True) for one in (a, b))
        most = max(1, AT_ONCE // self.shape[0])
        if max(len(rows), len(columns)) <= most and len(rows) * len(columns) <= SPARSE * len(a):
            x, y = self.take(rows), self.take(columns)
            views = views_compared(x.shape[1], y.shape[1])
            best = reduce(np.maximum, (similarities(x[:, one], y[:, other]) for one, other in views))
            return best[i, j]
        result = np.empty(len(a), np.float32)
        for start in range(0, len(a), most):
            part = slice(start, start + most)
            x, y = self.take(a[part]), self.take(b[part])
            cosines = similarity(x[:, :1], y), similarity(x[:, 1:], y[:, :1])
            result[part] = np.concatenate(cosines, axis=1).max(axis=1)
        return result


def _mapped(paths: Mapping[int, Path], one: Lock, partition: int) -> np.ndarray:
    """float (rows, views, dim): the embeddings of a partition. Raises TableError."""
    if partition not in paths:
        raise TableError(f"There are no embeddings of partition {partition}; run embed.py for it first.")
    with one:  # numpy reads a header by ast, which fails now and then in two threads of Python 3.11
        return read_views(paths[partition])


def _compared(vectors: np.ndarray) -> np.ndarray:
    """The same for float (n, views, dim)."""
    return as_compared(vectors.reshape(-1, vectors.shape[2])).reshape(vectors.shape)
