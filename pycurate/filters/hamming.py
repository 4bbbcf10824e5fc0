"""The nearest of many hashes of 256 bits within a small distance, without comparing with each.

Two hashes that differ in at most REACH of 256 bits agree in some of their 16 pieces of 16 bits but for one bit at most:
if each piece differed in two bits, the hashes would in 32. So only the hashes are compared that have such a piece in
common (Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012).
"""

from collections.abc import Iterator, Sequence

import numpy as np

REACH = 31
PIECES, BITS = 16, 16
FLIPS = np.array([0, *(1 << bit for bit in range(BITS))], np.uint16)  # a piece itself, and with one other bit
COMPARED = 1 << 20  # pairs of hashes at a time, about: 32 MB of each


def bits_of(digits: Sequence[str]) -> np.ndarray:
    """uint64 (n, 4), of hashes of 64 hex digits."""
    return np.frombuffer(bytes.fromhex("".join(digits)), ">u8").astype(np.uint64).reshape(-1, 4)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """int (...): in how many bits uint64 (..., 4) and (..., 4) differ."""
    return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int64)


class Hashes:
    """uint64 (m, 4) to be found. Takes 64 bytes of memory for each beside itself."""

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes
        self.order, self.start = [], []
        for piece in _pieces(hashes).T:
            self.order.append(np.argsort(piece, kind="stable").astype(np.int32))
            self.start.append(np.searchsorted(piece[self.order[-1]], np.arange((1 << BITS) + 1)))

    def nearest(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of uint64 (n, 4): int64 (n,) twice, the place of the nearest hash within REACH and its distance, else -1.

        Of several as near, it is the first.
        """
        none = np.iinfo(np.int64).max
        best = np.full(len(queries), none)  # the distance, then the place
        for query, place in self._candidates(queries):
            distance = distances(queries[query], self.hashes[place])
            near = distance <= REACH
            np.minimum.at(best, query[near], (distance[near] << 32) + place[near])
        found = best < none
        return np.where(found, best & 0xFFFFFFFF, -1), np.where(found, best >> 32, -1)

    def _candidates(self, queries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Queries and the places of hashes with which they have a piece in common, some pairs at a time."""
        for piece, order, start in zip(_pieces(queries).T, self.order, self.start, strict=True):
            value = (piece[:, None] ^ FLIPS).reshape(-1)
            owner = np.arange(len(queries)).repeat(len(FLIPS))
            first = start[value]
            count = start[value.astype(np.int64) + 1] - first
            ends = np.cumsum(count)
            cuts = np.searchsorted(ends, np.arange(COMPARED, ends[-1] if len(ends) else 0, COMPARED))
            for part in np.split(np.arange(len(count)), cuts):
                sizes = count[part]
                within = np.arange(sizes.sum()) - (np.cumsum(sizes) - sizes).repeat(sizes)
                yield owner[part].repeat(sizes), order[first[part].repeat(sizes) + within].astype(np.int64)


def _pieces(hashes: np.ndarray) -> np.ndarray:
    """uint16 (n, PIECES)."""
    return np.ascontiguousarray(hashes).view(np.uint16).reshape(-1, PIECES)
