"""Keys of vectors, which make the search for duplicates cheap and lose none (see `pycurate.dedup.cells`).

Computed by numpy, so that a small set needs no torch, which takes seconds to import.

Costs are in nanoseconds of one core of a 2 GHz server, measured with benchmarks/dedup.py. Only their ratios matter: a
wrong one makes the search slower, never different.
"""

import numpy as np

# What rounding keys to float16 may take from a product: 2 * 2^-11, and what float32 adds.
SLACK = 1.2e-3
DIRECTIONS = (15, 31, 63, 127, 255)  # numbers of them to choose from
LEARNT_FROM = 4096  # vectors, at most
QUERIES = 128  # of them, compared with all others to see how often keys mislead
COMPARE = 6.0  # of comparing two vectors in full, per dimension
LEARN = 1e8  # of learning which directions are cheapest


def pair_cost(numbers: int) -> float:
    """Of one product of two keys of so many numbers, and of looking at it."""
    return 0.3 + 0.018 * numbers


def keys_of(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """float16 (n, dim) from `vectors.as_compared`, float32 (dim, k) -> float32 (n, k + 1), or (n, dim) if k = dim.

    A vector without a direction has a key of zeros.
    """
    wide = _unit(vectors)
    return wide if directions.shape[0] == directions.shape[1] else _shortened(wide, wide @ directions)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """float16 (n, dim) -> float32 (n, dim) of length 1, or zero."""
    wide = vectors.astype(np.float32)
    # Summed in float64: a float32 sum of thousands of like squares is off by more than `pycurate.dedup.cells` allows.
    length = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64)).astype(np.float32)[:, None]
    wide /= np.where(length > 0, length, 1)
    return wide


def _shortened(wide: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Keys, float32 (n, k + 1), of float32 (n, dim) of length 1 with coordinates float32 (n, k)."""
    # 1e-6 makes up for the rounding of the difference: too long a rest costs a comparison, too short a one a duplicate.
    rest = np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", inside, inside), 0) + np.float32(1e-6))
    return np.concatenate([inside, np.where(wide.any(axis=1), rest, 0)[:, None]], axis=1)


def directions_of(vectors: np.ndarray) -> np.ndarray:
    """float32 (dim, k), orthonormal columns: about the directions along which float16 (n, dim) are longest, in order.

    By subspace iteration (Halko, Martinsson, Tropp, Finding structure with randomness, 2011, algorithm 4.4) on the
    second moments of the first vectors.
    """
    wide = vectors[:LEARNT_FROM].astype(np.float32)
    moments = (wide.T @ wide).astype(np.float64)
    count = min(DIRECTIONS[-1], len(moments))
    columns = np.random.default_rng(0).standard_normal((len(moments), count))
    for _ in range(2):
        columns = np.linalg.qr(moments @ columns)[0]
    turn = np.linalg.eigh(columns.T @ moments @ columns)[1][:, ::-1]
    return (columns @ turn).astype(np.float32)


def choose_directions(
    vectors: np.ndarray, spread: np.ndarray, products: float, pairs: float, threshold: float
) -> tuple[np.ndarray, float]:
    """The columns of `spread` that are cheapest: float32 (dim, k), the first k, or the identity; and their cost.

    More of them make each product dearer and fewer pairs pass for duplicates until they are compared in full.

    Args:
        vectors: float16 (n, dim), a sample.
        spread: float32 (dim, k), from `directions_of`.
        products: that will be made.
        pairs: of the whole set, that may be duplicates.
        threshold: cosine of duplicates.
    """
    dim = vectors.shape[1]
    identity = np.eye(dim, dtype=np.float32)
    wide = _unit(vectors[:LEARNT_FROM])
    inside = wide @ spread
    queries = min(QUERIES, len(wide) // 2)

    def share(keys: np.ndarray) -> float:
        """Of all pairs, those whose keys look like duplicates'."""
        close = np.count_nonzero(keys[:queries] @ keys[queries:].T >= threshold - SLACK)
        return float(close) / max(1, queries * (len(keys) - queries))

    least = share(wide)
    choices = [(products * pair_cost(dim), dim, identity)]
    for count in (count for count in DIRECTIONS if count + 1 < dim):
        wrong = (share(_shortened(wide, inside[:, :count])) - least) * pairs
        choices.append((products * pair_cost(count + 1) + wrong * COMPARE * dim, count, spread[:, :count]))
    cost, _, directions = min(choices, key=lambda choice: choice[:2])
    return np.ascontiguousarray(directions), cost
